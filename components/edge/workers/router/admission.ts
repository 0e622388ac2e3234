/**
 * Who may reach a workload: anyone where it says so, else the tokens and API keys of its own tenant.
 *
 * A platform's token opens no tenant's workload: the platform manages tenants, it isn't one. A token or key stays here; the machine is told whose it was.
 */
import { type Claims, KeysUnavailable, type Verifier } from "../shared/jwt";
import type { Known } from "../shared/route";
import { type ApiKeys, KEY_PREFIX } from "./apikeys";
import type { Asked } from "./headers";
import type { Answer } from "./pages";

/** Whose request it is. */
export interface Caller {
  subject: string;
  scope: string;
}

const BEARER = /^bearer /i;

/** Null: no caller is asked for. */
export type Admission = Caller | Answer | null;

const NOBODY: Answer = { status: 401, word: "not-signed-in", title: "A valid token or API key is needed", headers: { "www-authenticate": "Bearer" } };
const STRANGER: Answer = { status: 403, word: "forbidden", title: "The token or key is not of this workload's tenant" };
const UNKNOWABLE: Answer = { status: 503, word: "auth-unavailable", title: "Tokens can't be checked now", headers: { "retry-after": "2" } };

export function refused(admission: Admission): admission is Answer {
  return admission !== null && "status" in admission;
}

export class Gatekeeper {
  constructor(
    private readonly verifier: Verifier,
    private readonly keys: ApiKeys,
  ) {}

  /** At once for an anonymous workload and for a token that this isolate has verified before. */
  admit(known: Known, asked: Asked, later: (work: Promise<unknown>) => void): Admission | Promise<Admission> {
    const { route, revoked } = known;
    if (!route) return NOBODY;
    if (route.access === "anonymous") return null;
    const credential = bearer(asked.authorization) || asked.apiKey;
    if (!credential) return NOBODY;
    if (credential.startsWith(KEY_PREFIX)) return this.#byKey(credential, route.tenant, revoked);
    const claims = this.verifier.held(credential, later);
    return claims ? allowed(claims, route.tenant, revoked) : this.#byToken(credential, route.tenant, revoked);
  }

  async #byToken(token: string, tenant: string, revoked: string[]): Promise<Admission> {
    try {
      const claims = await this.verifier.verify(token);
      return claims ? allowed(claims, tenant, revoked) : NOBODY;
    } catch (error) {
      if (error instanceof KeysUnavailable) return UNKNOWABLE;
      throw error;
    }
  }

  async #byKey(key: string, tenant: string, revoked: string[]): Promise<Admission> {
    const grant = await this.keys.grant(key).catch(() => undefined);
    if (grant === undefined) return UNKNOWABLE;
    return grant ? allowed({ sub: grant.subject, tenant: grant.tenant ?? undefined, scope: grant.scopes.join(" ") }, tenant, revoked) : NOBODY;
  }
}

/** `revoked` names subjects, and single tokens by their `jti`. */
function allowed({ sub, jti, tenant, scope }: Pick<Claims, "sub" | "jti" | "tenant" | "scope">, owner: string, revoked: string[]): Admission {
  if (revoked.length > 0 && (revoked.includes(sub) || (jti !== undefined && revoked.includes(jti)))) return NOBODY;
  if (tenant !== owner || !scope.split(" ").some((one) => one.startsWith("tenant:"))) return STRANGER;
  return { subject: sub, scope };
}

/** What follows `Bearer` in an Authorization header. */
function bearer(authorization: string | null): string | null {
  return authorization !== null && BEARER.test(authorization) ? authorization.slice(7) : null;
}
