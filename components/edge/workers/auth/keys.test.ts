import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { Verifier } from "../shared/jwt";
import type { KeyRequest } from "../shared/wire";
import { Buckets } from "../shared/buckets";
import type { AuthEnv, Exchanged, Issued } from "./keys";

const ISSUER = "https://auth.edge.test";
const DAY_MS = 86_400_000;
const ADDRESS = "203.0.113.7";
/** An object and a tenant of its own for each test. */
let number = 0;
let tenant = "";
beforeEach(() => {
  number += 1;
  tenant = `acme${number}`;
});
const keys = () => env.KEYS.get(env.KEYS.idFromName(`platform-${number}`));
const verifier = () => new Verifier(ISSUER, () => keys().jwks());
const asked = (changes: Partial<KeyRequest> = {}): KeyRequest => ({ name: "", scopes: ["tenant:read"], expiresAt: null, ...changes });
const made = (changes: Partial<KeyRequest> = {}) => keys().createKey(tenant, asked(changes), "platform");
const exchange = async (key: string, refresh = false): Promise<Exchanged> => (await keys().exchange(key, ADDRESS, refresh)) as Exchanged;
const issued = (answer: Exchanged): Issued => {
  if (!answer.ok) throw new Error(answer.reason);
  return answer.issued;
};
const claimsOf = (token: string) => JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"))) as { jti: string; exp: number };
/** Who the tenant's RouteAuthority refuses. */
const refusedAtRouters = async () => (await env.AUTHORITIES.get(env.AUTHORITIES.idFromName(tenant)).lookup(`web-${tenant}`)).revoked;
const refused = async () => (await keys().revocations()).map(({ subject }) => subject);
const aged = (ms: number) => runInDurableObject(keys(), (_, state) => void state.storage.sql.exec("update signing set created_at = created_at - ?1, signs_from = signs_from - ?1", ms));
/** Cuts the object off from every RouteAuthority, or joins them again. */
const authoritiesAway = (away: boolean) =>
  runInDurableObject(keys(), (instance) => {
    const open = instance as unknown as { env: AuthEnv };
    const cut = { idFromName: () => "cut", get: () => ({ revoke: () => Promise.reject(new Error("no route to the authority")) }) };
    open.env = { ...open.env, AUTHORITIES: away ? (cut as never) : (env.AUTHORITIES as never) };
  });

test("the platform's key gives the platform's scopes; an unknown key gives nothing", async () => {
  const { scopes, expiresIn, refreshToken } = issued(await exchange("foo"));
  expect([scopes, expiresIn, refreshToken]).toEqual([["platform:admin", "service:automation"], 900, null]);
  expect(await exchange("bar")).toEqual({ ok: false, reason: "unknown" });
});

test("a token that was issued verifies with the published keys, with its tenant and scopes", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read", "tenant:deploy"], tenant: "acme" });
  expect(await verifier().verify(accessToken)).toMatchObject({ iss: ISSUER, sub: "key_1", tenant: "acme", scope: "tenant:read tenant:deploy" });
});

test("a token is refused once it has expired, when it was altered, and from another issuer", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read"], ttlSeconds: 60 });
  const one = verifier();
  expect(await one.verify(accessToken)).not.toBeNull();
  expect(await one.verify(accessToken, Date.now() + 66_000)).toBeNull();
  const [head, , signature] = accessToken.split(".");
  const forged = btoa(JSON.stringify({ iss: ISSUER, sub: "x", scope: "platform:admin", exp: 4e9 })).replaceAll("=", "");
  expect(await one.verify(`${head}.${forged}.${signature}`)).toBeNull();
  expect(await new Verifier("https://auth.elsewhere.test", () => keys().jwks()).verify(accessToken)).toBeNull();
});

test("a signing key is replaced after a month: the next one is published before it signs, and what the old one signed still verifies", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read"] });
  const kid = (token: string) => (JSON.parse(atob(token.split(".")[0] ?? "")) as { kid: string }).kid;
  await aged(32 * DAY_MS);
  const { keys: published } = await keys().jwks();
  expect(new Set(published.map((one) => one.kid)).size).toBe(2);
  expect(published.every((key) => !("d" in key))).toBe(true);
  expect(kid((await keys().issue({ subject: "key_1", scopes: [] })).accessToken)).toBe(kid(accessToken));
  await aged(130_000);
  expect(kid((await keys().issue({ subject: "key_1", scopes: [] })).accessToken)).not.toBe(kid(accessToken));
  expect(await verifier().verify(accessToken)).not.toBeNull();
});

test("a signing key is published until the last token that it signed has expired, and then forgotten", async () => {
  await keys().jwks();
  await keys().rotate(false);
  await runInDurableObject(keys(), (_, state) => void state.storage.sql.exec("update signing set retires_at = ? where retires_at is not null", Date.now() + 1000));
  expect((await keys().jwks()).keys).toHaveLength(2);
  await keys().sweep(Date.now() + 2000);
  expect((await keys().jwks()).keys).toHaveLength(1);
});

test("after a leak the old signing key's tokens are refused at once, and new ones are good", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read"] });
  const rotated = await keys().rotate(true);
  expect(rotated.map(({ retiresAt }) => retiresAt)).toEqual([null]);
  expect(await verifier().verify(accessToken)).toBeNull();
  expect(await verifier().verify((await keys().issue({ subject: "key_1", scopes: ["tenant:read"] })).accessToken)).not.toBeNull();
});

test("only the hash of an API key is kept, and a listing shows no secret", async () => {
  const one = await made({ name: "pipeline" });
  const rows = await runInDurableObject(keys(), (_, state) => [...state.storage.sql.exec("select * from api_keys")]);
  expect(JSON.stringify(rows)).not.toContain(one.key);
  expect(issued(await exchange(one.key)).scopes).toEqual(["tenant:read"]);
  const [listed] = await keys().listKeys(tenant);
  expect({ ...listed, createdAt: "", lastUsedAt: "" }).toEqual({
    id: one.id,
    tenant,
    name: "pipeline",
    scopes: ["tenant:read"],
    createdAt: "",
    createdBy: "platform",
    expiresAt: null,
    lastUsedAt: "",
  });
  expect(Date.parse(listed?.lastUsedAt ?? "") % 3_600_000).toBe(0);
});

test("an expired key is unknown, and a token never outlives its key", async () => {
  const short = await made({ expiresAt: new Date(Date.now() + 60_000).toISOString() });
  expect(issued(await exchange(short.key)).expiresIn).toBeLessThanOrEqual(60);
  await runInDurableObject(keys(), (_, state) => void state.storage.sql.exec("update api_keys set expires_at = ?", Date.now() - 1));
  expect(await exchange(short.key)).toEqual({ ok: false, reason: "unknown" });
});

test("a revoked key gives no token any more, and those that it gave are refused here and at the routers", async () => {
  const kept = await made();
  const lost = await made();
  const tokens = [issued(await exchange(kept.key)), issued(await exchange(lost.key))];
  expect(await keys().revokeKey("other", lost.id)).toEqual({ known: false, delivered: true });
  expect(await keys().revokeKey(tenant, lost.id)).toEqual({ known: true, delivered: true });
  expect(await exchange(lost.key)).toEqual({ ok: false, reason: "unknown" });
  const verified = await Promise.all(tokens.map(({ accessToken }) => verifier().verify(accessToken)));
  expect(verified.map((claims) => claims?.sub ?? null)).toEqual([kept.id, null]);
  expect(await refusedAtRouters()).toEqual([lost.id]);
});

test("a revocation that didn't reach the routers is not lost: the alarm delivers it", async () => {
  const one = await made();
  await authoritiesAway(true);
  expect(await keys().revokeKey(tenant, one.id)).toEqual({ known: true, delivered: false });
  expect([await refused(), await refusedAtRouters()]).toEqual([[one.id], []]);
  expect(await runDurableObjectAlarm(keys())).toBe(true);
  expect(await refusedAtRouters()).toEqual([]);
  await authoritiesAway(false);
  expect(await runDurableObjectAlarm(keys())).toBe(true);
  expect(await refusedAtRouters()).toEqual([one.id]);
  expect(await runInDurableObject(keys(), (_, state) => [...state.storage.sql.exec("select * from outbox")])).toEqual([]);
});

test("one token, a placement's tokens, and nobody else's are revoked", async () => {
  expect(await keys().revokeToken(tenant, "jti-1")).toEqual({ known: true, delivered: true });
  expect(await keys().revokeSubject(tenant, `${tenant}_web_3`)).toEqual({ known: true, delivered: true });
  for (const subject of ["other_web_3", "key_of_nobody", "platform"]) expect(await keys().revokeSubject(tenant, subject)).toEqual({ known: false, delivered: true });
  expect((await refusedAtRouters()).sort()).toEqual([`${tenant}_web_3`, "jti-1"]);
});

test("a refresh token gives the next pair, each time another", async () => {
  const { key } = await made({ scopes: ["tenant:deploy"] });
  const first = issued(await exchange(key, true));
  const second = issued((await keys().refresh(first.refreshToken ?? "", ADDRESS)) as Exchanged);
  const third = issued((await keys().refresh(second.refreshToken ?? "", ADDRESS)) as Exchanged);
  expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
  expect([third.scopes, (await verifier().verify(third.accessToken))?.tenant]).toEqual([["tenant:deploy"], tenant]);
  const rows = await runInDurableObject(keys(), (_, state) => JSON.stringify([...state.storage.sql.exec("select * from refresh_tokens")]));
  expect(rows).not.toContain(third.refreshToken);
});

test("a refresh token that comes twice ends its family, and what the family has out is refused at every router", async () => {
  const { key } = await made();
  const first = issued(await exchange(key, true));
  const other = issued(await exchange(key, true));
  const second = issued((await keys().refresh(first.refreshToken ?? "", ADDRESS)) as Exchanged);
  expect(await keys().refresh(first.refreshToken ?? "", ADDRESS)).toEqual({ ok: false, reason: "unknown" });
  expect(await keys().refresh(second.refreshToken ?? "", ADDRESS)).toEqual({ ok: false, reason: "unknown" });
  expect((await refusedAtRouters()).sort()).toEqual([first, second].map(({ accessToken }) => claimsOf(accessToken).jti).sort());
  expect((await keys().refresh(other.refreshToken ?? "", ADDRESS)).ok).toBe(true);
});

test("a family ends with its key, when it is given back, and after 30 days", async () => {
  const [lost, back, old] = [await made(), await made(), await made()];
  const sessions = await Promise.all([lost, back, old].map(async ({ key }) => issued(await exchange(key, true)).refreshToken ?? ""));
  await keys().revokeKey(tenant, lost.id);
  await keys().revokeRefresh(sessions[1] ?? "");
  await runInDurableObject(keys(), (_, state) => void state.storage.sql.exec("update refresh_families set expires_at = ?", Date.now() - 1));
  for (const session of sessions) expect(await keys().refresh(session, ADDRESS)).toEqual({ ok: false, reason: "unknown" });
  await keys().sweep();
  expect(await runInDurableObject(keys(), (_, state) => [...state.storage.sql.exec("select hash from refresh_tokens")])).toEqual([]);
});

test("an address that tries unknown keys is slowed down; a known key from the same address is not", async () => {
  const { key } = await made();
  const tries: Exchanged[] = [];
  const last = (): unknown => tries.at(-1);
  while (tries.length < 500 && JSON.stringify(last() ?? "").includes("limited") === false) tries.push(await exchange(`spk_guess_${tries.length}`));
  expect(tries.length).toBeGreaterThan(30);
  expect(last()).toMatchObject({ ok: false, reason: "limited", retryAfter: expect.any(Number) });
  expect((await exchange(key)).ok).toBe(true);
  expect(await keys().exchange("spk_guess", "198.51.100.1")).toEqual({ ok: false, reason: "unknown" });
});

test("a key that is exchanged without end is slowed down by itself alone", async () => {
  const [busy, calm] = [await made(), await made()];
  const answers: Exchanged[] = [];
  while (answers.length < 1000 && answers.at(-1)?.ok !== false) answers.push(await exchange(busy.key));
  expect(answers.length).toBeGreaterThan(120);
  expect(answers.at(-1)).toMatchObject({ ok: false, reason: "limited" });
  expect((await exchange(calm.key)).ok).toBe(true);
});

test("a bucket gives its burst at once and then its pace, each name for itself", () => {
  const buckets = new Buckets(3, 0.5);
  expect([0, 0, 0, 0].map(() => buckets.take("one", 1_000))).toEqual([0, 0, 0, 2]);
  expect(buckets.take("other", 1_000)).toBe(0);
  expect([buckets.take("one", 2_000), buckets.take("one", 3_000), buckets.take("one", 3_001)]).toEqual([1, 0, 2]);
});

test("an object with the tables of the first version keeps its keys, its signing key and whom it refuses", async () => {
  const stub = keys();
  await stub.issue({ subject: "key_1", scopes: [] });
  const made = await stub.createKey(tenant, asked(), "platform");
  await runInDurableObject(stub, async (_, state) => {
    const { sql } = state.storage;
    sql.exec(`drop index api_keys_by_tenant; drop table revocations; drop table outbox; drop table refresh_families; drop table refresh_tokens;
      alter table signing drop column signs_from; alter table signing drop column retires_at;
      alter table api_keys drop column name; alter table api_keys drop column created_by; alter table api_keys drop column expires_at; alter table api_keys drop column last_used_at;
      create table revoked (subject text primary key, until integer not null);
      drop table schema_steps`);
    sql.exec("insert into revoked values ('key_gone', ?)", Date.now() + 60_000);
    const { migrate } = await import("./tables");
    migrate(state.storage);
  });
  expect((await stub.jwks()).keys).toHaveLength(1);
  expect(await refused()).toEqual(["key_gone"]);
  expect((await exchange(made.key)).ok).toBe(true);
});
