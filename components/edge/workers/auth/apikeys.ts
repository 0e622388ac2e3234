/** API keys: by the SHA-256 of 256 random bits, which needs no salt and can't be guessed from; shown once, at their making. */
import type { Scope } from "../shared/scopes";
import type { ApiKey, KeyInfo, KeyRequest } from "../shared/wire";
import { identifier, secret, sha256 } from "../shared/digest";

/** `last_used_at` is written at most this often. */
const COARSE_MS = 3_600_000;

interface Row extends Record<string, SqlStorageValue> {
  hash: string;
  id: string;
  tenant: string | null;
  scopes: string;
  created_at: number;
  name: string;
  created_by: string;
  expires_at: number | null;
  last_used_at: number | null;
}

export interface KnownKey {
  id: string;
  tenant: string | null;
  scopes: Scope[];
  /** ms of the wall clock; null where it lasts. */
  expiresAt: number | null;
}

export class ApiKeys {
  constructor(private readonly sql: SqlStorage) {}

  async create(tenant: string | null, request: KeyRequest, by: string, now: number): Promise<ApiKey> {
    const key = secret("spk_");
    const id = identifier("key_");
    this.sql.exec(
      "insert into api_keys (hash, id, tenant, scopes, created_at, name, created_by, expires_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
      await sha256(key),
      id,
      tenant,
      JSON.stringify(request.scopes),
      now,
      request.name,
      by,
      request.expiresAt === null ? null : Date.parse(request.expiresAt),
    );
    return { id, tenant, name: request.name, scopes: request.scopes, expiresAt: request.expiresAt, key };
  }

  /** The key with this hash, marked as used; null for one that isn't known or has expired. */
  find(hash: string, now: number): KnownKey | null {
    const row = [...this.sql.exec<Row>("select * from api_keys where hash = ?", hash)][0];
    if (!row || (row.expires_at !== null && row.expires_at <= now)) return null;
    if ((row.last_used_at ?? 0) + COARSE_MS <= now) this.sql.exec("update api_keys set last_used_at = ? where id = ?", now - (now % COARSE_MS), row.id);
    return { id: row.id, tenant: row.tenant, scopes: JSON.parse(row.scopes) as Scope[], expiresAt: row.expires_at };
  }

  /** A tenant's keys, or with null the platform's own, by id. */
  list(tenant: string | null): KeyInfo[] {
    return [...this.sql.exec<Row>("select * from api_keys where tenant is ? order by id", tenant)].map((row) => ({
      id: row.id,
      tenant: row.tenant,
      name: row.name,
      scopes: JSON.parse(row.scopes) as Scope[],
      createdAt: new Date(row.created_at).toISOString(),
      createdBy: row.created_by,
      expiresAt: time(row.expires_at),
      lastUsedAt: time(row.last_used_at),
    }));
  }

  has(tenant: string | null, id: string): boolean {
    return [...this.sql.exec("select 1 from api_keys where tenant is ? and id = ?", tenant, id)].length > 0;
  }

  remove(id: string): void {
    this.sql.exec("delete from api_keys where id = ?", id);
  }

  forgetExpired(now: number): void {
    this.sql.exec("delete from api_keys where expires_at <= ?", now);
  }
}

function time(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
