/** A router's view of the routes: isolate cache, then the region's replica, then the authority, then KV. */
import { type AuthorityStub, HARD_MS, hintOf, type ReplicaStub, replicaOf, type Route, SOFT_MS } from "./route";

export interface LookupEnv {
  REPLICAS: DurableObjectNamespace;
  AUTHORITIES: DurableObjectNamespace;
  ROUTES: KVNamespace;
}

interface Entry {
  route: Route | null;
  at: number;
  refreshing: boolean;
}

export class RoutesUnavailable extends Error {}

export class Lookup {
  #entries = new Map<string, Entry>();

  /** The route of a label; null where there is none. Throws {@link RoutesUnavailable} when no source answers. */
  async route(label: string, env: LookupEnv, request: Request, later: (work: Promise<unknown>) => void, fresh = false): Promise<Route | null> {
    const entry = this.#entries.get(label);
    const age = entry ? performance.now() - entry.at : Number.POSITIVE_INFINITY;
    // That there is no route isn't believed twice: a workload's first route counts from its commit on.
    if (entry?.route && !fresh && age < HARD_MS) {
      if (age > SOFT_MS && !entry.refreshing) {
        entry.refreshing = true;
        later(this.#ask(label, env, request, false).catch(() => undefined));
      }
      return entry.route;
    }
    return this.#ask(label, env, request, fresh);
  }

  async #ask(label: string, env: LookupEnv, request: Request, fresh: boolean): Promise<Route | null> {
    const asked = performance.now();
    const found = await this.#from(label, env, request, fresh);
    const held = this.#entries.get(label);
    const route = held?.route && found && held.route.version > found.version ? held.route : found;
    if (this.#entries.size > 50_000) this.#entries.clear();
    this.#entries.set(label, { route, at: asked, refreshing: false });
    return route;
  }

  async #from(label: string, env: LookupEnv, request: Request, fresh: boolean): Promise<Route | null> {
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
        return JSON.parse(kept) as Route;
      }
    }
  }
}

/** One target by weight; `random` in [0, 1). */
export function pick(route: Route, random: number): Route["targets"][number] | null {
  const total = route.targets.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  for (const target of route.targets) {
    left -= target.weight;
    if (left < 0) return target;
  }
  return route.targets[0] ?? null;
}
