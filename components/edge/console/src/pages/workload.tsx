/** One workload: where it stands and has stood, what that cost, why it is there, and what happens to it now. */
import type { Decision, Endpoint, Evidence, LedgerHour, Migration, Placement, Workload, WorkloadEvent } from "../../../workers/shared/wire";
import { useAsked } from "../ask";
import { Chart } from "../chart";
import { costRows } from "../evidence";
import { ago, besides, costsOf, hourly, machinesOf, minute, nearest, offerName, percent, savedNow } from "../figures";
import { clock, type Items, migrations, workloads } from "../live";
import { type Column, Empty, Panel, Place, State, Table } from "../parts";
import { newestFirst } from "../tail";
import { MachineLog } from "./log";
import { Runs } from "./runs";
import { Spending } from "./spending";

const STEPS = ["reserve", "provision", "verify", "commit", "drain", "decommission", "record"] as const;

function Under({ migration }: { migration: Migration }) {
  const at = STEPS.indexOf(migration.step as (typeof STEPS)[number]);
  return (
    <Panel title="Under way" note={`${migration.kind}: ${migration.decision.reason}`}>
      <ol class="steps" aria-label={`Step ${migration.step}`}>
        {STEPS.map((step, number) => (
          <li key={step} class={number < at ? "past" : number === at ? "now" : ""} aria-current={number === at ? "step" : undefined}>
            {step}
          </li>
        ))}
      </ol>
      <p class="padded">
        To {migration.decision.offer ? offerName(migration.decision.offer) : "nothing: it is taken down"}, since {ago(migration.startedAt, clock.value)}. Traffic stays on the old machine until the new
        one has passed its probes.
      </p>
    </Panel>
  );
}

function Head({ workload, endpoint }: { workload: Workload; endpoint: Endpoint | null }) {
  const machines = machinesOf(workload);
  const { paying, onDemand } = costsOf(machines);
  return (
    <header class="head">
      <h1 tabIndex={-1}>{workload.id}</h1>
      <State of={workload.state} />
      <p class="quiet">{workload.reason}</p>
      {endpoint?.http && (
        <a class="endpoint" href={endpoint.http} rel="noreferrer" target="_blank">
          {endpoint.http}
        </a>
      )}
      <dl class="figures">
        <div class="figure">
          <dt>Runs in</dt>
          <dd class="text">{workload.placement ? `${workload.placement.offer.cloud.toUpperCase()} ${workload.placement.offer.region}` : "–"}</dd>
          <dd class="note">{[workload.placement?.offer.instanceType ?? "no machine", besides(workload)].filter(Boolean).join("; ")}</dd>
        </div>
        <div class="figure">
          <dt>Price per hour</dt>
          <dd>{hourly(paying)}</dd>
          <dd class="note">on demand {hourly(onDemand)}</dd>
        </div>
        <div class="figure saved">
          <dt>Below on demand</dt>
          <dd>{percent(savedNow(machines))}</dd>
          <dd class="note">now</dd>
        </div>
        <div class="figure">
          <dt>Generation</dt>
          <dd>{workload.generation}</dd>
          <dd class="note">declared {minute(workload.createdAt)} UTC</dd>
        </div>
      </dl>
    </header>
  );
}

function Cost({ evidence }: { evidence: Evidence }) {
  return (
    <dl class="pairs">
      {costRows(evidence).map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

const ALTERNATIVES: Column<Evidence["alternatives"][number]>[] = [
  { title: "Offer", cell: ({ offer }) => <Place offer={offer} /> },
  { title: "All in, per hour", number: true, cell: ({ usdPerHour }) => hourly(usdPerHour) },
  { title: "Why it lost", cell: ({ detail }) => detail },
];

function Why({ decisions }: { decisions: Decision[] }) {
  const [last] = decisions;
  if (!last) return <Empty>Nothing was decided yet.</Empty>;
  return (
    <>
      <p class="padded">
        <strong>{last.reason}.</strong> Decided under the boundary <code>{last.boundaryDigest.slice(0, 19)}</code>
        {last.evidence && ` among ${last.evidence.offersConsidered} offers, on a price ${Math.round(last.evidence.quoteAgeSeconds)} s old`}.
      </p>
      {last.evidence && <Cost evidence={last.evidence} />}
      {last.evidence && last.evidence.alternatives.length > 0 && (
        <Table
          label="Alternatives"
          rows={last.evidence.alternatives}
          columns={ALTERNATIVES}
          keyOf={({ offer, reason }) => `${offer.cloud}/${offer.region}/${offer.zone}/${offer.instanceType}/${reason}`}
        />
      )}
    </>
  );
}

const PLACEMENTS: Column<Placement>[] = [
  {
    title: "Placement",
    cell: ({ id, createdAt }) => (
      <>
        <span class="name">{id}</span>
        <small>{minute(createdAt)} UTC</small>
      </>
    ),
  },
  { title: "State", cell: ({ state }) => <State of={state} /> },
  { title: "Where", cell: ({ offer }) => <Place offer={offer} /> },
  { title: "Price when chosen", number: true, cell: ({ quote }) => hourly(quote.spotUsdPerHour) },
];

const EVENTS: Column<WorkloadEvent>[] = [
  { title: "When", cell: ({ at }) => `${minute(at)} UTC` },
  { title: "State", cell: ({ state }) => <State of={state} /> },
  { title: "What happened", cell: ({ reason }) => reason },
];

function Unknown({ id }: { id: string }) {
  const close = nearest(id, workloads.value?.map((one) => one.id) ?? []);
  return (
    <Panel title="No such workload">
      <h1 class="sr-only">{id}</h1>
      <Empty>
        There is no workload <code>{id}</code> that you may see.{" "}
        {close.length > 0 ? (
          <>
            Did you mean{" "}
            {close.map((one, at) => (
              <>
                {at > 0 && ", "}
                <a key={one} href={`/workloads/${one}`}>
                  {one}
                </a>
              </>
            ))}
            ?
          </>
        ) : (
          <>
            See <a href="/">all of them</a>.
          </>
        )}
      </Empty>
    </Panel>
  );
}

export function WorkloadPage({ id }: { id: string }) {
  const workload = workloads.value?.find((one) => one.id === id);
  const known = workload ? `/workloads/${id}` : null;
  const hours = useAsked<Items<LedgerHour>>(workload ? `/ledger/hours?workload=${id}&limit=500` : null, { kinds: ["ledger"] });
  const decisions = useAsked<Items<Decision>>(workload ? `/decisions?workload=${id}&limit=20` : null, { kinds: ["migration"], workload: id });
  const placements = useAsked<Items<Placement>>(known && `${known}/placements?limit=50`, { kinds: ["placement"], workload: id });
  const events = useAsked<Items<WorkloadEvent>>(known && `${known}/events?limit=500`, { kinds: ["event"], workload: id });
  const endpoint = useAsked<Endpoint>(known && `${known}/endpoint`, { kinds: ["workload"], workload: id });
  if (workloads.value === null) return <Empty>Loading {id}.</Empty>;
  if (!workload) return <Unknown id={id} />;
  const active = migrations.value?.find((one) => one.id === workload.activeMigration);
  const spans = hours.value.value?.items ?? [];
  const happened = [...(events.value.value?.items ?? [])].reverse().slice(0, 50);
  return (
    <>
      <Head workload={workload} endpoint={endpoint.value.value} />
      {active && <Under migration={active} />}
      <Panel title="What it cost" note="by the ledger's closed hours">
        {spans.length > 0 ? <Chart hours={spans} /> : <Empty>No hour is closed yet. The ledger closes an hour once its prices can't change any more.</Empty>}
      </Panel>
      <Spending workload={workload} />
      <Panel title="Why it is here">
        <Why decisions={decisions.value.value?.items ?? []} />
      </Panel>
      <Panel title="Where it was">
        {(placements.value.value?.items.length ?? 0) > 0 ? (
          <Table label="Placements" rows={newestFirst(placements.value.value?.items ?? [])} columns={PLACEMENTS} keyOf={(one) => one.id} />
        ) : (
          <Empty>It has no machine yet.</Empty>
        )}
      </Panel>
      <Runs id={id} />
      <MachineLog workload={workload} placements={placements.value.value?.items ?? null} />
      <Panel title="What happened" note="newest first, live">
        {happened.length > 0 ? <Table label="Events" rows={happened} columns={EVENTS} keyOf={({ seq }) => seq} /> : <Empty>Nothing yet.</Empty>}
      </Panel>
    </>
  );
}
