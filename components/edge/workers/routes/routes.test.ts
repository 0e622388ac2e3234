import { abortAllDurableObjects, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test, vi } from "vitest";
import { type AuthorityStub, type Change, type Grant, LEASE_MARGIN_MS, LEASE_SECONDS, type Route } from "../shared/route";
import type { RoutesEnv } from "./authority";
import { TenantCopy } from "./copy";
import { Register } from "./register";
import type { RouteReplica } from "./replica";

/** A tenant of its own for each test, with one workload and one replica. */
let number = 0;
let tenant = "";
let label = "";
beforeEach(() => {
  number += 1;
  tenant = `acme${number}`;
  label = `web-${tenant}`;
});
const authority = () => env.AUTHORITIES.get(env.AUTHORITIES.idFromName(tenant));
const replica = () => env.REPLICAS.get(env.REPLICAS.idFromName(`weur-${number}`));
const target = (generation: number) => ({ placement: `acme_web_${generation}`, origin: `https://web-acme-${generation}.origins.edge.test`, tcpOrigin: null, weight: 1, healthy: true });
const change = (generation: number, ifVersion: number | null, fencingToken = generation): Change => ({
  label,
  targets: [target(generation)],
  access: "anonymous",
  drainSeconds: 0,
  ifVersion,
  fencingToken,
});

/** Cuts the authority off from its replicas; the way back. */
const partition = () =>
  runInDurableObject(authority(), (instance) => {
    const open = instance as unknown as { env: RoutesEnv };
    const whole = open.env;
    open.env = { ...whole, REPLICAS: { idFromName: () => "cut", get: () => ({ apply: () => Promise.reject(new Error("no route to the replica")) }) } as never };
    return () => {
      open.env = whole;
    };
  });
/** Has the replica reach its authority through `grant`; the way back. */
const through = (grant: (ask: () => Promise<Grant>) => Promise<Grant>) =>
  runInDurableObject(replica(), (instance) => {
    const open = instance as unknown as { env: RoutesEnv };
    const whole = open.env;
    const between = (id: DurableObjectId) => ({ grant: (name: string, have: number) => grant(() => (whole.AUTHORITIES.get(id) as unknown as AuthorityStub).grant(name, have)) });
    open.env = { ...whole, AUTHORITIES: { idFromName: (name: string) => whole.AUTHORITIES.idFromName(name), get: between } as never };
    return () => {
      open.env = whole;
    };
  });
/** Lets every lease that the authority granted end after `ms`. */
const shorten = (ms: number) => runInDurableObject(authority(), (_, state) => void state.storage.sql.exec("update leases set until = ?", Date.now() + ms));

test("versions grow by one, and a commit that follows an old version is refused", async () => {
  const acme = authority();
  expect(await acme.commit(change(1, 0))).toEqual({ ok: true, version: 1 });
  expect(await acme.commit(change(2, 1))).toEqual({ ok: true, version: 2 });
  expect(await acme.commit(change(3, 1))).toEqual({ ok: false, reason: "version", version: 2 });
  expect((await acme.lookup(label)).route?.targets).toEqual([target(2)]);
});

test("of thirty commits that follow the same version, one wins", async () => {
  const acme = authority();
  const done = await Promise.all(Array.from({ length: 30 }, (_, at) => acme.commit({ ...change(at + 1, 0), fencingToken: 1 })));
  expect(done.filter(({ ok }) => ok)).toHaveLength(1);
  expect((await acme.lookup(label)).route?.version).toBe(1);
});

test("the same commit again is the same version; a stale fencing token is refused", async () => {
  const acme = authority();
  await acme.commit(change(5, 0));
  expect(await acme.commit(change(5, 0))).toEqual({ ok: true, version: 1 });
  expect(await acme.commit(change(4, 1))).toEqual({ ok: false, reason: "fencing", version: 1 });
});

test("a commit resolves when the replicas that were asked before have it", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  expect((await replica().lookup(label, false)).route?.version).toBe(1);
  await acme.commit(change(2, 1));
  expect((await replica().lookup(label, false)).route?.version).toBe(2);
});

test("a replica keeps the newer of two routes, whatever order they come in", async () => {
  const route = (version: number): Route => ({ label, tenant, version, targets: [target(version)], access: "anonymous", drainSeconds: 0, updatedAt: "" });
  const copy = new TenantCopy();
  for (const version of [7, 6]) copy.take({ from: 0, revision: version, routes: [route(version)], revoked: [] });
  expect(copy.known(label, 0).route?.version).toBe(7);
});

test("a commit waits for an unreachable replica until that one may no longer answer", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  await replica().lookup(label, false);
  await partition();
  await shorten(600);
  const begun = Date.now();
  expect(await acme.commit(change(2, 1))).toEqual({ ok: true, version: 2 });
  expect(Date.now() - begun).toBeGreaterThanOrEqual(550);
});

test("a replica without its lease and without its authority answers nothing rather than something old", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  const weur = replica();
  await weur.lookup(label, false);
  const asked = await runInDurableObject(weur, async (instance) => {
    const cut = { idFromName: () => "cut", get: () => ({ grant: () => Promise.reject(new Error("no route to the authority")) }) };
    const open = instance as unknown as RouteReplica & { env: RoutesEnv };
    (open as { env: RoutesEnv }).env = { ...open.env, AUTHORITIES: cut as never };
    const within = await open.lookup(label, false);
    const after = await open.lookup(label, true).catch((error: Error) => error.message);
    return { within: within.route?.version, after };
  });
  expect(asked).toEqual({ within: 1, after: "no route to the authority" });
});

test("the fallback store learns which workloads there are, never where they are, and is retried until it has them", async () => {
  const acme = authority();
  await runInDurableObject(acme, (instance) => {
    const open = instance as unknown as { env: RoutesEnv };
    open.env = { ...open.env, ROUTES: { put: () => Promise.reject(new Error("KV is away")) } as never };
  });
  await acme.commit(change(1, 0));
  expect(await env.ROUTES.get(`known:${label}`)).toBeNull();
  await runInDurableObject(acme, (instance, state) => {
    const open = instance as unknown as { env: RoutesEnv };
    open.env = { ...open.env, ROUTES: env.ROUTES };
    state.storage.sql.exec("update outbox set due = 0");
  });
  expect(await runDurableObjectAlarm(acme)).toBe(true);
  expect(await env.ROUTES.get(`known:${label}`)).toBe("1");
  expect((await env.ROUTES.list()).keys.filter(({ name }) => name.includes(label))).toEqual([expect.objectContaining({ name: `known:${label}` })]);
});

test("a target out of rotation is a version of its own, and no reason for the same commit to be another", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  expect(await acme.mark(label, "acme_web_1", false)).toBe(true);
  expect((await acme.lookup(label)).route).toMatchObject({ version: 2, targets: [{ placement: "acme_web_1", healthy: false }] });
  expect(await acme.mark(label, "acme_web_1", false)).toBe(true);
  expect(await acme.commit(change(1, 0))).toEqual({ ok: true, version: 2 });
  expect(await acme.mark(label, "acme_web_9", false)).toBe(false);
  expect(await acme.mark("api-nowhere", "acme_web_1", true)).toBe(false);
});

test("the same targets under another access are another version", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  expect(await acme.commit({ ...change(1, 1), access: "token" })).toEqual({ ok: true, version: 2 });
});

test("a replica that missed a refusal gets it with the next push", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  await replica().lookup(label, false);
  await runInDurableObject(acme, (_, state) => void new Register(state.storage.sql, tenant).revoke([{ subject: "key_1", until: Date.now() + 60_000 }], Date.now()));
  expect((await replica().lookup(label, false)).revoked).toEqual([]);
  await acme.revoke([{ subject: "key_2", until: Date.now() + 60_000 }]);
  expect((await replica().lookup(label, false)).revoked.sort()).toEqual(["key_1", "key_2"]);
});

test("a refusal ends with its time, and a later end wins", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  await acme.revoke([{ subject: "key_1", until: Date.now() + 60_000 }]);
  await acme.revoke([
    { subject: "key_1", until: Date.now() - 1 },
    { subject: "key_2", until: Date.now() - 1 },
  ]);
  expect((await acme.lookup(label)).revoked).toEqual(["key_1"]);
  expect((await replica().lookup(label, false)).revoked).toEqual(["key_1"]);
});

test("a commit that waits holds up neither a later one of its workload nor another workload's", async () => {
  const acme = authority();
  const other = `api-${tenant}`;
  await acme.commit(change(1, 0));
  await replica().lookup(label, false);
  const mend = await partition();
  const order: string[] = [];
  const second = acme.commit(change(2, 1)).then((done) => order.push(`second ${JSON.stringify(done)}`));
  const third = acme.commit(change(3, 2)).then((done) => order.push(`third ${JSON.stringify(done)}`));
  const elsewhere = acme.commit({ ...change(4, 0), label: other }).then(() => order.push("elsewhere"));
  const versions = async () => [(await acme.lookup(label)).route?.version, (await acme.lookup(other)).route?.version];
  await vi.waitFor(async () => expect(await versions()).toEqual([3, 1]), 5_000);
  expect(order).toEqual([]);
  mend();
  await Promise.all([second, third, elsewhere]);
  expect(order.sort()).toEqual(["elsewhere", 'second {"ok":true,"version":2}', 'third {"ok":true,"version":3}']);
  expect((await replica().lookup(label, false)).route?.version).toBe(3);
});

test("what an eviction left undelivered is delivered by the alarm", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  await replica().lookup(label, false);
  await runInDurableObject(acme, async (_, state) => {
    new Register(state.storage.sql, tenant).mark(label, "acme_web_1", false, Date.now());
    await state.storage.setAlarm(Date.now() + 60_000);
  });
  expect((await replica().lookup(label, false)).route?.version).toBe(1);
  expect(await runDurableObjectAlarm(acme)).toBe(true);
  expect((await replica().lookup(label, false)).route?.version).toBe(2);
});

test("objects that begin anew answer by nothing older", async () => {
  await authority().commit(change(1, 0));
  await replica().lookup(label, false);
  await authority().commit(change(2, 1));
  await abortAllDurableObjects();
  expect((await replica().lookup(label, false)).route?.version).toBe(2);
  expect(await authority().commit(change(3, 2))).toEqual({ ok: true, version: 3 });
  expect((await replica().lookup(label, false)).route?.version).toBe(3);
});

test("objects that their alarm woke know their names", async () => {
  await authority().commit(change(1, 0));
  const mend = await through(() => Promise.reject(new Error("no route to the authority")));
  await runInDurableObject(replica(), (instance) => (instance as RouteReplica).lookup(label, false).catch(() => undefined));
  mend();
  await authority().revoke([{ subject: "key_1", until: Date.now() + 60_000 }]);
  await abortAllDurableObjects();
  await runDurableObjectAlarm(replica());
  expect((await replica().lookup(label, false)).route?.version).toBe(1);
  await runDurableObjectAlarm(authority());
  expect(await authority().commit(change(2, 1))).toEqual({ ok: true, version: 2 });
  expect((await replica().lookup(label, false)).route?.version).toBe(2);
});

test("what a question that waited for a grant is told counts from when the grant was asked for", async () => {
  await authority().commit(change(1, 0));
  const mend = await through(async (ask) => {
    await new Promise((resolve) => setTimeout(resolve, 800));
    return ask();
  });
  expect((await replica().lookup(label, false)).afterMs).toBeLessThan(600);
  mend();
});

test("a grant that took longer than its lease is none", () => {
  const copy = new TenantCopy();
  copy.granted({ from: 0, revision: 1, routes: [], revoked: [], leaseSeconds: LEASE_SECONDS }, 1_000);
  expect(copy.left(1_000)).toBe(LEASE_SECONDS * 1000 - LEASE_MARGIN_MS);
  expect(copy.left(1_000 + LEASE_SECONDS * 1000 - LEASE_MARGIN_MS)).toBe(0);
  expect(copy.left(999)).toBe(0);
});

test("a replica that begins anew has no lease after a push, and a grant older than that push is none", () => {
  const copy = new TenantCopy();
  copy.take({ from: 5, revision: 6, routes: [], revoked: [] });
  expect(copy.granted({ from: 0, revision: 5, routes: [], revoked: [], leaseSeconds: LEASE_SECONDS }, 0)).toBe(false);
  expect(copy.left(0)).toBe(0);
  expect(copy.granted({ from: 5, revision: 6, routes: [], revoked: [], leaseSeconds: LEASE_SECONDS }, 0)).toBe(true);
  expect(copy.left(0)).toBeGreaterThan(0);
});

test("after a partition the replica has its lease again without being asked", async () => {
  const acme = authority();
  await acme.commit(change(1, 0));
  const mend = await through(() => Promise.reject(new Error("no route to the authority")));
  await expect(runInDurableObject(replica(), (instance) => (instance as RouteReplica).lookup(label, false))).rejects.toThrow("no route to the authority");
  await expect(runInDurableObject(replica(), (instance) => (instance as RouteReplica).lookup(label, false))).rejects.toThrow("it is tried again within");
  mend();
  await runDurableObjectAlarm(replica());
  expect(await runInDurableObject(acme, (_, state) => new Register(state.storage.sql, tenant).leases(Date.now()))).toHaveLength(1);
});

test("a tenant that doesn't exist costs no storage, and its first commit counts at once", async () => {
  expect((await replica().lookup(label, false)).route).toBeNull();
  const tables = () => runInDurableObject(authority(), (_, state) => [...state.storage.sql.exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'")]);
  expect(await tables()).toEqual([]);
  await authority().commit(change(1, 0));
  expect((await replica().lookup(label, false)).route?.version).toBe(1);
});

test("an authority of an earlier release keeps its routes, and replicas get them", async () => {
  const route = { label, tenant, version: 7, targets: [target(7)], access: "anonymous", drainSeconds: 0, updatedAt: "" };
  await runInDurableObject(authority(), (_, { storage: { sql } }) => {
    sql.exec(`
      create table routes (label text primary key, version integer not null, fencing integer not null, document text not null);
      create table leases (replica text primary key, until integer not null);
      create table outbox (label text primary key, version integer not null);
      create table revoked (subject text primary key, until integer not null);
    `);
    sql.exec("insert into routes values (?, 7, 3, ?)", label, JSON.stringify(route));
    sql.exec("insert into revoked values ('key_1', ?)", Date.now() + 60_000);
  });
  await abortAllDurableObjects();
  expect(await replica().lookup(label, false)).toMatchObject({ route: { version: 7 }, revoked: ["key_1"], revision: 1 });
  expect(await authority().commit(change(8, 7))).toEqual({ ok: true, version: 8 });
});

test("a commit of other machines leaves one out of rotation that is", async () => {
  const acme = authority();
  const both: Change = { ...change(1, 0), targets: [target(1), target(2)] };
  await acme.commit(both);
  await acme.mark(label, "acme_web_2", false);
  await acme.commit({ ...both, targets: [target(3), target(2)], ifVersion: 2, fencingToken: 2 });
  expect((await acme.lookup(label)).route?.targets.map(({ placement, healthy }) => [placement, healthy])).toEqual([
    ["acme_web_3", true],
    ["acme_web_2", false],
  ]);
});
