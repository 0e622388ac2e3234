/** What Workers call of each other by RPC, and how they reach the automation service. */
import type { Grant, Issued } from "../auth/keys";
import type { Jwks } from "./jwt";
import type { Health, Incident, Placement, WorkloadSpec } from "./wire";

export interface Auth {
  jwks(): Promise<Jwks>;
  exchange(key: string): Promise<Issued | null>;
  issue(grant: Grant): Promise<Issued>;
  createKey(tenant: string, scopes: string[]): Promise<{ id: string; tenant: string; scopes: string[]; key: string }>;
  revokeKey(tenant: string, id: string): Promise<boolean>;
  revokeTenant(tenant: string): Promise<void>;
  /** What an API key with this SHA-256 (hex) may do; null for one that isn't known. */
  checkKey(sha256: string): Promise<Grant | null>;
  /** The placement's key for {@link OriginSigner}, hex: HMAC-SHA-256 of its id under the platform's origin secret. */
  originKey(placement: string): Promise<string>;
}

export interface Watch {
  placement: string;
  tenant: string;
  /** `https://<label>-<n>.origins.<zone>`. */
  origin: string;
  /** `tcp-<label>-<n>.origins.<zone>`, or null where no TCP is served. */
  tcpOrigin: string | null;
  health: Health;
}

/** How a placement of this spec is watched. */
export function watchOf(placement: Placement, spec: WorkloadSpec): Watch {
  const protocol = spec.health.protocol ?? (spec.ports.http === null ? "tcp" : "http");
  return { placement: placement.id, tenant: placement.tenant, origin: placement.origin, tcpOrigin: placement.tcpOrigin, health: { ...spec.health, protocol } };
}

export interface Monitor {
  /** How many good checks in a row were seen by the end: `healthy_count` of them, or fewer when the time was up. */
  verify(watch: Watch, timeoutMs: number): Promise<number>;
  watch(watch: Watch): Promise<void>;
  unwatch(tenant: string, placement: string): Promise<void>;
  /**
   * Takes a machine's notice. Once it returns, the notice is on record and is told to the automation service until the workload is off that machine;
   * the answer of the first telling, null where that failed.
   */
  report(incident: Incident): Promise<{ migration?: string } | null>;
}

let token: { value: string; until: number } | null = null;

/** A call of the automation service with a service token. */
export async function automation(auth: Auth, base: string, method: string, path: string, body?: unknown): Promise<Response> {
  if (!token || Date.now() > token.until) {
    const issued = await auth.issue({ subject: "edge", scopes: ["service:edge"], audience: "automation" });
    token = { value: issued.accessToken, until: Date.now() + (issued.expiresIn - 60) * 1000 };
  }
  const headers: Record<string, string> = { authorization: `Bearer ${token.value}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(`${base}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (answer.status === 401) token = null;
  return answer;
}
