import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { placementBy, putPlacement, workloadRow } from "../shared/records";
import { migrate } from "../shared/schema";
import type { Decision, Placement, RunRequest } from "../shared/wire";
import { book, decision, MARKET_NOW, offer, quote, spec } from "../tests/documents";
import { Effects, type Subject } from "./effects";
import type { ControlEnv } from "./env";

/** A tenant of its own for each test: `acme<n>` with workload `web` served by generation 1 and a move to generation 2 at work. */
let number = 0;
let tenant = "";
let workload = "";
let id = "";
const watched: string[] = [];
const bound = (): ControlEnv =>
  ({
    ...env,
    HEALTH: { watch: async ({ placement }: { placement: string }) => void watched.push(placement), unwatch: async () => undefined },
    AUTH: {},
    MIGRATIONS: {},
    AUTOMATION_URL: "",
  }) as unknown as ControlEnv;
const prices = () => env.PRICES.get(env.PRICES.idFromName("market"));
const placement = (generation: number, state: Placement["state"]): Placement => ({
  id: `${tenant}_web_${generation}`,
  workload,
  tenant,
  generation,
  state,
  offer: offer("aws"),
  origin: `https://${workload}-${generation}.origins.edge.test`,
  tcpOrigin: null,
  quote: quote(offer("aws"), 0.05),
  createdAt: MARKET_NOW,
  marketCreatedAt: MARKET_NOW,
  marketServedFrom: generation === 1 ? MARKET_NOW : null,
  marketServedUntil: null,
  fingerprint: null,
  marketReadyFrom: null,
  replaces: null,
  beside: false,
  capacity: "spot",
});

beforeEach(async () => {
  number += 1;
  tenant = `acme${number}`;
  workload = `web-${tenant}`;
  id = `${tenant}_web_2`;
  await migrate(env.DB);
  await prices().put(book(MARKET_NOW, [quote(offer("azure"), 0.03)]));
  const move: Decision = { ...decision(workload, "move", offer("azure"), 0.03), fromPlacement: `${tenant}_web_1` };
  await env.DB.prepare("insert into workloads values (?, ?, 'web', 'MIGRATING', '', ?, 2, ?, ?, '', '')").bind(workload, tenant, JSON.stringify(spec()), `${tenant}_web_1`, id).run();
  await env.DB.prepare("insert into migrations values (?, ?, ?, 2, 'move', 'reserve', 'running', 1, ?, ?, null, null, '', null)")
    .bind(id, workload, tenant, `${tenant}_web_1`, JSON.stringify(move))
    .run();
  await putPlacement(env.DB, placement(1, "SERVING"));
  await putPlacement(env.DB, placement(2, "PROVISIONING"));
});

const begun = async (): Promise<{ effects: Effects; subject: Subject; token: number }> => {
  const effects = new Effects(bound());
  const subject = await effects.load(id);
  return { effects, subject, token: await effects.reserve(subject) };
};

test("a saga that begins anew sees whether its placement is in the route already", async () => {
  const { effects, subject, token } = await begun();
  expect(subject.committed).toBeNull();
  const version = await effects.commit(subject, await placementBy(env.DB, id), token);
  expect((await effects.load(id)).committed).toBe(version);
});

test("the placement that serves is the decision's, also when the new one has become the workload's", async () => {
  const { effects, subject, token } = await begun();
  await effects.serve(subject, await effects.commit(subject, await placementBy(env.DB, id), token));
  expect((await effects.load(id)).serving?.id).toBe(`${tenant}_web_1`);
});

test("a stale fencing token is refused by the steps and by the route", async () => {
  const { effects, subject, token } = await begun();
  await prices().release(workload, id);
  await prices().reserve({ ...subject.migration.decision, id: "next" }, `${tenant}_web_3`);
  await expect(effects.fence(subject, token)).rejects.toThrow("no longer holds the lease (fencing token 1)");
  await effects.commit({ ...subject, migration: { ...subject.migration, id: `${tenant}_web_3` } }, placement(3, "VERIFYING"), token + 1);
  await expect(effects.commit(subject, placement(2, "VERIFYING"), token)).rejects.toThrow("no longer holds the lease");
});

test("serving twice is serving once, and brings no destroyed machine back", async () => {
  const { effects, subject } = await begun();
  await effects.serve(subject, 2);
  await effects.gone(`${tenant}_web_1`, "DESTROYED");
  await effects.serve(subject, 2);
  const [one, two] = await Promise.all([placementBy(env.DB, `${tenant}_web_1`), placementBy(env.DB, id)]);
  expect([one?.state, one?.marketServedUntil, two?.state, two?.marketServedFrom]).toEqual(["DESTROYED", two?.marketServedFrom, "SERVING", one?.marketServedUntil]);
});

test("an end that was cut off anywhere is an end when it is done again: one event, lease free, row closed", async () => {
  const { effects, subject } = await begun();
  for (const _ of [1, 2]) await effects.end(subject, null, "RUNNING", "moved");
  expect(await effects.over(subject)).toBe(true);
  const row = await workloadRow(env.DB, workload);
  const events = await env.DB.prepare("select state, reason from events where workload = ?").bind(workload).all();
  expect([row?.state, row?.active_migration, events.results]).toEqual(["RUNNING", null, [{ state: "RUNNING", reason: "moved" }]]);
  expect(await prices().reserve({ ...subject.migration.decision, id: "next" }, `${tenant}_web_3`)).toMatchObject({ ok: true, token: 2 });
});

test("an end whose workload has begun another migration leaves that one's state alone", async () => {
  const { effects, subject } = await begun();
  await env.DB.prepare("update workloads set active_migration = ?, state = 'PROVISIONING' where id = ?").bind(`${tenant}_web_3`, workload).run();
  await effects.end(subject, "late", "FAILED", "late");
  const row = await workloadRow(env.DB, workload);
  expect([row?.state, row?.active_migration]).toEqual(["PROVISIONING", `${tenant}_web_3`]);
});

test("a move that gave its lease away says where it stays, unless the one at work is about the first machine", async () => {
  const { effects, subject } = await begun();
  const next = `${tenant}_web_3`;
  const taken = (from: string) =>
    env.DB.prepare("insert or replace into migrations values (?, ?, ?, 3, 'interruption', 'provision', 'running', 2, ?, '{}', null, null, '', null)").bind(next, workload, tenant, from).run();
  await env.DB.prepare("update workloads set active_migration = ? where id = ?").bind(next, workload).run();
  await taken(`${tenant}_web_1`);
  await effects.end(subject, "fenced", "RUNNING", "it stays where it is");
  expect((await workloadRow(env.DB, workload))?.state).toBe("MIGRATING");
  await taken(`${tenant}_web_9`);
  await effects.end(subject, "fenced", "RUNNING", "it stays where it is");
  expect(await workloadRow(env.DB, workload)).toMatchObject({ state: "RUNNING", active_migration: next });
});

test("a saga that begins anew doesn't take up what another one has put an end to", async () => {
  const { effects, subject } = await begun();
  await env.DB.prepare("update workloads set active_migration = null where id = ?").bind(workload).run();
  await expect(effects.reserve(subject)).rejects.toThrow("no longer holds the lease");
});

test("a stack that couldn't be destroyed is kept once, with one event", async () => {
  const { effects, subject } = await begun();
  const request: RunRequest = effects.placementRun(subject, `${tenant}_web_1`, "decommission", `${id}:decommission`);
  for (const _ of [1, 2]) await effects.orphan(subject, request, "the cloud refuses");
  const kept = await env.DB.prepare("select stack, placement, attempt from orphans where workload = ?").bind(workload).all();
  expect(kept.results).toEqual([{ stack: `placement.${tenant}.web.1`, placement: `${tenant}_web_1`, attempt: 0 }]);
  const events = await env.DB.prepare("select state from events where workload = ?").bind(workload).all();
  expect([events.results, (await placementBy(env.DB, `${tenant}_web_1`))?.state]).toEqual([[{ state: "MIGRATING" }], "ORPHANED"]);
});

test.each(["ledger_moves", "ledger_hours", "spend_alerts"])("what is in %s can't be changed or deleted", async (table) => {
  const { effects, subject } = await begun();
  await effects.record(subject);
  await env.DB.prepare("insert or ignore into ledger_hours values (?, 'h', ?, ?, 1, 1, 1, 1, '{}')").bind(id, workload, tenant).run();
  await env.DB.prepare("insert or ignore into spend_alerts values (?, '2026-03', 50, ?, ?, '{}', 'now')").bind(tenant, tenant, workload).run();
  for (const statement of [`update ${table} set document = '{}' where tenant = ?`, `delete from ${table} where tenant = ?`])
    await expect(env.DB.prepare(statement).bind(tenant).run()).rejects.toThrow("the ledger is append-only");
});

test("only the lease's holder with its token holds it", async () => {
  const { token } = await begun();
  const holds = (holder: string, held: number) => prices().holds(workload, holder, held);
  expect([await holds(id, token), await holds(id, token - 1), await holds(`${tenant}_web_1`, token)]).toEqual([true, false, false]);
});
