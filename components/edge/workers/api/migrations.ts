/** /migrations, /decisions, /placements, /incidents: the saga as people, services and machines see it. */
import { ProblemError } from "../shared/problem";
import { type MigrationRow, migrationOf, migrationRow, placementBy } from "../shared/records";
import type { Incident, Placement, PlacementCredentials, RunEvent } from "../shared/wire";
import { missing, visibleOf } from "./access";
import { AUTOMATION, type Call, done, ok, type Operation, PARAMETERS, READ } from "./operation";
import { paged, rowsOf } from "./pages";

const PLACEMENT_TOKEN_SECONDS = 30 * 86_400;
const NARROWED = { tenant: PARAMETERS.tenant ?? {}, workload: PARAMETERS.workload ?? {}, active: { enum: ["true", "false"], type: "string" } };

export const migrations: Operation[] = [
  {
    id: "listMigrations",
    method: "GET",
    path: "/v1/migrations",
    tag: "moves",
    summary: "Migrations, newest first",
    scopes: READ,
    query: NARROWED,
    paged: true,
    answers: { 200: { items: "Migration" } },
    handle: (call) => listed(call, migrationOf),
  },
  {
    id: "listDecisions",
    method: "GET",
    path: "/v1/decisions",
    tag: "moves",
    summary: "Decisions that became migrations, with their evidence, newest first",
    scopes: READ,
    query: NARROWED,
    paged: true,
    answers: { 200: { items: "Decision" } },
    handle: (call) => listed(call, (row) => migrationOf(row).decision),
  },
  {
    id: "getMigration",
    method: "GET",
    path: "/v1/migrations/{migration}",
    tag: "moves",
    summary: "One migration",
    scopes: READ,
    of: "migration",
    answers: { 200: { model: "Migration" } },
    problems: [404],
    handle: async ({ env, params }) => ok(migrationOf(await one(env.DB, params.migration ?? ""))),
  },
  {
    id: "deliverRun",
    method: "POST",
    path: "/v1/migrations/{migration}/events",
    tag: "moves",
    summary: "Tells a waiting saga its run's result; idempotent by run",
    scopes: AUTOMATION,
    of: "migration",
    body: { model: "RunEvent" },
    answers: { 204: null },
    problems: [404],
    handle: async ({ env, params, body }) => {
      const event = body as RunEvent;
      const row = await one(env.DB, params.migration ?? "");
      await env.DB.prepare("insert or ignore into run_events values (?, ?, ?, ?, ?)").bind(event.run.id, row.id, event.step, JSON.stringify(event.run), new Date().toISOString()).run();
      // Told twice is heard once: the saga goes by the run's id. A second delivery may be the first that arrives.
      if (row.status === "running") await (await env.MIGRATIONS.get(row.id)).sendEvent({ type: event.step, payload: event });
      return done();
    },
  },
  {
    id: "listPlacements",
    method: "GET",
    path: "/v1/placements",
    tag: "placements",
    summary: "Generations of all workloads that the caller may see, by id",
    scopes: READ,
    query: {
      tenant: PARAMETERS.tenant ?? {},
      workload: PARAMETERS.workload ?? {},
      state: { enum: ["PROVISIONING", "VERIFYING", "SERVING", "STANDBY", "DRAINING", "DESTROYED", "FAILED", "ORPHANED"], type: "string" },
    },
    paged: true,
    answers: { 200: { items: "Placement" } },
    handle: async (call) => {
      const asked = { "tenant = ?": visibleOf(call), "workload = ?": call.query.workload ?? null, "state = ?": call.query.state ?? null };
      const rows = await rowsOf<{ id: string; document: string }>(call.env.DB, "select id, document from placements", asked, { columns: ["id"] }, call.page);
      return paged(
        call.page,
        rows,
        ({ id }) => [id],
        ({ document }) => JSON.parse(document),
      );
    },
  },
  {
    id: "getPlacement",
    method: "GET",
    path: "/v1/placements/{placement}",
    tag: "placements",
    summary: "One generation of a workload",
    scopes: READ,
    of: "placement",
    answers: { 200: { model: "Placement" } },
    problems: [404],
    handle: async ({ env, params }) => ok(await placed(env.DB, params.placement ?? "")),
  },
  {
    id: "issueCredentials",
    method: "POST",
    path: "/v1/placements/{placement}/credentials",
    tag: "placements",
    summary: "What the machine is given: a token for 30 days, refused once the placement is gone, and the key of the edge's signature",
    scopes: AUTOMATION,
    of: "placement",
    answers: { 201: { model: "PlacementCredentials" } },
    problems: [404],
    idempotent: true,
    handle: async ({ env, params }) => {
      const { id, tenant } = await placed(env.DB, params.placement ?? "");
      const [token, originKey] = await Promise.all([env.AUTH.issue({ subject: id, scopes: ["placement"], tenant, placement: id, ttlSeconds: PLACEMENT_TOKEN_SECONDS }), env.AUTH.originKey(id)]);
      const { accessToken, tokenType, expiresIn, scopes } = token;
      const credentials: PlacementCredentials = { accessToken, tokenType, expiresIn, scopes, originKey };
      return ok(credentials, 201);
    },
  },
  {
    id: "reportIncident",
    method: "POST",
    path: "/v1/incidents",
    tag: "placements",
    summary: "A machine's notice that it will go; on record when it is answered, and told to the automation service until the workload is off that machine",
    scopes: ["placement", "service:edge", "service:automation"],
    body: { model: "Incident" },
    answers: { 202: { schema: { type: "object", properties: { migration: { type: "string" } }, additionalProperties: false } } },
    problems: [404],
    handle: async ({ env, claims, body }) => {
      const given = body as Incident;
      if (claims.placement && claims.placement !== given.placement) throw new ProblemError(403, "forbidden", "The token is of another placement", given.placement);
      await placed(env.DB, given.placement);
      // Acknowledged once it is on record: an automation service that is away hears of it later.
      return ok((await env.HEALTH.report(given)) ?? {}, 202);
    },
  },
];

async function listed(call: Call, shown: (row: MigrationRow) => unknown): ReturnType<Operation["handle"]> {
  const { workload, active } = call.query;
  const status = active === "true" ? "running" : null;
  const order = { columns: ["started_at", "id"], descending: true };
  const rows = await rowsOf<MigrationRow>(call.env.DB, "select * from migrations", { "tenant = ?": visibleOf(call), "workload = ?": workload ?? null, "status = ?": status }, order, call.page);
  return paged(call.page, rows, (row) => [row.started_at, row.id], shown);
}

async function one(db: D1Database, id: string): Promise<MigrationRow> {
  const row = await migrationRow(db, id);
  if (!row) throw missing(id);
  return row;
}

async function placed(db: D1Database, id: string): Promise<Placement> {
  const placement = await placementBy(db, id);
  if (!placement) throw missing(id);
  return placement;
}
