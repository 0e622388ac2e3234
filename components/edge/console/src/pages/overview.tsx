/** What runs where, what it costs, what was saved, and what moves now. */
import { useSignal } from "@preact/signals";
import type { BoundaryCheck, Workload } from "../../../workers/shared/wire";
import { ago, besides, costsOf, dollars, hourly, machinesOf, percent, savedNow, savedSoFar } from "../figures";
import { book, clock, ledger, migrations, session, tenants, workloads } from "../live";
import { World } from "../map/world";
import { type Column, Empty, Panel, Place, State, Table } from "../parts";
import { Migrations } from "./moves";
import { useEffect } from "preact/hooks";

function Figures() {
  const placed = (workloads.value ?? []).flatMap(machinesOf);
  const { paying, onDemand } = workloads.value && placed.length === 0 ? { paying: 0, onDemand: 0 } : costsOf(placed);
  const saved = savedSoFar(ledger.value);
  const running = (workloads.value ?? []).filter(({ state }) => state === "RUNNING" || state === "MIGRATING").length;
  const moving = (migrations.value ?? []).filter(({ status }) => status === "running").length;
  return (
    <dl class="figures" aria-label="Totals">
      <div class="figure saved">
        <dt>Saved so far</dt>
        <dd>{dollars(saved?.onDemand)}</dd>
        <dd class="note">against on demand; {dollars(saved?.stayed)} against staying</dd>
      </div>
      <div class="figure">
        <dt>Paying per hour</dt>
        <dd>{hourly(paying)}</dd>
        <dd class="note">on demand {hourly(onDemand)}</dd>
      </div>
      <div class="figure">
        <dt>Below on demand now</dt>
        <dd>{percent(savedNow(placed))}</dd>
        <dd class="note">of what the same machines cost on demand</dd>
      </div>
      <div class="figure">
        <dt>Serving</dt>
        <dd>{workloads.value ? `${running} of ${workloads.value.length}` : "–"}</dd>
        <dd class="note">{moving === 0 ? "none is moving" : moving === 1 ? "1 is moving" : `${moving} are moving`}</dd>
      </div>
    </dl>
  );
}

const COLUMNS: Column<Workload>[] = [
  {
    title: "Workload",
    cell: ({ id, name, tenant }) => (
      <>
        <a class="name" href={`/workloads/${id}`}>
          {name}
        </a>
        <small>{tenant}</small>
      </>
    ),
  },
  {
    title: "State",
    cell: ({ state, reason }) => (
      <>
        <State of={state} />
        <small>{reason}</small>
      </>
    ),
  },
  {
    title: "Runs in",
    cell: (workload) => (
      <>
        <Place offer={workload.placement?.offer} />
        <small>{besides(workload)}</small>
      </>
    ),
  },
  {
    title: "Price per hour",
    number: true,
    cell: (workload) => {
      const { paying, onDemand } = costsOf(machinesOf(workload));
      return (
        <>
          {hourly(paying)}
          <small>on demand {hourly(onDemand)}</small>
        </>
      );
    },
  },
  { title: "Below on demand", number: true, cell: (workload) => percent(savedNow(machinesOf(workload))) },
  { title: "Changed", number: true, cell: ({ updatedAt }) => ago(updatedAt, clock.value) },
];

export function Workloads() {
  const rows = workloads.value;
  return (
    <Panel title="Workloads" note={rows ? `${rows.length} in all` : "loading"}>
      {rows?.length === 0 && (
        <Empty>
          Nothing runs yet. Declare a service with <code>spotlane workload apply -f FILE</code>; it stands here at once.
        </Empty>
      )}
      {rows && rows.length > 0 && <Table label="Workloads" rows={rows} columns={COLUMNS} keyOf={({ id }) => id} />}
    </Panel>
  );
}

function Where() {
  const chosen = useSignal("");
  const allowed = useSignal<Record<string, string[]> | null>(null);
  const owner = tenants.value?.find(({ id }) => id === chosen.value) ?? (tenants.value?.length === 1 ? tenants.value[0] : undefined);
  useEffect(() => {
    allowed.value = null;
    if (owner)
      session.value
        ?.post<BoundaryCheck>("/boundaries", { boundary: owner.boundary })
        .then(({ regions }) => {
          allowed.value = regions;
        })
        .catch(() => {
          allowed.value = null; // the map is drawn without it; the boundaries' own page says why
        });
  }, [owner?.boundaryDigest]);
  const choice = (tenants.value?.length ?? 0) > 1 && (
    <select aria-label="Boundary shown" value={chosen.value} onChange={(event) => (chosen.value = event.currentTarget.value)}>
      <option value="">No boundary</option>
      {tenants.value?.map(({ id }) => (
        <option key={id} value={id}>
          Boundary of {id}
        </option>
      ))}
    </select>
  );
  const shown = (workloads.value ?? []).filter(({ tenant }) => !chosen.value || tenant === chosen.value);
  return (
    <Panel title="Where it runs" aside={choice}>
      <World workloads={shown} book={book.value} allowed={allowed.value} />
    </Panel>
  );
}

export function Overview() {
  return (
    <>
      <Figures />
      <Where />
      <Workloads />
      <Migrations rows={migrations.value?.slice(0, 10) ?? null} title="Recent moves" />
    </>
  );
}
