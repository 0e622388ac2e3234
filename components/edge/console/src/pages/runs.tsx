/** What the engine does for a workload's moves, and did: live while it works. */
import type { Run } from "../../../workers/shared/wire";
import { useAsked } from "../ask";
import { changesOf, DASH, lasted, minute } from "../figures";
import { clock, type Items } from "../live";
import { type Column, Empty, Panel, State, Table } from "../parts";

const COLUMNS: Column<Run>[] = [
  {
    title: "Run",
    cell: ({ operation, stack, acceptedAt }) => (
      <>
        <span class="name">
          {operation} {stack}
        </span>
        <small>{minute(acceptedAt)} UTC</small>
      </>
    ),
  },
  { title: "State", cell: ({ status }) => <State of={status} /> },
  { title: "Took", number: true, cell: (run) => lasted(run, clock.value) },
  { title: "Resources", cell: ({ changes, finishedAt }) => (finishedAt === null ? DASH : changesOf(changes)) },
  {
    title: "What it said",
    cell: ({ error, findings }) => (
      <>
        {error ?? (findings.length === 0 ? "" : "let through by the policy packs:")}
        {findings.map(({ rule, resource, message, enforcement }) => (
          <small key={`${rule}/${resource}/${message}`}>
            {rule} ({enforcement}): {message}
          </small>
        ))}
      </>
    ),
  },
];

export function Runs({ id }: { id: string }) {
  const { value, fault } = useAsked<Items<Run>>(`/workloads/${id}/runs?limit=20`, { kinds: ["run", "migration"], workload: id }).value;
  return (
    <Panel title="Engine runs" note="newest first, live">
      {value === null && <Empty>{fault?.message ?? "Loading."}</Empty>}
      {value?.items.length === 0 && <Empty>No run in the last 30 days.</Empty>}
      {value && value.items.length > 0 && <Table label="Engine runs" rows={value.items} columns={COLUMNS} keyOf={({ id: run }) => run} />}
    </Panel>
  );
}
