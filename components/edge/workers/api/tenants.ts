/** /tenants: the boundary comes with the tenant, named by its digest. */
import { ProblemError } from "../shared/problem";
import type { Tenant } from "../shared/wire";
import { forgetRevocations, missing, visible } from "./access";
import { forgetTenant } from "./artifacts";
import { changed, conditions } from "./etags";
import { done, ok, type Operation, PLATFORM, READ } from "./operation";
import { paged, rowsOf } from "./pages";
import { refuse } from "./serve";

interface Row {
  id: string;
  document: string;
}

export const tenants: Operation[] = [
  {
    id: "listTenants",
    method: "GET",
    path: "/v1/tenants",
    tag: "tenants",
    summary: "Tenants that the caller may see",
    scopes: READ,
    paged: true,
    answers: { 200: { items: "Tenant" } },
    handle: async (call) => {
      const rows = await rowsOf<Row>(call.env.DB, "select id, document from tenants", { "id = ?": visible(call, undefined) }, { columns: ["id"] }, call.page);
      return paged(
        call.page,
        rows,
        ({ id }) => [id],
        ({ document }) => JSON.parse(document),
      );
    },
  },
  {
    id: "putTenant",
    method: "PUT",
    path: "/v1/tenants/{tenant}",
    tag: "tenants",
    summary: "Makes or changes a tenant",
    scopes: PLATFORM,
    of: "tenant",
    body: { model: "Tenant" },
    conditional: true,
    answers: { 200: { model: "Tenant" } },
    handle: async ({ env, request, params, body }) => {
      const tenant = body as Tenant;
      if (tenant.id !== params.tenant) refuse([{ path: "id", message: "is not the tenant of the path" }]);
      const present = await env.DB.prepare("select id, document from tenants where id = ?").bind(tenant.id).first<Row>();
      await conditions(request, present === null ? null : JSON.parse(present.document));
      const written = await env.DB.prepare(
        "insert into tenants select ?1, ?2, ?3 where ?4 is not null or not exists (select 1 from tenants where id = ?1) on conflict (id) do update set document = excluded.document where document = ?4",
      )
        .bind(tenant.id, JSON.stringify(tenant), new Date().toISOString(), present?.document ?? null)
        .run();
      if (written.meta.changes === 0) throw changed(null);
      return ok(tenant);
    },
  },
  {
    id: "getTenant",
    method: "GET",
    path: "/v1/tenants/{tenant}",
    tag: "tenants",
    summary: "One tenant",
    scopes: READ,
    of: "tenant",
    answers: { 200: { model: "Tenant" } },
    problems: [404],
    handle: async ({ env, params }) => ok(await tenantBy(env.DB, params.tenant ?? "")),
  },
  {
    id: "deleteTenant",
    method: "DELETE",
    path: "/v1/tenants/{tenant}",
    tag: "tenants",
    summary: "Removes a tenant without workloads: its keys, tokens and artifacts go with it",
    scopes: PLATFORM,
    of: "tenant",
    conditional: true,
    answers: { 204: null },
    problems: [404, 409],
    handle: async ({ env, request, params }) => {
      const id = params.tenant ?? "";
      await conditions(request, await tenantBy(env.DB, id));
      const held = await env.DB.prepare("select id from workloads where tenant = ? and state <> 'TERMINATED' limit 20").bind(id).all<{ id: string }>();
      if (held.results.length > 0) throw new ProblemError(409, "tenant-in-use", "The tenant still has workloads", held.results.map((one) => one.id).join(", "));
      await env.AUTH.revokeTenant(id);
      forgetRevocations();
      await forgetTenant(env, id);
      await env.DB.prepare("delete from tenants where id = ?").bind(id).run();
      return done();
    },
  },
];

export async function tenantBy(db: D1Database, id: string): Promise<Tenant> {
  const row = await db.prepare("select document from tenants where id = ?").bind(id).first<{ document: string }>();
  if (!row) throw missing(id);
  return JSON.parse(row.document) as Tenant;
}
