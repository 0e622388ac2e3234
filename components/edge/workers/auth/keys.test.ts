import { env, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { Verifier } from "../shared/jwt";

const ISSUER = "https://auth.edge.test";
const DAY_MS = 86_400_000;
let number = 0;
beforeEach(() => {
  number += 1;
});
const keys = () => env.KEYS.get(env.KEYS.idFromName(`platform-${number}`));
const verifier = () => new Verifier(ISSUER, () => keys().jwks());

test("the platform's key gives the platform's scopes; an unknown key gives nothing", async () => {
  const issued = await keys().exchange("foo");
  expect([issued?.scopes, issued?.expiresIn]).toEqual([["platform:admin", "service:automation"], 900]);
  expect(await keys().exchange("bar")).toBeNull();
});

test("a token that was issued verifies with the published keys, with its tenant and scopes", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read", "tenant:deploy"], tenant: "acme" });
  expect(await verifier().verify(accessToken)).toMatchObject({ iss: ISSUER, sub: "key_1", tenant: "acme", scope: "tenant:read tenant:deploy" });
});

test("a token is refused once it has expired, when it was altered, and from another issuer", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read"], ttlSeconds: 60 });
  const one = verifier();
  expect(await one.verify(accessToken)).not.toBeNull();
  expect(await one.verify(accessToken, Date.now() + 66_000)).toBeNull();
  const [head, , signature] = accessToken.split(".");
  const forged = btoa(JSON.stringify({ iss: ISSUER, sub: "x", scope: "platform:admin", exp: 4e9 })).replaceAll("=", "");
  expect(await one.verify(`${head}.${forged}.${signature}`)).toBeNull();
  expect(await new Verifier("https://auth.elsewhere.test", () => keys().jwks()).verify(accessToken)).toBeNull();
});

test("a signing key is replaced after a month, and what the old one signed still verifies", async () => {
  const { accessToken } = await keys().issue({ subject: "key_1", scopes: ["tenant:read"] });
  await runInDurableObject(keys(), (_, state) => {
    for (const row of [...state.storage.sql.exec<{ kid: string; document: string }>("select kid, document from signing")]) {
      const document = { ...JSON.parse(row.document), createdAt: Date.now() - 32 * DAY_MS };
      state.storage.sql.exec("update signing set created_at = ?, document = ? where kid = ?", document.createdAt, JSON.stringify(document), row.kid);
    }
  });
  const { keys: published } = await keys().jwks();
  expect(new Set(published.map(({ kid }) => kid)).size).toBe(2);
  expect(published.every((key) => !("d" in key))).toBe(true);
  expect(await verifier().verify(accessToken)).not.toBeNull();
});

test("only the hash of an API key is kept", async () => {
  const made = await keys().createKey("acme", ["tenant:read"]);
  const rows = await runInDurableObject(keys(), (_, state) => [...state.storage.sql.exec("select * from api_keys")]);
  expect(JSON.stringify(rows)).not.toContain(made.key);
  expect((await keys().exchange(made.key))?.scopes).toEqual(["tenant:read"]);
});

test("a revoked key gives no token any more, and those that it gave are refused", async () => {
  const kept = await keys().createKey("acme", ["tenant:read"]);
  const lost = await keys().createKey("acme", ["tenant:read"]);
  const tokens = [await keys().exchange(kept.key), await keys().exchange(lost.key)];
  expect(await keys().revokeKey("other", lost.id)).toBe(false);
  expect(await keys().revokeKey("acme", lost.id)).toBe(true);
  expect(await keys().exchange(lost.key)).toBeNull();
  const verified = await Promise.all(tokens.map((token) => verifier().verify(token?.accessToken ?? "")));
  expect(verified.map((claims) => claims?.sub ?? null)).toEqual([kept.id, null]);
});
