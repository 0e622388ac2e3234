/** Keys, tokens and their end, as people and programs meet them through the API. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, KeyInfo, PlacementCredentials, Problem, SigningKeys, Token } from "../shared/wire";
import { tenant } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
  await edge.call("PUT", "/tenants/other", tenant("other"));
});
afterAll(async () => {
  await edge.stop();
});

const make = (scopes: string[], owner = "acme", token = edge.token) => edge.request("POST", `/tenants/${owner}/keys`, { scopes }, token);
const key = async (scopes: string[], owner = "acme") => (await (await make(scopes, owner)).json()) as ApiKey;
const tokenOf = async (scopes: string[], owner = "acme") => (await edge.exchange((await key(scopes, owner)).key)).token;
const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  edge.fetch("api", `/v1${path}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
const signIn = async (apiKey: string) => (await (await post("/tokens", { apiKey, refresh: true })).json()) as Token;
const status = async (token: string, path = "/tenants/acme") => (await edge.request("GET", path, undefined, token)).status;
const word = async (answer: { json(): Promise<unknown> }) => ((await answer.json()) as Problem).type.split("/").pop();

test("each scope holds the ones below it, and no more", async () => {
  const asks: [string, string, unknown?][] = [
    ["GET", "/tenants/acme"],
    ["DELETE", "/workloads/none-acme"],
    ["GET", "/tenants/acme/keys"],
    ["GET", "/keys"],
    ["PUT", "/prices", { marketNow: "2026-03-01T12:00:00Z", quotes: [] }],
  ];
  const allowed = async (token: string) => Promise.all(asks.map(async ([method, path, body]) => (await edge.request(method, path, body, token)).status !== 403));
  expect(await allowed(await tokenOf(["tenant:read"]))).toEqual([true, false, false, false, false]);
  expect(await allowed(await tokenOf(["tenant:deploy"]))).toEqual([true, true, false, false, false]);
  expect(await allowed(await tokenOf(["tenant:admin"]))).toEqual([true, true, true, false, false]);
  const platform = (await (await edge.request("POST", "/keys", { scopes: ["platform:admin"] })).json()) as ApiKey;
  expect(await allowed((await edge.exchange(platform.key)).token)).toEqual([true, true, true, true, false]);
  const automation = (await (await edge.request("POST", "/keys", { scopes: ["service:automation"] })).json()) as ApiKey;
  expect(await allowed((await edge.exchange(automation.key)).token)).toEqual([true, false, false, false, true]);
});

test("a tenant's admin makes, lists and revokes its own tenant's keys, never with more than it has itself", async () => {
  const admin = await tokenOf(["tenant:admin"]);
  const made = (await (await make(["tenant:deploy"], "acme", admin)).json()) as ApiKey;
  expect((await (await edge.request("GET", `/tenants/acme/keys/${made.id}`, undefined, admin)).json()) as KeyInfo).toMatchObject({ id: made.id, scopes: ["tenant:deploy"], lastUsedAt: null });
  expect(JSON.stringify(await (await edge.request("GET", "/tenants/acme/keys", undefined, admin)).json())).not.toContain(made.key);
  for (const scopes of [["platform:admin"], ["service:automation"], ["tenant:read", "platform:admin"]]) expect((await make(scopes, "acme", admin)).status).toBe(403);
  expect((await make(["tenant:read"], "other", admin)).status).toBe(404);
  expect((await make(["tenant:root"], "acme", admin)).status).toBe(422);
  expect((await edge.request("DELETE", `/tenants/acme/keys/${made.id}`, undefined, admin)).status).toBe(204);
  expect((await edge.request("DELETE", `/tenants/acme/keys/${made.id}`, undefined, admin)).status).toBe(404);
});

test("the platform has keys of its own, beside its first one, and none of them is a tenant's", async () => {
  const made = (await (await edge.request("POST", "/keys", { name: "second", scopes: ["platform:admin"] })).json()) as ApiKey;
  const token = (await edge.exchange(made.key)).token;
  expect(await status(token)).toBe(200);
  expect((await edge.request("POST", "/keys", { scopes: ["service:automation"] }, token)).status).toBe(403);
  expect((await edge.request("POST", "/keys", { scopes: ["tenant:read"] })).status).toBe(403);
  expect((await edge.request("DELETE", `/tenants/acme/keys/${made.id}`)).status).toBe(404);
  expect((await edge.request("DELETE", `/keys/${made.id}`)).status).toBe(204);
  expect(await status(token)).toBe(401);
});

test("a revoked key's tokens are refused by the API at once", async () => {
  const made = await key(["tenant:read"]);
  const token = (await edge.exchange(made.key)).token;
  expect(await status(token)).toBe(200);
  expect((await edge.request("DELETE", `/tenants/acme/keys/${made.id}`)).status).toBe(204);
  expect(await status(token)).toBe(401);
});

test("a token that is given back is refused, and only that one", async () => {
  const made = await key(["tenant:read"]);
  const [one, other] = [(await edge.exchange(made.key)).token, (await edge.exchange(made.key)).token];
  expect((await post("/tokens/revoke", { token: one })).status).toBe(204);
  expect([await status(one), await status(other)]).toEqual([401, 200]);
  expect((await post("/tokens/revoke", { token: "not.a.token" })).status).toBe(204);
});

test("an admin revokes one token by its jti, for its own tenant only", async () => {
  const [mine, theirs] = [await tokenOf(["tenant:read"]), await tokenOf(["tenant:read"], "other")];
  const jti = (token: string) => (JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { jti: string }).jti;
  const admin = await tokenOf(["tenant:admin"]);
  for (const token of [mine, theirs]) expect((await edge.request("POST", "/tenants/acme/revocations", { jti: jti(token) }, admin)).status).toBe(204);
  expect([await status(mine), await status(theirs, "/tenants/other")]).toEqual([401, 200]);
  expect((await edge.call<{ items: { tenant: string; subject: string }[] }>("GET", "/revocations")).items.map(({ tenant, subject }) => [tenant, subject])).toContainEqual(["acme", jti(mine)]);
  for (const body of [{}, { jti: "a", subject: "b" }]) expect((await edge.request("POST", "/tenants/acme/revocations", body, admin)).status).toBe(422);
});

test("a machine's credentials are its token and its origin key, and can be revoked while it runs", async () => {
  await edge.serving("cred-acme");
  const credentials = await edge.call<PlacementCredentials>("POST", "/placements/acme_cred_1/credentials");
  expect(credentials).toMatchObject({ tokenType: "Bearer", scopes: ["placement"], expiresIn: 30 * 86_400, originKey: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect((await edge.call<PlacementCredentials>("POST", "/placements/acme_cred_1/credentials")).originKey).toBe(credentials.originKey);
  expect((await edge.request("POST", "/placements/acme_none_1/credentials")).status).toBe(404);
  const incident = { placement: "acme_cred_1", kind: "rebalance", deadline: null, detail: "soon" };
  expect((await edge.request("POST", "/incidents", incident, credentials.accessToken)).status).toBe(202);
  expect((await edge.request("POST", "/tenants/acme/revocations", { subject: "acme_cred_1" })).status).toBe(204);
  expect((await edge.request("POST", "/incidents", incident, credentials.accessToken)).status).toBe(401);
});

test("a session goes on by refresh tokens; one that comes twice ends it at once, and the tokens it gave", async () => {
  const first = await signIn((await key(["tenant:read"])).key);
  const second = (await (await post("/tokens/refresh", { refreshToken: first.refreshToken })).json()) as Token;
  expect([await status(second.accessToken), second.refreshToken === first.refreshToken]).toEqual([200, false]);
  const copied = await post("/tokens/refresh", { refreshToken: first.refreshToken });
  expect([copied.status, await word(copied)]).toEqual([401, "unknown-refresh-token"]);
  expect([await status(first.accessToken), await status(second.accessToken)]).toEqual([401, 401]);
  expect((await post("/tokens/refresh", { refreshToken: second.refreshToken })).status).toBe(401);
});

test("signing keys rotate without a token being refused, and with a leak every one is", async () => {
  const token = await tokenOf(["tenant:read"]);
  const { keys } = await edge.call<SigningKeys>("POST", "/keys/rotate", {});
  expect(keys.map(({ retiresAt }) => retiresAt === null)).toEqual([true, false]);
  const published = async () => ((await (await edge.fetch("auth", "/.well-known/jwks.json")).json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
  expect((await published()).sort()).toEqual(keys.map(({ kid }) => kid).sort());
  expect(await status(token)).toBe(200);
  expect((await edge.call<SigningKeys>("POST", "/keys/rotate", { revokeOld: true })).keys).toHaveLength(1);
  expect(await status(token)).toBe(401);
  await edge.signIn();
  expect(await published()).toHaveLength(1);
  expect((await edge.request("POST", "/keys/rotate", {}, await tokenOf(["tenant:admin"]))).status).toBe(403);
});

test("whoever tries keys is told to wait, and locks nobody else out", async () => {
  const from = { "cf-connecting-ip": "2001:db8:1:2:3:4:5:6" };
  const made = await key(["tenant:read"]);
  let tried = await post("/tokens", { apiKey: "spk_guess" }, from);
  for (let at = 0; at < 500 && tried.status === 401; at += 1) tried = await post("/tokens", { apiKey: `spk_guess${at}` }, from);
  expect([tried.status, await word(tried), Number(tried.headers.get("retry-after")) >= 1]).toEqual([429, "too-many-requests", true]);
  expect((await post("/tokens", { apiKey: made.key }, from)).status).toBe(200);
  const guess = async (address: string) => (await post("/tokens", { apiKey: "spk_other" }, { "cf-connecting-ip": address })).status;
  expect(await guess("2001:db8:1:3::1")).toBe(401);
  // The same network is the same guesser: what one address of it has used up is gone for the others, too, but for what has come back since.
  const statuses = [];
  for (let at = 0; at < 30; at += 1) statuses.push(await guess(`2001:db8:1:2::${at.toString(16)}`));
  expect(statuses).toContain(429);
});
