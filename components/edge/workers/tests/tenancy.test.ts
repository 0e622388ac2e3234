/** Every route of the API's own document, asked with another tenant's token, without one, and with a machine's. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey } from "../shared/wire";
import type { Route } from "./described";
import { spec, tenant } from "./documents";
import { TestEdge } from "./edge";

const CONTENT = "acme's own service";
const DIGEST = `sha256:${createHash("sha256").update(CONTENT).digest("hex")}`;
const ABSENT = {
  tenant: "nobody",
  workload: "web-nobody",
  placement: "nobody_web_1",
  migration: "nobody_web_1",
  digest: `sha256:${"0".repeat(64)}`,
  key: `key_${"0".repeat(16)}`,
  upload: `up_${"0".repeat(16)}`,
  part: "1",
};
/** What a tenant's token may not do by its scopes, whatever the thing. */
const SERVICES = ["platform:admin", "service:automation", "service:edge", "placement"];

let edge: TestEdge;
let own: Record<string, string>;
let stranger: string;
let machine: string;
beforeAll(async () => {
  edge = await TestEdge.start();
  await edge.call("PUT", "/tenants/other", tenant("other"));
  const key = await edge.call<ApiKey>("POST", "/tenants/other/keys", { scopes: ["tenant:admin"] });
  stranger = (await edge.exchange(key.key)).token;
  await edge.serving("web-acme", { artifact: { digest: DIGEST, sizeBytes: CONTENT.length } });
  await edge.serving("own-other");
  machine = (await edge.call<{ accessToken: string }>("POST", "/placements/other_own_1/credentials")).accessToken;
  const put = await edge.fetch("api", `/v1/artifacts/${DIGEST}?tenant=acme`, {
    method: "PUT",
    headers: { authorization: `Bearer ${edge.token}`, "content-length": String(CONTENT.length), "content-type": "application/gzip" },
    body: CONTENT,
  });
  expect(put.status).toBe(204);
  const made = await edge.call<ApiKey>("POST", "/tenants/acme/keys", { scopes: ["tenant:read"] });
  const upload = await edge.call<{ id: string }>("POST", `/artifacts/${DIGEST}/uploads?tenant=acme`, { sizeBytes: 3 });
  own = { tenant: "acme", workload: "web-acme", placement: "acme_web_1", migration: "acme_web_1", digest: DIGEST, key: made.id, upload: upload.id, part: "1" };
});
afterAll(async () => {
  await edge.stop();
});

/** A request of the route with these things in its path; its body is a valid one, so that nothing but access decides. */
async function ask(route: Route, things: Record<string, string>, token: string, query = ""): Promise<{ status: number; text: string }> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => things[name] ?? "");
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const type = Object.keys(route.requestBody?.content ?? {})[0];
  const body = type === undefined ? undefined : type === "application/json" ? JSON.stringify(document(route, things)) : "abc";
  if (type) headers["content-type"] = type;
  if (body) headers["content-length"] = String(body.length);
  const answer = await edge.fetch("api", path + query, { method: route.method, headers, ...(body === undefined ? {} : { body }) });
  let text = answer.headers.get("content-type") === "text/event-stream" ? await begun(answer) : await answer.text();
  for (const thing of Object.values(things)) text = text.replaceAll(thing, "<thing>");
  return { status: answer.status, text };
}

/** What a stream tells at once. */
async function begun(answer: Awaited<ReturnType<TestEdge["fetch"]>>): Promise<string> {
  const reader = answer.body?.getReader();
  let text = "";
  while (!text.includes('"everything"')) text += new TextDecoder().decode((await reader?.read())?.value as Uint8Array);
  await reader?.cancel();
  return text;
}

function document(route: Route, things: Record<string, string>): unknown {
  switch (route.operationId) {
    case "putWorkload":
      return spec();
    case "putTenant":
      return tenant(things.tenant ?? "");
    case "createKey":
      return { scopes: ["tenant:read"] };
    case "revoke":
      return { subject: things.placement };
    case "beginUpload":
      return { sizeBytes: 3 };
    default:
      return {};
  }
}

const secured = (): Route[] => edge.described.routes.filter(({ security }) => security.length > 0);

test("without a token every route but the public ones answers 401, and what it would have answered is not told", async () => {
  const open = edge.described.routes.filter(({ security }) => security.length === 0).map(({ operationId }) => operationId);
  expect(open.sort()).toEqual(["exchangeKey", "health", "jwks", "openapi", "refreshToken", "revokeToken"]);
  for (const route of secured()) expect([route.operationId, (await ask(route, own, "")).status]).toEqual([route.operationId, 401]);
});

test("another tenant's things are answered exactly like what doesn't exist, on every route", async () => {
  for (const route of secured().filter(({ path }) => path.includes("{"))) {
    const [theirs, absent] = [await ask(route, own, stranger), await ask(route, ABSENT, stranger)];
    const service = route["x-scopes"]?.every((scope) => SERVICES.includes(scope)) ?? false;
    // An artifact's name is its content's: what the stranger sends in its own name is its own.
    const mine = ["putArtifact", "beginUpload"].includes(route.operationId);
    expect([route.operationId, theirs.status]).toEqual([route.operationId, service ? 403 : mine ? expect.any(Number) : 404]);
    if (!mine) expect([route.operationId, theirs]).toEqual([route.operationId, absent]);
  }
});

test("no listing shows another tenant's things, and none can be asked for them", async () => {
  for (const route of secured().filter(({ method, path }) => method === "GET" && !path.includes("{"))) {
    const service = route["x-scopes"]?.every((scope) => SERVICES.includes(scope)) ?? false;
    const plain = await ask(route, {}, stranger);
    expect([route.operationId, plain.status]).toEqual([route.operationId, service ? 403 : 200]);
    if (route.operationId !== "getPrices") expect([route.operationId, plain.text.includes("acme")]).toEqual([route.operationId, false]);
    for (const name of ["tenant", "workload"].filter((one) => route.parameters.some((parameter) => parameter.in === "query" && parameter.name === one))) {
      const [theirs, absent] = [
        await ask(route, { tenant: own[name] ?? "" }, stranger, `?${name}=${own[name]}`),
        await ask(route, { tenant: ABSENT[name as "tenant"] }, stranger, `?${name}=${ABSENT[name as "tenant"]}`),
      ];
      expect([route.operationId, name, theirs]).toEqual([route.operationId, name, { status: 404, text: absent.text }]);
    }
  }
});

test("a machine's token is good for its own artifact, its own incidents and its own lines, and for nothing else", async () => {
  for (const route of secured().filter(({ operationId }) => !["reportIncident", "tellLines"].includes(operationId))) {
    const [theirs, absent] = [await ask(route, own, machine), await ask(route, ABSENT, machine)];
    expect([route.operationId, [403, 404].includes(theirs.status)]).toEqual([route.operationId, true]);
    if (route.path.includes("{")) expect([route.operationId, theirs]).toEqual([route.operationId, absent]);
  }
});

test("nothing of what was asked for had an effect", async () => {
  expect((await edge.call<{ state: string }>("GET", "/workloads/web-acme")).state).toBe("RUNNING");
  expect((await edge.request("GET", `/tenants/acme/keys/${own.key}`)).status).toBe(200);
  expect((await edge.request("GET", `/artifacts/${DIGEST}/uploads/${own.upload}?tenant=acme`)).status).toBe(200);
  expect(await (await edge.request("GET", `/artifacts/${DIGEST}?tenant=acme`)).text()).toBe(CONTENT);
});
