import { expect, test } from "vitest";
import type { Grant } from "../auth/keys";
import { type Claims, KeysUnavailable, type Verifier } from "../shared/jwt";
import type { Known } from "../shared/route";
import { Gatekeeper } from "./admission";
import { ApiKeys } from "./apikeys";
import { read } from "./headers";

const known = (changes: { access?: "anonymous" | "token"; revoked?: string[] } = {}): Known => ({
  route: { label: "web-acme", tenant: "acme", version: 1, targets: [], access: changes.access ?? "token", drainSeconds: 0, updatedAt: "" },
  revoked: changes.revoked ?? [],
});
const CLAIMS: Record<string, Partial<Claims>> = {
  own: { sub: "key_1", tenant: "acme", scope: "tenant:read" },
  foreign: { sub: "key_2", tenant: "other", scope: "tenant:admin" },
  platform: { sub: "platform", scope: "platform:admin service:automation" },
  machine: { sub: "acme_web_1", tenant: "acme", scope: "placement" },
  edge: { sub: "edge", scope: "service:edge" },
};
const verifier = {
  held: () => null,
  verify: async (token: string) => {
    if (token === "unknowable") throw new KeysUnavailable();
    return CLAIMS[token] ?? null;
  },
} as unknown as Verifier;
const KEYS: Record<string, Grant> = {};
async function hash(key: string): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
const keys = (check: (sha256: string) => Promise<Grant | null> = async (sha256) => KEYS[sha256] ?? null) => new ApiKeys(check);
const admitted = async (headers: Record<string, string>, to = known(), by = keys()): Promise<string> => {
  const admission = await new Gatekeeper(verifier, by).admit(to, read(new Headers(headers)), () => undefined);
  return admission === null ? "anyone" : "status" in admission ? `${admission.status} ${admission.word}` : `${admission.subject} ${admission.scope}`;
};

test.each([
  [{}, "401 not-signed-in"],
  [{ authorization: "Bearer own" }, "key_1 tenant:read"],
  [{ authorization: "bearer own" }, "key_1 tenant:read"],
  [{ authorization: "Bearer nonsense" }, "401 not-signed-in"],
  [{ authorization: "Basic b3du" }, "401 not-signed-in"],
  [{ authorization: "own" }, "401 not-signed-in"],
  [{ authorization: "Bearer foreign" }, "403 forbidden"],
  [{ authorization: "Bearer platform" }, "403 forbidden"],
  [{ authorization: "Bearer machine" }, "403 forbidden"],
  [{ authorization: "Bearer edge" }, "403 forbidden"],
  [{ authorization: "Bearer unknowable" }, "503 auth-unavailable"],
] as const)("a workload for tokens, asked with %o: %s", async (headers, expected) => {
  expect(await admitted(headers as Record<string, string>)).toBe(expected);
});

test("an anonymous workload asks nobody", async () => {
  expect(await admitted({ authorization: "Bearer nonsense" }, known({ access: "anonymous" }))).toBe("anyone");
});

test("a key is taken from either header, by its hash; a foreign, unknown or oversized one isn't", async () => {
  KEYS[await hash("spk_own")] = { subject: "key_3", tenant: "acme", scopes: ["tenant:read", "tenant:deploy"] };
  KEYS[await hash("spk_foreign")] = { subject: "key_4", tenant: "other", scopes: ["tenant:admin"] };
  expect(await admitted({ authorization: "Bearer spk_own" })).toBe("key_3 tenant:read tenant:deploy");
  expect(await admitted({ "x-api-key": "spk_own" })).toBe("key_3 tenant:read tenant:deploy");
  expect(await admitted({ authorization: "Basic eA==", "x-api-key": "spk_own" })).toBe("key_3 tenant:read tenant:deploy");
  expect(await admitted({ "x-api-key": "spk_foreign" })).toBe("403 forbidden");
  expect(await admitted({ "x-api-key": "spk_none" })).toBe("401 not-signed-in");
  expect(await admitted({ "x-api-key": `spk_${"a".repeat(5_000)}` })).toBe("401 not-signed-in");
});

test("who is revoked is refused at once, by token and by key that were good before", async () => {
  const by = keys();
  for (const headers of [{ authorization: "Bearer own" }, { "x-api-key": "spk_own" }] as Record<string, string>[]) {
    expect(await admitted(headers, known(), by)).toMatch(/^key_/);
    expect(await admitted(headers, known({ revoked: ["key_1", "key_3"] }), by)).toBe("401 not-signed-in");
  }
});

test("Auth is asked once a key and minute, and for a wrong key once in five seconds; while it is away nothing is said of a key", async () => {
  const asked: string[] = [];
  const by = keys(async (sha256) => {
    asked.push(sha256);
    return KEYS[sha256] ?? null;
  });
  for (const at of [0, 1_000, 59_000]) expect((await by.grant("spk_own", at))?.subject).toBe("key_3");
  expect(asked.length).toBe(1);
  await by.grant("spk_own", 60_000);
  expect(asked.length).toBe(2);
  for (const at of [0, 4_000, 6_000]) expect(await by.grant("spk_wrong", at)).toBeNull();
  expect(asked.length).toBe(4);
  expect(asked.join()).not.toContain("spk_");
  const away = keys(() => Promise.reject(new Error("Auth is away")));
  expect(await admitted({ "x-api-key": "spk_own" }, known(), away)).toBe("503 auth-unavailable");
});
