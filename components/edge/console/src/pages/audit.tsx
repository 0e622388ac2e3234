/** The audit trail's anchors: what each enforcer's chain was at, kept where nobody who owns its machine can change it. */
import type { AuditHead } from "../../../workers/shared/wire";
import { useAsked } from "../ask";
import { ago, minute } from "../figures";
import { clock, type Items, session } from "../live";
import { type Column, Empty, Panel, Table } from "../parts";

const POINTS: Record<AuditHead["point"], string> = { api: "cloud API calls, by the inline proxy", place: "placements, by the automation service", plan: "policy packs, by the automation service" };

const COLUMNS: Column<AuditHead>[] = [
  {
    title: "Chain",
    cell: ({ point, member }) => (
      <>
        <span class="name">{point}</span>
        <small>{member}</small>
      </>
    ),
  },
  { title: "Of", cell: ({ point }) => POINTS[point] },
  { title: "Records", number: true, cell: ({ seq }) => seq.toLocaleString("en-US") },
  { title: "Anchored", cell: ({ at }) => `${minute(at)} UTC, ${ago(at, clock.value)}` },
  { title: "Hash", cell: ({ hash }) => <code title={hash}>{hash.slice(0, 16)}…</code> },
];

export function Audit() {
  const asked = useAsked<Items<AuditHead>>(session.value?.ofPlatform ? "/audit/heads?limit=100" : null, { kinds: ["audit"] });
  const { value, fault } = asked.value;
  return (
    <Panel title="Audit" note="newest anchors first">
      <p class="padded">
        Every decision is a record bound to the one before. <code>spotlane audit verify</code> compares the records on each machine with these anchors, byte by byte; <code>spotlane audit query</code>{" "}
        reads them.
      </p>
      {!session.value?.ofPlatform && <Empty>Anchors are the platform's. Sign in with a key of the platform to see them.</Empty>}
      {fault && <Empty>{fault.message}</Empty>}
      {value?.items.length === 0 && <Empty>Nothing is anchored yet. The automation service anchors its machine's chains every ten seconds.</Empty>}
      {value && value.items.length > 0 && <Table label="Anchors" rows={value.items} columns={COLUMNS} keyOf={({ point, member, seq }) => `${point}/${member}/${seq}`} />}
    </Panel>
  );
}
