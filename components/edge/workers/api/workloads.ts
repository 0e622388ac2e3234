/** /workloads: what its owner declares, where it runs, how it is reached. */
import { Hono } from "hono";
import { propose, terminate } from "../shared/decisions";
import { isLabel, nameOf, tenantOf } from "../shared/ids";
import { ProblemError } from "../shared/problem";
import { placementBy, setState, workloadOfRow, type WorkloadRow, workloadRow } from "../shared/records";
import type { Decision, Endpoint, Placement, Workload, WorkloadSpec } from "../shared/wire";
import { body, need, needTenant, visible } from "./access";
import type { App } from "./env";
import { tenantOf as tenantBy } from "./tenants";

export const workloads = new Hono<App>();

workloads.get("/", async (context) => {
  const only = visible(context, context.req.query("tenant"));
  const rows = await context.env.DB.prepare("select w.*, p.document as placed from workloads w left join placements p on p.id = w.placement where ?1 is null or w.tenant = ?1 order by w.id")
    .bind(only)
    .all<WorkloadRow & { placed: string | null }>();
  return context.json({ items: rows.results.map((row) => workloadOfRow(row, row.placed ? (JSON.parse(row.placed) as Placement) : null)) });
});

workloads.put("/:id", async (context) => {
  const id = context.req.param("id");
  if (!isLabel(id)) throw new ProblemError(422, "invalid-request", "The request is not valid", `${id} is no workload id; it has the form <workload>-<tenant>`);
  needTenant(context, tenantOf(id), "tenant:deploy");
  const spec = withDefaults(await body<WorkloadSpec>(context, "WorkloadSpec"));
  await tenantBy(context.env.DB, tenantOf(id));
  const now = new Date().toISOString();
  const known = await workloadRow(context.env.DB, id);
  if (known && known.state !== "TERMINATED") {
    await context.env.DB.prepare("update workloads set spec = ?, updated_at = ? where id = ?").bind(JSON.stringify(spec), now, id).run();
  } else {
    // A workload that comes again keeps counting its generations: a number is never used twice.
    await context.env.DB.prepare(
      "insert into workloads values (?, ?, ?, 'NEW', '', ?, 0, null, null, ?, ?) on conflict (id) do update set spec = excluded.spec, placement = null, active_migration = null",
    )
      .bind(id, tenantOf(id), nameOf(id), JSON.stringify(spec), now, now)
      .run();
    await setState(context.env.DB, id, "PENDING", "declared; waits for its first placement");
  }
  return context.json(await shown(context.env.DB, id));
});

workloads.get("/:id", async (context) => {
  needTenant(context, tenantOf(context.req.param("id")), "tenant:read", "tenant:deploy");
  return context.json(await shown(context.env.DB, context.req.param("id")));
});

workloads.delete("/:id", async (context) => {
  const id = context.req.param("id");
  needTenant(context, tenantOf(id), "tenant:deploy");
  const row = await known(context.env.DB, id);
  if (row.state === "TERMINATED" || row.state === "STOPPING") return context.json(await shown(context.env.DB, id));
  await setState(context.env.DB, id, "STOPPING", "removed by its owner");
  await terminate(context.env, row);
  return context.json(await shown(context.env.DB, id), 202);
});

workloads.get("/:id/endpoint", async (context) => {
  const id = context.req.param("id");
  needTenant(context, tenantOf(id), "tenant:read", "tenant:deploy");
  const spec = JSON.parse((await known(context.env.DB, id)).spec) as WorkloadSpec;
  const { protocol, port } = new URL(context.req.url);
  const host = `${id}.workloads.${context.env.ZONE}${port ? `:${port}` : ""}`;
  const endpoint: Endpoint = {
    workload: id,
    http: spec.ports.http === null ? null : `${protocol}//${host}`,
    websocket: spec.ports.http === null ? null : `${protocol === "https:" ? "wss:" : "ws:"}//${host}`,
    tcpHost: spec.ports.tcp === null ? null : `tcp-${id}.workloads.${context.env.ZONE}`,
    tcpPort: spec.ports.tcp,
  };
  return context.json(endpoint);
});

workloads.get("/:id/placements", async (context) => {
  const id = context.req.param("id");
  needTenant(context, tenantOf(id), "tenant:read", "tenant:deploy");
  await known(context.env.DB, id);
  const rows = await context.env.DB.prepare("select document from placements where workload = ? order by generation desc").bind(id).all<{ document: string }>();
  return context.json({ items: rows.results.map(({ document }) => JSON.parse(document)) });
});

workloads.get("/:id/events", async (context) => {
  const id = context.req.param("id");
  needTenant(context, tenantOf(id), "tenant:read", "tenant:deploy");
  await known(context.env.DB, id);
  const rows = await context.env.DB.prepare("select seq, workload, state, reason, at from events where workload = ? order by seq").bind(id).all();
  return context.json({ items: rows.results });
});

workloads.post("/:id/decisions", async (context) => {
  need(context, "service:automation");
  const decision = await body<Decision>(context, "Decision");
  const row = await known(context.env.DB, context.req.param("id"));
  if (decision.workload !== row.id) throw new ProblemError(422, "invalid-request", "The request is not valid", "workload is not that of the path");
  return context.json(await propose(context.env, row, decision), 202);
});

async function known(db: D1Database, id: string): Promise<WorkloadRow> {
  const row = await workloadRow(db, id);
  if (!row) throw new ProblemError(404, "not-found", "No such workload", id);
  return row;
}

async function shown(db: D1Database, id: string): Promise<Workload> {
  const row = await known(db, id);
  return workloadOfRow(row, await placementBy(db, row.placement));
}

/** The declared spec with what was left out, as the Python models have it. */
function withDefaults(given: WorkloadSpec): WorkloadSpec {
  return {
    ...given,
    env: given.env ?? {},
    ports: { http: given.ports.http ?? null, tcp: given.ports.tcp ?? null },
    health: { ...{ path: "/healthz", intervalSeconds: 1, timeoutSeconds: 2, healthyCount: 2, unhealthyCount: 3 }, ...given.health },
    resources: { ...{ vcpu: 2, memoryGib: 4, arch: "x86_64" as const, gpu: 0, gpuType: null }, ...given.resources },
    placement: {
      ...{ clouds: null, regions: null, maxUsdPerHour: null, threshold: null, dwellHours: null, movesPer30Days: 12, egressGibPerHour: 0, stateGib: 0, dataClass: null },
      ...given.placement,
    },
    drainSeconds: given.drainSeconds ?? 5,
    access: given.access ?? "anonymous",
  };
}
