/** Verifies our tokens (JWT, ES256) in place with WebCrypto; the public keys come from Auth and are kept by the isolate. */
import { ProblemError } from "./problem";
import { RecentMap } from "./recent";

export interface Claims {
  iss: string;
  sub: string;
  aud?: string;
  exp: number;
  nbf?: number;
  iat?: number;
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

/** No key is known and Auth can't be asked: whether a token is good can't be said. */
export class KeysUnavailable extends ProblemError {
  constructor() {
    super(503, "auth-unavailable", "Tokens can't be checked now", "", { "retry-after": "2" });
  }
}

/** Ages of the public keys, ms, at which they are read again beside a request, and before one. */
const KEEP_MS = 60_000;
const KEEP_AT_MOST_MS = 300_000;
/** A `kid` that isn't known has Auth asked at most this often. */
const ASK_AGAIN_MS = 1_000;
/** How far clocks may be apart. */
const LEEWAY_SECONDS = 5;
/** Characters of the longest token that is looked at; ours have some 500. */
const LONGEST = 4_096;
const TOKENS = 4_096;

const PART = /^[A-Za-z0-9_-]+$/;
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

function bytes(part: string): Uint8Array<ArrayBuffer> {
  if (!PART.test(part)) throw new SyntaxError("not base64url");
  return Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

function decoded(part: string): Record<string, unknown> | null {
  return JSON.parse(text.decode(bytes(part)));
}

/** Whether the claims are those of a token of ours, for this audience and for now. */
function hold(claims: Partial<Claims>, issuer: string, audience: string, seconds: number): claims is Claims {
  return (
    claims.iss === issuer &&
    claims.aud === audience &&
    typeof claims.sub === "string" &&
    typeof claims.scope === "string" &&
    (claims.tenant === undefined || typeof claims.tenant === "string") &&
    typeof claims.exp === "number" &&
    claims.exp + LEEWAY_SECONDS > seconds &&
    (claims.nbf === undefined || (typeof claims.nbf === "number" && claims.nbf - LEEWAY_SECONDS <= seconds)) &&
    (claims.iat === undefined || (typeof claims.iat === "number" && claims.iat - LEEWAY_SECONDS <= seconds))
  );
}

/** Keeps keys and verified tokens for one isolate. A token is known again by all of its characters, its signature included. */
export class Verifier {
  #keys = new Map<string, CryptoKey>();
  #revoked = new Set<string>();
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #refreshing = false;
  #verified = new RecentMap<string, { claims: Claims; kid: string }>(TOKENS);

  constructor(
    private readonly issuer: string,
    private readonly source: KeySource,
    private readonly audience = "api",
  ) {}

  /** The claims of a token that was verified before and still holds; null where it must be verified. Keys are read again by `later` where that is due. */
  held(token: string, later: (work: Promise<unknown>) => void, now = Date.now()): Claims | null {
    const known = this.#verified.get(token);
    const age = now - this.#fetchedAt;
    if (!known || age > KEEP_AT_MOST_MS || known.claims.exp + LEEWAY_SECONDS <= now / 1000 || !this.#keys.has(known.kid) || this.#revoked.has(known.claims.sub)) return null;
    if (age > KEEP_MS && !this.#refreshing) {
      this.#refreshing = true;
      later(
        this.#fetch(now)
          .catch(() => undefined)
          .finally(() => {
            this.#refreshing = false;
          }),
      );
    }
    return known.claims;
  }

  /** The claims of a valid token; null for any other. Throws {@link KeysUnavailable} where that can't be said. */
  async verify(token: string, now = Date.now()): Promise<Claims | null> {
    if (token.length > LONGEST) return null;
    if (now - this.#fetchedAt <= KEEP_MS) {
      const known = this.held(token, () => undefined, now);
      if (known) return known;
    }
    const [head = "", body = "", signature = "", ...more] = token.split(".");
    if (more.length > 0) return null;
    let header: Record<string, unknown> | null;
    let claims: Partial<Claims> | null;
    let signed: Uint8Array<ArrayBuffer>;
    try {
      header = decoded(head);
      claims = decoded(body) as Partial<Claims> | null;
      signed = bytes(signature);
    } catch {
      return null;
    }
    const { alg, kid, crit } = header ?? {};
    if (alg !== "ES256" || typeof kid !== "string" || crit !== undefined) return null;
    if (!claims || !hold(claims, this.issuer, this.audience, now / 1000)) return null;
    const key = await this.#key(kid, now);
    if (!key || this.#revoked.has(claims.sub)) return null;
    if (!(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signed, new TextEncoder().encode(`${head}.${body}`)))) return null;
    this.#verified.set(token, { claims, kid });
    return claims;
  }

  async #key(kid: string, now: number): Promise<CryptoKey | undefined> {
    const age = now - this.#fetchedAt;
    const known = this.#keys.has(kid);
    if (age > KEEP_MS || (!known && age > ASK_AGAIN_MS)) {
      try {
        if (now - this.#failedAt >= ASK_AGAIN_MS) await this.#fetch(now);
      } catch {
        this.#failedAt = now;
      }
      // While Auth is away, keys that are known go on serving.
      if (!known && now - this.#failedAt < ASK_AGAIN_MS) throw new KeysUnavailable();
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
