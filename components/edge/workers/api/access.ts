/** Who may do what: the token, the scopes that it holds, and the tenant that it is bound to. */
import type { Revoked } from "../auth/revocations";
import { tenantOf, workloadOf } from "../shared/ids";
import { bearer, type Claims, Verifier } from "../shared/jwt";
import { ProblemError } from "../shared/problem";
import { everyTenant } from "../shared/scopes";
import type { ApiEnv } from "./env";
import type { Call, Operation } from "./operation";

/** Revocations are asked for again after this long: what another isolate has revoked is refused here within it. */
const FRESH_MS = 500;
/** While Auth is away, what was known last is gone by for this long; then nobody is let in. */
const LAST_MS = 30_000;

let verifier: Verifier | null = null;
let known: { revoked: Revoked[]; at: number } = { revoked: [], at: Number.NEGATIVE_INFINITY };

/** The caller's claims. Throws a 401 problem, and a 403 one for a machine that is gone: its token lives longer than it. */
export async function authenticate(env: ApiEnv, request: Request): Promise<Claims> {
  const claims = await claimsOf(env, bearer(request) ?? "");
  if (!claims) throw new ProblemError(401, "not-signed-in", "A valid token is needed", "exchange an API key at POST /v1/tokens", { "www-authenticate": "Bearer" });
  if (claims.placement) {
    const row = await env.DB.prepare("select state from placements where id = ?").bind(claims.placement).first<{ state: string }>();
    if (!row || row.state === "DESTROYED" || row.state === "FAILED") throw new ProblemError(403, "placement-gone", "The token is of a placement that is gone", claims.placement);
  }
  return claims;
}

/** The claims of a token for this API that is neither expired nor revoked; null of any other. */
export async function claimsOf(env: ApiEnv, token: string): Promise<Claims | null> {
  verifier ??= new Verifier(`https://auth.${env.ZONE}`, async () => ({ keys: (await env.AUTH.jwks()).keys }));
  const claims = token ? await verifier.verify(token) : null;
  if (claims?.aud !== "api") return null;
  const revoked = await revocations(env);
  const refused = ({ tenant, subject }: Revoked): boolean => (subject === claims.sub || subject === claims.jti) && (tenant === "" || tenant === claims.tenant);
  return revoked.some(refused) ? null : claims;
}

/** Makes this isolate ask again at once: to be called after a revocation. */
export function forgetRevocations(): void {
  known = { ...known, at: Number.NEGATIVE_INFINITY };
}

async function revocations(env: ApiEnv): Promise<Revoked[]> {
  const now = Date.now();
  if (now - known.at < FRESH_MS) return known.revoked;
  try {
    const revoked = await env.AUTH.revocations();
    known = { revoked, at: now };
  } catch (error) {
    console.error(`revocations can't be had: ${(error as Error).message}`);
    if (now - known.at > LAST_MS) throw new ProblemError(503, "auth-away", "Tokens can't be checked now", "try again", { "retry-after": "1" });
  }
  return known.revoked;
}

/** Forgets the public keys, too: after a rotation that refuses the old ones. */
export function forgetKeys(): void {
  verifier = null;
}

/**
 * Throws unless the caller may do this. What isn't its tenant's doesn't exist for it (404), whether it exists or not; what its scopes don't allow is
 * forbidden (403), whether it exists or not.
 */
export function authorise(operation: Operation, call: Pick<Call, "claims" | "scopes" | "params">): void {
  if (operation.scopes === "none") return;
  const owner = ownerOf(operation, call.params);
  const forTenants = operation.scopes.some((scope) => scope.startsWith("tenant:"));
  if (owner !== null && forTenants && !everyTenant([...call.scopes]) && call.claims.tenant !== owner) throw missing(call.params[operation.of ?? ""] ?? "");
  if (!operation.scopes.some((scope) => call.scopes.has(scope))) throw new ProblemError(403, "forbidden", "The token's scopes don't allow this", `it needs one of ${operation.scopes.join(", ")}`);
}

/** The tenant whose thing the address names; null where it names none. */
export function ownerOf({ of }: Pick<Operation, "of">, params: Record<string, string>): string | null {
  const id = of ? (params[of] ?? "") : null;
  if (id === null) return null;
  return of === "tenant" ? id : tenantOf(of === "workload" ? id : workloadOf(id));
}

/** What doesn't exist, and what is another tenant's, are told alike. */
export function missing(id: string): ProblemError {
  return new ProblemError(404, "not-found", "No such thing", id);
}

/** The tenant to whose things a listing is narrowed: the asked-for one, or the caller's own; null for all. */
export function visible(call: Call, asked: string | undefined, name = asked): string | null {
  if (everyTenant([...call.scopes])) return asked ?? null;
  const own = call.claims.tenant;
  if (!own) throw new ProblemError(403, "forbidden", "The token's scopes don't allow this", "it is bound to no tenant");
  if (asked && asked !== own) throw missing(name ?? asked);
  return own;
}

/** The same of a listing that may be narrowed to a workload. */
export function visibleOf(call: Call): string | null {
  const { tenant, workload } = call.query;
  const owner = workload ? tenantOf(workload) : undefined;
  if (tenant && owner && tenant !== owner) throw missing(workload ?? "");
  return visible(call, tenant ?? owner, workload ?? tenant);
}
