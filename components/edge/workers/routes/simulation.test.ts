/**
 * The drain gate under chance: one authority (its real register), replicas and isolates whose clocks run apart, a network that delays, overtakes and loses, partitions,
 * replicas that begin anew while events of the old object still run. Time is the simulation's own; each seed is a run.
 */
import { env, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { Beliefs, holds } from "../shared/belief";
import { type Delta, type Grant, HARD_MS, type Route } from "../shared/route";
import { seeded } from "../tests/seeded";
import { TenantCopy } from "./copy";
import { Register } from "./register";

const LABELS = ["web-acme", "api-acme", "data-acme"];
const RUN_MS = 60_000;
const RENEW_MS = 4_000;

/** A clock that is set otherwise than the true one and runs up to 2 % faster or slower. */
class Clock {
  readonly #offset: number;
  readonly #rate: number;

  constructor(chance: () => number) {
    this.#offset = chance() * 1e9;
    this.#rate = 0.98 + chance() * 0.04;
  }

  at(now: number): number {
    return this.#offset + now * this.#rate;
  }
}

interface Waiting {
  label: string;
  arrived: number;
  reply: (known: ReturnType<TenantCopy["known"]>, afterMs: number) => void;
}

interface Incarnation {
  copy: TenantCopy;
  renewing: boolean;
  waiting: Waiting[];
}

interface Isolate {
  clock: Clock;
  replica: string;
  beliefs: Beliefs;
  floor: Map<string, number>;
}

/** A write: what every isolate must know once it is acknowledged. */
interface Write {
  revision: number;
  label?: string;
  version?: number;
  subject?: string;
}

interface Pending {
  write: Write;
  leases: { replica: string; until: number }[];
}

class World {
  now = 0;
  acked: { write: Write; at: number }[] = [];
  /** What was acknowledged so long ago that everybody must act by it. */
  readonly #settled = { revision: 0, versions: new Map<string, number>(), subjects: new Set<string>() };
  readonly checks = { answers: 0, acks: 0 };
  /** The next one last. */
  readonly #events: { at: number; run: () => void }[] = [];
  readonly #authority: Clock;
  readonly #replicas = new Map<string, { clock: Clock; is: Incarnation; cut: boolean }>();
  readonly #isolates: Isolate[] = [];
  readonly #has = new Map<string, number>();
  #pending: Pending[] = [];
  #generation = 0;

  constructor(
    private readonly register: Register,
    private readonly chance: () => number,
  ) {
    this.#authority = new Clock(chance);
    for (const name of ["weur-1", "enam-1", "oc-1"]) {
      this.#replicas.set(name, { clock: new Clock(chance), is: born(), cut: false });
      for (let at = 0; at < 2; at += 1) this.#isolates.push({ clock: new Clock(chance), replica: name, beliefs: new Beliefs(), floor: new Map() });
    }
    this.#every(1_200, () => this.#write());
    this.#every(300, () => this.#push());
    for (const name of this.#replicas.keys()) {
      this.#every(RENEW_MS, () => this.#renew(name, this.#replica(name).is));
      this.#every(15_000, () => this.#restart(name));
      this.#every(20_000, () => this.#partition(name));
    }
    for (const isolate of this.#isolates) this.#every(150, () => this.#ask(isolate));
  }

  run(): void {
    while (this.now < RUN_MS) {
      const next = this.#events.pop();
      if (!next) break;
      this.now = next.at;
      next.run();
      this.#settle();
      this.#check();
    }
  }

  #replica(name: string): { clock: Clock; is: Incarnation; cut: boolean } {
    const found = this.#replicas.get(name);
    if (!found) throw new Error(`there is no replica ${name}`);
    return found;
  }

  #later(ms: number, run: () => void): void {
    const at = this.now + ms;
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.at ?? 0) > at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { at, run });
  }

  #every(ms: number, run: () => void): void {
    this.#later(this.chance() * 2 * ms, () => {
      run();
      this.#every(ms, run);
    });
  }

  /** A message: mostly quick, at times slow, at times lost; lost while the replica is cut off. */
  #send(replica: string | null, run: () => void): void {
    const lost = this.chance() < 0.03 || (replica !== null && this.#replica(replica).cut);
    const delay = this.chance() < 0.05 ? this.chance() * 12_000 : 5 + this.chance() * 130;
    if (!lost) this.#later(delay, run);
  }

  #write(): void {
    const clock = this.#authority.at(this.now);
    const label = LABELS[Math.floor(this.chance() * LABELS.length)] as string;
    const held = this.register.held(label);
    const kind = this.chance();
    if (kind < 0.2) {
      const subject = `key_${Math.floor(this.now)}`;
      return this.#written({ revision: this.register.revoke([{ subject, until: clock + 1e9 }], clock), subject });
    }
    if (kind < 0.4 && held) {
      const target = held.route.targets[0];
      const marked = target && this.register.mark(label, target.placement, !target.healthy, clock);
      if (marked) this.#written({ revision: marked.revision, label, version: marked.version });
      return;
    }
    this.#generation += 1;
    const targets = [{ placement: `acme_${this.#generation}`, origin: `https://${this.#generation}.test`, tcpOrigin: null, weight: 1 }];
    const written = this.register.commit({ label, targets, access: "anonymous", drainSeconds: 0, ifVersion: held?.route.version ?? 0, fencingToken: this.#generation }, clock);
    if ("ok" in written) throw new Error(`a commit was refused: ${written.reason}`);
    this.#written({ revision: written.revision, label, version: written.version });
  }

  #written(write: Write): void {
    this.#pending.push({ write, leases: this.register.leases(this.#authority.at(this.now)) });
    this.#push();
  }

  #push(): void {
    for (const { replica, until } of this.register.leases(this.#authority.at(this.now))) {
      const from = this.#has.get(replica) ?? 0;
      if (from >= this.register.revision || until <= this.#authority.at(this.now)) continue;
      const delta: Delta = this.register.since(from, this.#authority.at(this.now));
      this.#send(replica, () => {
        const { is } = this.#replica(replica);
        is.copy.take(delta);
        this.#send(replica, () => this.#heard(replica, delta.revision));
      });
    }
  }

  #heard(replica: string, revision: number): void {
    this.#has.set(replica, Math.max(this.#has.get(replica) ?? 0, revision));
  }

  #renew(name: string, is: Incarnation): void {
    if (is.renewing) return;
    is.renewing = true;
    const { clock } = this.#replica(name);
    const asked = clock.at(this.now);
    const have = is.copy.revision;
    const over = (): void => {
      is.renewing = false;
    };
    this.#later(1_000, over);
    this.#send(name, () => {
      const grant: Grant = this.register.grant(name, have, this.#authority.at(this.now));
      this.#heard(name, have);
      this.#send(name, () => {
        over();
        if (!is.copy.granted(grant, asked)) return;
        for (const { label, arrived, reply } of is.waiting.splice(0)) reply(is.copy.known(label, clock.at(this.now)), asked - arrived);
      });
    });
  }

  /** A new object in the old one's place; what waited for a grant in the old one still gets its answer from there. */
  #restart(name: string): void {
    this.#replica(name).is = born();
  }

  #partition(name: string): void {
    this.#replica(name).cut = true;
    this.#later(this.chance() * 15_000, () => {
      this.#replica(name).cut = false;
    });
  }

  #ask(isolate: Isolate): void {
    const label = LABELS[Math.floor(this.chance() * LABELS.length)] as string;
    const asked = isolate.clock.at(this.now);
    const known = this.#settled.versions.has(label);
    const answered = ({ route, revoked, revision }: ReturnType<TenantCopy["known"]>, afterMs: number): void =>
      this.#send(null, () => {
        // A question that began when everybody had to know of the workload isn't told that there is none.
        if (!route && known) throw new Error(`at ${this.now} ms ${label} is said not to exist`);
        const belief = isolate.beliefs.keep(label, { known: { route, revoked }, revision, at: asked + afterMs }, isolate.clock.at(this.now));
        if (!belief.known.route) return;
        this.checks.answers += 1;
        if (belief.revision < (isolate.floor.get(label) ?? 0)) throw new Error(`at ${this.now} ms ${label} went back to revision ${belief.revision}`);
        isolate.floor.set(label, belief.revision);
      });
    if (this.chance() < 0.1)
      return this.#send(null, () => {
        const { revision, revoked } = this.register.since(0, this.#authority.at(this.now));
        answered({ route: this.register.held(label)?.route ?? null, revoked: revoked.map(({ subject }) => subject), revision }, 0);
      });
    this.#send(null, () => {
      const { clock, is } = this.#replica(isolate.replica);
      const arrived = clock.at(this.now);
      if (is.copy.left(arrived) > 0) return answered(is.copy.known(label, arrived), 0);
      is.waiting.push({ label, arrived, reply: answered });
      this.#renew(isolate.replica, is);
    });
  }

  #settle(): void {
    const clock = this.#authority.at(this.now);
    this.#pending = this.#pending.filter(({ write, leases }) => {
      if (!leases.every(({ replica, until }) => (this.#has.get(replica) ?? 0) >= write.revision || clock >= until)) return true;
      this.checks.acks += 1;
      this.acked.push({ write, at: this.now });
      return false;
    });
  }

  /** No isolate acts by less than what was acknowledged {@link HARD_MS} ago, by however much its clock is slow. */
  #check(): void {
    const { versions, subjects } = this.#settled;
    this.acked = this.acked.filter(({ write: { revision, label, version, subject }, at }) => {
      if (this.now < at + HARD_MS / 0.98) return true;
      this.#settled.revision = Math.max(this.#settled.revision, revision);
      if (label) versions.set(label, Math.max(versions.get(label) ?? 0, version ?? 0));
      if (subject) subjects.add(subject);
      return false;
    });
    for (const { clock, beliefs } of this.#isolates)
      for (const label of LABELS) {
        const belief = beliefs.get(label);
        if (!belief || !holds(belief, clock.at(this.now))) continue;
        const { known, revision } = belief;
        const short = revision < this.#settled.revision || (known.route?.version ?? 0) < (versions.get(label) ?? 0) || [...subjects].some((one) => !known.revoked.includes(one));
        if (short) throw new Error(`at ${this.now} ms ${label} is still believed as of revision ${revision}, ${this.#settled.revision} was acknowledged`);
      }
  }
}

function born(): Incarnation {
  return { copy: new TenantCopy(), renewing: false, waiting: [] };
}

test.each(Array.from({ length: 20 }, (_, seed) => [seed]))("no isolate acts by what stood before an acknowledged write, and none goes back (seed %i)", async (seed) => {
  const authority = env.AUTHORITIES.get(env.AUTHORITIES.idFromName(`chance${seed}`));
  const checks = await runInDurableObject(authority, (_, state) => {
    const world = new World(new Register(state.storage.sql, `chance${seed}`), seeded(seed + 1));
    world.run();
    return world.checks;
  });
  expect(checks.answers).toBeGreaterThan(500);
  expect(checks.acks).toBeGreaterThan(20);
});

test("routes of a copy never go back, whatever order deltas and grants come in", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const chance = seeded(seed);
    const route = (version: number): Route => ({ label: "web-acme", tenant: "acme", version, targets: [], access: "anonymous", drainSeconds: 0, updatedAt: "" });
    const history = Array.from({ length: 12 }, (_, at) => route(at + 1));
    const copy = new TenantCopy();
    let floor = 0;
    for (let step = 0; step < 60; step += 1) {
      const from = Math.floor(chance() * 12);
      const revision = Math.min(from + 1 + Math.floor(chance() * 3), 12);
      // A delta's one route is the newest of its span.
      const delta = { from, revision, routes: [history[revision - 1] as Route], revoked: [] };
      if (chance() < 0.5) copy.take(delta);
      else copy.granted({ ...delta, leaseSeconds: 10 }, step);
      const known = copy.known("web-acme", step);
      expect(known.route?.version ?? 0).toBeGreaterThanOrEqual(floor);
      expect(known.route?.version ?? 0).toBeGreaterThanOrEqual(known.revision);
      floor = known.route?.version ?? 0;
    }
  }
});
