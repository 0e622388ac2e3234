/** The Auth service, for the other Workers by RPC; people reach it through the API Worker. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Jwks } from "../shared/jwt";
import type { AuthEnv, AuthKeys, Grant, Issued } from "./keys";

export { AuthKeys } from "./keys";

export class AuthService extends WorkerEntrypoint<AuthEnv> {
  #keys(): AuthKeys {
    return this.env.KEYS.get(this.env.KEYS.idFromName("platform")) as unknown as AuthKeys;
  }

  async jwks(): Promise<Jwks> {
    return this.#keys().jwks();
  }

  async exchange(key: string): Promise<Issued | null> {
    return this.#keys().exchange(key);
  }

  async issue(grant: Grant): Promise<Issued> {
    return this.#keys().issue(grant);
  }

  async createKey(tenant: string, scopes: string[]): Promise<{ id: string; tenant: string; scopes: string[]; key: string }> {
    return this.#keys().createKey(tenant, scopes);
  }

  async revokeKey(tenant: string, id: string): Promise<boolean> {
    return this.#keys().revokeKey(tenant, id);
  }

  async revokeTenant(tenant: string): Promise<void> {
    return this.#keys().revokeTenant(tenant);
  }

  async checkKey(sha256: string): Promise<Grant | null> {
    return this.#keys().checkKey(sha256);
  }

  async originKey(placement: string): Promise<string> {
    return this.#keys().originKey(placement);
  }
}

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },
} satisfies ExportedHandler;
