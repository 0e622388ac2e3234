import { expect, test } from "vitest";
import { Beliefs } from "./belief";
import { Lookup, type LookupEnv, pick, RoutesUnavailable } from "./lookup";
import { type Answer, HARD_MS, hintOf, type Known, type Route, SOFT_MS } from "./route";

const LABEL = "web-acme";
const REQUEST = new Request("https://web-acme.workloads.edge.test/");
const route = (version: number): Route => ({
  label: LABEL,
  tenant: "acme",
  version,
  targets: [{ placement: `acme_web_${version}`, origin: `https://web-acme-${version}.origins.edge.test`, tcpOrigin: null, weight: 1, healthy: true }],
  access: "anonymous",
  drainSeconds: 0,
  updatedAt: "",
});
const answer = (version: number, changes: Partial<Answer> = {}): Answer => ({ route: route(version), revoked: [], revision: version, afterMs: 0, ...changes });

type Source = () => Promise<Answer>;
const says =
  (what: Answer): Source =>
  async () =>
    what;
const fails: Source = () => Promise.reject(new Error("no route to it"));
const hangs: Source = () => new Promise(() => undefined);

/** The sources of routes; each may be replaced between questions, and counts them. */
class Sources {
  replica: Source = says(answer(1));
  authority: Source = says(answer(1));
  store: () => Promise<string | null> = async () => "1";
  readonly asked = { replica: 0, authority: 0, store: 0 };
  now = 1_000_000;
  readonly lookup: Lookup;
  readonly later: Promise<unknown>[] = [];

  constructor(clock: "own" | "real" = "own") {
    this.lookup = new Lookup(clock === "own" ? () => this.now : undefined);
  }

  get env(): LookupEnv {
    const namespace = (name: "replica" | "authority"): unknown => ({
      idFromName: (id: string) => id,
      get: () => ({
        lookup: () => {
          this.asked[name] += 1;
          return this[name]();
        },
      }),
    });
    const get = (): Promise<string | null> => {
      this.asked.store += 1;
      return this.store();
    };
    return { REPLICAS: namespace("replica"), AUTHORITIES: namespace("authority"), ROUTES: { get } } as unknown as LookupEnv;
  }

  find(fresh = false): Promise<Known> {
    return this.lookup.find(LABEL, this.env, REQUEST, (work) => void this.later.push(work), fresh);
  }

  held(): Known | null {
    return this.lookup.held(LABEL, this.env, REQUEST, (work) => void this.later.push(work));
  }

  async version(): Promise<number | undefined> {
    return (await this.find()).route?.version;
  }
}

test("a hundred requests at once share one question", async () => {
  const sources = new Sources();
  const found = await Promise.all(Array.from({ length: 100 }, () => sources.version()));
  expect(new Set(found)).toEqual(new Set([1]));
  expect(sources.asked).toEqual({ replica: 1, authority: 0, store: 0 });
});

test("below the soft limit nothing is asked, above it once beside the requests, above the hard one before them", async () => {
  const sources = new Sources();
  await sources.find();
  sources.now += SOFT_MS;
  expect(sources.held()?.route?.version).toBe(1);
  expect(sources.asked.replica).toBe(1);
  sources.replica = says(answer(2));
  sources.now += 1;
  for (let time = 0; time < 5; time += 1) expect(sources.held()?.route?.version).toBe(1);
  expect(sources.asked.replica).toBe(2);
  await Promise.all(sources.later);
  expect(sources.held()?.route?.version).toBe(2);
  sources.now += HARD_MS;
  expect(sources.held()).toBeNull();
});

test("a clock that is set back ends what was believed", async () => {
  const sources = new Sources();
  await sources.find();
  sources.now -= HARD_MS;
  expect(sources.held()).toBeNull();
});

test.each<[string, Source, Source, () => Promise<string | null>, number | null | "unavailable", number]>([
  ["the replica's answer is taken", says(answer(2)), says(answer(1)), async () => "1", 2, 300],
  ["a replica that fails is passed by at once", fails, says(answer(3)), async () => "1", 3, 300],
  ["a silent replica is passed by", hangs, says(answer(3)), async () => "1", 3, 1_000],
  ["where no source answers a known workload can't be routed", fails, fails, async () => "1", "unavailable", 300],
  ["where all sources are silent the request isn't", hangs, hangs, () => new Promise(() => undefined), "unavailable", 6_000],
  ["where no source answers an unknown workload doesn't exist", fails, fails, async () => null, null, 300],
  ["a store that fails says nothing of a workload", fails, fails, () => Promise.reject(new Error("KV is away")), "unavailable", 300],
])(
  "%s",
  async (_, replica, authority, store, expected, withinMs) => {
    const sources = new Sources("real");
    Object.assign(sources, { replica, authority, store });
    const begun = performance.now();
    const found = await sources.version().catch((error: Error) => error);
    if (expected === "unavailable") expect(found).toBeInstanceOf(RoutesUnavailable);
    else expect(found ?? null).toBe(expected);
    expect(performance.now() - begun).toBeLessThan(withinMs + 2_000);
  },
  15_000,
);

test("sources that were silent are asked again, and an answer in time is taken", async () => {
  const sources = new Sources("real");
  Object.assign(sources, { replica: hangs, authority: hangs, store: async () => "1" });
  const asked = sources.version();
  setTimeout(() => Object.assign(sources, { replica: says(answer(5)) }), 1_000);
  expect(await asked).toBe(5);
}, 15_000);

test("a replica that failed is asked after the authority for a second", async () => {
  const sources = new Sources();
  sources.replica = fails;
  await sources.find();
  sources.now += HARD_MS;
  await sources.find();
  expect(sources.asked).toMatchObject({ replica: 1, authority: 2 });
  sources.now += 1_000;
  sources.replica = says(answer(2));
  expect(await sources.version()).toBe(2);
  expect(sources.asked).toMatchObject({ replica: 2, authority: 2 });
});

test("an answer that was too long on its way is asked for again", async () => {
  const sources = new Sources();
  let slow = true;
  sources.replica = async () => {
    if (slow) sources.now += HARD_MS;
    slow = false;
    return answer(1);
  };
  expect(await sources.version()).toBe(1);
  expect(sources.asked.replica).toBe(2);
});

test("what a source waited for before it looked doesn't count against its answer, what it knew before does", async () => {
  const sources = new Sources();
  sources.replica = async () => {
    sources.now += HARD_MS;
    return answer(1, { afterMs: HARD_MS });
  };
  expect(await sources.version()).toBe(1);
  expect(sources.asked.replica).toBe(1);
  sources.now += HARD_MS;
  let old = true;
  sources.replica = async () => {
    const known = answer(1, { afterMs: old ? -HARD_MS : 0 });
    old = false;
    return known;
  };
  await sources.find();
  expect(sources.asked.replica).toBe(3);
});

test("neither routes nor refusals go back when an older source answers", async () => {
  const sources = new Sources();
  sources.replica = says(answer(3, { revision: 9, revoked: ["key_1"] }));
  await sources.find();
  sources.now += HARD_MS;
  sources.replica = fails;
  sources.authority = says(answer(2, { revision: 8 }));
  expect(await sources.find()).toEqual({ route: route(3), revoked: ["key_1"] });
});

test("that there is no route isn't believed twice", async () => {
  const sources = new Sources();
  sources.replica = says({ route: null, revoked: [], revision: 0, afterMs: 0 });
  expect(await sources.version()).toBeUndefined();
  expect(sources.held()).toBeNull();
  sources.replica = says(answer(1));
  expect(await sources.version()).toBe(1);
});

test("a question whose asker is gone is asked anew", async () => {
  const sources = new Sources("real");
  Object.assign(sources, { replica: hangs, authority: hangs, store: () => new Promise(() => undefined) });
  const gone = sources.find().catch((error: Error) => error);
  expect(await gone).toBeInstanceOf(RoutesUnavailable);
  sources.replica = says(answer(4));
  sources.authority = says(answer(4));
  expect(await sources.version()).toBe(4);
}, 15_000);

test("an isolate forgets the workloads that it hasn't been asked for, and keeps the floor under the others", () => {
  const beliefs = new Beliefs(2);
  const belief = (revision: number, at: number) => ({ known: { route: route(revision), revoked: [] }, revision, at });
  beliefs.keep("a-acme", belief(5, 0), 0);
  beliefs.keep("b-acme", belief(5, 15_000), 15_000);
  beliefs.keep("c-acme", belief(5, 19_000), 19_000);
  expect(beliefs.get("a-acme")?.revision).toBe(5);
  beliefs.keep("c-acme", belief(6, 20_001), 20_001);
  expect(beliefs.get("a-acme")).toBeUndefined();
  expect(beliefs.keep("b-acme", belief(4, 20_002), 20_002)).toMatchObject({ revision: 5, at: 20_002 });
});

test.each([
  [{ continent: "NA", longitude: "-122.3" }, "wnam"],
  [{ continent: "NA", longitude: "-77.0" }, "enam"],
  [{ continent: "NA" }, "enam"],
  [{ continent: "SA" }, "sam"],
  [{ continent: "EU", longitude: "2.3" }, "weur"],
  [{ continent: "EU", longitude: "21.0" }, "eeur"],
  [{ continent: "AS", longitude: "46.7" }, "me"],
  [{ continent: "AS", longitude: "139.7" }, "apac"],
  [{ continent: "OC" }, "oc"],
  [{ continent: "AF" }, "afr"],
  [undefined, "weur"],
] as const)("a request from %j goes to the replica %s", (cf, hint) => {
  expect(hintOf(cf)).toBe(hint);
});

test("requests are shared by weight among the machines in rotation, and by none where there is none", () => {
  const target = (placement: string, weight: number, healthy = true) => ({ placement, origin: "", tcpOrigin: null, weight, healthy });
  const targets = [target("a", 1), target("b", 8, false), target("c", 3)];
  const counted = { a: 0, c: 0 } as Record<string, number>;
  for (let at = 0; at < 400; at += 1) {
    const picked = pick({ ...route(1), targets }, at / 400)?.placement ?? "";
    counted[picked] = (counted[picked] ?? 0) + 1;
  }
  expect(counted).toEqual({ a: 100, c: 300 });
  expect(pick({ ...route(1), targets: [target("b", 1, false)] }, 0.5)).toBeNull();
});

test("a standby gets a connection only while nothing else is in rotation", () => {
  const target = (placement: string, weight: number, healthy = true) => ({ placement, origin: placement, tcpOrigin: null, weight, healthy });
  const standby = target("standby", 0);
  const picked = (targets: Route["targets"], random: number) => pick({ ...route(1), targets }, random)?.placement ?? null;
  expect([0, 0.5, 0.999999].map((random) => picked([standby, target("a", 1)], random))).toEqual(["a", "a", "a"]);
  expect(picked([standby, target("a", 1, false)], 0.5)).toBe("standby");
  expect(pick({ ...route(1), targets: [standby, target("a", 1)] }, 0.5, "a")).toEqual(standby);
  expect(pick({ ...route(1), targets: [target("a", 1)] }, 0.5, "a")?.placement).toBe("a");
  expect(picked([target("standby", 0, false), target("a", 1, false)], 0.5)).toBeNull();
});
