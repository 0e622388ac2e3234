/** Who follows changes learns at once that something has changed, of what is theirs, and of nothing else. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, Problem, SpendAlerts } from "../shared/wire";
import { book, offer, quote, spec, tenant } from "./documents";
import { TestEdge } from "./edge";
import { Follower } from "./stream";

/** Well below the pause between the looks that a stream takes by itself: what is seen within it was rung for. */
const SOON_MS = 4_000;

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
  await edge.call("PUT", "/tenants/other", tenant("other"));
});
afterAll(async () => {
  await edge.stop();
});

const key = (owner: string, scope = "tenant:read") => edge.call<ApiKey>("POST", `/tenants/${owner}/keys`, { scopes: [scope] });
const tokenOf = async (owner: string) => (await edge.exchange((await key(owner)).key)).token;

test("a deployment is followed step by step: workload, placement, run and migration, by their ids alone", async () => {
  const follower = await Follower.open(edge);
  expect(await follower.sees(() => true)).toMatchObject({ kind: "everything", subject: "", tenant: null });
  await edge.serving("web-acme", { env: { PASSWORD: "of the workload" } });
  const seen = async (kind: string, subject: string) => follower.sees((one) => one.kind === kind && one.subject === subject && one.tenant === "acme" && one.workload === "web-acme", SOON_MS);
  const told = await Promise.all([seen("workload", "web-acme"), seen("placement", "acme_web_1"), seen("migration", "acme_web_1"), seen("event", "web-acme")]);
  await follower.sees((one) => one.kind === "run" && one.workload === "web-acme", SOON_MS);
  // The saga's own last steps are told, too: nobody calls the API then.
  const late = await Follower.open(edge, { lastId: "0" });
  const { seq } = await late.sees((one) => one.kind === "migration" && one.subject === "acme_web_1");
  await follower.sees((one) => one.seq === seq, SOON_MS);
  await late.close();
  for (const one of told) expect(Object.keys(one).sort()).toEqual(["at", "kind", "seq", "subject", "tenant", "workload"]);
  expect(JSON.stringify(follower.seen)).not.toMatch(/password|of the workload/i);
  const numbers = follower.seen.map(({ seq }) => seq);
  expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
  await follower.close();
});

test("what another tenant does is never told, on no stream of a tenant's and under no number", async () => {
  const [acme, other] = [await tokenOf("acme"), await tokenOf("other")];
  const before = await Follower.open(edge, { token: acme });
  await before.sees(() => true);
  const from = before.lastId;
  await edge.call("PUT", "/workloads/mine-acme", spec());
  await edge.call("PUT", "/workloads/theirs-other", spec());
  const theirs = await Follower.open(edge, { token: other, lastId: "0" });
  await theirs.sees((one) => one.subject === "theirs-other", SOON_MS);
  await before.sees((one) => one.subject === "mine-acme", SOON_MS);
  const again = await Follower.open(edge, { token: acme, lastId: from });
  await again.sees((one) => one.subject === "mine-acme", SOON_MS);
  // The marker comes after all that could have leaked.
  await edge.call("PUT", "/workloads/last-acme", spec());
  await edge.call("PUT", "/workloads/last-other", spec());
  for (const [follower, owner] of [
    [before, "acme"],
    [again, "acme"],
    [theirs, "other"],
  ] as const) {
    await follower.sees((one) => one.subject === `last-${owner}`, SOON_MS);
    expect(new Set(follower.seen.map((one) => one.tenant))).toEqual(new Set(follower.seen.some((one) => one.tenant === null) ? [owner, null] : [owner]));
    // Of no tenant: prices, which are everybody's, and the beginning. Never an audit head, which is the platform's.
    for (const one of follower.seen) if (one.tenant === null) expect(["everything", "prices"]).toContain(one.kind);
    await follower.close();
  }
  const status = async (token: string, query: string) => (await edge.request("GET", `/changes${query}`, undefined, token)).status;
  expect([await status(acme, "?tenant=other"), await status("", "")]).toEqual([404, 401]);
});

test("the platform's own keys may follow one tenant", async () => {
  const follower = await Follower.open(edge, { query: "?tenant=other" });
  await edge.call("PUT", "/workloads/narrow-acme", spec());
  await edge.call("PUT", "/workloads/narrow-other", spec());
  await follower.sees((one) => one.subject === "narrow-other", SOON_MS);
  expect(follower.seen.filter((one) => one.tenant === "acme")).toEqual([]);
  await follower.close();
});

test("after a cut the stream goes on from the last number: each thing that changed meanwhile once, nothing that was told before", async () => {
  const first = await Follower.open(edge);
  await edge.call("PUT", "/workloads/before-acme", spec());
  await first.sees((one) => one.kind === "event" && one.subject === "before-acme", SOON_MS);
  await first.close();
  await edge.call("PUT", "/workloads/during-acme", spec());
  for (const drainSeconds of [1, 2, 3]) await edge.call("PUT", "/workloads/during-acme", { ...spec(), drainSeconds });
  const second = await Follower.open(edge, { lastId: first.lastId });
  await second.sees((one) => one.kind === "workload" && one.subject === "during-acme", SOON_MS);
  await edge.call("PUT", "/workloads/after-acme", spec());
  await second.sees((one) => one.subject === "after-acme", SOON_MS);
  expect(second.seen.filter((one) => one.kind === "everything" || one.subject === "before-acme")).toEqual([]);
  expect(second.seen.filter((one) => one.kind === "workload" && one.subject === "during-acme")).toHaveLength(1);
  await second.close();
});

test.each(["999999999", "-1", "one", "1; drop table changes"])("a number that was never given (%s) begins anew, with everything", async (lastId) => {
  const follower = await Follower.open(edge, { lastId });
  expect((await follower.sees(() => true)).kind).toBe("everything");
  await follower.close();
});

test("a stream ends as soon as its key is revoked, and another's goes on", async () => {
  const [mine, theirs] = [await key("acme"), await key("acme")];
  const [ends, goesOn] = await Promise.all([mine, theirs].map(async (one) => Follower.open(edge, { token: (await edge.exchange(one.key)).token })));
  await Promise.all([ends?.sees(() => true), goesOn?.sees(() => true)]);
  expect((await edge.request("DELETE", `/tenants/acme/keys/${mine.id}`)).status).toBe(204);
  await ends?.end(SOON_MS);
  await goesOn?.sees((one) => one.kind === "key" && one.subject === "acme", SOON_MS);
  expect(goesOn?.ended).toBe(false);
  await goesOn?.close();
});

test("an audit head is told to the platform alone", async () => {
  const platform = await Follower.open(edge);
  const reader = await Follower.open(edge, { token: await tokenOf("acme") });
  await edge.call("POST", "/audit/heads", { point: "api", seq: 1, hash: "ab".repeat(32), at: "2026-03-01T12:00:00Z" });
  await platform.sees((one) => one.kind === "audit", SOON_MS);
  await edge.call("PUT", "/workloads/marker-acme", spec());
  await reader.sees((one) => one.subject === "marker-acme", SOON_MS);
  expect(reader.seen.map((one) => one.kind)).not.toContain("audit");
  await Promise.all([platform.close(), reader.close()]);
});

test("what is no workload is told too: a ledger's hours and caps by their owner, a tenant that comes and goes, prices to everybody", async () => {
  const platform = await Follower.open(edge);
  await platform.sees(() => true);
  await edge.call("PUT", "/tenants/brief", tenant("brief"));
  await edge.call("DELETE", "/tenants/brief");
  const alert = { owner: "other", tenant: "other", workload: null, month: "2026-03", percent: 50, capUsd: 20, paidUsd: 10.5, projectedUsd: 31, marketAt: "2026-03-09T00:00:00Z" };
  expect((await edge.call<SpendAlerts>("PUT", "/alerts", [alert])).items).toHaveLength(1);
  const usd = { paidUsd: "0.1", onDemandUsd: "0.3", stayedUsd: "0.2" };
  const hour = { placement: "other_web_1", workload: "web-other", tenant: "other", hour: "2026-03-01T11:00:00Z", seconds: 3600, ...usd, quote: quote(offer("aws"), 0.1), stayedOffer: offer("aws") };
  await edge.call("PUT", "/ledger/hours", [hour]);
  await edge.call("PUT", "/prices", book("2026-03-01T12:01:00Z", []));
  for (const [kind, subject] of [
    ["tenant", "brief"],
    ["alert", "other"],
    ["ledger", "other"],
    ["prices", "book"],
  ])
    await platform.sees((one) => one.kind === kind && one.subject === subject, SOON_MS);
  await platform.close();
});

test("HEAD opens no stream", async () => {
  const answer = await edge.request("HEAD", "/changes");
  expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([200, "text/event-stream", ""]);
});

test("a problem is told as one", async () => {
  const answer = await edge.request("GET", "/changes?colour=red");
  expect([answer.status, ((await answer.json()) as Problem).detail]).toEqual([422, "colour is not a parameter of this call"]);
});
