/** /workloads: what its owner declares, where it runs, how it is reached. */
import { propose, terminate } from "../shared/decisions";
import { nameOf, tenantOf } from "../shared/ids";
import { ProblemError } from "../shared/problem";
import { FURTHER, livePlacements, placementBy, setState, workloadOfRow, type WorkloadRow, workloadRow } from "../shared/records";
import { automation } from "../shared/services";
import type { Fault } from "../shared/validate";
import type { Decision, Endpoint, Placement, Workload, WorkloadSpec } from "../shared/wire";
import { missing, visible } from "./access";
import { changed, conditions } from "./etags";
import { AUTOMATION, type Call, DEPLOY, ok, type Operation, PARAMETERS, READ } from "./operation";
import { paged, rowsOf } from "./pages";
import { refuse } from "./serve";
import { tenantBy } from "./tenants";

export const workloads: Operation[] = [
  {
    id: "listWorkloads",
    method: "GET",
    path: "/v1/workloads",
    tag: "workloads",
    summary: "Workloads with where they run, by id",
    scopes: READ,
    query: { tenant: PARAMETERS.tenant ?? {} },
    paged: true,
    answers: { 200: { items: "Workload" } },
    handle: async (call) => {
      const rows = await rowsOf<WorkloadRow & { placed: string | null; further: string }>(
        call.env.DB,
        `select w.*, p.document as placed, ${FURTHER} as further from workloads w left join placements p on p.id = w.placement`,
        { "w.tenant = ?": visible(call, call.query.tenant) },
        { columns: ["w.id"] },
        call.page,
      );
      return paged(
        call.page,
        rows,
        ({ id }) => [id],
        (row) => workloadOfRow(row, row.placed ? (JSON.parse(row.placed) as Placement) : null, JSON.parse(row.further) as Placement[]),
      );
    },
  },
  {
    id: "putWorkload",
    method: "PUT",
    path: "/v1/workloads/{workload}",
    tag: "workloads",
    summary: "Declares a workload; its first placement follows with the next cycle of the daemon",
    scopes: DEPLOY,
    of: "workload",
    body: { model: "WorkloadSpec" },
    conditional: true,
    answers: { 200: { model: "Workload" } },
    problems: [404, 409],
    handle: put,
  },
  {
    id: "getWorkload",
    method: "GET",
    path: "/v1/workloads/{workload}",
    tag: "workloads",
    summary: "One workload",
    scopes: READ,
    of: "workload",
    answers: { 200: { model: "Workload" } },
    problems: [404],
    handle: async ({ env, params }) => ok(await shown(env.DB, params.workload ?? "")),
  },
  {
    id: "deleteWorkload",
    method: "DELETE",
    path: "/v1/workloads/{workload}",
    tag: "workloads",
    summary: "Stops a workload: its machines are destroyed after the drain",
    scopes: DEPLOY,
    of: "workload",
    conditional: true,
    answers: { 200: { model: "Workload" }, 202: { model: "Workload" } },
    problems: [404, 409],
    handle: async ({ env, request, params }) => {
      const id = params.workload ?? "";
      const row = await known(env.DB, id);
      await conditions(request, await shown(env.DB, id));
      if (row.state === "TERMINATED" || row.state === "STOPPING") return ok(await shown(env.DB, id));
      await setState(env.DB, id, "STOPPING", "removed by its owner");
      await terminate(env, row);
      return ok(await shown(env.DB, id), 202);
    },
  },
  {
    id: "getEndpoint",
    method: "GET",
    path: "/v1/workloads/{workload}/endpoint",
    tag: "workloads",
    summary: "Where the workload is reached, for life",
    scopes: READ,
    of: "workload",
    answers: { 200: { model: "Endpoint" } },
    problems: [404],
    handle: async ({ env, url, params }) => {
      const id = params.workload ?? "";
      const spec = JSON.parse((await known(env.DB, id)).spec) as WorkloadSpec;
      const host = `${id}.workloads.${env.ZONE}${url.port ? `:${url.port}` : ""}`;
      const endpoint: Endpoint = {
        workload: id,
        http: spec.ports.http === null ? null : `${url.protocol}//${host}`,
        websocket: spec.ports.http === null ? null : `${url.protocol === "https:" ? "wss:" : "ws:"}//${host}`,
        tcpHost: spec.ports.tcp === null ? null : `tcp-${id}.workloads.${env.ZONE}`,
        tcpPort: spec.ports.tcp,
      };
      return ok(endpoint);
    },
  },
  {
    id: "listWorkloadPlacements",
    method: "GET",
    path: "/v1/workloads/{workload}/placements",
    tag: "workloads",
    summary: "Every generation of a workload, newest first",
    scopes: READ,
    of: "workload",
    paged: true,
    answers: { 200: { items: "Placement" } },
    problems: [404],
    handle: async (call) => {
      const id = call.params.workload ?? "";
      await known(call.env.DB, id);
      const order = { columns: ["generation"], descending: true };
      const rows = await rowsOf<{ generation: number; document: string }>(call.env.DB, "select generation, document from placements", { "workload = ?": id }, order, call.page);
      return paged(
        call.page,
        rows,
        ({ generation }) => [generation],
        ({ document }) => JSON.parse(document),
      );
    },
  },
  {
    id: "listWorkloadEvents",
    method: "GET",
    path: "/v1/workloads/{workload}/events",
    tag: "events",
    summary: "State changes of a workload with their reasons, oldest first",
    scopes: READ,
    of: "workload",
    paged: true,
    answers: { 200: { items: "WorkloadEvent" } },
    problems: [404],
    handle: async (call) => {
      const id = call.params.workload ?? "";
      await known(call.env.DB, id);
      const rows = await rowsOf<{ seq: number }>(call.env.DB, "select seq, workload, state, reason, at from events", { "workload = ?": id }, { columns: ["seq"] }, call.page);
      return paged(
        call.page,
        rows,
        ({ seq }) => [seq],
        (row) => row,
      );
    },
  },
  {
    id: "listEvents",
    method: "GET",
    path: "/v1/events",
    tag: "events",
    summary: "State changes of all workloads that the caller may see, newest first",
    scopes: READ,
    query: { tenant: PARAMETERS.tenant ?? {} },
    paged: true,
    answers: { 200: { items: "WorkloadEvent" } },
    handle: async (call) => {
      const only = visible(call, call.query.tenant);
      const select = "select e.seq, e.workload, e.state, e.reason, e.at from events e join workloads w on w.id = e.workload";
      const rows = await rowsOf<{ seq: number }>(call.env.DB, select, { "w.tenant = ?": only }, { columns: ["e.seq"], descending: true }, call.page);
      return paged(
        call.page,
        rows,
        ({ seq }) => [seq],
        (row) => row,
      );
    },
  },
  {
    id: "decide",
    method: "POST",
    path: "/v1/workloads/{workload}/decisions",
    tag: "moves",
    summary: "Proposes a decision; it becomes a migration if it still holds against the price book. The same decision twice is one migration",
    scopes: AUTOMATION,
    of: "workload",
    body: { model: "Decision" },
    answers: { 202: { model: "Migration" } },
    problems: [404, 409],
    idempotent: true,
    handle: async ({ env, params, body }) => {
      const decision = body as Decision;
      if (decision.workload !== params.workload) refuse([{ path: "workload", message: "is not that of the path" }]);
      return ok(await propose(env, await known(env.DB, decision.workload), decision), 202);
    },
  },
];

async function put(call: Call): ReturnType<Operation["handle"]> {
  const { env, request, params, body } = call;
  const id = params.workload ?? "";
  const spec = body as WorkloadSpec;
  refuse(unrunnable(spec));
  await tenantBy(env.DB, tenantOf(id));
  const row = await workloadRow(env.DB, id);
  const present = row && row.state !== "TERMINATED" ? row : null;
  await conditions(request, present === null ? null : await shown(env.DB, id));
  if (present?.state === "STOPPING") throw stopping(id);
  const now = new Date().toISOString();
  const conditional = request.headers.has("if-match") || request.headers.has("if-none-match");
  if (present) {
    const guard = conditional ? present.updated_at : null;
    const update = "update workloads set spec = ?1, updated_at = ?2 where id = ?3 and (?4 is null or updated_at = ?4) and state not in ('STOPPING', 'TERMINATED')";
    const written = await env.DB.prepare(update).bind(JSON.stringify(spec), now, id, guard).run();
    if (written.meta.changes === 0) throw conditional ? changed(null) : stopping(id);
    if (present.spec !== JSON.stringify(spec)) nudge(call, id);
    return ok(await shown(env.DB, id));
  }
  // A workload that comes again keeps counting its generations: a number is never used twice.
  const written = await env.DB.prepare(
    `insert into workloads values (?, ?, ?, 'NEW', '', ?, 0, null, null, ?, ?)
     on conflict (id) do update set spec = excluded.spec, placement = null, active_migration = null where state = 'TERMINATED'`,
  )
    .bind(id, tenantOf(id), nameOf(id), JSON.stringify(spec), now, now)
    .run();
  // Somebody else declared it in between: then this is a change of theirs.
  if (written.meta.changes === 0) {
    if (conditional) throw changed(null);
    await env.DB.prepare("update workloads set spec = ?, updated_at = ? where id = ?").bind(JSON.stringify(spec), now, id).run();
  } else await setState(env.DB, id, "PENDING", "declared; waits for its first placement");
  nudge(call, id);
  return ok(await shown(env.DB, id));
}

/** Declared now it would go with what is being taken down. */
function stopping(id: string): ProblemError {
  return new ProblemError(409, "stopping", "The workload is being removed", `${id} can be declared again when its machines are gone and its state is TERMINATED`, { "retry-after": "10" });
}

/** What a spec lacks to be run at all: it says what, in one of two ways. */
export function unrunnable({ artifact, image, command }: WorkloadSpec): Fault[] {
  if ((artifact === null) === (image === null)) return [{ path: "(body)", message: "must have either artifact or image" }];
  if (artifact !== null && command.length === 0) return [{ path: "command", message: "is required with an artifact" }];
  return [];
}

/** So that nobody waits for the daemon's next cycle; one that isn't heard costs only that wait. */
function nudge({ env, later }: Call, workload: string): void {
  const told = automation(env.AUTH, env.AUTOMATION_URL, "POST", "/v1/nudges", { workload });
  later(told.then((answer) => answer.body?.cancel()).catch(() => undefined));
}

export async function known(db: D1Database, id: string): Promise<WorkloadRow> {
  const row = await workloadRow(db, id);
  if (!row) throw missing(id);
  return row;
}

async function shown(db: D1Database, id: string): Promise<Workload> {
  const row = await known(db, id);
  const [placement, live] = await Promise.all([placementBy(db, row.placement), livePlacements(db, id)]);
  return workloadOfRow(
    row,
    placement,
    live.filter((one) => one.id !== row.placement),
  );
}
