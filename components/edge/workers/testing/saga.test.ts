/** The saga end to end in workerd: a first placement, a move, a refused machine, a removal. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Platform, type Received, served, until, ZONE } from "./platform";

const DIGEST = `sha256:${"a".repeat(64)}`;
const NOW = "2026-01-01T12:00:00Z";

function quote(region: string, spot: number) {
  const offer = { cloud: "aws", region, zone: `${region}a`, instanceType: "m5.large" };
  return { offer, spotUsdPerHour: spot, onDemandUsdPerHour: 0.1, interruptionsPerHour: null, source: "test", observedAt: NOW };
}

function decision(id: string, kind: string, region: string, spot: number, from: string | null) {
  const evidence = {
    marketNow: NOW,
    quote: quote(region, spot),
    quoteAgeSeconds: 0,
    currentQuote: null,
    expectedUsdPerHour: spot,
    currentUsdPerHour: null,
    moveCostUsd: 0,
    horizonHours: 720,
    netSavingUsd: null,
    netSavingShare: null,
    offersConsidered: 2,
    alternatives: [],
  };
  return { id, workload: "web-acme", kind, offer: quote(region, spot).offer, fromPlacement: from, boundaryDigest: DIGEST, evidence, reason: "cheapest", deadline: null };
}

type Shown = { state: string; activeMigration: string | null; placement: { id: string } | null; generation: number };

describe("the migration saga", () => {
  let platform: Platform;
  let automation: Awaited<ReturnType<typeof served>>;
  let failing = false;
  const origins: Awaited<ReturnType<typeof served>>[] = [];

  const runOf = ({ body }: Received) => {
    const request = body as { idempotencyKey: string; operation: string; stack: { kind: string }; migration: string; step: string };
    const failed = failing && request.operation === "up";
    return {
      id: `run-${request.idempotencyKey}`,
      stack: request.stack.kind,
      operation: request.operation,
      status: failed ? "failed" : "succeeded",
      error: failed ? "InsufficientInstanceCapacity" : null,
      changes: {},
      findings: [],
      outputs: {},
      acceptedAt: NOW,
      startedAt: NOW,
      finishedAt: NOW,
    };
  };

  beforeAll(async () => {
    automation = await served((received) => {
      if (received.path !== "/v1/runs") return { json: {} };
      const { migration, step } = received.body as { migration: string; step: string };
      const run = runOf(received);
      setTimeout(() => void platform.api("POST", `/migrations/${migration}/events`, { run, step }), 50);
      return { status: 202, json: { ...run, status: "running", finishedAt: null } };
    });
    platform = await Platform.start(automation.url);
    for (const generation of [1, 2, 3, 4, 5]) {
      const origin = await served(({ path }) => (path === "/healthz" ? { text: "ok" } : { text: `generation ${generation}` }));
      origins.push(origin);
      platform.origins.set(`web-acme-${generation}.origins.${ZONE}`, new URL(origin.url).host);
    }
    await platform.json("PUT", "/tenants/acme", { id: "acme", boundary: {}, boundaryDigest: DIGEST });
    await platform.json("PUT", "/prices", { marketNow: NOW, quotes: [quote("eu-west-1", 0.05), quote("eu-north-1", 0.03)] });
    const spec = { artifact: { digest: DIGEST, sizeBytes: 1 }, command: ["run"], ports: { http: 8080, tcp: null }, drainSeconds: 0.2, health: { intervalSeconds: 0.5 } };
    await platform.json("PUT", "/workloads/web-acme", spec);
  }, 60_000);

  afterAll(async () => {
    await platform?.close();
    automation?.close();
    for (const origin of origins) origin.close();
  });

  const shown = () => platform.json<Shown>("GET", "/workloads/web-acme");
  const settled = () =>
    until("a settled workload", async () => {
      const one = await shown();
      return one.activeMigration === null && one;
    });

  it("serves a first placement after its machine was seen healthy", async () => {
    expect((await platform.visit("web-acme")).status).toBe(404);
    await platform.json("POST", "/workloads/web-acme/decisions", decision("d1", "deploy", "eu-west-1", 0.05, null));
    const one = await settled();
    expect([one.state, one.placement?.id]).toEqual(["RUNNING", "acme_web_1"]);
    const answer = await platform.visit("web-acme");
    expect([answer.status, await answer.text(), answer.headers.get("x-spotlane-placement")]).toEqual([200, "generation 1", "acme_web_1"]);
  }, 30_000);

  it("takes the same decision twice as one", async () => {
    const again = await platform.json<{ id: string }>("POST", "/workloads/web-acme/decisions", decision("d1", "deploy", "eu-west-1", 0.05, null));
    expect(again.id).toBe("acme_web_1");
  });

  it("moves under traffic without a failed request, and destroys the old machine only afterwards", async () => {
    const stop = new AbortController();
    const counted = { requests: 0, failed: 0 };
    const traffic = (async () => {
      while (!stop.signal.aborted) {
        counted.requests += 1;
        const answer = await platform.visit("web-acme");
        if (answer.status !== 200) counted.failed += 1;
        await answer.text();
      }
    })();
    await platform.json("POST", "/workloads/web-acme/decisions", decision("d2", "move", "eu-north-1", 0.03, "acme_web_1"));
    const one = await settled();
    stop.abort();
    await traffic;
    expect([one.state, one.placement?.id, counted.failed]).toEqual(["RUNNING", "acme_web_2", 0]);
    expect(counted.requests).toBeGreaterThan(10);
    const runs = automation.received.filter(({ path }) => path === "/v1/runs").map(({ body }) => (body as { idempotencyKey: string }).idempotencyKey);
    expect(runs).toEqual(["acme_web_1:provision", "acme_web_2:provision", "acme_web_2:decommission:acme_web_1:1"]);
    const { moves } = await platform.json<{ moves: { migration: string; fromOffer: { region: string } | null }[] }>("GET", "/ledger?tenant=acme");
    expect(moves.map((move) => [move.migration, move.fromOffer?.region ?? null])).toEqual([
      ["acme_web_1", null],
      ["acme_web_2", "eu-west-1"],
    ]);
  }, 40_000);

  it("compensates a machine that can't be had: nothing changes for users", async () => {
    failing = true;
    await platform.json("POST", "/workloads/web-acme/decisions", decision("d3", "move", "eu-west-1", 0.05, "acme_web_2"));
    const one = await settled();
    failing = false;
    expect([one.state, one.placement?.id, one.generation]).toEqual(["RUNNING", "acme_web_2", 3]);
    const ended = await platform.json<{ status: string; error: string }>("GET", "/migrations/acme_web_3");
    expect([ended.status, ended.error]).toEqual(["failed", "provisioning failed: InsufficientInstanceCapacity"]);
  }, 40_000);

  it("refuses a decision whose price has moved", async () => {
    const answer = await platform.api("POST", "/workloads/web-acme/decisions", decision("d4", "move", "eu-west-1", 0.01, "acme_web_2"));
    const problem = (await answer.json()) as { type: string };
    expect([answer.status, problem.type]).toEqual([409, "https://spotlane.dev/problems/price-moved"]);
  });

  it("takes a removed workload out of the routes before its machine is destroyed", async () => {
    expect((await platform.api("DELETE", "/workloads/web-acme")).status).toBe(202);
    const one = await until("the end", async () => {
      const present = await shown();
      return present.state === "TERMINATED" && present;
    });
    expect(one.placement).toBeNull();
    expect((await platform.visit("web-acme", "/", { method: "POST", body: "x" })).status).toBe(503);
  }, 30_000);
});
