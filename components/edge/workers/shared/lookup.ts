/** A router's view of the routes: isolate cache, then the region's replica, then the authority, then KV. */
import { type AuthorityStub, HARD_MS, hintOf, type Known, type ReplicaStub, replicaOf, type Route, SOFT_MS } from "./route";

export interface LookupEnv {
  REPLICAS: DurableObjectNamespace;
  AUTHORITIES: DurableObjectNamespace;
  ROUTES: KVNamespace;
}

interface Entry {
  known: Known;
  at: number;
  refreshing: boolean;
}

export class RoutesUnavailable extends Error {}

export class Lookup {
  #entries = new Map<string, Entry>();

  /** What is known of a label without a question; null where it must be asked. A refresh beside the request begins where it is due. */
  held(label: string, env: LookupEnv, request: Request, later: (work: Promise<unknown>) => void): Known | null {
    const entry = this.#entries.get(label);
    const age = entry ? performance.now() - entry.at : Number.POSITIVE_INFINITY;
    // That there is no route isn't believed twice: a workload's first route counts from its commit on.
    if (!entry?.known.route || age >= HARD_MS) return null;
    if (age > SOFT_MS && !entry.refreshing) {
      entry.refreshing = true;
      later(this.#ask(label, env, request, false).catch(() => undefined));
    }
    return entry.known;
  }

  /** What is known of a label. Throws {@link RoutesUnavailable} when no source answers. */
  async find(label: string, env: LookupEnv, request: Request, later: (work: Promise<unknown>) => void, fresh = false): Promise<Known> {
    return (fresh ? null : this.held(label, env, request, later)) ?? this.#ask(label, env, request, fresh);
  }

  /** The route alone. */
  async route(label: string, env: LookupEnv, request: Request, later: (work: Promise<unknown>) => void, fresh = false): Promise<Route | null> {
    return (await this.find(label, env, request, later, fresh)).route;
  }

  async #ask(label: string, env: LookupEnv, request: Request, fresh: boolean): Promise<Known> {
    const asked = performance.now();
    const found = await this.#from(label, env, request, fresh);
    const held = this.#entries.get(label)?.known.route;
    const known = held && found.route && held.version > found.route.version ? { ...found, route: held } : found;
    if (this.#entries.size > 50_000) this.#entries.clear();
    this.#entries.set(label, { known, at: asked, refreshing: false });
    return known;
  }

  async #from(label: string, env: LookupEnv, request: Request, fresh: boolean): Promise<Known> {
    const hint = hintOf((request as { cf?: { continent?: string } }).cf);
    const tenant = label.slice(label.lastIndexOf("-") + 1);
    try {
      const replica = env.REPLICAS.get(env.REPLICAS.idFromName(replicaOf(hint, tenant)), { locationHint: hint }) as unknown as ReplicaStub;
      return await replica.lookup(label, fresh);
    } catch {
      try {
        return await (env.AUTHORITIES.get(env.AUTHORITIES.idFromName(tenant)) as unknown as AuthorityStub).lookup(label);
      } catch {
        const kept = await env.ROUTES.get(`route:${label}`).catch(() => null);
        if (kept === null) throw new RoutesUnavailable(label);
        return { route: JSON.parse(kept) as Route, revoked: [] };
      }
    }
  }
}

/** One healthy target by weight, null where none is in rotation; `random` in [0, 1). */
export function pick(route: Route, random: number): Route["targets"][number] | null {
  const targets = route.targets.filter(({ healthy }) => healthy);
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  for (const target of targets) {
    left -= target.weight;
    if (left < 0) return target;
  }
  return targets[0] ?? null;
}
