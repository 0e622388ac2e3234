/** Verifies our tokens (JWT, ES256) in place with WebCrypto; the public keys come from Auth and are kept by the isolate. */

export interface Claims {
  iss: string;
  sub: string;
  aud?: string;
  exp: number;
  jti?: string;
  scope: string;
  tenant?: string;
  placement?: string;
}

export interface Jwks {
  keys: (JsonWebKey & { kid: string })[];
  /** Subjects whose tokens are refused though they have not expired. */
  revoked?: string[];
}

export type KeySource = () => Promise<Jwks>;

const KEEP_MS = 60_000;
const ASK_AGAIN_MS = 1_000;
const LEEWAY_SECONDS = 5;

function bytes(text: string): Uint8Array<ArrayBuffer> {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(padded), (character) => character.charCodeAt(0));
}

function decoded(part: string): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(bytes(part)));
}

/** Keeps keys and verified tokens for one isolate. */
export class Verifier {
  #keys = new Map<string, CryptoKey>();
  #revoked = new Set<string>();
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #verified = new Map<string, Claims>();

  constructor(
    private readonly issuer: string,
    private readonly source: KeySource,
  ) {}

  /** The claims of a valid token; null for any other. */
  async verify(token: string, now = Date.now()): Promise<Claims | null> {
    const known = this.#verified.get(token);
    if (known) return known.exp + LEEWAY_SECONDS > now / 1000 && now - this.#fetchedAt < KEEP_MS ? known : this.#again(token, now);
    return this.#again(token, now);
  }

  async #again(token: string, now: number): Promise<Claims | null> {
    this.#verified.delete(token);
    const parts = token.split(".");
    if (parts.length !== 3) return null;
    try {
      const [head = "", body = "", signature = ""] = parts;
      const { kid, alg } = decoded(head) as { kid?: string; alg?: string };
      if (alg !== "ES256" || !kid) return null;
      const key = await this.#key(kid, now);
      if (!key) return null;
      const signed = new TextEncoder().encode(`${head}.${body}`);
      if (!(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, bytes(signature), signed))) return null;
      const claims = decoded(body) as unknown as Claims;
      if (claims.iss !== this.issuer || typeof claims.exp !== "number" || claims.exp + LEEWAY_SECONDS <= now / 1000 || this.#revoked.has(claims.sub)) return null;
      if (this.#verified.size > 4096) this.#verified.clear();
      this.#verified.set(token, claims);
      return claims;
    } catch {
      return null;
    }
  }

  async #key(kid: string, now: number): Promise<CryptoKey | undefined> {
    const age = now - this.#fetchedAt;
    if (age > KEEP_MS || (!this.#keys.has(kid) && age > ASK_AGAIN_MS)) {
      try {
        await this.#fetch(now);
      } catch (error) {
        // While Auth is away, keys that are known go on serving.
        if (!this.#keys.has(kid)) throw error;
      }
    }
    return this.#keys.get(kid);
  }

  async #fetch(now: number): Promise<void> {
    const { keys, revoked } = await this.source();
    const imported = keys.map(async (jwk) => [jwk.kid, await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"])] as const);
    this.#keys = new Map(await Promise.all(imported));
    this.#revoked = new Set(revoked);
    this.#fetchedAt = now;
  }
}

/** The token of an `Authorization: Bearer` header. */
export function bearer(request: Request): string | null {
  const header = request.headers.get("authorization") ?? "";
  return /^bearer /i.test(header) ? header.slice(7).trim() : null;
}
