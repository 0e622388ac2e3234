/** Routes as they travel between RouteAuthority, its replicas and the routers. */

export interface Target {
  placement: string;
  /** `https://<label>-<n>.origins.<zone>`. */
  origin: string;
  /** `tcp-<label>-<n>.origins.<zone>`, or null where no TCP is served. */
  tcpOrigin: string | null;
  /** Share of the connections. 0 for a standby: it gets them while no target of a weight is in rotation. */
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
/**
 * By how much a replica's lease ends earlier for the replica than for its authority, ms. Both measure a duration by their own clock, the replica from before
 * it asked; the margin is for clocks that run up to 5 % apart or are set by up to half a second within a lease.
 */
export const LEASE_MARGIN_MS = 500;
/** Ages, ms, at which a router's isolate refreshes a route beside a request, and before one. */
export const SOFT_MS = 150;
export const HARD_MS = 400;
/** From an isolate's last look at what it believes to the request that goes out by it, ms: the signature, and a machine that is short of CPU. */
export const SENDING_MS = 200;
/** After the last replica has heard of a write, ms, until no isolate sends by what stood before: only then is the write acknowledged. */
export const SETTLE_MS = HARD_MS + SENDING_MS;

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

/** {@link Known} with its place in time. */
export interface Answer extends Known {
  /** The tenant's revision that it holds for; see {@link Delta}. An answer of a lower one is older as a whole. */
  revision: number;
  /** From the question's arrival to the moment that the answer holds for, ms by the answerer's clock; negative for a moment before. */
  afterMs: number;
}

/** A subject whose tokens are refused until then; ms of the wall clock, like the `exp` of the tokens. */
export interface Revocation {
  subject: string;
  until: number;
}

/**
 * What changed of a tenant: everything that was written after revision `from`, up to `revision`. Each write of whatever kind is one revision, so that whoever
 * missed one knows.
 */
export interface Delta {
  from: number;
  revision: number;
  routes: Route[];
  revoked: Revocation[];
}

/** A delta with the right to answer by it; 0 seconds for a tenant that has no routes, of whom nothing may be kept. */
export interface Grant extends Delta {
  leaseSeconds: number;
}

/** The one writer of a tenant's routes. Each write resolves once no router acts by what stood before: {@link LEASE_SECONDS} + {@link SETTLE_MS} at most. */
export interface AuthorityStub {
  commit(change: Change): Promise<Committed>;
  /** Takes a target out of rotation or puts it back, as a version of its own; false where the route has no such target. */
  mark(label: string, placement: string, healthy: boolean): Promise<boolean>;
  /** Has the tokens and keys of these subjects refused at every router. */
  revoke(revoked: Revocation[]): Promise<void>;
  /** What a replica that holds `have` lacks, and a lease of it. */
  grant(replica: string, have: number): Promise<Grant>;
  lookup(label: string): Promise<Answer>;
}

export interface ReplicaStub {
  /** Throws where the replica has no lease and gets none. `fresh` passes by what it holds. */
  lookup(label: string, fresh: boolean): Promise<Answer>;
  /** Once it has returned, the replica never answers by anything below `delta.revision`: it has it all, or no lease until a grant brings it. */
  apply(tenant: string, delta: Delta): Promise<void>;
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

/** Where a continent's hints meet, degrees of longitude: the Rockies, the Oder, the Zagros. */
const WEST_OF_AMERICA = -104;
const EAST_OF_EUROPE = 15;
const EAST_OF_ARABIA = 60;

/** The region hint nearest to where a request came in. */
export function hintOf(cf: { continent?: string; longitude?: string } | undefined): Hint {
  const longitude = Number.parseFloat(cf?.longitude ?? "");
  switch (cf?.continent) {
    case "NA":
      return longitude < WEST_OF_AMERICA ? "wnam" : "enam";
    case "SA":
      return "sam";
    case "AS":
      return longitude < EAST_OF_ARABIA ? "me" : "apac";
    case "OC":
      return "oc";
    case "AF":
      return "afr";
    default:
      return longitude > EAST_OF_EUROPE ? "eeur" : "weur";
  }
}

/** The replica that answers for a tenant in a region. */
export function replicaOf(hint: Hint, tenant: string): string {
  let hash = 0x811c9dc5;
  for (const character of tenant) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return `${hint}-${(hash >>> 0) % SHARDS}`;
}
