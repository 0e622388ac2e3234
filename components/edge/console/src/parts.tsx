/** The pieces that pages are made of. */
import type { ComponentChildren } from "preact";
import type { OfferRef } from "../../workers/shared/wire";
import { DASH, zoneOf } from "./figures";

const TONES: Record<string, string> = {
  RUNNING: "good",
  SERVING: "good",
  succeeded: "good",
  within: "good",
  PENDING: "busy",
  PROVISIONING: "busy",
  VERIFYING: "busy",
  MIGRATING: "busy",
  DRAINING: "busy",
  running: "busy",
  queued: "busy",
  STOPPING: "busy",
  INTERRUPTED: "warn",
  UNHEALTHY: "warn",
  "headed-over": "warn",
  FAILED: "bad",
  ORPHANED: "bad",
  failed: "bad",
  over: "bad",
};

export function State({ of, label }: { of: string; label?: string }) {
  return (
    <span class={`state ${TONES[of] ?? "quiet"}`}>
      <span class="dot" aria-hidden="true" />
      {label ?? of.toLowerCase()}
    </span>
  );
}

export function Place({ offer }: { offer: OfferRef | null | undefined }) {
  if (!offer) return <>{DASH}</>;
  return (
    <>
      <span class="place">
        <span class={`cloud ${offer.cloud}`}>{offer.cloud.toUpperCase()}</span>
        {zoneOf(offer)}
      </span>
      <small>{offer.instanceType}</small>
    </>
  );
}

export function Panel({ title, note, aside, children }: { title: string; note?: string; aside?: ComponentChildren; children: ComponentChildren }) {
  const id = `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section class="panel" aria-labelledby={id}>
      <header>
        <h2 id={id} tabIndex={-1}>
          {title}
        </h2>
        {note && <p>{note}</p>}
        {aside}
      </header>
      {children}
    </section>
  );
}

/** What stands where there is nothing: never an empty page. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export interface Column<T> {
  title: string;
  number?: true;
  cell(row: T): ComponentChildren;
}

/** A table that scrolls by itself where the screen is narrow. */
export function Table<T>({ label, rows, columns, keyOf }: { label: string; rows: T[]; columns: Column<T>[]; keyOf(row: T): string | number }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard (axe: scrollable-region-focusable)
    // biome-ignore lint/a11y/useSemanticElements: a fieldset groups inputs; this groups a table with its scroll bar
    <div class="scroll" role="group" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ title, number }) => (
              <th key={title} scope="col" class={number ? "number" : undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, number, cell }) => (
                <td key={title} class={number ? "number" : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
