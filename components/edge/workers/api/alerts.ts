/** /alerts: what was paid in a month has come to a share of a cap. Each is raised once, whoever sends it however often. */
import type { SpendAlert } from "../shared/wire";
import { visibleOf } from "./access";
import { AUTOMATION, MONTH, ok, type Operation, PARAMETERS, READ } from "./operation";
import { paged, rowsOf } from "./pages";

export const alerts: Operation[] = [
  {
    id: "raiseAlerts",
    method: "PUT",
    path: "/v1/alerts",
    tag: "ledger",
    summary: "Raises alerts; one that was raised in its month stays as it was. Answers those that are new",
    scopes: AUTOMATION,
    body: { list: "SpendAlert" },
    answers: { 200: { model: "SpendAlerts" } },
    handle: async ({ env, body }) => ok({ items: await raise(env.DB, body as SpendAlert[]) }),
  },
  {
    id: "listAlerts",
    method: "GET",
    path: "/v1/alerts",
    tag: "ledger",
    summary: "Alerts of monthly caps, newest first",
    scopes: READ,
    query: { tenant: PARAMETERS.tenant ?? {}, workload: PARAMETERS.workload ?? {}, month: MONTH },
    paged: true,
    answers: { 200: { items: "SpendAlert" } },
    handle: async (call) => {
      const asked = { "tenant = ?": visibleOf(call), "workload = ?": call.query.workload ?? null, "month = ?": call.query.month ?? null };
      const order = { columns: ["raised_at", "owner", "percent"], descending: true };
      const rows = await rowsOf<{ raised_at: string; owner: string; percent: number; document: string }>(
        call.env.DB,
        "select raised_at, owner, percent, document from spend_alerts",
        asked,
        order,
        call.page,
      );
      return paged(
        call.page,
        rows,
        (row) => [row.raised_at, row.owner, row.percent],
        ({ document }) => JSON.parse(document),
      );
    },
  },
];

/** Writes what isn't there yet, each with an event of its workload in one transaction; those that were written. */
async function raise(db: D1Database, sent: SpendAlert[]): Promise<SpendAlert[]> {
  const now = new Date().toISOString();
  const raised: SpendAlert[] = [];
  for (const one of sent) {
    const alert = { ...one, raisedAt: now };
    const written = await db.batch([
      db.prepare("insert or ignore into spend_alerts values (?, ?, ?, ?, ?, ?, ?)").bind(alert.owner, alert.month, alert.percent, alert.tenant, alert.workload, JSON.stringify(alert), now),
      // Only where the row before was new: then it is of this very moment.
      db.prepare("insert into events (workload, state, reason, at) select id, state, ?1, ?2 from workloads where id = ?3 and changes() = 1").bind(sentence(alert), now, alert.workload),
    ]);
    // With its own row those are counted that a trigger wrote.
    if ((written[0]?.meta.changes ?? 0) > 0) raised.push(alert);
  }
  return raised;
}

function sentence({ percent, capUsd, paidUsd, projectedUsd, month }: SpendAlert): string {
  return `${percent} % of the cap of ${capUsd.toFixed(2)} USD is reached: ${paidUsd.toFixed(2)} paid in ${month}, ${projectedUsd.toFixed(2)} projected`;
}
