/** A machine's lines reach who may read the workload, and nobody else; a machine tells its own, and only where its workload's file asks for it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, LogBatch, MachineLogs, Problem } from "../shared/wire";
import { spec, tenant } from "./documents";
import { TestEdge } from "./edge";
import { Follower } from "./stream";

let edge: TestEdge;
let reader: string;
let stranger: string;
beforeAll(async () => {
  edge = await TestEdge.start();
  await edge.call("PUT", "/tenants/other", tenant("other"));
  const token = async (owner: string) => (await edge.exchange((await edge.call<ApiKey>("POST", `/tenants/${owner}/keys`, { scopes: ["tenant:read"] })).key)).token;
  [reader, stranger] = await Promise.all([token("acme"), token("other")]);
  await Promise.all([edge.serving("web-acme", { logs: true }), edge.serving("quiet-acme")]);
});
afterAll(async () => {
  await edge.stop();
});

const AT = "2026-03-01T12:00:00Z";
const batch = (placement: string, first: number, ...messages: string[]): LogBatch => ({ placement, first, lines: messages.map((message) => ({ at: AT, unit: "workload", message })) });
const machine = async (placement: string): Promise<string> => (await edge.call<{ accessToken: string }>("POST", `/placements/${placement}/credentials`)).accessToken;
/** What a machine that tells is answered: the status, and the next number or the problem's word. */
async function tell(token: string, told: unknown): Promise<[number, unknown]> {
  const answer = await edge.request("POST", "/logs", told, token);
  const document = (await answer.json()) as Problem & { next?: number };
  return [answer.status, document.next ?? document.type.split("/").pop()];
}
const logs = (workload: string, query = "") => edge.call<MachineLogs>("GET", `/workloads/${workload}/logs${query}`);

test("a machine tells its lines and is asked for the next; people read them by their number", async () => {
  const token = await machine("acme_web_1");
  expect(await tell(token, batch("acme_web_1", 1, "one", "two"))).toEqual([200, 3]);
  expect(await tell(token, batch("acme_web_1", 1, "one", "two", "three"))).toEqual([200, 4]);
  expect(await logs("web-acme", "?after=2")).toEqual({
    lines: [{ placement: "acme_web_1", number: 3, at: AT, unit: "workload", message: "three" }],
    placement: "acme_web_1",
    next: 3,
    lost: 0,
    told: true,
  });
  expect((await logs("web-acme", "?limit=2")).lines.map(({ number }) => number)).toEqual([2, 3]);
  const answer = await edge.request("GET", "/workloads/web-acme/logs", undefined, reader);
  expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
});

test("who may not read the workload isn't told that it has lines; a machine's own token reads none", async () => {
  const status = async (token: string, path: string) => (await edge.request("GET", path, undefined, token)).status;
  expect([await status(stranger, "/workloads/web-acme/logs"), await status(stranger, "/workloads/web-acme/logs?placement=acme_web_1")]).toEqual([404, 404]);
  expect(await status(await machine("acme_web_1"), "/workloads/web-acme/logs")).toBe(403);
  expect([await status(reader, "/workloads/quiet-acme/logs?placement=acme_web_1"), await status(reader, "/workloads/web-acme/logs?placement=acme_web_99")]).toEqual([404, 404]);
});

test("a machine that may not tell is refused: another's lines, no lines asked for, a machine that is gone, people", async () => {
  const web = await machine("acme_web_1");
  expect(await tell(web, batch("acme_quiet_1", 1, "not mine"))).toEqual([403, "forbidden"]);
  expect(await tell(await machine("acme_quiet_1"), batch("acme_quiet_1", 1, "unasked"))).toEqual([409, "logs-off"]);
  expect(await tell(reader, batch("acme_web_1", 1, "mine?"))).toEqual([403, "forbidden"]);
  expect(await logs("quiet-acme")).toEqual({ lines: [], placement: "acme_quiet_1", next: 0, lost: 0, told: false });
});

test("a batch is bounded in lines, in each line and in bytes, and no refusal repeats a line", async () => {
  const token = await machine("acme_web_1");
  const secret = "a line of acme's";
  const long = (count: number, message: string) => tell(token, batch("acme_web_1", 100, ...Array<string>(count).fill(message)));
  expect(await long(200, "x".repeat(400))).toEqual([413, "too-large"]);
  expect([await long(201, "x"), await long(1, "x".repeat(2049)), await long(0, "")]).toEqual(Array(3).fill([422, "invalid-request"]));
  const refused = await edge.request("POST", "/logs", batch("acme_web_1", 0, secret + "x".repeat(2049)), token);
  expect([refused.status, (await refused.text()).includes(secret)]).toEqual([422, false]);
  expect((await edge.request("GET", "/workloads/web-acme/logs?limit=1001&after=-1")).status).toBe(422);
});

test("a machine that tells without a pause is told when again, and its workload's followers hear nothing of it", async () => {
  const token = await machine("acme_web_1");
  const follower = await Follower.open(edge);
  await follower.sees(({ kind }) => kind === "everything");
  const told = async (number: number) => edge.request("POST", "/logs", batch("acme_web_1", number, "again"), token);
  const answers = await Promise.all(Array.from({ length: 30 }, (_, at) => told(at + 1)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.headers.get("retry-after")).toMatch(/^[12]$/);
  expect(await refused[0]?.json()).toMatchObject({ type: "https://spotlane.dev/problems/too-many-requests" });
  await edge.call("PUT", "/workloads/marker-acme", spec());
  await follower.sees(({ subject }) => subject === "marker-acme");
  expect(follower.seen.filter(({ workload }) => workload === "web-acme")).toEqual([]);
  await follower.close();
});
