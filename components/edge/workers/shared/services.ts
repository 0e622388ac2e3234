/** What Workers call of each other by RPC, and how they reach the automation service. */
import type { Exchanged, Grant, Issued, Revoking } from "../auth/keys";
import type { Revoked } from "../auth/revocations";
import type { Jwks } from "./jwt";
import { traceparent } from "./trace";
import type { ApiKey, Health, Incident, KeyInfo, KeyRequest, Placement, SigningKey, WorkloadSpec } from "./wire";

export interface Auth {
  jwks(): Promise<Jwks>;
  /** Every subject and token that is refused, with the tenant that it is refused for. */
  revocations(): Promise<Revoked[]>;
  /** A token for an API key; `from` is the client's address. */
  exchange(key: string, from?: string, refresh?: boolean): Promise<Exchanged>;
  refresh(token: string, from?: string): Promise<Exchanged>;
  issue(grant: Grant): Promise<Issued>;
  createKey(tenant: string | null, request: KeyRequest, by: string): Promise<ApiKey>;
  listKeys(tenant: string | null): Promise<KeyInfo[]>;
  revokeKey(tenant: string | null, id: string): Promise<Revoking>;
  revokeTenant(tenant: string): Promise<Revoking>;
  revokeSubject(tenant: string, subject: string): Promise<Revoking>;
  revokeToken(tenant: string | null, jti: string, until?: number): Promise<Revoking>;
  revokeRefresh(token: string): Promise<Revoking>;
  /** Begins the next signing key; the published ones. */
  rotate(revokeOld: boolean): Promise<SigningKey[]>;
  sweep(): Promise<void>;
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

/** A call of the automation service with a service token; in the trace of a migration where it is one's. */
export async function automation(auth: Auth, base: string, method: string, path: string, body?: unknown, migration?: string | null): Promise<Response> {
  if (!token || Date.now() > token.until) {
    const issued = await auth.issue({ subject: "edge", scopes: ["service:edge"], audience: "automation" });
    token = { value: issued.accessToken, until: Date.now() + (issued.expiresIn - 60) * 1000 };
  }
  const headers: Record<string, string> = { authorization: `Bearer ${token.value}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (migration) headers["traceparent"] = await traceparent(migration);
  const answer = await fetch(`${base}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (answer.status === 401) token = null;
  return answer;
}
