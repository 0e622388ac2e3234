import { createHmac } from "node:crypto";
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
  const answer = await edge.fetch("web-acme.workloads", "/headers?q=1", { headers: { "x-request-id": "given", te: "trailers", "x-spotlane-trace": "1" } });
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

const PROBLEM = "https://spotlane.dev/problems/";

test("every request and probe that reaches a machine carries the edge's signature under the machine's own key", async () => {
  await edge.serving("signed-acme");
  const { originKey } = await edge.call<{ originKey: string }>("POST", "/placements/acme_signed_1/credentials");
  const machine = edge.machine("acme_signed_1");
  const probes: (string | undefined)[] = [];
  machine.pages.set("/seen", (request, response) => {
    probes.push(String(request.headers["x-spotlane-signature"]));
    response.end();
  });
  await edge.fetch("signed-acme.workloads", "/seen", { headers: { "x-spotlane-signature": `t=1,v1=${"0".repeat(64)}` } });
  const [, moment, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(probes[0] ?? "") ?? [];
  expect(signature).toBe(createHmac("sha256", Buffer.from(originKey, "hex")).update(`${moment}.acme_signed_1`).digest("hex"));
  expect(Math.abs(Date.now() / 1000 - Number(moment))).toBeLessThan(20);
});

test("an API key opens its own tenant's workload by either header; the machine is told whose it is, never what it is", async () => {
  await edge.serving("keyed-acme", { access: "token" });
  const machine = edge.machine("acme_keyed_1");
  const own = await edge.call<ApiKey>("POST", "/tenants/acme/keys", { scopes: ["tenant:read"] });
  const foreign = await edge.call<ApiKey>("POST", "/tenants/other/keys", { scopes: ["tenant:admin"] });
  const status = async (headers: Record<string, string>) => (await edge.fetch("keyed-acme.workloads", "/", { headers })).status;
  expect([await status({ authorization: `Bearer ${own.key}` }), await status({ "x-api-key": own.key, "x-spotlane-caller": "root platform:admin", x_spotlane_caller: "root platform:admin" })]).toEqual([
    200, 200,
  ]);
  const told = machine.requests.at(-1)?.headers ?? {};
  expect(told).toMatchObject({ "x-spotlane-caller": `${own.id} tenant:read` });
  expect(JSON.stringify(machine.requests)).not.toContain(own.key);
  expect(JSON.stringify(told)).not.toContain("platform:admin");
  expect([await status({ "x-api-key": foreign.key }), await status({ "x-api-key": `${own.key}x` })]).toEqual([403, 401]);
});

test("the platform's own token opens no tenant's workload", async () => {
  const { token } = await edge.exchange("platform-key-of-a-test");
  expect((await edge.fetch("keyed-acme.workloads", "/", { headers: { authorization: `Bearer ${token}` } })).status).toBe(403);
});

test("a browser gets a page, a program a problem document; neither says more than the request did", async () => {
  const page = await edge.fetch("nobody-acme.workloads", "/", { headers: { accept: "text/html,*/*;q=0.8", "x-request-id": "<script>" } });
  const text = await page.text();
  expect([page.status, page.headers.get("content-type"), page.headers.get("cache-control"), text.includes("No workload has this address")]).toEqual([
    404,
    "text/html; charset=utf-8",
    "no-store",
    true,
  ]);
  expect(text).not.toMatch(/<script>|origins|127\.0\.0\.1/);
  const document = await edge.fetch("nobody-acme.workloads", "/", { headers: { "x-request-id": "mine-1" } });
  expect([document.headers.get("content-type"), document.headers.get("x-request-id")]).toEqual(["application/problem+json", "mine-1"]);
  expect(await document.json()).toEqual({ type: `${PROBLEM}unknown-host`, title: "No workload has this address", status: 404, detail: "nobody-acme", findings: null });
});

test("TRACE is not served, and a request that goes round in circles is stopped", async () => {
  const trace = await edge.fetch("web-acme.workloads", "/", { method: "TRACE" }).catch(() => null);
  if (trace) expect([trace.status, ((await trace.json()) as { type: string }).type]).toEqual([405, `${PROBLEM}method-not-allowed`]);
  const before = edge.machine("acme_web_1").requests.length;
  const loop = await edge.fetch("web-acme.workloads", "/", { headers: { "x-spotlane-signature": "t=1,v1=a", "x-spotlane-hops": "7" } });
  expect([loop.status, ((await loop.json()) as { type: string }).type, edge.machine("acme_web_1").requests.length - before]).toEqual([508, `${PROBLEM}loop`, 0]);
});

test("events arrive as the machine sends them, long before its answer ends", async () => {
  const machine = edge.machine("acme_web_1");
  let end = (): void => undefined;
  machine.pages.set("/events", (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    end = () => void response.end("data: 2\n\n");
  });
  const answer = await edge.fetch("web-acme.workloads", "/events");
  const reader = answer.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value as Uint8Array)).toBe("data: 1\n\n");
  end();
  const second = await reader?.read();
  expect(new TextDecoder().decode(second?.value as Uint8Array)).toBe("data: 2\n\n");
});

test("an upload reaches the machine while the client is still sending it, whole and once", async () => {
  const machine = edge.machine("acme_web_1");
  const size = 50 * 1024 * 1024;
  let received = 0;
  let firstAt = 0;
  let requests = 0;
  machine.pages.set("/upload", (request, response) => {
    requests += 1;
    request.on("data", (chunk: Buffer) => {
      firstAt ||= sent;
      received += chunk.length;
    });
    request.on("end", () => response.end(String(received)));
  });
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent === size) return controller.close();
      controller.enqueue(new Uint8Array(1024 * 1024));
      sent += 1024 * 1024;
    },
  });
  const answer = await edge.fetch("web-acme.workloads", "/upload", { method: "POST", body, duplex: "half" } as never);
  expect([await answer.text(), requests]).toEqual([String(size), 1]);
  expect(firstAt).toBeLessThan(size);
});

test("HEAD, OPTIONS and ranges are the machine's to answer", async () => {
  const machine = edge.machine("acme_web_1");
  machine.pages.set("/file", (request, response) => {
    if (request.method === "OPTIONS") return void response.writeHead(204, { allow: "GET, HEAD" }).end();
    if (request.headers.range === "bytes=2-4") return void response.writeHead(206, { "content-range": "bytes 2-4/10", "content-length": 3 }).end("234");
    response.writeHead(200, { "content-length": 10, "accept-ranges": "bytes" }).end(request.method === "HEAD" ? undefined : "0123456789");
  });
  const ask = (init: object) => edge.fetch("web-acme.workloads", "/file", init);
  const [head, options, range] = [await ask({ method: "HEAD" }), await ask({ method: "OPTIONS" }), await ask({ headers: { range: "bytes=2-4" } })];
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "10", ""]);
  expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD"]);
  expect([range.status, range.headers.get("content-range"), await range.text()]).toEqual([206, "bytes 2-4/10", "234"]);
});

test("a redirect of the machine is the client's to follow, to the address that it knows", async () => {
  const machine = edge.machine("acme_web_1");
  machine.pages.set("/old", (_, response) => response.writeHead(302, { location: "https://web-acme-1.origins.edge.test/new" }).end());
  const answer = await edge.fetch("web-acme.workloads", "/old", { redirect: "manual" });
  expect([answer.status, answer.headers.get("location")]).toEqual([302, "http://web-acme.workloads.edge.test/new"]);
});

test("a path can't lead elsewhere, whatever it says", async () => {
  const machine = edge.machine("acme_web_1");
  for (const path of ["//evil.test/x", "/\\evil.test/x", "/@evil.test/x", "/%2e%2e/%2e%2e/etc/passwd", "/..//..//x", "/?u=http://169.254.169.254/", "/:80@127.0.0.1/"]) {
    const before = machine.requests.length;
    const answer = await edge.fetch("web-acme.workloads", path, { headers: { "x-spotlane-trace": "1" } });
    expect([answer.status, answer.headers.get("x-spotlane-placement"), machine.requests.length - before], path).toEqual([200, "acme_web_1", 1]);
  }
});

test("a machine that doesn't begin to answer in time is reported with 504, and isn't asked twice", async () => {
  const machine = edge.machine("acme_web_1");
  let asked = 0;
  machine.pages.set("/never", () => {
    asked += 1;
  });
  const answer = await edge.fetch("web-acme.workloads", "/never");
  expect([answer.status, ((await answer.json()) as { type: string }).type, asked]).toEqual([504, `${PROBLEM}machine-late`, 1]);
});

test("an answer of the machine's own that looks like the network's status isn't taken for it", async () => {
  const machine = edge.machine("acme_web_1");
  let asked = 0;
  machine.pages.set("/own-530", (_, response) => {
    asked += 1;
    response.writeHead(530, { "content-type": "text/plain" }).end("error of my own");
  });
  const answer = await edge.fetch("web-acme.workloads", "/own-530", { method: "POST", body: "once" });
  expect([answer.status, await answer.text(), asked]).toEqual([530, "error of my own", 1]);
});
