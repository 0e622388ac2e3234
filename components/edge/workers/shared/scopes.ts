/** Scopes: what a token may do. `tenant:admin` holds `tenant:deploy`, that holds `tenant:read`. */
import type { KeyRequest } from "./wire";

/** Of keys. Tokens of machines have `placement`, the edge's own have `service:edge`. */
export type Scope = KeyRequest["scopes"][number];

const HELD: Record<string, string[]> = {
  "platform:admin": ["tenant:admin", "tenant:deploy", "tenant:read"],
  "service:automation": ["tenant:read"],
  "tenant:admin": ["tenant:deploy", "tenant:read"],
  "tenant:deploy": ["tenant:read"],
};

/** Scopes that hold for every tenant; a token with none of them acts for the tenant that it is bound to. */
const EVERY_TENANT = ["platform:admin", "service:automation"];

/** The scopes with what they hold. */
export function held(scopes: string[]): Set<string> {
  return new Set(scopes.flatMap((scope) => [scope, ...(HELD[scope] ?? [])]));
}

export function everyTenant(scopes: string[]): boolean {
  return scopes.some((scope) => EVERY_TENANT.includes(scope));
}
