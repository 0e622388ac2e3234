import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import type { Change, Route } from "../shared/route";
import type { RoutesEnv } from "./authority";
import { TenantCopy } from "./copy";
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

/** Cuts the authority off from its replicas. */
const partition = () =>
  runInDurableObject(authority(), (instance) => {
    const cut = { idFromName: () => "cut", get: () => ({ apply: () => Promise.reject(new Error("no route to the replica")) }) };
    const open = instance as unknown as { env: RoutesEnv };
    open.env = { ...open.env, REPLICAS: cut as never };
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

test("the fallback store follows, and is retried until it has the route", async () => {
  const acme = authority();
  await runInDurableObject(acme, (instance) => {
    const open = instance as unknown as { env: RoutesEnv };
    open.env = { ...open.env, ROUTES: { put: () => Promise.reject(new Error("KV is away")) } as never };
  });
  await acme.commit(change(1, 0));
  expect(await env.ROUTES.get(`route:${label}`)).toBeNull();
  await runInDurableObject(acme, (instance) => {
    const open = instance as unknown as { env: RoutesEnv };
    open.env = { ...open.env, ROUTES: env.ROUTES };
  });
  expect(await runDurableObjectAlarm(acme)).toBe(true);
  expect(JSON.parse((await env.ROUTES.get(`route:${label}`)) ?? "null")).toMatchObject({ version: 1, targets: [target(1)] });
});
