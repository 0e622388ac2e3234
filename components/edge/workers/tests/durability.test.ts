/** What must not get lost: notices, machines that can't be destroyed, changes of a running workload, figures of the ledger. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LedgerHour, Placement, Problem, Workload, WorkloadEvent } from "../shared/wire";
import { offer, quote, spec } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

const workload = (id: string): Promise<Workload> => edge.call<Workload>("GET", `/workloads/${id}`);
const placements = async (id: string): Promise<[string, string][]> =>
  (await edge.call<{ items: Placement[] }>("GET", `/workloads/${id}/placements`)).items.map((one): [string, string] => [one.id, one.state]);
const reasons = async (id: string): Promise<string[]> => (await edge.call<{ items: WorkloadEvent[] }>("GET", `/workloads/${id}/events`)).items.map(({ reason }) => reason);

test("a notice is acknowledged while the automation service is away, survives a restart of the edge, and is told once it is back", async () => {
  await edge.serving("spot-acme");
  const { accessToken } = await edge.call<{ accessToken: string }>("POST", "/placements/acme_spot_1/credentials");
  const notice = { placement: "acme_spot_1", kind: "interruption", deadline: "2026-03-01T12:02:00Z", detail: "AWS will terminate the instance" };
  edge.automation.away = true;
  expect((await edge.request("POST", "/incidents", notice, accessToken)).status).toBe(202);
  await edge.restart();
  edge.automation.away = false;
  expect(await edge.until("the notice", async () => edge.automation.incidents.find(({ placement }) => placement === "acme_spot_1"))).toEqual(notice);
  expect((await edge.request("POST", "/incidents", notice, accessToken)).status).toBe(202);
  const ended = await edge.ended((await edge.move(await workload("spot-acme"), "gcp", { kind: "interruption" })).id);
  expect(ended.status).toBe("succeeded");
  const told = edge.automation.incidents.length;
  await edge.cron("health");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(edge.automation.incidents).toHaveLength(told);
});

test("a notice of a placement that doesn't exist is refused", async () => {
  const notice = { placement: "acme_nobody_7", kind: "interruption", deadline: null, detail: "" };
  expect((await edge.request("POST", "/incidents", notice)).status).toBe(404);
});

test("a machine that can't be destroyed is shown as an orphan, and is gone once the cloud lets go", async () => {
  const before = await edge.serving("stuck-acme");
  edge.automation.stuck.add("destroy placement.acme.stuck.1");
  const ended = await edge.ended((await edge.move(before, "azure")).id, 40);
  expect([ended.status, await placements("stuck-acme")]).toEqual([
    "succeeded",
    [
      ["acme_stuck_2", "SERVING"],
      ["acme_stuck_1", "ORPHANED"],
    ],
  ]);
  expect(await reasons("stuck-acme")).toContain("placement.acme.stuck.1 could not be destroyed: the cloud refuses; it is tried again until it is gone");
  expect(await workload("stuck-acme")).toMatchObject({ state: "RUNNING", activeMigration: null });
  edge.automation.stuck.clear();
  await edge.until("the sweep", async () => {
    await edge.cron("control");
    return (await placements("stuck-acme"))[1]?.[1] === "DESTROYED";
  });
  expect(await reasons("stuck-acme")).toContain("placement.acme.stuck.1 is destroyed at last");
}, 60_000);

test("an automation service that is away for a moment delays a saga by that moment only", async () => {
  const before = await edge.serving("away-acme");
  const { id } = await edge.move(before, "azure");
  edge.automation.away = true;
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  edge.automation.away = false;
  const back = Date.now();
  expect((await edge.ended(id)).status).toBe("succeeded");
  expect(Date.now() - back).toBeLessThan(10_000);
}, 40_000);

test("a new and a changed workload are told to the automation service at once, an unchanged one isn't", async () => {
  const told = (): number => edge.automation.nudges.filter((one) => one === "told-acme").length;
  await edge.call("PUT", "/workloads/told-acme", spec());
  await edge.until("the first word", async () => told() === 1);
  await edge.call("PUT", "/workloads/told-acme", spec());
  await edge.call("PUT", "/workloads/told-acme", spec({ drainSeconds: 7 }));
  await edge.until("the second word", async () => told() === 2);
  edge.automation.away = true;
  expect((await edge.request("PUT", "/workloads/told-acme", spec({ drainSeconds: 8 }))).status).toBe(200);
  edge.automation.away = false;
});

test("a running workload whose declaration changed differs from its placement until it is redeployed", async () => {
  const before = await edge.serving("re-acme");
  expect(before.placement?.fingerprint).toBe(before.fingerprint);
  await edge.call("PUT", "/workloads/re-acme", spec({ placement: { ...spec().placement, threshold: 0.5 }, resources: { ...spec().resources, vcpu: 8 } }));
  expect((await workload("re-acme")).fingerprint).toBe(before.fingerprint);
  for (const change of [{ command: ["./other"] }, { env: { A: "1" } }, { ports: { tcp: 7000 } }, { access: "token" as const }, { drainSeconds: 1 }]) {
    await edge.call("PUT", "/workloads/re-acme", spec(change));
    expect((await workload("re-acme")).fingerprint).not.toBe(before.fingerprint);
  }
  const { id } = await edge.move(before, "aws", { kind: "redeploy" });
  expect((await edge.ended(id)).status).toBe("succeeded");
  const after = await workload("re-acme");
  expect([after.placement?.id, after.placement?.fingerprint]).toEqual(["acme_re_2", after.fingerprint]);
});

test("an hour of the ledger stands as it was written: other figures for it are named and refused, new hours beside them are kept", async () => {
  const hour = (at: number, paidUsd: string): LedgerHour => ({
    placement: "acme_led_1",
    workload: "led-acme",
    tenant: "acme",
    hour: `2026-03-01T${String(at).padStart(2, "0")}:00:00Z`,
    seconds: 3600,
    paidUsd,
    onDemandUsd: "0.300000",
    stayedUsd: "0.200000",
    quote: quote(offer("aws"), 0.1),
    stayedOffer: offer("aws"),
    beforeUsd: null,
    beforeOffer: null,
    capacity: "spot",
  });
  expect((await edge.request("PUT", "/ledger/hours", [hour(1, "0.100000")])).status).toBe(204);
  expect((await edge.request("PUT", "/ledger/hours", [hour(1, "0.100000")])).status).toBe(204);
  const refused = await edge.request("PUT", "/ledger/hours", [hour(1, "0.100001"), hour(2, "0.100000"), hour(3, "0.1"), hour(3, "0.2")]);
  const { type, detail } = (await refused.json()) as Problem;
  expect([refused.status, type]).toEqual([409, "https://spotlane.dev/problems/ledger-conflict"]);
  expect(detail.split("; ")).toEqual([
    "acme_led_1 2026-03-01T01:00:00Z: 3600 s, paid 0.100000, on-demand 0.300000, stayed 0.200000 USD stands, 3600 s, paid 0.100001, on-demand 0.300000, stayed 0.200000 USD was sent",
    "acme_led_1 2026-03-01T03:00:00Z: 3600 s, paid 0.100000, on-demand 0.300000, stayed 0.200000 USD stands, 3600 s, paid 0.200000, on-demand 0.300000, stayed 0.200000 USD was sent",
  ]);
  const { totals } = await edge.call<{ totals: { paidUsd: string; hours: number } }>("GET", "/ledger?workload=led-acme");
  expect(totals).toMatchObject({ paidUsd: "0.300000", hours: 3 });
});
