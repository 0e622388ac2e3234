import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Migration, Workload } from "../shared/wire";
import { TestEdge } from "./edge";

const SLOW_TO_TRUST = { health: { path: "/healthz", intervalSeconds: 0.5, timeoutSeconds: 1, healthyCount: 20, unhealthyCount: 3 } };

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

const interrupt = async (workload: Workload, seconds: number): Promise<Migration> =>
  edge.move(workload, "gcp", { kind: "interruption", deadline: new Date(Date.now() + seconds * 1000).toISOString() });

test("with seconds left, one healthy answer of the new machine commits", async () => {
  const workload = await edge.serving("spot-acme", SLOW_TO_TRUST);
  const begun = Date.now();
  const { id } = await interrupt(workload, 5);
  const version = await edge.until("the commit", async () => (await edge.call<Migration>("GET", `/migrations/${id}`)).routeVersion);
  expect([version, Date.now() - begun < 5_000]).toEqual([2, true]);
  expect((await edge.ended(id)).status).toBe("succeeded");
  expect(await (await edge.fetch("spot-acme.workloads", "/")).json()).toEqual({ machine: "spot-acme-2" });
});

test("after the deadline the old machine is out of rotation; a GET waits for the new one, a POST is told when to come again", async () => {
  const workload = await edge.serving("late-acme");
  const old = edge.machine("acme_late_1");
  edge.automation.delayMs = 3_000;
  const { id } = await interrupt(workload, 1);
  const withdrawn = await edge.until("the withdrawal", async () => {
    const answer = await edge.fetch("late-acme.workloads", "/", { method: "POST", body: "once" });
    await answer.text();
    return answer.status === 503 && answer.headers.get("retry-after");
  });
  expect(withdrawn).toBe("5");
  const asked = old.requests.length;
  const held = await edge.fetch("late-acme.workloads", "/");
  expect([held.status, await held.json(), old.requests.length]).toEqual([200, { machine: "late-acme-2" }, asked]);
  expect(await edge.ended(id)).toMatchObject({ status: "succeeded", routeVersion: 3 });
});

test("where no machine can be had, the old one is tried again and the workload is shown as interrupted", async () => {
  const workload = await edge.serving("none-acme");
  edge.automation.delayMs = 2_000;
  edge.automation.failing.set("up placement.acme.none.2", "no capacity");
  const { id } = await interrupt(workload, 1);
  expect(await edge.ended(id)).toMatchObject({ status: "failed", step: "compensated" });
  expect(await edge.call<Workload>("GET", "/workloads/none-acme")).toMatchObject({ state: "INTERRUPTED", placement: { id: "acme_none_1" } });
  expect(await (await edge.fetch("none-acme.workloads", "/")).json()).toEqual({ machine: "none-acme-1" });
});

test("a serving machine that fails its probes is reported once to the automation service", async () => {
  await edge.serving("sick-acme", { health: { path: "/healthz", intervalSeconds: 0.5, timeoutSeconds: 1, healthyCount: 1, unhealthyCount: 2 } });
  edge.machine("acme_sick_1").healthy = false;
  const incident = await edge.until("the incident", async () => edge.automation.incidents.find(({ placement }) => placement === "acme_sick_1"));
  expect(incident).toMatchObject({ kind: "unhealthy", deadline: null, detail: "2 checks of /healthz failed in a row, the last one: HTTP 503" });
});

test("while its machine is out of rotation a GET waits for it and a POST is told when to come again; it comes back by itself", async () => {
  await edge.serving("blip-acme", { health: { healthyCount: 2, unhealthyCount: 2 } });
  const machine = edge.machine("acme_blip_1");
  machine.healthy = false;
  await edge.until("the end of rotation", async () => {
    const answer = await edge.fetch("blip-acme.workloads", "/", { method: "POST", body: "once" });
    await answer.text();
    return answer.status === 503 && answer.headers.get("retry-after") === "5";
  });
  await edge.until("the state", async () => (await edge.call<Workload>("GET", "/workloads/blip-acme")).state === "UNHEALTHY");
  const held = edge.fetch("blip-acme.workloads", "/");
  machine.healthy = true;
  const answer = await held;
  expect([answer.status, await answer.json()]).toEqual([200, { machine: "blip-acme-1" }]);
  await edge.until("the state", async () => (await edge.call<Workload>("GET", "/workloads/blip-acme")).state === "RUNNING");
});
