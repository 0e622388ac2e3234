import { env } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import { type Logs, logOf } from "../shared/logs";
import { migrate } from "../shared/schema";
import type { MachineLogs, PlacementState } from "../shared/wire";
import { spec } from "../tests/documents";
import { logs } from "./logs";
import type { Call } from "./operation";

beforeAll(() => migrate(env.DB));

/** A workload with generations in these states, of which `first` leads; those in `told` have told a line. */
async function workload(name: string, states: Record<number, PlacementState>, { first = null, told = [] as number[], on = true }: { first?: number | null; told?: number[]; on?: boolean } = {}) {
  const id = `${name}-acme`;
  const placement = (generation: number | null) => (generation === null ? null : `acme_${name}_${generation}`);
  const now = new Date().toISOString();
  await env.DB.prepare("insert into workloads values (?, 'acme', ?, 'RUNNING', '', ?, 0, ?, null, ?, ?)")
    .bind(id, name, JSON.stringify(spec({ logs: on })), placement(first), now, now)
    .run();
  for (const [generation, state] of Object.entries(states))
    await env.DB.prepare("insert into placements (id, workload, tenant, generation, state, document) values (?, ?, 'acme', ?, ?, '{}')")
      .bind(placement(Number(generation)), id, Number(generation), state)
      .run();
  for (const generation of told) {
    const one = placement(generation) ?? "";
    await logOf(env as unknown as Logs, one).append({ placement: one, first: 1, lines: [{ at: now, unit: "agent", message: `of ${generation}` }] });
  }
  const reply = await logs.find(({ id: operation }) => operation === "readMachineLogs")?.handle({ env, params: { workload: id }, query: {} } as unknown as Call);
  const { placement: read, lines, told: tells } = (reply as { document: MachineLogs }).document;
  return [read, lines.map(({ message }) => message), tells];
}

test("of several machines the workload's first is read, though others serve and a newer one begins", async () => {
  expect(await workload("many", { 1: "DESTROYED", 2: "SERVING", 3: "SERVING", 4: "PROVISIONING" }, { first: 3, told: [1, 3] })).toEqual(["acme_many_3", ["of 3"], true]);
});

test("where its first doesn't serve, the oldest that does is read; where none does, the newest that is there", async () => {
  expect(await workload("drained", { 1: "DRAINING", 2: "SERVING", 3: "SERVING" }, { first: 1 })).toEqual(["acme_drained_2", [], true]);
  expect(await workload("young", { 1: "DRAINING", 2: "FAILED", 3: "VERIFYING", 4: "FAILED" }, { first: 1, told: [1, 4] })).toEqual(["acme_young_3", [], true]);
});

test("where all are gone, the newest whose lines are kept is read, though the workload's file asks for none any more", async () => {
  expect(await workload("gone", { 1: "DESTROYED", 2: "FAILED", 3: "FAILED" }, { first: 1, told: [1, 2], on: false })).toEqual(["acme_gone_2", ["of 2"], true]);
});

test("a workload without a machine, and one of whose machines no line is left, has none", async () => {
  expect([await workload("fresh", {}), await workload("old", { 1: "DESTROYED" }, { on: false })]).toEqual([
    [null, [], true],
    [null, [], false],
  ]);
});
