/** What a workload may cost: its caps of the month, its tenant's too, and the alerts that were raised. */
import type { Spend, SpendAlert, SpendCap, Workload } from "../../../workers/shared/wire";
import { useAsked } from "../ask";
import { dollars, hourly, minute } from "../figures";
import type { Items } from "../live";
import type { About } from "../stream";
import { type Column, Empty, Panel, State, Table } from "../parts";

/** The automation service works caps out of the ledger, the machines and their prices. */
const ABOUT: About = { kinds: ["ledger", "alert", "migration"], every: 5 };

const STANDINGS: Record<SpendCap["standing"], string> = { within: "within", "headed-over": "headed over it", over: "reached" };

const CAPS: Column<SpendCap>[] = [
  {
    title: "Cap of",
    cell: ({ owner, month }) => (
      <>
        <span class="name">{owner}</span>
        <small>{month}</small>
      </>
    ),
  },
  { title: "Standing", cell: ({ standing }) => <State of={standing} label={STANDINGS[standing]} /> },
  {
    title: "Paid",
    number: true,
    cell: ({ owner, paidUsd, capUsd, unknownHours }) => (
      <>
        <meter min={0} max={capUsd} high={capUsd * 0.8} optimum={0} value={Math.min(paidUsd, capUsd)} aria-label={`Paid of the cap of ${owner}`} />
        {dollars(paidUsd)}
        {unknownHours > 0 && <small>{unknownHours.toFixed(1)} h of unknown price beside</small>}
      </>
    ),
  },
  {
    title: "By the month's end",
    number: true,
    cell: ({ projectedUsd, usdPerHour, hoursLeft }) => (
      <>
        {dollars(projectedUsd)}
        <small>
          at {hourly(usdPerHour)} an hour for {Math.round(hoursLeft)} h
        </small>
      </>
    ),
  },
  { title: "Cap", number: true, cell: ({ capUsd }) => dollars(capUsd) },
];

const ALERTS: Column<SpendAlert>[] = [
  { title: "When", cell: ({ marketAt }) => `${minute(marketAt)} UTC` },
  { title: "Cap of", cell: ({ owner }) => owner },
  { title: "Reached", number: true, cell: ({ percent }) => `${percent} %` },
  { title: "Paid", number: true, cell: ({ paidUsd, capUsd }) => `${dollars(paidUsd)} of ${dollars(capUsd)}` },
  { title: "Projected then", number: true, cell: ({ projectedUsd }) => dollars(projectedUsd) },
];

export function Spending({ workload }: { workload: Workload }) {
  const spend = useAsked<Spend>(`/spend?tenant=${workload.tenant}`, ABOUT).value;
  const alerts = useAsked<Items<SpendAlert>>(`/alerts?tenant=${workload.tenant}&limit=100`, ABOUT).value;
  const concerns = ({ owner }: { owner: string }) => owner === workload.id || owner === workload.tenant;
  const caps = spend.value?.items.filter(concerns);
  const raised = alerts.value?.items.filter(concerns) ?? [];
  return (
    <Panel title="Caps" note="of the month, in UTC">
      {caps === undefined && <Empty>{spend.fault?.message ?? "Loading."}</Empty>}
      {caps?.length === 0 && (
        <Empty>
          Nothing caps it. <code>budgetUsdPerMonth</code> in the workload's file or the tenant's, and <code>spend.usdPerMonth</code> in the boundary do.
        </Empty>
      )}
      {caps && caps.length > 0 && <Table label="Monthly caps" rows={caps} columns={CAPS} keyOf={({ owner, month }) => `${owner}/${month}`} />}
      {raised.length > 0 && (
        <>
          <h3>Alerts</h3>
          <Table label="Alerts of caps" rows={raised} columns={ALERTS} keyOf={({ owner, month, percent }) => `${owner}/${month}/${percent}`} />
        </>
      )}
    </Panel>
  );
}
