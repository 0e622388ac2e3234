/** What the API does with requests that are not as they should be, and with those that come again. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, KeyInfo, Problem, Tenant, Workload } from "../shared/wire";
import { spec, tenant } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

const word = async (answer: { json(): Promise<unknown> }): Promise<string> => ((await answer.json()) as Problem).type.replace("https://spotlane.dev/problems/", "");
const raw = (method: string, path: string, body?: string | Uint8Array, headers: Record<string, string> = {}) =>
  edge.fetch("api", path, { method, headers: { authorization: `Bearer ${edge.token}`, "content-type": "application/json", ...headers }, ...(body === undefined ? {} : { body }) });

test.each([
  ["an unknown path", "GET", "/v2/workloads", undefined, {}, 404, "unknown-call"],
  ["a path with an end too many", "GET", "/v1/workloads/", undefined, {}, 404, "unknown-call"],
  ["a method that the path doesn't take", "PATCH", "/v1/workloads/web-acme", "{}", {}, 405, "method-not-allowed"],
  ["a method that nothing takes", "DELETE", "/v1/prices", undefined, {}, 405, "method-not-allowed"],
  ["no JSON", "PUT", "/v1/workloads/web-acme", "{", {}, 400, "invalid-json"],
  ["a field twice", "PUT", "/v1/workloads/web-acme", '{"env":{"A":"1","A":"2"}}', {}, 400, "invalid-json"],
  ["a bottomless document", "PUT", "/v1/workloads/web-acme", "[".repeat(100_000), {}, 400, "invalid-json"],
  ["a body of another type", "PUT", "/v1/workloads/web-acme", "{}", { "content-type": "text/plain" }, 415, "unsupported-media-type"],
  ["a body of more than a mebibyte", "PUT", "/v1/workloads/web-acme", `"${"x".repeat(1024 * 1024)}"`, {}, 413, "too-large"],
  ["an unknown field", "POST", "/v1/tokens", '{"apiKey":"k","colour":"red"}', {}, 422, "invalid-request"],
  ["an unknown parameter", "GET", "/v1/workloads?colour=red", undefined, {}, 422, "invalid-request"],
  ["a parameter twice", "GET", "/v1/workloads?tenant=acme&tenant=other", undefined, {}, 422, "invalid-request"],
  ["a parameter of another form", "GET", "/v1/prices?cloud=oracle", undefined, {}, 422, "invalid-request"],
  ["a cursor that is none", "GET", "/v1/workloads?cursor=abc", undefined, {}, 400, "invalid-cursor"],
  ["a limit beyond the largest", "GET", "/v1/workloads?limit=501", undefined, {}, 422, "invalid-request"],
  ["an id that is none", "GET", "/v1/workloads/Web_Acme", undefined, {}, 422, "invalid-request"],
  ["an id with SQL in it", "GET", "/v1/workloads/web-acme'%20or%201=1--", undefined, {}, 422, "invalid-request"],
  ["a digest that leads elsewhere", "GET", "/v1/artifacts/..%2F..%2Fother%2Fsha256%2Faa?tenant=acme", undefined, {}, 422, "invalid-request"],
  ["an id that is no UTF-8", "GET", "/v1/workloads/%ff", undefined, {}, 422, "invalid-request"],
  ["an idempotency key with a line break's cousin", "POST", "/v1/tenants/acme/keys", "{}", { "idempotency-key": "a\tb" }, 422, "invalid-request"],
])("%s", async (_, method, path, body, headers, status, type) => {
  const answer = await raw(method, path, body, headers);
  expect([answer.status, answer.headers.get("content-type"), await word(answer)]).toEqual([status, "application/problem+json", type]);
});

test("405 names what the address takes, OPTIONS too, and HEAD answers like GET without a body", async () => {
  expect((await raw("PATCH", "/v1/workloads/web-acme", "{}")).headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS, PUT");
  const options = await raw("OPTIONS", "/v1/migrations");
  expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
  const head = await raw("HEAD", "/v1/tenants/acme");
  expect([head.status, head.headers.get("etag"), await head.text()]).toEqual([200, (await raw("GET", "/v1/tenants/acme")).headers.get("etag"), ""]);
});

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
const claims = { iss: "https://auth.edge.test", sub: "platform", aud: "api", scope: "platform:admin", exp: 4_000_000_000 };

test("tokens that nobody issued are refused: none, HMAC with the public key, unsigned, of another audience, with a part too many", async () => {
  const { keys } = (await (await edge.fetch("api", "/.well-known/jwks.json")).json()) as { keys: { kid: string }[] };
  const kid = keys[0]?.kid ?? "";
  const forged = [
    `${encoded({ alg: "none", kid })}.${encoded(claims)}.`,
    `${encoded({ alg: "HS256", kid })}.${encoded(claims)}.${Buffer.from("x".repeat(64)).toString("base64url")}`,
    `${encoded({ alg: "ES256", kid })}.${encoded(claims)}.${Buffer.alloc(64).toString("base64url")}`,
    `${encoded({ alg: "ES256", kid: "other" })}.${encoded(claims)}.AAAA`,
    "a.b.c.d",
    "..",
    "null",
    "\u00e9.\u00e9.\u00e9",
  ];
  for (const token of forged) expect([token, (await raw("GET", "/v1/tenants", undefined, { authorization: `Bearer ${encodeURI(token)}` })).status]).toEqual([token, 401]);
  const elsewhere = [...edge.automation.tokens].at(-1);
  if (elsewhere) expect((await raw("GET", "/v1/tenants", undefined, { authorization: `Bearer ${elsewhere}` })).status).toBe(401);
});

test("a mutated token is never good, wherever it was mutated", async () => {
  const parts = edge.token.split(".") as [string, string, string];
  for (let at = 0; at < edge.token.length; at += 23) {
    const character = edge.token[at];
    if (character === ".") continue;
    const mutated = edge.token.slice(0, at) + (character === "A" ? "B" : "A") + edge.token.slice(at + 1);
    expect([at, (await raw("GET", "/v1/tenants", undefined, { authorization: `Bearer ${mutated}` })).status]).toEqual([at, 401]);
  }
  expect(parts).toHaveLength(3);
});

test("a listing comes in pages that together are the whole, each thing once, while things are added", async () => {
  const ids = Array.from({ length: 7 }, (_, at) => `page${at}`);
  for (const id of ids) await edge.call("PUT", `/tenants/${id}`, tenant(id));
  const seen: string[] = [];
  let next: string | null = null;
  do {
    const page: { items: Tenant[]; next: string | null } = await edge.call("GET", `/tenants?limit=3${next === null ? "" : `&cursor=${next}`}`);
    expect(page.items.length).toBeLessThanOrEqual(3);
    seen.push(...page.items.map(({ id }) => id));
    if (seen.length === 3) await edge.call("PUT", "/tenants/aaa", tenant("aaa"));
    next = page.next;
  } while (next !== null);
  expect(seen).toEqual(["acme", ...ids]);
  expect((await edge.request("GET", `/workloads?cursor=${(await edge.call<{ next: string }>("GET", "/tenants?limit=1")).next}`)).status).toBe(400);
});

test("every listing of the document pages one by one through what it lists", async () => {
  await edge.serving("paged-acme");
  const moved = await edge.move(await edge.call<Workload>("GET", "/workloads/paged-acme"), "gcp");
  await edge.ended(moved.id);
  await edge.call("POST", "/tenants/acme/keys", { scopes: ["tenant:read"] });
  await edge.call("POST", "/tenants/acme/keys", { scopes: ["tenant:read"] });
  const listings = edge.described.routes.filter(({ method, parameters }) => method === "GET" && parameters.some(({ name }) => name === "cursor"));
  expect(listings.length).toBeGreaterThanOrEqual(12);
  for (const { path, operationId } of listings) {
    const address = path.replace("/v1", "").replace("{tenant}", "acme").replace("{workload}", "paged-acme");
    const whole = (await edge.call<{ items: unknown[] }>("GET", `${address}?limit=500`)).items;
    const single: unknown[] = [];
    let next: string | null = null;
    do {
      const page: { items: unknown[]; next: string | null } = await edge.call("GET", `${address}?limit=1${next === null ? "" : `&cursor=${next}`}`);
      single.push(...page.items);
      next = page.next;
    } while (next !== null);
    expect([operationId, single]).toEqual([operationId, whole]);
  }
});

test("a tag says whether a thing or a listing is still the same", async () => {
  for (const path of ["/v1/tenants/acme", "/v1/tenants", "/v1/prices", "/openapi.json", "/.well-known/jwks.json"]) {
    const first = await raw("GET", path);
    const etag = first.headers.get("etag") ?? "";
    expect([path, etag]).toEqual([path, expect.stringMatching(/^"[0-9a-f]{32}"$/)]);
    const again = await raw("GET", path, undefined, { "if-none-match": `"other", ${etag}` });
    expect([path, again.status, again.headers.get("etag"), await again.text()]).toEqual([path, 304, etag, ""]);
    expect([path, (await raw("GET", path, undefined, { "if-none-match": '"other"' })).status]).toEqual([path, 200]);
  }
});

test("a change that expects what no longer stands is refused, and changes nothing", async () => {
  await edge.call("PUT", "/workloads/tag-acme", spec());
  const etag = (await raw("GET", "/v1/workloads/tag-acme")).headers.get("etag") ?? "";
  const put = (changes: object, headers: Record<string, string>) => raw("PUT", "/v1/workloads/tag-acme", JSON.stringify(spec(changes)), headers);
  expect((await put({ drainSeconds: 1 }, { "if-match": etag })).status).toBe(200);
  const late = await put({ drainSeconds: 2 }, { "if-match": etag });
  expect([late.status, await word(late)]).toEqual([412, "precondition-failed"]);
  expect((await put({ drainSeconds: 2 }, { "if-none-match": "*" })).status).toBe(412);
  expect((await raw("DELETE", "/v1/workloads/tag-acme", undefined, { "if-match": etag })).status).toBe(412);
  expect((await edge.call<Workload>("GET", "/workloads/tag-acme")).spec.drainSeconds).toBe(1);
  const document = JSON.stringify(tenant("fresh"));
  expect((await raw("PUT", "/v1/tenants/fresh", document, { "if-match": "*" })).status).toBe(412);
  expect((await raw("PUT", "/v1/tenants/fresh", document, { "if-none-match": "*" })).status).toBe(200);
  expect((await raw("PUT", "/v1/tenants/fresh", document, { "if-none-match": "*" })).status).toBe(412);
  expect((await raw("DELETE", "/v1/tenants/fresh", undefined, { "if-match": (await raw("GET", "/v1/tenants/fresh")).headers.get("etag") ?? "" })).status).toBe(204);
});

test("of many changes that expect the same, one is made", async () => {
  await edge.call("PUT", "/workloads/race-acme", spec());
  const etag = (await raw("GET", "/v1/workloads/race-acme")).headers.get("etag") ?? "";
  const tries = await Promise.all(Array.from({ length: 8 }, (_, at) => raw("PUT", "/v1/workloads/race-acme", JSON.stringify(spec({ drainSeconds: at })), { "if-match": etag })));
  expect(tries.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
});

test("the same request with the same key is done once and answered alike, also a secret that is shown once", async () => {
  const post = (body: object, key: string) => raw("POST", "/v1/tenants/acme/keys", JSON.stringify(body), { "idempotency-key": key });
  const before = (await edge.call<{ items: KeyInfo[] }>("GET", "/tenants/acme/keys")).items.length;
  const first = await post({ name: "once" }, "k-1");
  const second = await post({ name: "once" }, "k-1");
  expect([first.status, second.status, second.headers.get("idempotent-replayed")]).toEqual([201, 201, "true"]);
  const made = (await first.json()) as ApiKey;
  expect(await second.json()).toEqual(made);
  const reused = await post({ name: "twice" }, "k-1");
  expect([reused.status, await word(reused)]).toEqual([422, "idempotency-key-reused"]);
  expect((await edge.call<{ items: KeyInfo[] }>("GET", "/tenants/acme/keys")).items).toHaveLength(before + 1);
  const failed = await post({ scopes: ["platform:admin"] }, "k-2");
  expect(failed.status).toBe(403);
  expect((await post({ scopes: ["tenant:read"] }, "k-2")).status).toBe(201);
});

test("of requests with one key at the same time one is done; the others are told to wait or get its answer", async () => {
  const tries = await Promise.all(Array.from({ length: 8 }, () => raw("POST", "/v1/tenants/acme/keys", '{"name":"race"}', { "idempotency-key": "k-race" })));
  const words = await Promise.all(tries.map(async (one) => (one.status === 201 ? ((await one.json()) as ApiKey).id : await word(one))));
  expect(new Set(words.filter((one) => one !== "idempotency-in-progress")).size).toBe(1);
  expect((await edge.call<{ items: KeyInfo[] }>("GET", "/tenants/acme/keys")).items.filter(({ name }) => name === "race")).toHaveLength(1);
});

test("a failure's document and log carry neither the token nor the body", async () => {
  const answer = await raw("PUT", "/v1/workloads/web-acme", '{"env":{"PASSWORD":"hunter2"},"secretField":"hunter3"}');
  const text = await answer.text();
  expect([answer.status, /hunter/.test(text), text.includes(edge.token)]).toEqual([422, false, false]);
});
