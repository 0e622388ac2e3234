/** /migrations, /decisions, /incidents, /placements: the saga as people and services see it. */
import { Hono } from "hono";
import { tenantOf, workloadOf } from "../shared/ids";
import { ProblemError } from "../shared/problem";
import { type MigrationRow, migrationOf, migrationRow, placementBy } from "../shared/records";
import type { Incident, RunEvent } from "../shared/wire";
import { body, need, needTenant, visible } from "./access";
import type { App } from "./env";

const PLACEMENT_TOKEN_SECONDS = 30 * 86_400;

export const migrations = new Hono<App>();

migrations.get("/migrations", async (context) => context.json({ items: (await listed(context)).map(migrationOf) }));

migrations.get("/decisions", async (context) => context.json({ items: (await listed(context)).map((row) => migrationOf(row).decision) }));

async function listed(context: Parameters<typeof visible>[0]): Promise<MigrationRow[]> {
  const only = visible(context, context.req.query("tenant"));
  const rows = await context.env.DB.prepare(
    "select * from migrations where (?1 is null or tenant = ?1) and (?2 is null or workload = ?2) and (?3 = 0 or status = 'running') order by started_at desc, generation desc limit 500",
  )
    .bind(only, context.req.query("workload") ?? null, context.req.query("active") === "true" ? 1 : 0)
    .all<MigrationRow>();
  return rows.results;
}

migrations.get("/migrations/:id", async (context) => {
  const row = await one(context.env.DB, context.req.param("id"));
  needTenant(context, row.tenant, "tenant:read", "tenant:deploy");
  return context.json(migrationOf(row));
});

migrations.post("/migrations/:id/events", async (context) => {
  need(context, "service:automation");
  const event = await body<RunEvent>(context, "RunEvent");
  const row = await one(context.env.DB, context.req.param("id"));
  await context.env.DB.prepare("insert or ignore into run_events values (?, ?, ?, ?, ?)").bind(event.run.id, row.id, event.step, JSON.stringify(event.run), new Date().toISOString()).run();
  // Told twice is heard once: the saga goes by the run's id. A second delivery may be the first that arrives.
  if (row.status === "running") await (await context.env.MIGRATIONS.get(row.id)).sendEvent({ type: event.step, payload: event });
  return context.body(null, 204);
});

migrations.post("/placements/:id/credentials", async (context) => {
  need(context, "service:automation");
  const id = context.req.param("id");
  const placement = await placementBy(context.env.DB, id);
  if (!placement) throw new ProblemError(404, "not-found", "No such placement", id);
  const [token, originKey] = await Promise.all([
    context.env.AUTH.issue({ subject: id, scopes: ["placement"], tenant: placement.tenant, placement: id, ttlSeconds: PLACEMENT_TOKEN_SECONDS }),
    context.env.AUTH.originKey(id),
  ]);
  return context.json({ ...token, originKey }, 201);
});

migrations.post("/incidents", async (context) => {
  need(context, "placement", "service:edge", "service:automation");
  const given = await body<Incident>(context, "Incident");
  const claims = context.get("claims");
  if (claims.placement && claims.placement !== given.placement) throw new ProblemError(403, "forbidden", "The token is of another placement", given.placement);
  if (!(await placementBy(context.env.DB, given.placement))) throw new ProblemError(404, "not-found", "No such placement", given.placement);
  // Acknowledged once it is on record: an automation service that is away hears of it later.
  return context.json((await context.env.HEALTH.report(given)) ?? {}, 202);
});

async function one(db: D1Database, id: string): Promise<MigrationRow> {
  const row = await migrationRow(db, id);
  if (!row) throw new ProblemError(404, "not-found", "No such migration", `${id} (${tenantOf(workloadOf(id))})`);
  return row;
}
