import { afterAll, beforeAll, expect, test } from "vitest";
import type { Ledger, Migration, Placement, Run, Workload, WorkloadEvent } from "../shared/wire";
import { book, decision, offer, quote, spec } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

const states = async (id: string): Promise<string[]> => (await edge.call<{ items: WorkloadEvent[] }>("GET", `/workloads/${id}/events`)).items.map(({ state }) => state);

test("a deployed workload is served at its address", async () => {
  const workload = await edge.serving("web-acme");
  expect(workload).toMatchObject({ state: "RUNNING", activeMigration: null, generation: 1, placement: { id: "acme_web_1", state: "SERVING" } });
  expect(await states("web-acme")).toEqual(["PENDING", "PROVISIONING", "RUNNING"]);
  const answer = await edge.fetch("web-acme.workloads", "/");
  expect([answer.status, await answer.json()]).toEqual([200, { machine: "web-acme-1" }]);
});

test("a move under traffic fails no request, and the old machine goes after the new one serves", async () => {
  const before = await edge.call<Workload>("GET", "/workloads/web-acme");
  const { id } = await edge.move(before, "azure");
  const answers: number[] = [];
  const traffic = (async () => {
    while ((await edge.call<Migration>("GET", `/migrations/${id}`)).status === "running") answers.push((await edge.fetch("web-acme.workloads", "/")).status);
  })();
  const ended = await edge.ended(id);
  await traffic;
  expect(ended).toMatchObject({ id: "acme_web_2", status: "succeeded", step: "done", routeVersion: 2, fencingToken: 2, error: null });
  expect(new Set(answers)).toEqual(new Set([200]));
  expect(await (await edge.fetch("web-acme.workloads", "/")).json()).toEqual({ machine: "web-acme-2" });
  const { items } = await edge.call<{ items: Placement[] }>("GET", "/workloads/web-acme/placements");
  expect(items.map((one) => [one.id, one.state])).toEqual([
    ["acme_web_2", "SERVING"],
    ["acme_web_1", "DESTROYED"],
  ]);
  expect(items[1]?.marketServedUntil).toBe(items[0]?.marketServedFrom);
  expect(edge.automation.operations).toEqual(["up placement.acme.web.1", "up placement.acme.web.2", "destroy placement.acme.web.1"]);
  const { moves } = await edge.call<Ledger>("GET", "/ledger?workload=web-acme");
  expect(moves.map((move) => [move.migration, move.fromOffer?.cloud ?? null, move.toOffer.cloud])).toEqual([
    ["acme_web_1", null, "aws"],
    ["acme_web_2", "aws", "azure"],
  ]);
});

test("a machine that can't be provisioned changes nothing that a user can see", async () => {
  const workload = await edge.serving("shop-acme");
  edge.automation.failing.set("up placement.acme.shop.2", "InsufficientInstanceCapacity");
  const ended = await edge.ended((await edge.move(workload, "gcp")).id);
  expect(ended).toMatchObject({ status: "failed", step: "compensated", routeVersion: null });
  expect(ended.error).toContain("InsufficientInstanceCapacity");
  expect(edge.automation.operations).toContain("destroy placement.acme.shop.2");
  const after = await edge.call<Workload>("GET", "/workloads/shop-acme");
  expect(after).toMatchObject({ state: "RUNNING", activeMigration: null, placement: { id: "acme_shop_1", state: "SERVING" } });
  expect(await (await edge.fetch("shop-acme.workloads", "/")).json()).toEqual({ machine: "shop-acme-1" });
  const next = await edge.ended((await edge.move(after, "gcp")).id);
  expect([next.id, next.status, next.routeVersion]).toEqual(["acme_shop_3", "succeeded", 2]);
});

test("a workload's runs are told while they work and when they have ended, without outputs", async () => {
  const workload = await edge.serving("runs-acme");
  const told = async (query = ""): Promise<Run[]> => (await edge.call<{ items: Run[] }>("GET", `/workloads/runs-acme/runs${query}`)).items;
  edge.automation.delayMs = 1500;
  const { id } = await edge.move(workload, "azure");
  await expect
    .poll(async () => (await told()).map(({ stack, status }) => [stack, status]))
    .toEqual([
      ["placement.acme.runs.2", "running"],
      ["placement.acme.runs.1", "succeeded"],
    ]);
  edge.automation.away = true;
  expect((await told()).map(({ status }) => status)).toEqual(["succeeded"]);
  edge.automation.away = false;
  edge.automation.delayMs = 20;
  await edge.ended(id);
  expect((await told()).map(({ operation, stack, status, outputs }) => [operation, stack, status, outputs])).toEqual([
    ["destroy", "placement.acme.runs.1", "succeeded", {}],
    ["up", "placement.acme.runs.2", "succeeded", {}],
    ["up", "placement.acme.runs.1", "succeeded", {}],
  ]);
  expect((await told("?limit=1")).map(({ operation }) => operation)).toEqual(["destroy"]);
});

test("the same decision twice is one migration; another one is refused while the lease is held", async () => {
  const workload = await edge.serving("twin-acme");
  const proposed = { ...decision("twin-acme", "move", offer("azure"), 0.03), fromPlacement: workload.placement?.id ?? null };
  const first = await edge.call<Migration>("POST", "/workloads/twin-acme/decisions", proposed);
  const again = await edge.call<Migration>("POST", "/workloads/twin-acme/decisions", proposed);
  expect(again.id).toBe(first.id);
  const other = await edge.request("POST", "/workloads/twin-acme/decisions", { ...proposed, id: "another" });
  expect([other.status, ((await other.json()) as { type: string }).type]).toEqual([409, "https://spotlane.dev/problems/lease-held"]);
  expect((await edge.ended(first.id)).status).toBe("succeeded");
  const stale = await edge.request("POST", "/workloads/twin-acme/decisions", { ...proposed, id: "late" });
  expect([stale.status, ((await stale.json()) as { type: string }).type]).toEqual([409, "https://spotlane.dev/problems/stale-decision"]);
});

test("a price that has risen since the decision is refused, and uses no lease up", async () => {
  const workload = await edge.serving("dear-acme");
  const elsewhere = { ...offer("gcp"), region: "europe-west4", zone: "europe-west4-a" };
  await edge.call("PUT", "/prices", book("2026-03-01T12:00:00Z", [quote(elsewhere, 0.09)]));
  const proposed = { ...decision("dear-acme", "move", elsewhere, 0.04), fromPlacement: workload.placement?.id ?? null };
  const refused = await edge.request("POST", "/workloads/dear-acme/decisions", proposed);
  expect([refused.status, ((await refused.json()) as { type: string }).type]).toEqual([409, "https://spotlane.dev/problems/price-moved"]);
  expect((await edge.ended((await edge.move(workload, "azure")).id)).status).toBe("succeeded");
});

test("a removed workload has its route withdrawn before its machine is destroyed", async () => {
  await edge.serving("gone-acme", { ports: { http: 8080, tcp: 5432 } });
  const stopping = await edge.call<Workload>("DELETE", "/workloads/gone-acme");
  expect([stopping.state, stopping.activeMigration]).toEqual(["STOPPING", "acme_gone_2"]);
  // It would be taken down with the rest: whoever declares it now is told so.
  const refused = await edge.request("PUT", "/workloads/gone-acme", spec());
  expect([refused.status, ((await refused.json()) as { type: string }).type]).toEqual([409, "https://spotlane.dev/problems/stopping"]);
  expect((await edge.ended("acme_gone_2")).status).toBe("succeeded");
  const gone = await edge.call<Workload>("GET", "/workloads/gone-acme");
  expect([gone.state, gone.placement]).toEqual(["TERMINATED", null]);
  expect(edge.automation.operations.slice(-2)).toEqual(["destroy placement.acme.gone.1", "destroy address.acme.gone"]);
  expect(await states("gone-acme")).toEqual(["PENDING", "PROVISIONING", "RUNNING", "STOPPING", "TERMINATED"]);
  expect((await edge.call<Workload>("PUT", "/workloads/gone-acme", spec())).state).toBe("PENDING");
});

test("a saga that was cut off by a restart is woken by the reconciler and finishes", async () => {
  const workload = await edge.serving("cut-acme");
  edge.automation.tells = false;
  const { id } = await edge.move(workload, "azure");
  await edge.until("the run", async () => edge.automation.runs.get(`${id}:provision`)?.run.status === "succeeded");
  await edge.restart();
  edge.automation.tells = true;
  await edge.cron("control");
  const { run } = edge.automation.runs.get(`${id}:provision`) ?? {};
  await edge.call("POST", `/migrations/${id}/events`, { run, step: "provision" });
  const ended = await edge.ended(id);
  expect([ended.status, ended.routeVersion]).toEqual(["succeeded", 2]);
  expect(await (await edge.fetch("cut-acme.workloads", "/")).json()).toEqual({ machine: "cut-acme-2" });
  expect(edge.automation.operations.filter((one) => one.includes(".cut."))).toEqual(["up placement.acme.cut.1", "up placement.acme.cut.2", "destroy placement.acme.cut.1"]);
});

test("a workload that is removed while it moves is taken down when the move has ended", async () => {
  const workload = await edge.serving("left-acme");
  const { id } = await edge.move(workload, "azure");
  expect((await edge.call<Workload>("DELETE", "/workloads/left-acme")).state).toBe("STOPPING");
  expect((await edge.ended(id)).status).toBe("succeeded");
  await edge.until("the end", async () => (await edge.call<Workload>("GET", "/workloads/left-acme")).state === "TERMINATED");
  expect(edge.automation.operations.filter((one) => one.includes(".left."))).toEqual([
    "up placement.acme.left.1",
    "up placement.acme.left.2",
    "destroy placement.acme.left.1",
    "destroy placement.acme.left.2",
  ]);
  expect(await states("left-acme")).toEqual(["PENDING", "PROVISIONING", "RUNNING", "MIGRATING", "STOPPING", "TERMINATED"]);
});

test("a workload that is removed while its first machine fails to come up is taken down, and leaves nothing behind", async () => {
  await edge.call("PUT", "/workloads/early-acme", spec());
  edge.automation.failing.set("up placement.acme.early.1", "no capacity");
  const { id } = await edge.call<Migration>("POST", "/workloads/early-acme/decisions", decision("early-acme", "deploy", offer("aws"), 0.05));
  expect((await edge.call<Workload>("DELETE", "/workloads/early-acme")).state).toBe("STOPPING");
  expect(await edge.ended(id)).toMatchObject({ status: "failed", step: "compensated" });
  await edge.until("the end", async () => (await edge.call<Workload>("GET", "/workloads/early-acme")).state === "TERMINATED");
  expect(edge.automation.operations.filter((one) => one.includes(".early."))).toEqual(["up placement.acme.early.1", "destroy placement.acme.early.1"]);
  const { items } = await edge.call<{ items: Placement[] }>("GET", "/workloads/early-acme/placements");
  expect(items.map((one) => one.state)).toEqual(["FAILED"]);
});
