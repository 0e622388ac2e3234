import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey } from "../shared/wire";
import { tenant } from "./documents";
import { TestEdge } from "./edge";
import { Machine } from "./machine";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

test("a request goes on with who asked and comes back without hop-by-hop headers", async () => {
  await edge.serving("web-acme");
  const machine = edge.machine("acme_web_1");
  machine.pages.set("/headers", (_, response) => response.writeHead(201, { "x-own": "kept", "keep-alive": "timeout=1", "set-cookie": ["a=1", "b=2"] }).end("made"));
  const answer = await edge.fetch("web-acme.workloads", "/headers?q=1", { headers: { "x-request-id": "given", te: "trailers" } });
  expect([answer.status, await answer.text(), answer.headers.get("x-own"), answer.headers.get("x-spotlane-placement")]).toEqual([201, "made", "kept", "acme_web_1"]);
  expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  const headers = machine.requests.at(-1)?.headers;
  expect(headers).toMatchObject({ "x-request-id": "given", "x-forwarded-proto": "http" });
  expect(headers?.te).toBeUndefined();
});

test("a body passes through to the machine and back", async () => {
  const sent = "x".repeat(300_000);
  const answer = await edge.fetch("web-acme.workloads", "/echo", { method: "POST", body: sent });
  expect(await answer.text()).toBe(sent);
});

test("a machine's own error is the client's to see, and is not asked again", async () => {
  const machine = edge.machine("acme_web_1");
  machine.pages.set("/broken", (_, response) => response.writeHead(500).end("boom"));
  const before = machine.requests.length;
  const answer = await edge.fetch("web-acme.workloads", "/broken");
  expect([answer.status, await answer.text(), machine.requests.length - before]).toEqual([500, "boom", 1]);
  machine.pages.set("/gateway", (_, response) => response.writeHead(502, { "content-type": "text/plain" }).end("my own backend is away"));
  const gateway = await edge.fetch("web-acme.workloads", "/gateway");
  expect([gateway.status, await gateway.text(), machine.requests.length - before]).toEqual([502, "my own backend is away", 2]);
});

test("an idempotent request waits for the machine that comes back; another is told at once", async () => {
  await edge.serving("back-acme");
  const host = "back-acme-1.origins.edge.test";
  await edge.machine("acme_back_1").stop();
  edge.machines.delete(host);
  const post = await edge.fetch("back-acme.workloads", "/", { method: "POST", body: "once" });
  expect([post.status, post.headers.get("retry-after"), post.headers.get("content-type")]).toEqual([502, "1", "application/problem+json"]);
  setTimeout(async () => edge.machines.set(host, await Machine.start("again")), 600);
  const get = await edge.fetch("back-acme.workloads", "/");
  expect([get.status, await get.json()]).toEqual([200, { machine: "again" }]);
});

test("a host of no workload is unknown, and so is a label that can't be one", async () => {
  for (const host of ["nobody-acme.workloads", "nohyphen.workloads"]) {
    const answer = await edge.fetch(host, "/");
    expect([answer.status, ((await answer.json()) as { type: string }).type]).toEqual([404, "https://spotlane.dev/problems/unknown-host"]);
  }
});

test("a workload for tokens admits its own tenant's and refuses others", async () => {
  await edge.call("PUT", "/tenants/other", tenant("other"));
  await edge.serving("closed-acme", { access: "token" });
  const token = async (owner: string) => (await edge.exchange((await edge.call<ApiKey>("POST", `/tenants/${owner}/keys`, { scopes: ["tenant:read"] })).key)).token;
  const status = async (authorization?: string) => (await edge.fetch("closed-acme.workloads", "/", authorization ? { headers: { authorization } } : {})).status;
  const own = await token("acme");
  expect([await status(), await status("Bearer nonsense"), await status(`Bearer ${own}`), await status(`Bearer ${await token("other")}`)]).toEqual([401, 401, 200, 403]);
  const [head = "", , signature = ""] = own.split(".");
  const forged = btoa(JSON.stringify({ iss: "https://auth.edge.test", sub: "x", scope: "platform:admin", exp: 4_000_000_000 })).replace(/=/g, "");
  expect(await status(`Bearer ${head}.${forged}.${signature}`)).toBe(401);
});

test("a removed workload answers that it has no machine, and says when to come again", async () => {
  await edge.serving("gone-acme");
  await edge.call("DELETE", "/workloads/gone-acme");
  expect((await edge.ended("acme_gone_2")).status).toBe("succeeded");
  const answer = await edge.fetch("gone-acme.workloads", "/", { method: "POST", body: "" });
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
});

test("the relay learns a TCP origin with its version, and the next one after a move", async () => {
  const workload = await edge.serving("data-acme", { ports: { http: 8080, tcp: 5432 } });
  const first = await (await edge.fetch("tcp", "/tcp/data-acme")).json();
  expect(first).toMatchObject({ version: 1, targets: [{ placement: "acme_data_1", origin: "tcp-data-acme-1.origins.edge.test" }] });
  const waiting = edge.fetch("tcp", "/tcp/data-acme?after=1");
  expect((await edge.ended((await edge.move(workload, "azure")).id)).status).toBe("succeeded");
  expect(await (await waiting).json()).toMatchObject({ version: 2, origin: "tcp-data-acme-2.origins.edge.test" });
  expect((await edge.fetch("tcp", "/tcp/web-acme")).status).toBe(503);
});
