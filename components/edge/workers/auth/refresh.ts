/**
 * Refresh tokens: each is good for one use and its answer carries the next one. A token that comes a second time was copied: its family ends.
 *
 * A family ends with its key, at the latest 30 days after the sign-in.
 */
import type { Scope } from "../shared/scopes";
import { identifier, secret, sha256 } from "../shared/digest";

const FAMILY_MS = 30 * 86_400_000;

export interface Family {
  id: string;
  subject: string;
  tenant: string | null;
  scopes: Scope[];
  /** ms of the wall clock. */
  expiresAt: number;
}

/** An access token that goes down with its family. */
export interface Outstanding {
  tenant: string | null;
  jti: string;
  until: number;
}

export class RefreshFamilies {
  constructor(private readonly storage: DurableObjectStorage) {}

  begin(subject: string, tenant: string | null, scopes: Scope[], keyExpiresAt: number | null, now: number): Family {
    const family = { id: identifier("rf_"), subject, tenant, scopes, expiresAt: Math.min(now + FAMILY_MS, keyExpiresAt ?? Number.POSITIVE_INFINITY) };
    this.storage.sql.exec("insert into refresh_families values (?, ?, ?, ?, ?)", family.id, subject, tenant, JSON.stringify(scopes), family.expiresAt);
    return family;
  }

  /** The next refresh token of a family, with the access token that goes beside it. */
  async next(family: string, jti: string, accessUntil: number): Promise<string> {
    const token = secret("spr_");
    this.storage.sql.exec("insert into refresh_tokens (hash, family, jti, access_until) values (?, ?, ?, ?)", await sha256(token), family, jti, accessUntil);
    return token;
  }

  /** Uses a token up. `reused` where it was used before. */
  use(hash: string, now: number): { family: Family; reused: boolean } | null {
    return this.storage.transactionSync(() => {
      const found = this.of(hash);
      if (!found || found.family.expiresAt <= now) return null;
      this.storage.sql.exec("update refresh_tokens set used = 1 where hash = ?", hash);
      return { family: found.family, reused: found.used };
    });
  }

  of(hash: string): { family: Family; used: boolean } | null {
    const row = [
      ...this.storage.sql.exec<{ id: string; subject: string; tenant: string | null; scopes: string; expires_at: number; used: number }>(
        "select f.*, t.used from refresh_tokens t join refresh_families f on f.id = t.family where t.hash = ?",
        hash,
      ),
    ][0];
    if (!row) return null;
    return { family: { id: row.id, subject: row.subject, tenant: row.tenant, scopes: JSON.parse(row.scopes) as Scope[], expiresAt: row.expires_at }, used: row.used === 1 };
  }

  /** Ends a family; the access tokens that it has out. */
  end(family: Family, now: number): Outstanding[] {
    const out = [...this.storage.sql.exec<{ jti: string; access_until: number }>("select jti, access_until from refresh_tokens where family = ? and access_until > ?", family.id, now)];
    this.storage.sql.exec("delete from refresh_tokens where family = ?", family.id);
    this.storage.sql.exec("delete from refresh_families where id = ?", family.id);
    return out.map(({ jti, access_until }) => ({ tenant: family.tenant, jti, until: access_until }));
  }

  /** Ends every family of a key. */
  endOf(subject: string): void {
    this.storage.sql.exec("delete from refresh_tokens where family in (select id from refresh_families where subject = ?)", subject);
    this.storage.sql.exec("delete from refresh_families where subject = ?", subject);
  }

  forgetExpired(now: number): void {
    this.storage.sql.exec("delete from refresh_tokens where family in (select id from refresh_families where expires_at <= ?)", now);
    this.storage.sql.exec("delete from refresh_families where expires_at <= ?", now);
  }
}
