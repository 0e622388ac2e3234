/** Migrations: what moved, from where to where, and what it was expected to save. */
import type { Migration } from "../../../workers/shared/wire";
import { ago, dollars } from "../figures";
import { clock, migrations } from "../live";
import { type Column, Empty, Panel, Place, State, Table } from "../parts";

const COLUMNS: Column<Migration>[] = [
  {
    title: "Workload",
    cell: ({ workload, startedAt }) => (
      <>
        <a class="name" href={`/workloads/${workload}`}>
          {workload}
        </a>
        <small>{ago(startedAt, clock.value)}</small>
      </>
    ),
  },
  {
    title: "Step",
    cell: ({ status, step, error, kind }) => (
      <>
        <State of={status} label={status === "running" ? step : status} />
        <small>{error ?? kind}</small>
      </>
    ),
  },
  { title: "From", cell: ({ decision }) => <Place offer={decision.evidence?.currentQuote?.offer} /> },
  { title: "To", cell: ({ decision }) => <Place offer={decision.offer} /> },
  {
    title: "Net saving expected",
    number: true,
    cell: ({ decision: { evidence } }) => (
      <>
        {dollars(evidence?.netSavingUsd)}
        {evidence && (
          <small>
            over {Math.round(evidence.horizonHours)} h, price {Math.round(evidence.quoteAgeSeconds)} s old
          </small>
        )}
      </>
    ),
  },
  { title: "Why", cell: ({ decision }) => decision.reason },
];

export function Migrations({ rows, title }: { rows: Migration[] | null; title: string }) {
  const newest = rows && [...rows].sort((one, other) => Date.parse(other.startedAt) - Date.parse(one.startedAt));
  return (
    <Panel title={title} note={rows ? `${rows.filter(({ status }) => status === "running").length} under way` : "loading"}>
      {newest?.length === 0 && <Empty>No move yet. The daemon looks at the prices every minute; `spotlane plan` shows what it would do.</Empty>}
      {newest && newest.length > 0 && <Table label={title} rows={newest} columns={COLUMNS} keyOf={({ id }) => id} />}
    </Panel>
  );
}

export function Moves() {
  return <Migrations rows={migrations.value} title="Moves" />;
}
