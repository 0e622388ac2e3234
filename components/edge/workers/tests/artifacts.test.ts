/** Artifacts: one tenant's own, proven by their digest, whole or in parts, read by machines. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, Problem, Upload } from "../shared/wire";
import { tenant } from "./documents";
import { TestEdge } from "./edge";

const PART = 8 * 1024 * 1024;

let edge: TestEdge;
let acme: string;
let other: string;
beforeAll(async () => {
  edge = await TestEdge.start();
  await edge.call("PUT", "/tenants/other", tenant("other"));
  const token = async (owner: string) => (await edge.exchange((await edge.call<ApiKey>("POST", `/tenants/${owner}/keys`, { scopes: ["tenant:deploy"] })).key)).token;
  [acme, other] = [await token("acme"), await token("other")];
});
afterAll(async () => {
  await edge.stop();
});

const digestOf = (content: string | Uint8Array) => `sha256:${createHash("sha256").update(content).digest("hex")}`;
const bytes = (path: string, method: string, token: string, content?: string | Uint8Array, headers: Record<string, string> = {}) =>
  edge.fetch("api", `/v1/artifacts/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(content === undefined ? {} : { "content-length": String(content.length) }), ...headers },
    ...(content === undefined ? {} : { body: content }),
  });
const put = async (content: string, token: string, digest = digestOf(content)) => (await bytes(digest, "PUT", token, content)).status;
const word = async (answer: { json(): Promise<unknown> }) => ((await answer.json()) as Problem).type.split("/").pop();

test("the same content of two tenants is two artifacts: one is not there because the other is", async () => {
  const digest = digestOf("shared");
  expect(await put("shared", acme)).toBe(204);
  expect([(await bytes(digest, "GET", acme)).status, (await bytes(digest, "GET", other)).status]).toEqual([200, 404]);
  expect((await bytes(`${digest}?tenant=acme`, "GET", other)).status).toBe(404);
  expect((await bytes(`${digest}?tenant=acme`, "PUT", other, "shared")).status).toBe(404);
});

test.each(["..%2f..%2facme%2fsha256%2f00", "%2e%2e%2f", "sha256%3A..%2F..%2Facme", "sha256:00%00", "SHA256:AA", `sha256:${"A".repeat(64)}`, "sha512:00", `sha256:${"0".repeat(65)}`])(
  "the name %s names nothing of anybody's",
  async (name) => {
    for (const method of ["GET", "PUT"]) expect([422, 404]).toContain((await bytes(name, method, other, method === "PUT" ? "x" : undefined)).status);
  },
);

test("content of another digest is refused and not kept; so is what has no length or too much of it", async () => {
  const digest = digestOf("right");
  const wrong = await bytes(digest, "PUT", acme, "wrong");
  expect([wrong.status, await word(wrong)]).toEqual([422, "digest-mismatch"]);
  expect((await bytes(digest, "GET", acme)).status).toBe(404);
  const endless = await edge.fetch("api", `/v1/artifacts/${digest}`, { method: "PUT", headers: { authorization: `Bearer ${acme}` }, body: "right" });
  expect([endless.status, await word(endless)]).toEqual([411, "length-required"]);
  expect((await bytes(digest, "PUT", acme, "right", { "content-encoding": "gzip" })).status).toBe(415);
  expect((await bytes(digest, "PUT", edge.token, "right")).status).toBe(422);
  expect((await bytes(`${digest}?tenant=nobody`, "PUT", edge.token, "right")).status).toBe(404);
});

test("a machine reads its own artifact, whole or in ranges, and no other of its tenant", async () => {
  const content = "0123456789";
  const digest = digestOf(content);
  expect([await put(content, acme), await put("of another workload", acme)]).toEqual([204, 204]);
  await edge.serving("range-acme", { artifact: { digest, sizeBytes: content.length } });
  const { accessToken } = await edge.call<{ accessToken: string }>("POST", "/placements/acme_range_1/credentials");
  const get = (headers: Record<string, string> = {}, method = "GET") => bytes(digest, method, accessToken, undefined, headers);
  const whole = await get();
  expect([whole.status, await whole.text(), whole.headers.get("accept-ranges"), whole.headers.get("etag")]).toEqual([200, content, "bytes", `"${digest}"`]);
  const part = await get({ range: "bytes=2-4" });
  expect([part.status, await part.text(), part.headers.get("content-range")]).toEqual([206, "234", "bytes 2-4/10"]);
  expect([(await get({ range: "bytes=10-" })).status, (await get({ range: "bytes=2-4", "if-range": '"other"' })).status]).toEqual([416, 200]);
  const head = await get({}, "HEAD");
  expect([head.status, head.headers.get("etag"), await head.text()]).toEqual([200, `"${digest}"`, ""]);
  expect((await get({ "if-none-match": `"${digest}"` })).status).toBe(304);
  expect((await bytes(digestOf("of another workload"), "GET", accessToken)).status).toBe(403);
  await edge.call("PUT", "/workloads/range-acme", { ...(await edge.call<{ spec: object }>("GET", "/workloads/range-acme")).spec, artifact: { digest: digestOf("next"), sizeBytes: 4 } });
  expect((await get()).status).toBe(200);
});

test("a large artifact comes in parts, in any order and again, and is there once its digest is proven", async () => {
  const content = new Uint8Array(PART + 1000).map((_, at) => (at * 31 + (at >> 8)) & 0xff);
  const digest = digestOf(content);
  const begun = await edge.request("POST", `/artifacts/${digest}/uploads`, { sizeBytes: content.length }, acme);
  const upload = (await begun.json()) as Upload;
  expect([begun.status, upload.partSizeBytes, upload.parts]).toEqual([201, PART, []]);
  const path = `${digest}/uploads/${upload.id}`;
  const part = async (number: number, part: Uint8Array) => (await bytes(`${path}/parts/${number}`, "PUT", acme, part)).status;
  expect(await part(2, content.subarray(PART))).toBe(200);
  const early = await edge.request("POST", `/artifacts/${path}/complete`, undefined, acme);
  expect([early.status, await word(early)]).toEqual([409, "upload-incomplete"]);
  expect([await part(1, content.subarray(0, PART - 1)), await part(3, content.subarray(0, 1)), await part(1, content.subarray(0, PART)), await part(2, content.subarray(PART))]).toEqual([
    422, 422, 200, 200,
  ]);
  expect((await bytes(digest, "GET", acme)).status).toBe(404);
  expect((await edge.request("GET", `/artifacts/${path}`, undefined, other)).status).toBe(404);
  expect((await edge.request("POST", `/artifacts/${path}/complete`, undefined, acme)).status).toBe(204);
  expect(digestOf(new Uint8Array(await (await bytes(digest, "GET", acme)).arrayBuffer()))).toBe(digest);
  expect((await edge.request("GET", `/artifacts/${path}`, undefined, acme)).status).toBe(404);
});

test("parts that together are something else are thrown away; an upload can be given up", async () => {
  const digest = digestOf("right");
  const begin = async () => ((await (await edge.request("POST", `/artifacts/${digest}/uploads`, { sizeBytes: 5 }, acme)).json()) as Upload).id;
  const wrong = await begin();
  await bytes(`${digest}/uploads/${wrong}/parts/1`, "PUT", acme, "wrong");
  const completed = await edge.request("POST", `/artifacts/${digest}/uploads/${wrong}/complete`, undefined, acme);
  expect([completed.status, await word(completed)]).toEqual([422, "digest-mismatch"]);
  expect((await bytes(digest, "GET", acme)).status).toBe(404);
  const given = await begin();
  expect((await edge.request("DELETE", `/artifacts/${digest}/uploads/${given}`, undefined, acme)).status).toBe(204);
  expect((await bytes(`${digest}/uploads/${given}/parts/1`, "PUT", acme, "right")).status).toBe(404);
});

test("a tenant that is removed leaves no artifact behind; the cron keeps what runs", async () => {
  const digest = digestOf("gone with its tenant");
  expect(await put("gone with its tenant", other)).toBe(204);
  await edge.cron("api");
  expect((await bytes(`${digest}?tenant=other`, "GET", edge.token)).status).toBe(200);
  expect((await edge.request("DELETE", "/tenants/other")).status).toBe(204);
  await edge.call("PUT", "/tenants/other", tenant("other"));
  expect((await bytes(`${digest}?tenant=other`, "GET", edge.token)).status).toBe(404);
});
