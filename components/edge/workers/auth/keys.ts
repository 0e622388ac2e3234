/** AuthKeys: signing keys (two overlap), API keys by their hash, refresh families, revocations. One object for the platform. */
import { DurableObject } from "cloudflare:workers";
import { workloadOf, tenantOf } from "../shared/ids";
import type { Jwks } from "../shared/jwt";
import type { Scope } from "../shared/scopes";
import type { ApiKey, KeyInfo, KeyRequest, SigningKey } from "../shared/wire";
import { ApiKeys } from "./apikeys";
import { Buckets } from "../shared/buckets";
import { hex, sameHash, sha256 } from "../shared/digest";
import { type Family, RefreshFamilies } from "./refresh";
import { type Revoked, Revocations } from "./revocations";
import { type Signed, SigningKeys } from "./signing";
import { migrate } from "./tables";

export interface AuthEnv {
  KEYS: DurableObjectNamespace;
  AUTHORITIES: DurableObjectNamespace;
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
  refreshToken: string | null;
}

export type Exchanged = { ok: true; issued: Issued } | { ok: false; reason: "unknown" } | { ok: false; reason: "limited"; retryAfter: number };

/** `delivered`: every router refuses it already; else within the next tries. */
export interface Revoking {
  known: boolean;
  delivered: boolean;
}

const TOKEN_SECONDS = 900;
const PLACEMENT_SECONDS = 30 * 86_400;
/** A clock that is behind refuses a token for longer than it lives, never for less. */
const LEEWAY_MS = 60_000;
/** How long a revocation's answer waits for the routers. */
const DELIVERY_MS = 2_000;
const SWEEP_MS = 6 * 3_600_000;
const PLATFORM: Scope[] = ["platform:admin", "service:automation"];

export class AuthKeys extends DurableObject<AuthEnv> {
  readonly #signing: SigningKeys;
  readonly #keys: ApiKeys;
  readonly #families: RefreshFamilies;
  readonly #revocations: Revocations;
  /** A known key's own pace, and that of unknown ones by where they come from: nobody uses up another's. */
  readonly #known = new Buckets(120, 2);
  readonly #unknown = new Buckets(30, 0.5);

  constructor(ctx: DurableObjectState, env: AuthEnv) {
    super(ctx, env);
    migrate(ctx.storage);
    this.#signing = new SigningKeys(ctx, `https://auth.${env.ZONE}`);
    this.#keys = new ApiKeys(ctx.storage.sql);
    this.#families = new RefreshFamilies(ctx.storage);
    // By the field and not by its value: an authority is reached as the object's environment stands when it is told.
    this.#revocations = new Revocations(ctx.storage, { get: (id) => this.env.AUTHORITIES.get(id), idFromName: (name) => this.env.AUTHORITIES.idFromName(name) } as DurableObjectNamespace);
  }

  /** The public keys, and the subjects whose tokens are refused. */
  async jwks(): Promise<Jwks> {
    const now = Date.now();
    return { keys: await this.#signing.published(now), revoked: this.#revocations.all(now).map(({ subject }) => subject) };
  }

  async revocations(): Promise<Revoked[]> {
    return this.#revocations.all(Date.now());
  }

  async issue(grant: Grant): Promise<Issued> {
    const ttl = grant.ttlSeconds ?? TOKEN_SECONDS;
    return issued(await this.#sign(grant, ttl), ttl, grant.scopes, null);
  }

  /** A token for an API key, with `refresh` the first refresh token of a family; `from` is where the request came from. */
  async exchange(key: string, from: string, refresh = false): Promise<Exchanged> {
    const now = Date.now();
    const hash = await sha256(key);
    const known = sameHash(hash, this.env.PLATFORM_KEY_SHA256) ? { id: "platform", tenant: null, scopes: PLATFORM, expiresAt: null } : this.#keys.find(hash, now);
    const wait = known ? this.#known.take(known.id, now) : this.#unknown.take(from, now);
    if (wait > 0) return { ok: false, reason: "limited", retryAfter: wait };
    if (!known) return { ok: false, reason: "unknown" };
    const family = refresh ? this.#families.begin(known.id, known.tenant, known.scopes, known.expiresAt, now) : null;
    return { ok: true, issued: await this.#access(known, known.expiresAt, family, now) };
  }

  /** The next tokens of a family. A token that was used before ends the family, and what it has out is refused. */
  async refresh(token: string, from: string): Promise<Exchanged> {
    const now = Date.now();
    const used = this.#families.use(await sha256(token), now);
    if (!used) {
      const wait = this.#unknown.take(from, now);
      return wait > 0 ? { ok: false, reason: "limited", retryAfter: wait } : { ok: false, reason: "unknown" };
    }
    const { family, reused } = used;
    if (reused) {
      console.warn(`a refresh token of ${family.id} (${family.subject}) came twice; the family is ended`);
      await this.#endFamily(family, now);
      return { ok: false, reason: "unknown" };
    }
    const wait = this.#known.take(family.subject, now);
    // Not used up after all: the same token is good once there is room again.
    if (wait > 0) {
      this.ctx.storage.sql.exec("update refresh_tokens set used = 0 where hash = ?", await sha256(token));
      return { ok: false, reason: "limited", retryAfter: wait };
    }
    return { ok: true, issued: await this.#access({ ...family, id: family.subject }, family.expiresAt, family, now) };
  }

  /** What an API key may do; null for one that isn't known or has expired. */
  async checkKey(hash: string): Promise<Grant | null> {
    const known = this.#keys.find(hash, Date.now());
    return known ? { subject: known.id, tenant: known.tenant, scopes: known.scopes } : null;
  }

  async originKey(placement: string): Promise<string> {
    this.ctx.storage.sql.exec("insert or ignore into origin_secret values (1, ?)", hex(crypto.getRandomValues(new Uint8Array(32))));
    const { secret } = this.ctx.storage.sql.exec<{ secret: string }>("select secret from origin_secret").one();
    const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return hex(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(placement))));
  }

  /** A new key of a tenant (null: of the platform), shown once; only its hash is kept. */
  async createKey(tenant: string | null, request: KeyRequest, by: string): Promise<ApiKey> {
    return this.#keys.create(tenant, request, by, Date.now());
  }

  async listKeys(tenant: string | null): Promise<KeyInfo[]> {
    return this.#keys.list(tenant);
  }

  /** Forgets a key, ends its sessions, and has its tokens refused until they have expired; not known where the tenant doesn't have it. */
  async revokeKey(tenant: string | null, id: string): Promise<Revoking> {
    if (!this.#keys.has(tenant, id)) return { known: false, delivered: true };
    return { known: true, delivered: await this.#revokeKeys(tenant, [id]) };
  }

  /** Forgets every key of a tenant, as {@link revokeKey} does. */
  async revokeTenant(tenant: string): Promise<Revoking> {
    return {
      known: true,
      delivered: await this.#revokeKeys(
        tenant,
        this.#keys.list(tenant).map(({ id }) => id),
      ),
    };
  }

  /** Refuses the tokens of a tenant's key (which is forgotten) or placement; not known where the subject is neither. */
  async revokeSubject(tenant: string, subject: string): Promise<Revoking> {
    if (this.#keys.has(tenant, subject)) return this.revokeKey(tenant, subject);
    if (!/^[a-z0-9]+_[a-z0-9-]+_\d+$/.test(subject) || tenantOf(workloadOf(subject)) !== tenant) return { known: false, delivered: true };
    return { known: true, delivered: await this.#refuse([{ tenant, subject, until: Date.now() + PLACEMENT_SECONDS * 1000 + LEEWAY_MS }]) };
  }

  /** Refuses one token; `until` (ms) where its end is known, else for as long as any token lives. */
  async revokeToken(tenant: string | null, jti: string, until?: number): Promise<Revoking> {
    return { known: true, delivered: await this.#refuse([{ tenant: tenant ?? "", subject: jti, until: (until ?? Date.now() + PLACEMENT_SECONDS * 1000) + LEEWAY_MS }]) };
  }

  /** Ends the family of a refresh token. */
  async revokeRefresh(token: string): Promise<Revoking> {
    const found = this.#families.of(await sha256(token));
    return found ? { known: true, delivered: await this.#endFamily(found.family, Date.now()) } : { known: false, delivered: true };
  }

  async rotate(revokeOld: boolean): Promise<SigningKey[]> {
    return this.#signing.rotate(Date.now(), revokeOld);
  }

  /** Delivers what is undelivered and forgets what has expired. */
  override async alarm(): Promise<void> {
    await this.#revocations.deliver();
    this.sweep();
    await this.ctx.storage.setAlarm(this.#revocations.retryAt(Date.now()) ?? Date.now() + SWEEP_MS);
  }

  /** Forgets expired keys, refresh tokens and retired signing keys. */
  sweep(now = Date.now()): void {
    this.#signing.forgetRetired(now);
    this.#keys.forgetExpired(now);
    this.#families.forgetExpired(now);
  }

  async #access(known: { id: string; tenant: string | null; scopes: Scope[] }, expiresAt: number | null, family: Family | null, now: number): Promise<Issued> {
    const ttl = Math.max(1, Math.min(TOKEN_SECONDS, expiresAt === null ? TOKEN_SECONDS : Math.floor((expiresAt - now) / 1000)));
    const signed = await this.#sign({ subject: known.id, tenant: known.tenant, scopes: known.scopes }, ttl);
    return issued(signed, ttl, known.scopes, family ? await this.#families.next(family.id, signed.jti, signed.until) : null);
  }

  async #sign(grant: Grant, ttl: number): Promise<Signed> {
    const claims: Record<string, string> = { scope: grant.scopes.join(" ") };
    if (grant.tenant) claims.tenant = grant.tenant;
    if (grant.placement) claims.placement = grant.placement;
    return this.#signing.sign(claims, grant.subject, grant.audience ?? "api", ttl, Date.now());
  }

  async #revokeKeys(tenant: string | null, ids: string[]): Promise<boolean> {
    const until = Date.now() + TOKEN_SECONDS * 1000 + LEEWAY_MS;
    const revoked = ids.map((subject) => ({ tenant: tenant ?? "", subject, until }));
    return this.#refuse(revoked, () => {
      for (const id of ids) {
        this.#keys.remove(id);
        this.#families.endOf(id);
      }
    });
  }

  async #endFamily(family: Family, now: number): Promise<boolean> {
    const out: Revoked[] = [];
    return this.#refuse(out, () => {
      for (const { tenant, jti, until } of this.#families.end(family, now)) out.push({ tenant: tenant ?? "", subject: jti, until: until + LEEWAY_MS });
    });
  }

  /** Writes down who is refused, with the `reason` for it, then tells the routers; whether all have heard before the answer's time was up. */
  async #refuse(revoked: Revoked[], reason: () => void = () => undefined): Promise<boolean> {
    const now = Date.now();
    this.ctx.storage.transactionSync(() => {
      reason();
      this.#revocations.add(revoked, now);
    });
    const retryAt = this.#revocations.retryAt(now);
    if (retryAt === null) return true;
    // In the same turn as the write, so that both are kept or neither is.
    void this.ctx.storage.setAlarm(retryAt + DELIVERY_MS);
    await this.ctx.storage.sync();
    const delivery = this.#revocations.deliver();
    this.ctx.waitUntil(delivery);
    return Promise.race([delivery, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), DELIVERY_MS))]);
  }
}

function issued(signed: Signed, ttl: number, scopes: string[], refreshToken: string | null): Issued {
  return { accessToken: signed.token, tokenType: "Bearer", expiresIn: ttl, scopes, refreshToken };
}
