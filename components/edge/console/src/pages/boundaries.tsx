/** Each tenant's boundary: where its data may be, its exemptions with their ends, and what another boundary would let in. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { WhatIf as Answer, BoundaryCheck, Tenant, WhatIfItem } from "../../../workers/shared/wire";
import { exemptionsOf } from "../exemptions";
import { dollars, hourly, minute } from "../figures";
import { book, session, tenants, workloads } from "../live";
import { World } from "../map/world";
import { type Column, Empty, Panel, Place, Table } from "../parts";
import { beyond } from "../regions";
import { ApiFault } from "../session";
import { Rules } from "./rules";

function Difference({ now, then }: { now: BoundaryCheck; then: BoundaryCheck }) {
  const gained = beyond(now.regions, then.regions);
  const lost = beyond(then.regions, now.regions);
  const standing = (workloads.value ?? []).filter(({ placement }) => placement && lost.includes(`${placement.offer.cloud} ${placement.offer.region}`));
  if (gained.length === 0 && lost.length === 0) return <p class="padded">The same regions as now.</p>;
  return (
    <dl class="pairs">
      <div>
        <dt>Regions gained</dt>
        <dd>{gained.length === 0 ? "none" : gained.join(", ")}</dd>
      </div>
      <div>
        <dt>Regions lost</dt>
        <dd>{lost.length === 0 ? "none" : lost.join(", ")}</dd>
      </div>
      <div>
        <dt>Would have to leave</dt>
        <dd>{standing.length === 0 ? "nothing that runs now" : standing.map(({ id }) => id).join(", ")}</dd>
      </div>
    </dl>
  );
}

const COSTS: Column<WhatIfItem>[] = [
  {
    title: "Workload",
    cell: ({ workload, leaves }) => (
      <>
        <a class="name" href={`/workloads/${workload}`}>
          {workload}
        </a>
        <small>{leaves ? "would have to leave" : "may stay"}</small>
      </>
    ),
  },
  { title: "Cheapest then", cell: ({ nowChanged }) => <Place offer={nowChanged.offer} /> },
  { title: "Now, per hour", number: true, cell: ({ nowPresent }) => hourly(nowPresent.usdPerHour) },
  { title: "Then, per hour", number: true, cell: ({ nowChanged }) => hourly(nowChanged.usdPerHour) },
  { title: "Without any boundary", number: true, cell: ({ nowFree }) => hourly(nowFree.usdPerHour) },
  { title: "Paid over the recorded time", number: true, cell: ({ present }) => dollars(present.usd) },
  {
    title: "Would have paid",
    number: true,
    cell: ({ changed }) => (
      <>
        {dollars(changed.usd)}
        {changed.unplacedHours > 0 && <small>{Math.round(changed.unplacedHours)} h without a place</small>}
      </>
    ),
  },
];

function Cost({ answer }: { answer: Answer }) {
  return (
    <>
      <p class="padded">
        At the prices of {minute(answer.marketNow)} UTC, and walked through those recorded from {minute(answer.begin)} to {minute(answer.end)} with the engine's own rules.
      </p>
      {answer.items.length === 0 ? <Empty>The tenant has no workload.</Empty> : <Table label="What it would cost" rows={answer.items} columns={COSTS} keyOf={({ workload }) => workload} />}
    </>
  );
}

function WhatIf({ tenant, now }: { tenant: Tenant; now: BoundaryCheck | null }) {
  const text = useSignal(JSON.stringify(tenant.boundary, null, 2));
  const found = useSignal<BoundaryCheck | null>(null);
  const cost = useSignal<Answer | null>(null);
  const refusal = useSignal("");
  const ask = async (event: SubmitEvent) => {
    event.preventDefault();
    refusal.value = "";
    found.value = null;
    cost.value = null;
    let boundary: unknown;
    try {
      boundary = JSON.parse(text.value);
    } catch (error) {
      refusal.value = `This isn't JSON yet: ${(error as Error).message}`;
      return;
    }
    try {
      found.value = (await session.value?.post<BoundaryCheck>("/boundaries", { boundary })) ?? null;
      cost.value = (await session.value?.post<Answer>("/whatifs", { tenant: tenant.id, boundary, workload: null, days: 7 })) ?? null;
    } catch (error) {
      refusal.value = error instanceof ApiFault ? error.message : String(error);
    }
  };
  return (
    <form class="what-if" onSubmit={ask}>
      <label>
        What if the boundary of {tenant.id} were
        <textarea rows={12} spellcheck={false} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} aria-describedby={`what-if-${tenant.id}`} />
      </label>
      <button class="button main" type="submit">
        Show what it would let in, and cost
      </button>
      <p class="fault" id={`what-if-${tenant.id}`} role="alert">
        {refusal.value}
      </p>
      {found.value && now && (
        <output>
          <Difference now={now} then={found.value} />
          {cost.value ? <Cost answer={cost.value} /> : !refusal.value && <Empty>Working out what it would cost.</Empty>}
          <World workloads={(workloads.value ?? []).filter((one) => one.tenant === tenant.id)} book={book.value} allowed={found.value.regions} />
        </output>
      )}
    </form>
  );
}

function Boundary({ tenant }: { tenant: Tenant }) {
  const now = useSignal<BoundaryCheck | null>(null);
  const refusal = useSignal("");
  useEffect(() => {
    session.value
      ?.post<BoundaryCheck>("/boundaries", { boundary: tenant.boundary })
      .then((found) => {
        now.value = found;
        refusal.value = "";
      })
      .catch((error: Error) => {
        refusal.value = error.message;
      });
  }, [tenant.boundaryDigest]);
  const count = now.value ? Object.values(now.value.regions).reduce((total, regions) => total + regions.length, 0) : null;
  return (
    <Panel title={`Boundary of ${tenant.id}`} note={count === null ? "" : `${count} regions inside`}>
      {refusal.value && <p class="padded fault">{refusal.value}</p>}
      <dl class="pairs">
        <div>
          <dt>Digest</dt>
          <dd>
            <code>{tenant.boundaryDigest}</code>
          </dd>
        </div>
        {Object.entries(now.value?.regions ?? {}).map(([cloud, regions]) => (
          <div key={cloud}>
            <dt>{cloud.toUpperCase()}</dt>
            <dd>{regions.length === 0 ? "none" : regions.join(", ")}</dd>
          </div>
        ))}
      </dl>
      <Rules tenant={tenant.id} rules={now.value?.rules ?? []} exemptions={exemptionsOf(tenant.boundary)} />
      <WhatIf key={tenant.boundaryDigest} tenant={tenant} now={now.value} />
    </Panel>
  );
}

export function Boundaries() {
  const rows = tenants.value;
  return (
    <>
      {rows === null && <Empty>Loading.</Empty>}
      {rows?.length === 0 && (
        <Empty>
          There is no tenant yet. Make one with <code>spotlane tenant apply</code> and its boundary.
        </Empty>
      )}
      {rows?.map((tenant) => (
        <Boundary key={tenant.id} tenant={tenant} />
      ))}
    </>
  );
}
