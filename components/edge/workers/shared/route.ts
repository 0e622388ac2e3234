/** Routes as they travel between RouteAuthority, its replicas and the routers. */

export interface Target {
  placement: string;
  /** `https://<label>-<n>.origins.<zone>`. */
  origin: string;
  /** `tcp-<label>-<n>.origins.<zone>`, or null where no TCP is served. */
  tcpOrigin: string | null;
  weight: number;
  /** Whether the Health Monitor has it in rotation; a new target is. */
  healthy: boolean;
  /** The PROXY protocol's version with which a TCP connection begins at the service; left out for none. */
  proxyProtocol?: "off" | "v1" | "v2";
}

export interface Route {
  label: string;
  tenant: string;
  /** Only grows, per label; a lower one never wins. */
  version: number;
  /** Empty while no machine serves. */
  targets: Target[];
  access: "anonymous" | "token";
  drainSeconds: number;
  updatedAt: string;
}

/** Seconds for which a replica may answer without having heard from its authority: H of the drain gate. */
export const LEASE_SECONDS = 10;
/** Ages, ms, at which a router's isolate refreshes a route beside a request, and before one. */
export const SOFT_MS = 200;
export const HARD_MS = 400;

/** Replicas of a region; a tenant is always with the same one. Soft limit of one object: 1,000 requests a second (Cloudflare, Durable Objects limits). */
const SHARDS = 4;

export const HINTS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Hint = (typeof HINTS)[number];

/** What a source of routes knows of a label. */
export interface Known {
  /** Null where the tenant has no such workload. */
  route: Route | null;
  /** Subjects (API key ids) of the tenant whose tokens and keys are refused though they have not expired. */
  revoked: string[];
}

/** A subject whose tokens are refused until then; ms of the wall clock. */
export interface Revocation {
  subject: string;
  until: number;
}

/** Everything that a replica holds of a tenant. */
export interface Grant {
  routes: Route[];
  revoked: Revocation[];
  leaseSeconds: number;
}

/** The one writer of a tenant's routes. Each write resolves only once no replica can answer by what stood before. */
export interface AuthorityStub {
  commit(change: Change): Promise<Committed>;
  /** Takes a target out of rotation or puts it back, as a version of its own; false where the route has no such target. */
  mark(label: string, placement: string, healthy: boolean): Promise<boolean>;
  /** Has the tokens and keys of these subjects refused at every router. */
  revoke(revoked: Revocation[]): Promise<void>;
  grant(replica: string): Promise<Grant>;
  lookup(label: string): Promise<Known>;
}

export interface ReplicaStub {
  lookup(label: string, fresh: boolean): Promise<Known>;
  /** Takes a route; the version that it now holds. */
  apply(tenant: string, route: Route): Promise<number>;
  /** Takes revocations; how many of the tenant it now holds. */
  refuse(tenant: string, revoked: Revocation[]): Promise<number>;
}

export interface Change {
  label: string;
  targets: Omit<Target, "healthy">[];
  access: "anonymous" | "token";
  drainSeconds: number;
  /** Compare-and-set: the version that this change follows; null takes whatever stands. */
  ifVersion: number | null;
  /** Of the migration's lease; a lower one than seen before is refused. */
  fencingToken: number;
}

export type Committed = { ok: true; version: number } | { ok: false; reason: "version" | "fencing"; version: number };

/** The region hint nearest to where a request came in. */
export function hintOf(cf: { continent?: string; country?: string } | undefined): Hint {
  switch (cf?.continent) {
    case "NA":
      return "enam";
    case "SA":
      return "sam";
    case "AS":
      return "apac";
    case "OC":
      return "oc";
    case "AF":
      return "afr";
    default:
      return "weur";
  }
}

/** The replica that answers for a tenant in a region. */
export function replicaOf(hint: Hint, tenant: string): string {
  let hash = 0x811c9dc5;
  for (const character of tenant) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return `${hint}-${(hash >>> 0) % SHARDS}`;
}
