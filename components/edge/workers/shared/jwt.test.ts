import { beforeAll, expect, test } from "vitest";
import { type Claims, type Jwks, KeysUnavailable, Verifier } from "./jwt";

const ISSUER = "https://auth.edge.test";
const NOW = 1_800_000_000_000;
const seconds = NOW / 1000;
const later = (): void => undefined;

interface Signer {
  kid: string;
  pair: CryptoKeyPair;
  jwk: JsonWebKey & { kid: string };
}
let ours: Signer;
let other: Signer;
beforeAll(async () => {
  [ours, other] = await Promise.all([signer("ours"), signer("other")]);
});

async function signer(kid: string): Promise<Signer> {
  const pair = (await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"])) as CryptoKeyPair;
  return { kid, pair, jwk: { ...((await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey), kid } };
}

const encoded = (value: unknown): string =>
  btoa(typeof value === "string" ? value : JSON.stringify(value))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

async function token(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, by = ours): Promise<string> {
  const body = { iss: ISSUER, sub: "key_1", aud: "api", scope: "tenant:read", tenant: "acme", iat: seconds, exp: seconds + 900, ...claims };
  const signed = `${encoded({ alg: "ES256", kid: by.kid, typ: "JWT", ...header })}.${encoded(body)}`;
  const signature = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, by.pair.privateKey, new TextEncoder().encode(signed)));
  return `${signed}.${encoded(String.fromCharCode(...signature))}`;
}

/** A JWKS that counts how often it is read. */
function published(answer: () => Jwks = () => ({ keys: [ours.jwk] })) {
  const source = {
    reads: 0,
    read: async (): Promise<Jwks> => {
      source.reads += 1;
      return answer();
    },
  };
  return source;
}
const verifier = (source = published()) => new Verifier(ISSUER, source.read);

test("a token of ours verifies, and is known again without a key being asked for or a signature checked", async () => {
  const source = published();
  const one = verifier(source);
  const given = await token();
  expect(one.held(given, later, NOW)).toBeNull();
  expect(await one.verify(given, NOW)).toMatchObject({ sub: "key_1", tenant: "acme", scope: "tenant:read" });
  expect([one.held(given, later, NOW)?.sub, source.reads]).toEqual(["key_1", 1]);
});

test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
  ["alg none", {}, { alg: "none" }],
  ["alg None", {}, { alg: "None" }],
  ["HMAC under the public key", {}, { alg: "HS256" }],
  ["another curve", {}, { alg: "ES384" }],
  ["no kid", {}, { kid: undefined }],
  ["a kid that is no text", {}, { kid: ["ours"] }],
  ["a critical extension", {}, { crit: ["exp"] }],
  ["another issuer", { iss: "https://auth.elsewhere.test" }, {}],
  ["an issuer with a slash more", { iss: `${ISSUER}/` }, {}],
  ["another audience", { aud: "automation" }, {}],
  ["a list of audiences", { aud: ["api"] }, {}],
  ["no audience", { aud: undefined }, {}],
  ["no end", { exp: undefined }, {}],
  ["an end as text", { exp: "4000000000" }, {}],
  ["an end long past", { exp: seconds - 60 }, {}],
  ["not yet valid", { nbf: seconds + 60 }, {}],
  ["issued in the future", { iat: seconds + 60 }, {}],
  ["no scope", { scope: undefined }, {}],
  ["a tenant that is no text", { tenant: { id: "acme" } }, {}],
])("refused, though its signature is right: %s", async (_, claims, header) => {
  expect(await verifier().verify(await token(claims, header), NOW)).toBeNull();
});

test.each(["", ".", "..", "a.b", "a.b.c.d", "null.null.null", `${btoa("null").replace(/=/g, "")}.e30.AA`, "é.é.é", `${"a".repeat(100_000)}.b.c`])(
  "refused, and no key is asked for: %.20s",
  async (given) => {
    const source = published();
    expect(await verifier(source).verify(given, NOW)).toBeNull();
    expect(source.reads).toBe(0);
  },
);

test("a token that another key signed under our kid is refused, and so is one without its signature or with another's", async () => {
  const one = verifier();
  const good = await token();
  const [head, body, signature] = good.split(".");
  const [, foreign] = (await token({ tenant: "other" })).split(".");
  expect(await one.verify(good, NOW)).not.toBeNull();
  for (const given of [await token({}, { kid: "ours" }, other), `${head}.${body}.`, `${head}.${foreign}.${signature}`, `${good}A`, `${head}.${body}.${signature}==`]) {
    expect(one.held(given, later, NOW)).toBeNull();
    expect(await one.verify(given, NOW)).toBeNull();
  }
});

test("a verified token ends with its time, with its key and with its subject's revocation", async () => {
  let answer: Jwks = { keys: [ours.jwk] };
  const one = verifier(published(() => answer));
  const [brief, long] = [await token({ exp: seconds + 10 }), await token({ exp: seconds + 9_000, iat: seconds - 1 })];
  for (const given of [brief, long]) await one.verify(given, NOW);
  expect([one.held(brief, later, NOW + 16_000), one.held(long, later, NOW + 16_000)?.sub]).toEqual([null, "key_1"]);
  answer = { keys: [ours.jwk], revoked: ["key_1"] };
  expect(await one.verify(long, NOW + 61_000)).toBeNull();
  answer = { keys: [other.jwk] };
  expect(await one.verify(long, NOW + 122_000)).toBeNull();
  expect(one.held(long, later, NOW + 122_000)).toBeNull();
});

test("keys are read again beside a request after a minute, and before one after five", async () => {
  const source = published();
  const one = verifier(source);
  const given = await token({ exp: seconds + 9_000 });
  await one.verify(given, NOW);
  const work: Promise<unknown>[] = [];
  expect(one.held(given, (more) => work.push(more), NOW + 61_000)?.sub).toBe("key_1");
  expect(one.held(given, (more) => work.push(more), NOW + 61_000)?.sub).toBe("key_1");
  await Promise.all(work);
  expect([work.length, source.reads]).toEqual([1, 2]);
  expect(one.held(given, later, NOW + 61_000 + 301_000)).toBeNull();
});

test("an unknown kid has the keys read once a second, however many tokens name one", async () => {
  const source = published();
  const one = verifier(source);
  for (let at = 0; at < 50; at += 1) expect(await one.verify(await token({}, { kid: `made-up-${at}` }), NOW + at)).toBeNull();
  expect(source.reads).toBe(1);
  expect(await one.verify(await token({}, { kid: "made-up" }), NOW + 1_500)).toBeNull();
  expect(source.reads).toBe(2);
});

test("while Auth is away a known key goes on serving; whether an unknown one is good can't be said, and Auth isn't pressed", async () => {
  let away = false;
  const source = published(() => {
    if (away) throw new Error("Auth is away");
    return { keys: [ours.jwk] };
  });
  const one = verifier(source);
  await one.verify(await token(), NOW);
  away = true;
  expect((await one.verify(await token({ sub: "key_2", exp: seconds + 9_000 }), NOW + 70_000))?.sub).toBe("key_2");
  for (let at = 0; at < 5; at += 1) await expect(one.verify(await token({ exp: seconds + 9_000 }, {}, other), NOW + 75_000 + at)).rejects.toBeInstanceOf(KeysUnavailable);
  expect(source.reads).toBe(3);
});

test("what is kept of tokens is bounded, and those in use stay", async () => {
  const one = verifier();
  const used = await token();
  await one.verify(used, NOW);
  const base: Partial<Claims> = {};
  for (let at = 0; at < 300; at += 1) {
    await one.verify(await token({ ...base, sub: `key_${at}` }), NOW);
    expect(one.held(used, later, NOW)).not.toBeNull();
  }
});
