/** The edge's side of the audit's anchors, in D1: what a machine has said once of its chain stands, whatever it says later. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, AuditHead } from "../shared/wire";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

/** A head of the proxy's chain; each test anchors under a member of its own. */
const head = (member: string, seq = 7, change: Partial<AuditHead> = {}): AuditHead => ({
  point: "api",
  member,
  seq,
  hash: "a".repeat(64),
  at: `2026-03-01T12:00:0${seq}Z`,
  ...change,
});

async function anchored(member: string): Promise<AuditHead[]> {
  const { items } = await edge.call<{ items: AuditHead[] }>("GET", "/audit/heads?limit=100");
  return items.filter((one) => one.member === member);
}

test("a chain that was written anew is told so, and can't replace what was anchored of it", async () => {
  expect((await edge.request("POST", "/audit/heads", head("rewritten"))).status).toBe(204);
  const refused = await edge.request("POST", "/audit/heads", head("rewritten", 7, { hash: "b".repeat(64), at: "2026-03-01T13:00:00Z" }));
  expect(refused.status).toBe(409);
  expect(((await refused.json()) as { detail: string }).detail).toBe(`api of rewritten, record 7: ${"a".repeat(64)} at 2026-03-01T12:00:07Z stands, ${"b".repeat(64)} was sent`);
  expect((await edge.request("POST", "/audit/heads", head("rewritten"))).status).toBe(204);
  expect(await anchored("rewritten")).toEqual([head("rewritten")]);
});

test("a chain that starts again leaves the higher heads as they are", async () => {
  for (const seq of [5, 9, 1]) expect((await edge.request("POST", "/audit/heads", head("shortened", seq))).status).toBe(204);
  expect((await anchored("shortened")).map(({ seq }) => seq)).toEqual([9, 5, 1]);
});

test("members and points have chains of their own under the same number", async () => {
  const heads = [head("one"), head("two"), head("one", 7, { point: "plan" })];
  for (const one of heads) expect((await edge.request("POST", "/audit/heads", one)).status).toBe(204);
  expect(await anchored("one")).toEqual(expect.arrayContaining([heads[0], heads[2]]));
  expect(await anchored("one")).toHaveLength(2);
  expect(await anchored("two")).toEqual([heads[1]]);
});

test("anchors outlive a restart of the edge", async () => {
  expect((await edge.request("POST", "/audit/heads", head("restarted"))).status).toBe(204);
  await edge.restart();
  expect(await anchored("restarted")).toEqual([head("restarted")]);
});

test("a tenant's token neither anchors nor reads heads, and nothing can be changed or taken away", async () => {
  expect((await edge.request("POST", "/audit/heads", head("held"))).status).toBe(204);
  const { key } = await edge.call<ApiKey>("POST", "/tenants/acme/keys", { scopes: ["tenant:admin"] });
  const { token } = await edge.exchange(key);
  expect((await edge.request("POST", "/audit/heads", head("held", 8), token)).status).toBe(403);
  expect((await edge.request("GET", "/audit/heads", undefined, token)).status).toBe(403);
  for (const method of ["PUT", "PATCH", "DELETE"]) expect((await edge.request(method, "/audit/heads")).status).toBe(405);
  expect(await anchored("held")).toEqual([head("held")]);
});

test("a head without its hash, or of a point that doesn't exist, is refused", async () => {
  const { hash: _, ...without } = head("broken");
  expect((await edge.request("POST", "/audit/heads", without)).status).toBe(422);
  expect((await edge.request("POST", "/audit/heads", { ...head("broken"), point: "elsewhere" })).status).toBe(422);
  expect(await anchored("broken")).toEqual([]);
});
