/** What a workload's machines write: the last lines of one of them, then each as it comes, while the section is open. */
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { MachineLogs, Placement, Workload } from "../../../workers/shared/wire";
import { usePolled } from "../ask";
import { zoneOf } from "../figures";
import { Empty, Panel } from "../parts";
import { EVERY_MS } from "../poll";
import type { ApiFault } from "../session";
import { announced, FIRST, grown, harmless, isGap, KEPT, lostText, MORE, newestFirst, question, type Row, rowsOf, second, successor, type Tail, textOf, UNITS, type Unit } from "../tail";

/** The tab remembers where somebody doesn't want to see it. */
const CLOSED = "spotlane.log.closed";
/** px from the end at which a reader still is at the end. */
const NEAR_PX = 24;

function Line({ row }: { row: Row }) {
  if (isGap(row)) return <div class="log-lost">{lostText(row)}</div>;
  return (
    <div class="log-line">
      <time dateTime={row.at} title={row.at}>
        {second(row.at)}
      </time>{" "}
      <span class="unit">{row.unit}</span> <span class="said">{harmless(row.message)}</span>
    </div>
  );
}

/** The lines in a box that scrolls, and stays at its end for as long as the reader does. */
function Lines({ box, rows, name, view, atEnd }: { box: RefObject<HTMLDivElement>; rows: Row[]; name: string; view: string; atEnd: Signal<boolean> }) {
  const known = useRef<{ view: string; number: number | null }>({ view: "", number: null });
  const last = rows.findLast((row) => !isGap(row));
  const { aloud, count } = useMemo(() => announced(rows, known.current.view === view ? known.current.number : null), [rows, view]);
  useEffect(() => {
    known.current = { view, number: last && !isGap(last) ? last.number : 0 };
  }, [rows, view]);
  useLayoutEffect(() => {
    if (atEnd.value && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [rows]);
  const scrolled = (event: Event) => {
    const { scrollHeight, scrollTop, clientHeight } = event.currentTarget as HTMLDivElement;
    atEnd.value = scrollHeight - scrollTop - clientHeight < NEAR_PX;
  };
  // The same element as long as the rows are: nothing is compared again while the page around them changes.
  const shown = useMemo(() => rows.map((row) => <Line key={isGap(row) ? `lost ${row.before}` : row.number} row={row} />), [rows]);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard (axe: scrollable-region-focusable) */}
      <div class="log" ref={box} role="log" aria-label={name} aria-live={aloud ? "polite" : "off"} tabIndex={0} onScroll={scrolled}>
        {shown}
      </div>
      <span class="sr-only" role="status">
        {count > 0 && !aloud && `${count} new lines`}
      </span>
    </>
  );
}

/** What is done with the lines that are shown. */
function Tools({ rows, name, children }: { rows: Row[]; name: string; children: ComponentChildren }) {
  const said = useSignal("");
  const copy = async () => {
    const lines = rows.filter((row) => !isGap(row)).length;
    try {
      await navigator.clipboard.writeText(textOf(rows));
      said.value = `Copied ${lines === 1 ? "1 line" : `${lines.toLocaleString("en-US")} lines`}.`;
    } catch {
      said.value = "The browser doesn't let this page copy. Save them in place of it.";
    }
  };
  const save = () => {
    const address = URL.createObjectURL(new Blob([textOf(rows)], { type: "text/plain" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = `${name}.log`;
    link.click();
    URL.revokeObjectURL(address);
  };
  return (
    <div class="tools">
      <button class="button" type="button" disabled={rows.length === 0} onClick={copy}>
        Copy
      </button>
      <button class="button" type="button" disabled={rows.length === 0} onClick={save}>
        Save
      </button>
      {children}
      <output class="quiet">{said.value}</output>
    </div>
  );
}

/** What stands where there is no line. */
function Nothing({ tail, ended }: { tail: Tail; ended: boolean }) {
  if (tail.placement === null) return <Empty>It has no machine yet.</Empty>;
  if (!tail.told)
    return (
      <Empty>
        <code>{tail.placement}</code> doesn't tell what it writes. Put <code>logs: true</code> into the workload's file and apply it with <code>spotlane workload apply</code>: the machine that is then
        made tells its lines, and the platform keeps the last of them for a day. What they hold passes the edge, outside the boundary, too.
      </Empty>
    );
  if (ended)
    return (
      <Empty>
        No line of <code>{tail.placement}</code> is kept: they go a day after the last one.
      </Empty>
    );
  return (
    <Empty>
      <code>{tail.placement}</code> has written nothing yet. Its lines come here by themselves.
    </Empty>
  );
}

/** Why the last question was refused: what is shown stays. */
function Refusal({ fault, again }: { fault: ApiFault; again(): void }) {
  const stopped = fault.status !== 0 && fault.status !== 429 && fault.status < 500;
  const text = fault.status === 429 ? "The API asks to be left alone for a while; this goes on by itself." : fault.message;
  return (
    <div class="tools">
      <p class="fault" role="alert">
        {text}
      </p>
      {stopped && (
        <button class="button" type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** `placements`: null until they are known. */
export function MachineLog({ workload, placements }: { workload: Workload; placements: Placement[] | null }) {
  const open = useSignal(sessionStorage.getItem(CLOSED) === null);
  const chosen = useSignal<string | null>(null);
  const unit = useSignal<Unit | null>(null);
  const limit = useSignal(FIRST);
  const tail = useSignal<Tail | null>(null);
  /** Whether the next answer takes the place of what is shown. */
  const anew = useRef(false);
  const turn = useSignal(0);
  const atEnd = useSignal(true);
  const box = useRef<HTMLDivElement>(null);
  const machines = useRef<HTMLSelectElement>(null);
  const options = newestFirst(placements ?? []);
  const shown = tail.value?.placement ?? chosen.value;
  const held = () => (anew.current ? null : tail.value);
  const state = options.find(({ id }) => id === shown)?.state;
  const ended = state === "DESTROYED" || state === "FAILED";
  // Another machine, or another word of the workload's file, is a reason to ask where there was nothing to ask for any more.
  const about = [workload.id, chosen.value, limit.value, turn.value, workload.spec.logs, workload.placement?.id, options[0]?.id, ended].join(" ");
  const fault = usePolled<MachineLogs>(
    open.value && placements ? about : null,
    () => `/workloads/${encodeURIComponent(workload.id)}/logs?${question(held(), chosen.value ?? (anew.current ? shown : null), limit.value)}`,
    (answer) => {
      const now = grown(held(), answer);
      const unchanged = tail.value?.after === now.after && tail.value.placement === now.placement && tail.value.told === now.told;
      if (anew.current || !unchanged) tail.value = now;
      anew.current = false;
      if (answer.lines.length === 0 && (ended || !answer.told)) return null;
      return answer.lines.length === MORE ? 0 : EVERY_MS;
    },
  ).value;
  const all = tail.value?.rows ?? [];
  const rows = useMemo(() => rowsOf(all, unit.value), [all, unit.value]);

  // A button that goes leaves the focus to what stays.
  const again = () => {
    turn.value += 1;
    machines.current?.focus();
  };
  const choose = (placement: string | null) => {
    chosen.value = placement;
    limit.value = FIRST;
    tail.value = null;
    atEnd.value = true;
    again();
  };
  const toggle = () => {
    open.value = !open.value;
    atEnd.value = true;
    if (open.value) sessionStorage.removeItem(CLOSED);
    else sessionStorage.setItem(CLOSED, "");
  };
  const earlier = () => {
    anew.current = true;
    limit.value = MORE;
    atEnd.value = false;
    box.current?.focus();
  };
  const toEnd = () => {
    atEnd.value = true;
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
    box.current?.focus();
  };

  const next = chosen.value === null ? successor(shown, options, workload) : null;
  const first = all.find((row) => !isGap(row));
  const more = limit.value === FIRST && all.length >= FIRST && !tail.value?.cut && first && !isGap(first) && first.number > 1;
  const newest = ended ? "the newest at the end, of a machine that is gone; UTC" : "the newest at the end, live; UTC";
  const note = open.value ? (all.length > 0 && !fault ? newest : undefined) : "closed: nothing is asked for";
  const choice = (
    <span class="choices">
      {open.value && (
        <>
          <select ref={machines} aria-label="Machine" value={shown ?? ""} onChange={(event) => choose(event.currentTarget.value)}>
            {!options.some(({ id }) => id === shown) && <option value={shown ?? ""}>{shown ?? (options.length > 0 ? "the one that serves" : "no machine")}</option>}
            {options.map(({ id, state, offer }) => (
              <option key={id} value={id}>
                {id}, {state.toLowerCase()}, {offer.cloud.toUpperCase()} {zoneOf(offer)}
              </option>
            ))}
          </select>
          <select aria-label="Unit" value={unit.value ?? ""} onChange={(event) => (unit.value = (event.currentTarget.value || null) as Unit | null)}>
            <option value="">All units</option>
            {UNITS.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </>
      )}
      <button class="button" type="button" aria-expanded={open.value} aria-label={open.value ? "Close the machine log" : "Open the machine log"} onClick={toggle}>
        {open.value ? "Close" : "Open"}
      </button>
    </span>
  );
  return (
    <Panel title="Machine log" note={note} aside={choice}>
      {open.value && (
        <>
          {next && (
            <p class="padded">
              <code>{next}</code> serves now.{" "}
              <button class="button" type="button" onClick={() => choose(null)}>
                Show its log
              </button>
            </p>
          )}
          {tail.value === null && !fault && <Empty>Loading.</Empty>}
          {tail.value && all.length === 0 && <Nothing tail={tail.value} ended={ended} />}
          {tail.value && all.length > 0 && (
            <>
              {tail.value.cut && <p class="padded quiet">The page keeps {KEPT.toLocaleString("en-US")} lines; earlier ones have made room.</p>}
              {rows.length === 0 && unit.value && (
                <Empty>
                  None of the {all.length} lines here is of the {unit.value}.
                </Empty>
              )}
              {rows.length > 0 && <Lines box={box} rows={rows} name={`Lines of ${shown}`} view={`${shown} ${unit.value} ${limit.value}`} atEnd={atEnd} />}
              <Tools rows={rows} name={shown ?? workload.id}>
                {more && (
                  <button class="button" type="button" onClick={earlier}>
                    Earlier lines
                  </button>
                )}
                {!atEnd.value && rows.length > 0 && (
                  <button class="button" type="button" onClick={toEnd}>
                    To the end
                  </button>
                )}
              </Tools>
            </>
          )}
          {fault && <Refusal fault={fault} again={again} />}
        </>
      )}
    </Panel>
  );
}
