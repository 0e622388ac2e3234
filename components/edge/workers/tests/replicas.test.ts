import { afterAll, beforeAll, expect, test } from "vitest";
import type { Decision, Migration, Placement, Workload, WorkloadEvent } from "../shared/wire";
import { decision, offer, spec } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

const shown = (id: string): Promise<Workload> => edge.call<Workload>("GET", `/workloads/${id}`);
const propose = (id: string, kind: Decision["kind"], changes: Partial<Decision>): Promise<Migration> =>
  edge.call<Migration>("POST", `/workloads/${id}/decisions`, { ...decision(id, kind, offer(changes.offer?.cloud ?? "azure"), changes.offer ? 0.04 : 0.03), ...changes });
const states = async (id: string): Promise<[string, string][]> => (await edge.call<{ items: Placement[] }>("GET", `/workloads/${id}/placements`)).items.map((one) => [one.id, one.state]);
const answers = async (id: string): Promise<string[]> => {
  const found = await Promise.all(Array.from({ length: 24 }, async () => ((await (await edge.fetch(`${id}.workloads`, "/")).json()) as { machine: string }).machine));
  return [...new Set(found)].sort();
};

/** A workload of two machines; `changes` of its spec beside that. */
async function pair(id: string): Promise<Workload> {
  const one = spec({ health: { intervalSeconds: 60 } });
  await edge.serving(id, { health: one.health, placement: { ...one.placement, replicas: 2 } });
  const ended = await edge.ended((await propose(id, "deploy", {})).id);
  if (ended.status !== "succeeded") throw new Error(`${id} has no second machine: ${ended.error}`);
  return shown(id);
}

test("a second machine is made beside the first, and both answer", async () => {
  const workload = await pair("web-acme");
  expect(workload).toMatchObject({ state: "RUNNING", placement: { id: "acme_web_1" }, further: [{ id: "acme_web_2", state: "SERVING", beside: true }] });
  const events = (await edge.call<{ items: WorkloadEvent[] }>("GET", "/workloads/web-acme/events")).items;
  expect(events.map(({ state }) => state)).toEqual(["PENDING", "PROVISIONING", "RUNNING"]);
  expect(await answers("web-acme")).toEqual(["web-acme-1", "web-acme-2"]);
  const third = await edge.request("POST", "/workloads/web-acme/decisions", decision("web-acme", "deploy", offer("gcp"), 0.04));
  expect([third.status, ((await third.json()) as { detail: string }).detail]).toEqual([409, "2 of 2 machines serve web-acme already"]);
});

test("each machine moves by itself, under its own generation; the first stays the first", async () => {
  const workload = await pair("move-acme");
  const second = await edge.ended((await propose("move-acme", "move", { fromPlacement: "acme_move_2", offer: offer("gcp") })).id);
  expect(second.status).toBe("succeeded");
  expect(await shown("move-acme")).toMatchObject({ placement: { id: "acme_move_1" }, further: [{ id: "acme_move_3", replaces: "acme_move_2" }] });
  expect((await edge.ended((await edge.move(workload, "azure")).id)).status).toBe("succeeded");
  expect(await shown("move-acme")).toMatchObject({ state: "RUNNING", placement: { id: "acme_move_4", replaces: "acme_move_1" }, further: [{ id: "acme_move_3" }] });
  expect(await answers("move-acme")).toEqual(["move-acme-3", "move-acme-4"]);
  expect(await states("move-acme")).toEqual([
    ["acme_move_4", "SERVING"],
    ["acme_move_3", "SERVING"],
    ["acme_move_2", "DESTROYED"],
    ["acme_move_1", "DESTROYED"],
  ]);
});

test("a machine that is gone without a word: the other one answers", async () => {
  await pair("half-acme");
  await edge.machine("acme_half_1").stop();
  expect(await answers("half-acme")).toEqual(["half-acme-2"]);
});

test("an interruption of the second takes the standby, and the first has no part in it", async () => {
  await pair("both-acme");
  await edge.ended((await propose("both-acme", "deploy", { role: "standby", offer: offer("gcp") })).id);
  const ended = await edge.ended((await propose("both-acme", "interruption", { fromPlacement: "acme_both_2", promote: "acme_both_3", offer: offer("gcp") })).id);
  expect(ended.status).toBe("succeeded");
  expect(await shown("both-acme")).toMatchObject({ state: "RUNNING", placement: { id: "acme_both_1" }, further: [{ id: "acme_both_3", state: "SERVING" }] });
  expect(await answers("both-acme")).toEqual(["both-acme-1", "both-acme-3"]);
});

test("a machine that goes doesn't wait for the move of another: before its commit that one is given up", async () => {
  await pair("haste-acme");
  edge.automation.delayMs = 2_000;
  const moving = await propose("haste-acme", "move", { fromPlacement: "acme_haste_1", offer: offer("gcp") });
  await edge.until("the run", async () => edge.automation.operations.includes("up placement.acme.haste.3"));
  edge.automation.delayMs = 20;
  const own = await edge.request("POST", "/workloads/haste-acme/decisions", { ...decision("haste-acme", "interruption", offer("aws"), 0.03), fromPlacement: "acme_haste_1" });
  expect([own.status, ((await own.json()) as { detail: string }).detail]).toEqual([409, "acme_haste_3 is at work on haste-acme; wait for its end"]);
  const saved = await propose("haste-acme", "interruption", { fromPlacement: "acme_haste_2", offer: offer("gcp"), deadline: new Date(Date.now() + 30_000).toISOString() });
  expect(await edge.ended(saved.id)).toMatchObject({ id: "acme_haste_4", status: "succeeded" });
  expect(await edge.ended(moving.id)).toMatchObject({ status: "failed", error: "it gave way to what couldn't wait: a machine of the workload that goes or fails" });
  expect(await shown("haste-acme")).toMatchObject({ state: "RUNNING", activeMigration: null, placement: { id: "acme_haste_1" }, further: [{ id: "acme_haste_4", replaces: "acme_haste_2" }] });
  expect(await states("haste-acme")).toEqual([
    ["acme_haste_4", "SERVING"],
    ["acme_haste_3", "FAILED"],
    ["acme_haste_2", "DESTROYED"],
    ["acme_haste_1", "SERVING"],
  ]);
  expect(await answers("haste-acme")).toEqual(["haste-acme-1", "haste-acme-4"]);
});

test("once a move has told who serves, a machine that goes doesn't wait for the old one's end", async () => {
  const workload = await pair("calm-acme");
  await edge.call("PUT", "/workloads/calm-acme", { ...workload.spec, drainSeconds: 4 });
  const moving = await propose("calm-acme", "move", { fromPlacement: "acme_calm_1", offer: offer("gcp") });
  await edge.until("the drain", async () => (await edge.call<Migration>("GET", `/migrations/${moving.id}`)).step === "drain");
  const saved = await propose("calm-acme", "interruption", { fromPlacement: "acme_calm_2", deadline: new Date(Date.now() + 30_000).toISOString() });
  await edge.until("the machine", async () => (await answers("calm-acme")).join() === "calm-acme-3,calm-acme-4");
  expect((await edge.call<Migration>("GET", `/migrations/${moving.id}`)).status).toBe("running");
  expect((await Promise.all([moving, saved].map(({ id }) => edge.ended(id)))).map(({ status }) => status)).toEqual(["succeeded", "succeeded"]);
  expect(await shown("calm-acme")).toMatchObject({ state: "RUNNING", activeMigration: null, placement: { id: "acme_calm_3" }, further: [{ id: "acme_calm_4" }] });
  expect((await states("calm-acme")).map(([, state]) => state)).toEqual(["SERVING", "SERVING", "DESTROYED", "DESTROYED"]);
  const moves = await edge.call<{ items: { migration: string }[] }>("GET", "/ledger/moves?workload=calm-acme");
  expect(moves.items.map(({ migration }) => migration).sort()).toEqual(["acme_calm_1", "acme_calm_2", "acme_calm_3", "acme_calm_4"]);
});

const saving = (id: string, from: string, seconds = 30): Promise<Migration> =>
  propose(id, "interruption", { fromPlacement: from, offer: offer("gcp"), deadline: new Date(Date.now() + seconds * 1000).toISOString() });

test("two machines that go at once: both get another one at once, and one commits after the other", async () => {
  await pair("twin-acme");
  edge.automation.delayMs = 1_500;
  const first = await saving("twin-acme", "acme_twin_1");
  const second = await saving("twin-acme", "acme_twin_2");
  expect([second.step, second.fencingToken, (await shown("twin-acme")).activeMigration]).toEqual(["reserve", null, first.id]);
  for (const kind of ["interruption", "unhealthy"] as const) {
    const again = await edge.request("POST", "/workloads/twin-acme/decisions", { ...decision("twin-acme", kind, offer("aws"), 0.03), fromPlacement: "acme_twin_2" });
    expect([again.status, ((await again.json()) as { detail: string }).detail]).toEqual([409, "acme_twin_3 is at work on twin-acme; wait for its end"]);
  }
  await edge.until("both runs", async () => ["up placement.acme.twin.3", "up placement.acme.twin.4"].every((one) => edge.automation.operations.includes(one)));
  expect((await edge.call<Migration>("GET", `/migrations/${first.id}`)).routeVersion).toBeNull();
  const ended = await Promise.all([first, second].map(({ id }) => edge.ended(id)));
  expect(ended.map(({ status, fencingToken }) => [status, fencingToken])).toEqual([
    ["succeeded", 3],
    ["succeeded", 4],
  ]);
  expect(await shown("twin-acme")).toMatchObject({ state: "RUNNING", activeMigration: null, placement: { id: "acme_twin_3" }, further: [{ id: "acme_twin_4", replaces: "acme_twin_2" }] });
  expect((await states("twin-acme")).map(([, state]) => state)).toEqual(["SERVING", "SERVING", "DESTROYED", "DESTROYED"]);
  expect(await answers("twin-acme")).toEqual(["twin-acme-3", "twin-acme-4"]);
});

test("a machine that is ready before that of the rescue ahead waits for its turn; where the one ahead fails, it comes at once", async () => {
  await pair("turn-acme");
  edge.automation.delayMs = 2_000;
  edge.automation.failing.set("up placement.acme.turn.3", "no capacity");
  const first = await saving("turn-acme", "acme_turn_1");
  await edge.until("the run", async () => edge.automation.operations.includes("up placement.acme.turn.3"));
  edge.automation.delayMs = 20;
  const second = await saving("turn-acme", "acme_turn_2");
  await edge.until("the machine", async () => (await states("turn-acme")).some(([id, state]) => id === "acme_turn_4" && state === "VERIFYING"));
  expect((await edge.call<Migration>("GET", `/migrations/${second.id}`)).fencingToken).toBeNull();
  expect((await edge.ended(first.id)).status).toBe("failed");
  expect(await edge.ended(second.id)).toMatchObject({ status: "succeeded", fencingToken: 4 });
  expect(await shown("turn-acme")).toMatchObject({ state: "INTERRUPTED", activeMigration: null, placement: { id: "acme_turn_1" }, further: [{ id: "acme_turn_4" }] });
});

test("a workload that is removed while a rescue waits leaves none of its machines", async () => {
  await pair("quit-acme");
  edge.automation.delayMs = 1_500;
  const first = await saving("quit-acme", "acme_quit_1");
  const second = await saving("quit-acme", "acme_quit_2");
  await edge.call("DELETE", "/workloads/quit-acme");
  await Promise.all([first, second].map(({ id }) => edge.ended(id)));
  await edge.until("the end", async () => (await shown("quit-acme")).state === "TERMINATED");
  expect((await states("quit-acme")).filter(([, state]) => state !== "DESTROYED" && state !== "FAILED")).toEqual([]);
  expect(edge.automation.operations.filter((one) => one.startsWith("destroy placement.acme.quit.")).sort()).toEqual([1, 2, 3, 4].map((one) => `destroy placement.acme.quit.${one}`));
});

test("one machine too many is given up, and a removed workload leaves none behind", async () => {
  await pair("less-acme");
  expect((await edge.ended((await propose("less-acme", "retire", { fromPlacement: "acme_less_2", offer: null, evidence: null })).id)).status).toBe("succeeded");
  expect(await answers("less-acme")).toEqual(["less-acme-1"]);
  await pair("none-acme");
  await edge.call("DELETE", "/workloads/none-acme");
  await edge.until("the end", async () => (await shown("none-acme")).state === "TERMINATED");
  expect((await states("none-acme")).map(([, state]) => state)).toEqual(["DESTROYED", "DESTROYED"]);
});

test("an availability takes two machines more and no third, and the first may be given up: the oldest of the others is the first then", async () => {
  const workload = await pair("more-acme");
  await edge.call("PUT", "/workloads/more-acme", { ...workload.spec, placement: { ...workload.spec.placement, availability: 0.99 } });
  for (const _ of [3, 4]) expect((await edge.ended((await propose("more-acme", "deploy", { offer: offer("gcp") })).id)).status).toBe("succeeded");
  const fifth = await edge.request("POST", "/workloads/more-acme/decisions", decision("more-acme", "deploy", offer("gcp"), 0.04));
  expect([fifth.status, ((await fifth.json()) as { detail: string }).detail]).toEqual([409, "4 of 4 machines serve more-acme already"]);
  expect((await edge.ended((await propose("more-acme", "retire", { fromPlacement: "acme_more_1", offer: null, evidence: null })).id)).status).toBe("succeeded");
  expect(await shown("more-acme")).toMatchObject({ state: "RUNNING", placement: { id: "acme_more_2" }, further: [{ id: "acme_more_3" }, { id: "acme_more_4" }] });
  expect(await answers("more-acme")).toEqual(["more-acme-2", "more-acme-3", "more-acme-4"]);
});

test("the last machine that serves isn't given up", async () => {
  await edge.serving("sole-acme");
  const refused = await edge.request("POST", "/workloads/sole-acme/decisions", {
    ...decision("sole-acme", "retire", offer("aws"), 0.03),
    fromPlacement: "acme_sole_1",
    offer: null,
    evidence: null,
  });
  expect([refused.status, ((await refused.json()) as { detail: string }).detail]).toEqual([409, "acme_sole_1 is the last machine that serves sole-acme"]);
});

test("a machine on demand is one by its decision, and is judged by the price on demand", async () => {
  await edge.call("PUT", "/workloads/dear-acme", spec());
  const bought = { ...decision("dear-acme", "deploy", offer("aws"), 0.001), capacity: "on-demand" as const };
  const ended = await edge.ended((await edge.call<Migration>("POST", "/workloads/dear-acme/decisions", bought)).id);
  expect(ended.status).toBe("succeeded");
  expect((await shown("dear-acme")).placement).toMatchObject({ id: "acme_dear_1", capacity: "on-demand" });
});
