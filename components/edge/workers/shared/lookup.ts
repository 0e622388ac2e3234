/**
 * A router's view of the routes: isolate cache, then the region's replica, then the authority; KV only tells a workload that can't be routed now from one that
 * doesn't exist (docs/adr/0010).
 *
 * What is found holds for HARD_MS (400 ms) from the moment for which its source vouched. A caller that awaits anything between finding a route and sending by it asks
 * {@link Lookup.held} again right before it sends: the drain gate counts on that.
 */
import { type Belief, Beliefs, holds } from "./belief";
import { tenantOf } from "./ids";
import { type Answer, type AuthorityStub, hintOf, type Known, type ReplicaStub, replicaOf, type Route, SOFT_MS } from "./route";

export interface LookupEnv {
  REPLICAS: DurableObjectNamespace;
  AUTHORITIES: DurableObjectNamespace;
  ROUTES: KVNamespace;
}

/** A source that is silent for this long has the other one asked beside it, ms. */
const PATIENCE_MS = 350;
/** How long a source, the fallback store and a question as a whole are waited for, ms. */
const SOURCE_MS = 2_000;
const STORE_MS = 500;
const QUESTION_MS = 6_000;
/** A replica that failed or was silent is asked after the authority for this long, ms. */
const AVOIDED_MS = 1_000;
type Later = (work: Promise<unknown>) => void;

/** No source of routes answers, so that nothing may be sent anywhere. */
export class RoutesUnavailable extends Error {
  /** For Retry-After. */
  readonly retryAfterSeconds = 2;

  constructor(readonly label: string) {
    super(`neither the replica nor the authority of ${label} answers`);
  }
}

export class Lookup {
  readonly #beliefs = new Beliefs();
  readonly #questions = new Map<string, Promise<Belief>>();
  /** Replica to the end of its being avoided. */
  readonly #avoided = new Map<string, number>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** What is known of a label without a question; null where it must be asked. A refresh beside the request begins where it is due. */
  held(label: string, env: LookupEnv, request: Request, later: Later): Known | null {
    const now = this.now();
    const belief = this.#beliefs.get(label);
    if (!belief || !holds(belief, now)) return null;
    if (now - belief.at > SOFT_MS && !this.#questions.has(label)) void this.#question(label, env, request, later, false);
    return belief.known;
  }

  /** What is known of a label. Throws {@link RoutesUnavailable} when no source answers in {@link QUESTION_MS}. `fresh` passes caches by. */
  async find(label: string, env: LookupEnv, request: Request, later: Later, fresh = false): Promise<Known> {
    const present = fresh ? null : this.held(label, env, request, later);
    if (present) return present;
    const begun = this.now();
    const limit = begun + QUESTION_MS;
    while (this.now() < limit) {
      const question = this.#question(label, env, request, later, fresh);
      try {
        const belief = await within(question, limit - this.now(), () => {
          // Whoever began it may be gone with its answer; the next asks anew.
          this.#forget(label, fresh, question);
          return new RoutesUnavailable(label);
        });
        // An answer that was too long on its way is asked for again.
        if (holds(belief, this.now())) return belief.known;
      } catch (error) {
        // Sources that refuse are away; those that were silent may be busy, and nothing has been sent yet.
        if (!(error instanceof RoutesUnavailable) || this.now() - begun < PATIENCE_MS) throw error;
      }
    }
    throw new RoutesUnavailable(label);
  }

  /** The route alone. */
  async route(label: string, env: LookupEnv, request: Request, later: Later, fresh = false): Promise<Route | null> {
    return (await this.find(label, env, request, later, fresh)).route;
  }

  /** One at a time for a label: whoever comes meanwhile shares its answer. */
  #question(label: string, env: LookupEnv, request: Request, later: Later, fresh: boolean): Promise<Belief> {
    const key = keyOf(label, fresh);
    const present = this.#questions.get(key);
    if (present) return present;
    const question = this.#ask(label, env, request, fresh).finally(() => this.#forget(label, fresh, question));
    this.#questions.set(key, question);
    // It goes on for the others, should the client of this request leave.
    later(question.catch(() => undefined));
    return question;
  }

  #forget(label: string, fresh: boolean, question: Promise<Belief>): void {
    const key = keyOf(label, fresh);
    if (this.#questions.get(key) === question) this.#questions.delete(key);
  }

  async #ask(label: string, env: LookupEnv, request: Request, fresh: boolean): Promise<Belief> {
    const tenant = tenantOf(label);
    const hint = hintOf((request as { cf?: Parameters<typeof hintOf>[0] }).cf);
    const name = replicaOf(hint, tenant);
    const replica = async (): Promise<Belief> => {
      const stub = env.REPLICAS.get(env.REPLICAS.idFromName(name), { locationHint: hint }) as unknown as ReplicaStub;
      const belief = await this.#dated(() => stub.lookup(label, fresh));
      this.#avoided.delete(name);
      return belief;
    };
    const authority = (): Promise<Belief> => this.#dated(() => (env.AUTHORITIES.get(env.AUTHORITIES.idFromName(tenant)) as unknown as AuthorityStub).lookup(label));
    const avoided = this.now() < (this.#avoided.get(name) ?? 0);
    try {
      const found = avoided ? await either(authority, replica, () => undefined) : await either(replica, authority, () => this.#avoided.set(name, this.now() + AVOIDED_MS));
      return this.#beliefs.keep(label, found, this.now());
    } catch {
      return await this.#unrouted(label, env);
    }
  }

  async #dated(ask: () => Promise<Answer>): Promise<Belief> {
    const asked = this.now();
    const { route, revoked, revision, afterMs } = await ask();
    return { known: { route, revoked }, revision, at: asked + afterMs };
  }

  async #unrouted(label: string, env: LookupEnv): Promise<Belief> {
    const unavailable = new RoutesUnavailable(label);
    const known = await within(env.ROUTES.get(`known:${label}`), STORE_MS, () => unavailable).catch(() => {
      throw unavailable;
    });
    if (known !== null) throw unavailable;
    return { known: { route: null, revoked: [] }, revision: 0, at: this.now() };
  }
}

function keyOf(label: string, fresh: boolean): string {
  return fresh ? `${label} fresh` : label;
}

/** The first answer of two sources; the second is asked when the first fails or is silent for {@link PATIENCE_MS}, of which `failed` is told. */
async function either<T>(first: () => Promise<T>, second: () => Promise<T>, failed: () => void): Promise<T> {
  const limit = (ask: () => Promise<T>): Promise<T> => within(ask(), SOURCE_MS, () => new Error(`no answer within ${SOURCE_MS} ms`));
  const one = limit(first);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const impatient = new Promise<"silent">((resolve) => {
    timer = setTimeout(() => resolve("silent"), PATIENCE_MS);
  });
  const early = await Promise.race([one.then((value) => ({ value })), impatient]).catch(() => "failed" as const);
  clearTimeout(timer);
  if (typeof early === "object") return early.value;
  failed();
  return Promise.any([one, limit(second)]);
}

async function within<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), Math.max(ms, 0));
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/**
 * One healthy target by weight; a standby (weight 0) where no other is in rotation, null where none is; `random` in [0, 1). Another than the placement that
 * has `failed`, where there is one.
 */
export function pick(route: Route, random: number, failed?: string): Route["targets"][number] | null {
  if (failed !== undefined) return pick({ ...route, targets: route.targets.filter(({ placement }) => placement !== failed) }, random) ?? pick(route, random);
  const targets = route.targets.filter(({ healthy, weight }) => healthy && weight > 0);
  if (targets.length === 0) return route.targets.find(({ healthy }) => healthy) ?? null;
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  for (const target of targets) {
    left -= target.weight;
    if (left < 0) return target;
  }
  return targets[0] ?? null;
}
