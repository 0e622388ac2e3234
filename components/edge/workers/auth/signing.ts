/**
 * Signing keys: at least one, two while one takes over from another.
 *
 * A new key is published before it signs, for longer than anybody keeps the published set; what it replaces is published until the last token that it
 * signed has expired.
 */
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import type { SigningKey } from "../shared/wire";

const DAY_MS = 86_400_000;
/** A key is replaced after a month. */
const SIGNS_MS = 31 * DAY_MS;
/** Published after its last signature: longer than the longest token lives (a placement's, 30 days). */
const OUTLIVES_MS = 31 * DAY_MS;
/** Published before its first signature: twice as long as the set's `max-age`. */
const AHEAD_MS = 120_000;

interface Row extends Record<string, SqlStorageValue> {
  kid: string;
  document: string;
  created_at: number;
  signs_from: number;
  retires_at: number | null;
}

export interface Signed {
  token: string;
  jti: string;
  /** ms of the wall clock. */
  until: number;
}

export class SigningKeys {
  #imported = new Map<string, CryptoKey | Uint8Array>();

  constructor(
    private readonly ctx: DurableObjectState,
    private readonly issuer: string,
  ) {}

  /** The public keys, once there is one. */
  async published(now: number): Promise<(JsonWebKey & { kid: string })[]> {
    await this.#signer(now);
    return this.#rows(now).map((row) => {
      const { public: key } = JSON.parse(row.document) as { public: JWK };
      return { ...key, kid: row.kid, alg: "ES256", use: "sig" } as JsonWebKey & { kid: string };
    });
  }

  async sign(claims: Record<string, string>, subject: string, audience: string, ttlSeconds: number, now: number): Promise<Signed> {
    const row = await this.#signer(now);
    let key = this.#imported.get(row.kid);
    if (!key) {
      key = await importJWK((JSON.parse(row.document) as { private: JWK }).private, "ES256");
      this.#imported.set(row.kid, key);
    }
    const seconds = Math.floor(now / 1000);
    const jti = crypto.randomUUID();
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: row.kid, typ: "JWT" })
      .setIssuer(this.issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + ttlSeconds)
      .setJti(jti)
      .sign(key);
    return { token, jti, until: (seconds + ttlSeconds) * 1000 };
  }

  /** Begins the next key; with `revokeOld` it signs at once, and what the others signed is refused. */
  async rotate(now: number, revokeOld: boolean): Promise<SigningKey[]> {
    await this.#make(now, revokeOld ? now : now + AHEAD_MS, revokeOld);
    return this.#rows(now).map(shown);
  }

  forgetRetired(now: number): void {
    this.ctx.storage.sql.exec("delete from signing where retires_at <= ?", now);
  }

  #rows(now: number): Row[] {
    return [...this.ctx.storage.sql.exec<Row>("select * from signing where retires_at is null or retires_at > ? order by signs_from desc, created_at desc", now)];
  }

  /** The key that signs now. One that has signed for a month is replaced on the way. */
  async #signer(now: number): Promise<Row> {
    const inForce = () => {
      const rows = this.#rows(now);
      const newest = rows[0];
      if (newest && now - Math.max(newest.created_at, newest.signs_from) < SIGNS_MS) return rows.find(({ signs_from }) => signs_from <= now) ?? newest;
      return null;
    };
    const found = inForce();
    if (found) return found;
    return this.ctx.blockConcurrencyWhile(async () => {
      const again = inForce();
      if (again) return again;
      await this.#make(now, this.#rows(now).length > 0 ? now + AHEAD_MS : now, false);
      return inForce() as Row;
    });
  }

  async #make(now: number, signsFrom: number, revokeOld: boolean): Promise<void> {
    const pair = await generateKeyPair("ES256", { extractable: true });
    const kid = crypto.randomUUID();
    const document = JSON.stringify({ private: await exportJWK(pair.privateKey), public: await exportJWK(pair.publicKey) });
    this.ctx.storage.transactionSync(() => {
      const { sql } = this.ctx.storage;
      // A key that was to sign later, and is overtaken, is of no more use.
      sql.exec("delete from signing where signs_from > ?", now);
      if (revokeOld) sql.exec("delete from signing");
      else sql.exec("update signing set retires_at = ? where retires_at is null", signsFrom + OUTLIVES_MS);
      sql.exec("insert into signing (kid, document, created_at, signs_from, retires_at) values (?, ?, ?, ?, null)", kid, document, now, signsFrom);
    });
  }
}

function shown(row: Row): SigningKey {
  const time = (ms: number): string => new Date(ms).toISOString();
  return { kid: row.kid, createdAt: time(row.created_at), signsFrom: time(row.signs_from || row.created_at), retiresAt: row.retires_at === null ? null : time(row.retires_at) };
}
