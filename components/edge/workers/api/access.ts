/** Who may do what: scopes of the token, and the tenant that it is bound to. */
import type { Context } from "hono";
import { bearer, type Claims, Verifier } from "../shared/jwt";
import { ProblemError } from "../shared/problem";
import { faultsOf } from "../shared/validate";
import type { App } from "./env";

let verifier: Verifier | null = null;

/** The caller's claims. Throws a 401 problem, and a 403 one for a machine that is gone: its token lives longer than it. */
export async function authenticate(context: Context<App>): Promise<Claims> {
  verifier ??= new Verifier(`https://auth.${context.env.ZONE}`, () => context.env.AUTH.jwks());
  const token = bearer(context.req.raw);
  const claims = token ? await verifier.verify(token) : null;
  if (!claims) throw new ProblemError(401, "not-signed-in", "A valid token is needed", "exchange an API key at POST /v1/tokens", { "www-authenticate": "Bearer" });
  if (claims.placement) {
    const row = await context.env.DB.prepare("select state from placements where id = ?").bind(claims.placement).first<{ state: string }>();
    if (!row || row.state === "DESTROYED" || row.state === "FAILED") throw new ProblemError(403, "placement-gone", "The token is of a placement that is gone", claims.placement);
  }
  return claims;
}

/** Throws a 403 problem unless the caller has one of the scopes. */
export function need(context: Context<App>, ...scopes: string[]): void {
  const held = context.get("claims").scope.split(" ");
  if (!scopes.some((scope) => held.includes(scope))) throw new ProblemError(403, "forbidden", "The token's scopes don't allow this", `it needs one of ${scopes.join(", ")}`);
}

/** Throws unless the caller may act on the tenant: its own with one of the scopes, any with a platform or service scope. Another tenant's things don't exist for it. */
export function needTenant(context: Context<App>, tenant: string, ...scopes: string[]): void {
  const claims = context.get("claims");
  const held = claims.scope.split(" ");
  if (held.includes("platform:admin") || held.includes("service:automation")) return;
  if (claims.tenant !== tenant) throw new ProblemError(404, "not-found", "No such thing", "");
  if (![...scopes, "tenant:admin"].some((scope) => held.includes(scope))) throw new ProblemError(403, "forbidden", "The token's scopes don't allow this", `it needs one of ${scopes.join(", ")}`);
}

/** The tenant to whose things a listing is narrowed: the asked-for one, or the caller's own; null for all. */
export function visible(context: Context<App>, asked: string | undefined): string | null {
  const claims = context.get("claims");
  const held = claims.scope.split(" ");
  if (held.includes("platform:admin") || held.includes("service:automation")) return asked ?? null;
  if (!claims.tenant) throw new ProblemError(403, "forbidden", "The token's scopes don't allow this", "it is bound to no tenant");
  if (asked && asked !== claims.tenant) throw new ProblemError(404, "not-found", "No such tenant", asked);
  return claims.tenant;
}

/** The body as the model `name`. Throws a 422 problem with every fault. */
export async function body<T>(context: Context<App>, name: string): Promise<T> {
  let value: unknown;
  try {
    value = await context.req.json();
  } catch {
    throw new ProblemError(400, "invalid-json", "The body is not valid JSON");
  }
  return valid<T>(name, value);
}

export function valid<T>(name: string, value: unknown): T {
  const faults = faultsOf(name, value);
  if (faults.length > 0) throw new ProblemError(422, "invalid-request", "The request is not valid", faults.map(({ path, message }) => `${path} ${message}`).join("; "));
  return value as T;
}
