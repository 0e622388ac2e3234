/** AuthKeys: signing keys (two overlap) and API keys by their hash. One object for the platform. */
import { DurableObject } from "cloudflare:workers";
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import type { Jwks } from "../shared/jwt";

export interface AuthEnv {
  KEYS: DurableObjectNamespace;
  ZONE: string;
  PLATFORM_KEY_SHA256: string;
}

export interface Grant {
  subject: string;
  scopes: string[];
  tenant?: string | null;
  placement?: string | null;
  audience?: string;
  ttlSeconds?: number;
}

export interface Issued {
  accessToken: string;
  tokenType: "Bearer";
  expiresIn: number;
  scopes: string[];
}

const TOKEN_SECONDS = 900;
/** A signing key is replaced after a month and published for two: longer than any token lives. */
const KEY_DAYS = 31;
const DAY_MS = 86_400_000;

interface Signing {
  kid: string;
  private: JWK;
  public: JWK;
  createdAt: number;
}

export class AuthKeys extends DurableObject<AuthEnv> {
  constructor(ctx: DurableObjectState, env: AuthEnv) {
    super(ctx, env);
    ctx.storage.sql.exec(`
      create table if not exists signing (kid text primary key, document text not null, created_at integer not null);
      create table if not exists api_keys (hash text primary key, id text not null unique, tenant text, scopes text not null, created_at integer not null);
      create table if not exists origin_secret (id integer primary key check (id = 1), secret text not null);
      create table if not exists revoked (subject text primary key, until integer not null);
    `);
  }

  /** The public keys, and the subjects whose tokens are refused. */
  async jwks(): Promise<Jwks> {
    await this.#current();
    const revoked = [...this.ctx.storage.sql.exec<{ subject: string }>("select subject from revoked where until > ?", Date.now())].map(({ subject }) => subject);
    return { revoked, keys: this.#signing().map((one) => ({ ...one.public, kid: one.kid, alg: "ES256", use: "sig" }) as JsonWebKey & { kid: string }) };
  }

  async issue(grant: Grant): Promise<Issued> {
    const signing = await this.#current();
    const ttl = grant.ttlSeconds ?? TOKEN_SECONDS;
    const claims: Record<string, string> = { scope: grant.scopes.join(" ") };
    if (grant.tenant) claims.tenant = grant.tenant;
    if (grant.placement) claims.placement = grant.placement;
    const now = Math.floor(Date.now() / 1000);
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: signing.kid, typ: "JWT" })
      .setIssuer(`https://auth.${this.env.ZONE}`)
      .setSubject(grant.subject)
      .setAudience(grant.audience ?? "api")
      .setIssuedAt(now)
      .setExpirationTime(now + ttl)
      .setJti(crypto.randomUUID())
      .sign(await importJWK(signing.private, "ES256"));
    return { accessToken: token, tokenType: "Bearer", expiresIn: ttl, scopes: grant.scopes };
  }

  /** A token for an API key; null for one that isn't known. */
  async exchange(key: string): Promise<Issued | null> {
    const hash = await sha256(key);
    if (hash === this.env.PLATFORM_KEY_SHA256) return this.issue({ subject: "platform", scopes: ["platform:admin", "service:automation"] });
    const row = [...this.ctx.storage.sql.exec<{ id: string; tenant: string | null; scopes: string }>("select id, tenant, scopes from api_keys where hash = ?", hash)][0];
    return row ? this.issue({ subject: row.id, tenant: row.tenant, scopes: JSON.parse(row.scopes) as string[] }) : null;
  }

  async checkKey(sha256: string): Promise<Grant | null> {
    const row = [...this.ctx.storage.sql.exec<{ id: string; tenant: string | null; scopes: string }>("select id, tenant, scopes from api_keys where hash = ?", sha256)][0];
    return row ? { subject: row.id, tenant: row.tenant, scopes: JSON.parse(row.scopes) as string[] } : null;
  }

  async originKey(placement: string): Promise<string> {
    this.ctx.storage.sql.exec("insert or ignore into origin_secret values (1, ?)", hex(crypto.getRandomValues(new Uint8Array(32))));
    const { secret } = this.ctx.storage.sql.exec<{ secret: string }>("select secret from origin_secret").one();
    const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return hex(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(placement))));
  }

  /** A new key of a tenant, shown once; only its hash is kept. */
  async createKey(tenant: string, scopes: string[]): Promise<{ id: string; tenant: string; scopes: string[]; key: string }> {
    const id = `key_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
    const secret = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
    const key = `spk_${secret}`;
    this.ctx.storage.sql.exec("insert into api_keys values (?, ?, ?, ?, ?)", await sha256(key), id, tenant, JSON.stringify(scopes), Date.now());
    return { id, tenant, scopes, key };
  }

  /** Forgets a tenant's key, and has its tokens refused until they have expired; false for a key that the tenant doesn't have. */
  async revokeKey(tenant: string, id: string): Promise<boolean> {
    return this.#revoke([...this.ctx.storage.sql.exec<{ id: string }>("select id from api_keys where tenant = ? and id = ?", tenant, id)]) > 0;
  }

  /** Forgets every key of a tenant, as {@link revokeKey} does. */
  async revokeTenant(tenant: string): Promise<void> {
    this.#revoke([...this.ctx.storage.sql.exec<{ id: string }>("select id from api_keys where tenant = ?", tenant)]);
  }

  #revoke(keys: { id: string }[]): number {
    const until = Date.now() + 2 * TOKEN_SECONDS * 1000;
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.sql.exec("delete from revoked where until < ?", Date.now());
      for (const { id } of keys) {
        this.ctx.storage.sql.exec("delete from api_keys where id = ?", id);
        this.ctx.storage.sql.exec("insert or replace into revoked values (?, ?)", id, until);
      }
    });
    return keys.length;
  }

  #signing(): Signing[] {
    const rows = this.ctx.storage.sql.exec<{ document: string }>("select document from signing where created_at > ? order by created_at desc", Date.now() - 2 * KEY_DAYS * DAY_MS);
    return [...rows].map(({ document }) => JSON.parse(document) as Signing);
  }

  async #current(): Promise<Signing> {
    const newest = this.#signing()[0];
    if (newest && Date.now() - newest.createdAt < KEY_DAYS * DAY_MS) return newest;
    return this.ctx.blockConcurrencyWhile(async () => {
      const again = this.#signing()[0];
      if (again && Date.now() - again.createdAt < KEY_DAYS * DAY_MS) return again;
      const pair = await generateKeyPair("ES256", { extractable: true });
      const made: Signing = { kid: crypto.randomUUID(), private: await exportJWK(pair.privateKey), public: await exportJWK(pair.publicKey), createdAt: Date.now() };
      this.ctx.storage.sql.exec("delete from signing where created_at <= ?", Date.now() - 2 * KEY_DAYS * DAY_MS);
      this.ctx.storage.sql.exec("insert into signing values (?, ?, ?)", made.kid, JSON.stringify(made), made.createdAt);
      return made;
    });
  }
}

export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return hex(new Uint8Array(digest));
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
