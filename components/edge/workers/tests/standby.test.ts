import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Decision, Migration, Placement, Workload, WorkloadEvent } from "../shared/wire";
import { type Changes, decision, offer } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterEach(() => {
  edge.automation.delayMs = 20;
  edge.automation.healthy = true;
});
afterAll(async () => {
  await edge.stop();
});

/** A minute between checks: what a test sees, the Health Monitor has not done. */
const UNWATCHED: Changes = { health: { intervalSeconds: 60 } };

const shown = (id: string): Promise<Workload> => edge.call<Workload>("GET", `/workloads/${id}`);
const propose = (id: string, kind: Decision["kind"], changes: Partial<Decision>): Promise<Migration> =>
  edge.call<Migration>("POST", `/workloads/${id}/decisions`, { ...decision(id, kind, offer("azure"), 0.03), ...changes });
const refusal = async (id: string, kind: Decision["kind"], changes: Partial<Decision>): Promise<string> => {
  const answer = await edge.request("POST", `/workloads/${id}/decisions`, { ...decision(id, kind, offer("azure"), 0.03), ...changes });
  return ((await answer.json()) as { detail: string }).detail;
};
const states = async (id: string): Promise<[string, string][]> => (await edge.call<{ items: Placement[] }>("GET", `/workloads/${id}/placements`)).items.map((one) => [one.id, one.state]);
const served = async (id: string): Promise<string> => ((await (await edge.fetch(`${id}.workloads`, "/")).json()) as { machine: string }).machine;
const operations = (name: string): string[] => edge.automation.operations.filter((one) => one.includes(`.${name}.`));

/** A workload that is served, and its standby. */
async function guarded(id: string, changes: Changes = {}): Promise<Workload> {
  await edge.serving(id, changes);
  const ended = await edge.ended((await propose(id, "deploy", { role: "standby" })).id);
  if (ended.status !== "succeeded") throw new Error(`${id} has no standby: ${ended.error}`);
  return shown(id);
}
const takesOver = (workload: Workload, kind: Decision["kind"] = "interruption"): Promise<Migration> =>
  propose(workload.id, kind, { fromPlacement: workload.placement?.id ?? null, promote: workload.further[0]?.id ?? null });

test("a standby is made beside what serves: nobody sees a change, and it gets no request", async () => {
  const workload = await guarded("web-acme");
  expect(workload).toMatchObject({ state: "RUNNING", activeMigration: null, placement: { id: "acme_web_1", state: "SERVING" } });
  expect(workload.further).toMatchObject([{ id: "acme_web_2", state: "STANDBY", beside: true, replaces: null, marketServedFrom: null, marketReadyFrom: "2026-03-01T12:00:00.000Z" }]);
  const listed = (await edge.call<{ items: Workload[] }>("GET", "/workloads")).items.find(({ id }) => id === "web-acme");
  expect(listed).toEqual(workload);
  const events = (await edge.call<{ items: WorkloadEvent[] }>("GET", "/workloads/web-acme/events")).items;
  expect(events.map(({ state }) => state)).toEqual(["PENDING", "PROVISIONING", "RUNNING"]);
  expect(new Set(await Promise.all(Array.from({ length: 20 }, () => served("web-acme"))))).toEqual(new Set(["web-acme-1"]));
});

test("a machine that is gone without a word: the standby answers the next request, whoever is away", async () => {
  await guarded("gone-acme", UNWATCHED);
  await edge.machine("acme_gone_1").stop();
  edge.automation.away = true;
  const answer = await edge.fetch("gone-acme.workloads", "/");
  edge.automation.away = false;
  expect([answer.status, await answer.json()]).toEqual([200, { machine: "gone-acme-2" }]);
});

test("a machine that fails its checks: the standby has the traffic, and gives it back", async () => {
  await guarded("sick-acme");
  edge.machine("acme_sick_1").healthy = false;
  await edge.until("the standby", async () => (await served("sick-acme")) === "sick-acme-2");
  edge.machine("acme_sick_1").healthy = true;
  await edge.until("the first", async () => (await served("sick-acme")) === "sick-acme-1");
});

test("an interruption has the standby take over, and no machine is waited for", async () => {
  const workload = await guarded("spot-acme");
  const ended = await edge.ended((await takesOver(workload)).id);
  expect(ended).toMatchObject({ id: "acme_spot_3", status: "succeeded", error: null });
  expect(await shown("spot-acme")).toMatchObject({ state: "RUNNING", placement: { id: "acme_spot_2", state: "SERVING", replaces: "acme_spot_1", beside: false }, further: [] });
  expect(await states("spot-acme")).toEqual([
    ["acme_spot_2", "SERVING"],
    ["acme_spot_1", "DESTROYED"],
  ]);
  expect(operations("spot")).toEqual(["up placement.acme.spot.1", "up placement.acme.spot.2", "destroy placement.acme.spot.1"]);
  expect(await served("spot-acme")).toBe("spot-acme-2");
});

test("a standby that gives no good answer is destroyed, and what serves stays", async () => {
  const workload = await guarded("weak-acme", UNWATCHED);
  edge.machine("acme_weak_2").healthy = false;
  const ended = await edge.ended((await takesOver(workload)).id);
  expect(ended).toMatchObject({ status: "failed", error: "the standby acme_weak_2 gave no healthy answer" });
  expect(await shown("weak-acme")).toMatchObject({ state: "INTERRUPTED", placement: { id: "acme_weak_1" }, further: [] });
  expect(await states("weak-acme")).toEqual([
    ["acme_weak_2", "DESTROYED"],
    ["acme_weak_1", "SERVING"],
  ]);
  expect(await served("weak-acme")).toBe("weak-acme-1");
});

test("a move by price waits for a standby that is being made, an interruption doesn't: that one is given up", async () => {
  const workload = await edge.serving("busy-acme");
  edge.automation.delayMs = 2_000;
  const standby = await propose("busy-acme", "deploy", { role: "standby" });
  await edge.until("the run", async () => operations("busy").includes("up placement.acme.busy.2"));
  edge.automation.delayMs = 20;
  expect(await refusal("busy-acme", "move", { fromPlacement: "acme_busy_1" })).toContain(`${standby.id} is at work`);
  const { id } = await edge.move(workload, "gcp", { kind: "interruption", deadline: new Date(Date.now() + 30_000).toISOString() });
  expect(await edge.ended(id)).toMatchObject({ status: "succeeded", fencingToken: 3 });
  expect(await edge.ended(standby.id)).toMatchObject({ status: "failed" });
  expect(await states("busy-acme")).toEqual([
    ["acme_busy_3", "SERVING"],
    ["acme_busy_2", "FAILED"],
    ["acme_busy_1", "DESTROYED"],
  ]);
  expect(await shown("busy-acme")).toMatchObject({ state: "RUNNING", activeMigration: null, placement: { id: "acme_busy_3" }, further: [] });
});

test("a move by price leaves the standby where it is, and its protection in force", async () => {
  const workload = await guarded("move-acme", UNWATCHED);
  expect((await edge.ended((await edge.move(workload, "gcp")).id)).status).toBe("succeeded");
  expect(await shown("move-acme")).toMatchObject({ placement: { id: "acme_move_3", replaces: "acme_move_1" }, further: [{ id: "acme_move_2", state: "STANDBY" }] });
  await edge.machine("acme_move_3").stop();
  expect(await served("move-acme")).toBe("move-acme-2");
});

test("a standby is replaced like any machine, and given up when nobody wants it", async () => {
  await guarded("swap-acme");
  const replaced = await edge.ended((await propose("swap-acme", "unhealthy", { role: "standby", fromPlacement: "acme_swap_2", offer: offer("gcp") })).id);
  expect(replaced.status).toBe("succeeded");
  expect((await shown("swap-acme")).further).toMatchObject([{ id: "acme_swap_3", state: "STANDBY" }]);
  const given = await edge.ended((await propose("swap-acme", "retire", { role: "standby", fromPlacement: "acme_swap_3", offer: null, evidence: null })).id);
  expect(given.status).toBe("succeeded");
  expect(await shown("swap-acme")).toMatchObject({ state: "RUNNING", placement: { id: "acme_swap_1" }, further: [] });
  expect(operations("swap").slice(-2)).toEqual(["destroy placement.acme.swap.2", "destroy placement.acme.swap.3"]);
});

test("a removed workload leaves no standby behind", async () => {
  await guarded("last-acme");
  await edge.call("DELETE", "/workloads/last-acme");
  await edge.until("the end", async () => (await shown("last-acme")).state === "TERMINATED");
  expect(await states("last-acme")).toEqual([
    ["acme_last_2", "DESTROYED"],
    ["acme_last_1", "DESTROYED"],
  ]);
});

test("what no longer fits the workload's machines is refused with what stands there", async () => {
  await edge.call("PUT", "/workloads/none-acme", { ...(await edge.serving("fits-acme")).spec });
  expect(await refusal("none-acme", "deploy", { role: "standby" })).toBe("none-acme runs nowhere: there is nothing to stand by for");
  await edge.ended((await propose("fits-acme", "deploy", { role: "standby" })).id);
  expect(await refusal("fits-acme", "deploy", { role: "standby" })).toBe("acme_fits_2 stands by for fits-acme already");
  expect(await refusal("fits-acme", "interruption", { fromPlacement: "acme_fits_1", promote: "acme_fits_9" })).toBe("acme_fits_9 no longer stands by for fits-acme");
  expect(await refusal("fits-acme", "interruption", { role: "standby", fromPlacement: "acme_fits_1" })).toBe("acme_fits_1 isn't a standby of fits-acme any more");
  expect(await refusal("fits-acme", "retire", { fromPlacement: "acme_fits_1" })).toBe("acme_fits_1 is the last machine that serves fits-acme");
});
