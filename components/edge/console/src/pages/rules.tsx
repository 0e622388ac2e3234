/** What each rule asks of a tenant under its boundary, and which exemptions hold it open, until when. */
import type { BoundaryRule } from "../../../workers/shared/wire";
import { type Exemption, holding } from "../exemptions";
import { minute } from "../figures";
import { type Column, Empty, State, Table } from "../parts";

const EXEMPTIONS: Column<Exemption>[] = [
  { title: "Rule", cell: ({ rule }) => <span class="name">{rule}</span> },
  { title: "Covers", cell: ({ resource, regions, clouds }) => [resource && resource !== "*" ? resource : null, ...(regions ?? []), ...(clouds ?? [])].filter(Boolean).join(", ") },
  { title: "Owner", cell: ({ owner }) => owner },
  { title: "Reason", cell: ({ reason }) => reason },
  {
    title: "Until",
    cell: ({ expires }) => (
      <>
        {minute(expires)}
        <small>{Date.parse(expires) < Date.now() ? "has ended" : "holds"}</small>
      </>
    ),
  },
];

export function Rules({ tenant, rules, exemptions }: { tenant: string; rules: BoundaryRule[]; exemptions: Exemption[] }) {
  const columns: Column<BoundaryRule>[] = [
    { title: "Rule", cell: ({ rule }) => <span class="name">{rule}</span> },
    { title: "Asks", cell: ({ asks }) => asks ?? <span class="quiet">nothing under this boundary</span> },
    {
      title: "Exemptions that hold",
      cell: ({ rule, exemptible }) => {
        if (!exemptible) return <span class="quiet">can't be exempted</span>;
        const held = holding(exemptions, rule, Date.now());
        return held.length === 0 ? (
          "none"
        ) : (
          <State
            of="INTERRUPTED"
            label={`${held.length}, the last until ${minute(
              held
                .map(({ expires }) => expires)
                .sort()
                .at(-1) ?? "",
            )}`}
          />
        );
      },
    },
  ];
  return (
    <>
      {rules.length > 0 && (
        <>
          <h3>Rules</h3>
          <Table label={`Rules of ${tenant}`} rows={rules} columns={columns} keyOf={({ rule }) => rule} />
        </>
      )}
      <h3>Exemptions</h3>
      {exemptions.length === 0 ? (
        <Empty>None. Every rule holds for everything.</Empty>
      ) : (
        <Table label={`Exemptions of ${tenant}`} rows={exemptions} columns={EXEMPTIONS} keyOf={(one) => JSON.stringify(one)} />
      )}
    </>
  );
}
