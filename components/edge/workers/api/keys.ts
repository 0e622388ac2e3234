/** Keys of tenants and of the platform, and who is refused. Nobody makes a key that may do more than its maker. */
import type { Revoking } from "../auth/keys";
import { mark, OF_PLATFORM, ring } from "../shared/changes";
import { ProblemError } from "../shared/problem";
import { everyTenant } from "../shared/scopes";
import type { KeyRequest, KeyRotation, Revocation } from "../shared/wire";
import { forgetKeys, forgetRevocations, missing } from "./access";
import { conditions } from "./etags";
import { ADMIN, AUTOMATION, type Call, done, ok, type Operation, PLATFORM, type Reply } from "./operation";
import { paged } from "./pages";
import { refuse } from "./serve";
import { tenantBy } from "./tenants";

export const keys: Operation[] = [
  {
    id: "createKey",
    method: "POST",
    path: "/v1/tenants/{tenant}/keys",
    tag: "keys",
    summary: "A new key of the tenant, shown once; its scopes are among the caller's",
    scopes: ADMIN,
    of: "tenant",
    body: { model: "KeyRequest" },
    answers: { 201: { model: "ApiKey" } },
    idempotent: true,
    handle: async (call) => {
      const tenant = call.params.tenant ?? "";
      await tenantBy(call.env.DB, tenant);
      return make(call, tenant);
    },
  },
  {
    id: "listKeys",
    method: "GET",
    path: "/v1/tenants/{tenant}/keys",
    tag: "keys",
    summary: "The tenant's keys without their secrets",
    scopes: ADMIN,
    of: "tenant",
    paged: true,
    answers: { 200: { items: "KeyInfo" } },
    handle: (call) => listed(call, call.params.tenant ?? ""),
  },
  {
    id: "getKey",
    method: "GET",
    path: "/v1/tenants/{tenant}/keys/{key}",
    tag: "keys",
    summary: "One of the tenant's keys",
    scopes: ADMIN,
    of: "tenant",
    answers: { 200: { model: "KeyInfo" } },
    problems: [404],
    handle: async (call) => ok(await one(call, call.params.tenant ?? "")),
  },
  {
    id: "revokeKey",
    method: "DELETE",
    path: "/v1/tenants/{tenant}/keys/{key}",
    tag: "keys",
    summary: "Deletes a key; its tokens are refused at every router by the time of the 204, or soon after a 202",
    scopes: ADMIN,
    of: "tenant",
    conditional: true,
    answers: { 204: null, 202: null },
    problems: [404],
    handle: (call) => revoke(call, call.params.tenant ?? ""),
  },
  {
    id: "revoke",
    method: "POST",
    path: "/v1/tenants/{tenant}/revocations",
    tag: "keys",
    summary: "Refuses the tokens of a key (which is deleted) or of a placement, or one token by its `jti`, at every router",
    scopes: ADMIN,
    of: "tenant",
    body: { model: "Revocation" },
    answers: { 204: null, 202: null },
    problems: [404],
    handle: async (call) => {
      const { subject, jti } = call.body as Revocation;
      const tenant = call.params.tenant ?? "";
      if ((subject === null) === (jti === null)) refuse([{ path: "(body)", message: "must have either subject or jti" }]);
      return told(call, tenant, jti === null ? await call.env.AUTH.revokeSubject(tenant, subject ?? "") : await call.env.AUTH.revokeToken(tenant, jti), subject ?? "");
    },
  },
  {
    id: "listRevocations",
    method: "GET",
    path: "/v1/revocations",
    tag: "keys",
    summary: "Everything that is refused though it hasn't expired: for services that check tokens themselves",
    scopes: AUTOMATION,
    paged: true,
    answers: { 200: { items: "Revoked" } },
    handle: async (call) => {
      const order = ({ tenant, subject }: { tenant: string; subject: string }): string => `${tenant} ${subject}`;
      const after = String(call.page.after?.[0] ?? "");
      const rows = (await call.env.AUTH.revocations()).filter((one) => order(one) > after).sort((one, other) => (order(one) < order(other) ? -1 : 1));
      return paged(
        call.page,
        rows,
        (one) => [order(one)],
        ({ tenant, subject, until }) => ({ tenant: tenant || null, subject, until: new Date(until).toISOString() }),
      );
    },
  },
  {
    id: "createPlatformKey",
    method: "POST",
    path: "/v1/keys",
    tag: "keys",
    summary: "A new key of the platform, shown once",
    scopes: PLATFORM,
    body: { model: "KeyRequest" },
    answers: { 201: { model: "ApiKey" } },
    idempotent: true,
    handle: (call) => make(call, null),
  },
  {
    id: "listPlatformKeys",
    method: "GET",
    path: "/v1/keys",
    tag: "keys",
    summary: "The platform's keys without their secrets",
    scopes: PLATFORM,
    paged: true,
    answers: { 200: { items: "KeyInfo" } },
    handle: (call) => listed(call, null),
  },
  {
    id: "rotateSigningKey",
    method: "POST",
    path: "/v1/keys/rotate",
    tag: "keys",
    summary: "Begins the next signing key: it signs in two minutes and what the old one signed stays good; with `revokeOld`, after a leak, neither holds",
    scopes: PLATFORM,
    body: { model: "KeyRotation" },
    answers: { 201: { model: "SigningKeys" } },
    idempotent: true,
    handle: async ({ env, body }) => {
      const { revokeOld } = body as KeyRotation;
      const rotated = await env.AUTH.rotate(revokeOld);
      if (revokeOld) forgetKeys();
      return ok({ keys: rotated }, 201);
    },
  },
  {
    id: "getPlatformKey",
    method: "GET",
    path: "/v1/keys/{key}",
    tag: "keys",
    summary: "One of the platform's keys",
    scopes: PLATFORM,
    answers: { 200: { model: "KeyInfo" } },
    problems: [404],
    handle: async (call) => ok(await one(call, null)),
  },
  {
    id: "revokePlatformKey",
    method: "DELETE",
    path: "/v1/keys/{key}",
    tag: "keys",
    summary: "Deletes a key of the platform; its tokens are refused",
    scopes: PLATFORM,
    conditional: true,
    answers: { 204: null, 202: null },
    problems: [404],
    handle: (call) => revoke(call, null),
  },
];

async function make(call: Call, tenant: string | null): Promise<Reply> {
  const request = call.body as KeyRequest;
  const beyond = request.scopes.filter((scope) => everyTenant([scope]) !== (tenant === null) || !call.scopes.has(scope));
  if (beyond.length > 0) throw new ProblemError(403, "scope-beyond-caller", "A key can't be given these scopes", `${beyond.join(", ")} ${tenant === null ? "of the platform" : `of ${tenant}`}`);
  if (request.expiresAt !== null && Date.parse(request.expiresAt) <= Date.now()) refuse([{ path: "expiresAt", message: "must be in the future" }]);
  const made = await call.env.AUTH.createKey(tenant, request, call.claims.sub);
  await mark(call.env.DB, [keysOf(tenant)]);
  return ok(made, 201);
}

async function listed(call: Call, tenant: string | null): Promise<Reply> {
  const after = call.page.after?.[0] ?? "";
  const found = (await call.env.AUTH.listKeys(tenant)).filter(({ id }) => id > after);
  return paged(
    call.page,
    found,
    ({ id }) => [id],
    (key) => key,
  );
}

async function one(call: Call, tenant: string | null): Promise<unknown> {
  const id = call.params.key ?? "";
  const found = (await call.env.AUTH.listKeys(tenant)).find((key) => key.id === id);
  if (!found) throw missing(id);
  return found;
}

async function revoke(call: Call, tenant: string | null): Promise<Reply> {
  await conditions(call.request, await one(call, tenant));
  return told(call, tenant, await call.env.AUTH.revokeKey(tenant, call.params.key ?? ""), call.params.key ?? "");
}

/** That a tenant's keys, or with null the platform's, are no longer what they were. */
const keysOf = (tenant: string | null) => ({ kind: "key" as const, subject: tenant ?? "platform", tenant: tenant ?? OF_PLATFORM });

async function told({ env, later }: Call, tenant: string | null, revoked: Revoking, id: string): Promise<Reply> {
  if (!revoked.known) throw missing(id);
  forgetRevocations();
  await mark(env.DB, [keysOf(tenant)]);
  // A stream of whoever is refused ends at once.
  later(ring(env, tenant, "refused"));
  return done(revoked.delivered ? 204 : 202);
}
