/** The Auth service, for the other Workers by RPC; people reach it through the API Worker. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Jwks } from "../shared/jwt";
import type { Auth } from "../shared/services";
import type { ApiKey, KeyInfo, KeyRequest, SigningKey } from "../shared/wire";
import type { AuthEnv, AuthKeys, Exchanged, Grant, Issued, Revoking } from "./keys";
import type { Revoked } from "./revocations";

export { AuthKeys } from "./keys";

export class AuthService extends WorkerEntrypoint<AuthEnv> implements Auth {
  #keys(): AuthKeys {
    return this.env.KEYS.get(this.env.KEYS.idFromName("platform")) as unknown as AuthKeys;
  }

  async jwks(): Promise<Jwks> {
    return this.#keys().jwks();
  }

  async revocations(): Promise<Revoked[]> {
    return this.#keys().revocations();
  }

  async exchange(key: string, from = "", refresh = false): Promise<Exchanged> {
    return this.#keys().exchange(key, from, refresh);
  }

  async refresh(token: string, from = ""): Promise<Exchanged> {
    return this.#keys().refresh(token, from);
  }

  async issue(grant: Grant): Promise<Issued> {
    return this.#keys().issue(grant);
  }

  async createKey(tenant: string | null, request: KeyRequest, by: string): Promise<ApiKey> {
    return this.#keys().createKey(tenant, request, by);
  }

  async listKeys(tenant: string | null): Promise<KeyInfo[]> {
    return this.#keys().listKeys(tenant);
  }

  async revokeKey(tenant: string | null, id: string): Promise<Revoking> {
    return this.#keys().revokeKey(tenant, id);
  }

  async revokeTenant(tenant: string): Promise<Revoking> {
    return this.#keys().revokeTenant(tenant);
  }

  async revokeSubject(tenant: string, subject: string): Promise<Revoking> {
    return this.#keys().revokeSubject(tenant, subject);
  }

  async revokeToken(tenant: string | null, jti: string, until?: number): Promise<Revoking> {
    return this.#keys().revokeToken(tenant, jti, until);
  }

  async revokeRefresh(token: string): Promise<Revoking> {
    return this.#keys().revokeRefresh(token);
  }

  async rotate(revokeOld: boolean): Promise<SigningKey[]> {
    return this.#keys().rotate(revokeOld);
  }

  async sweep(): Promise<void> {
    await this.#keys().sweep();
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
