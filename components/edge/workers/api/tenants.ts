/** /tenants: the boundary comes with the tenant, named by its digest. */
import { Hono } from "hono";
import { ProblemError } from "../shared/problem";
import type { Tenant } from "../shared/wire";
import { body, need, needTenant, visible } from "./access";
import type { ApiEnv, App } from "./env";

const SCOPES = new Set(["tenant:admin", "tenant:deploy", "tenant:read"]);

export const tenants = new Hono<App>();

tenants.get("/", async (context) => {
  const only = visible(context, undefined);
  const rows = await context.env.DB.prepare("select document from tenants where ?1 is null or id = ?1 order by id").bind(only).all<{ document: string }>();
  return context.json({ items: rows.results.map(({ document }) => JSON.parse(document)) });
});

tenants.put("/:tenant", async (context) => {
  need(context, "platform:admin");
  const given = await body<Tenant>(context, "Tenant");
  if (given.id !== context.req.param("tenant")) throw new ProblemError(422, "invalid-request", "The request is not valid", "id is not the tenant of the path");
  const tenant: Tenant = { ...given, displayName: given.displayName ?? "", clouds: given.clouds ?? ["aws", "azure", "gcp"], budgetUsdPerMonth: given.budgetUsdPerMonth ?? null };
  await context.env.DB.prepare("insert into tenants values (?, ?, ?) on conflict (id) do update set document = excluded.document")
    .bind(tenant.id, JSON.stringify(tenant), new Date().toISOString())
    .run();
  return context.json(tenant);
});

tenants.get("/:tenant", async (context) => {
  const id = context.req.param("tenant");
  needTenant(context, id, "tenant:read", "tenant:deploy");
  return context.json(await tenantOf(context.env.DB, id));
});

tenants.delete("/:tenant", async (context) => {
  need(context, "platform:admin");
  const id = context.req.param("tenant");
  const held = await context.env.DB.prepare("select id from workloads where tenant = ? and state <> 'TERMINATED'").bind(id).all<{ id: string }>();
  if (held.results.length > 0) throw new ProblemError(409, "tenant-in-use", "The tenant still has workloads", held.results.map((one) => one.id).join(", "));
  await context.env.AUTH.revokeTenant(id);
  await forgetArtifacts(context.env, id);
  await context.env.DB.prepare("delete from tenants where id = ?").bind(id).run();
  return context.body(null, 204);
});

tenants.post("/:tenant/keys", async (context) => {
  need(context, "platform:admin");
  const id = context.req.param("tenant");
  await tenantOf(context.env.DB, id);
  const { scopes } = await context.req.json<{ scopes?: string[] }>().catch(() => ({ scopes: undefined }));
  const asked = scopes ?? ["tenant:read"];
  const unknown = asked.filter((scope) => !SCOPES.has(scope));
  if (asked.length === 0 || unknown.length > 0) throw new ProblemError(422, "invalid-request", "The request is not valid", `scopes: use ${[...SCOPES].join(", ")}`);
  return context.json(await context.env.AUTH.createKey(id, asked), 201);
});

tenants.delete("/:tenant/keys/:key", async (context) => {
  need(context, "platform:admin");
  const { tenant, key } = context.req.param();
  if (!(await context.env.AUTH.revokeKey(tenant, key))) throw new ProblemError(404, "not-found", "No such key", key);
  return context.body(null, 204);
});

/** Removes the tenant's artifacts that no other tenant's workload runs. */
async function forgetArtifacts(env: ApiEnv, tenant: string): Promise<void> {
  const rows = await env.DB.prepare(
    `select distinct json_extract(spec, '$.artifact.digest') as digest from workloads where tenant = ?1 and digest not in
      (select json_extract(spec, '$.artifact.digest') from workloads where tenant <> ?1 and state <> 'TERMINATED')`,
  )
    .bind(tenant)
    .all<{ digest: string }>();
  await env.ARTIFACTS.delete(rows.results.map(({ digest }) => digest));
}

export async function tenantOf(db: D1Database, id: string): Promise<Tenant> {
  const row = await db.prepare("select document from tenants where id = ?").bind(id).first<{ document: string }>();
  if (!row) throw new ProblemError(404, "not-found", "No such tenant", id);
  return JSON.parse(row.document) as Tenant;
}
