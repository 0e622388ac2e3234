/** /tokens: keys become tokens, refresh tokens become the next ones, and what is given back is refused. */
import type { Exchanged } from "../auth/keys";
import { ring } from "../shared/changes";
import { ProblemError } from "../shared/problem";
import type { RefreshRequest, TokenRequest, TokenRevocation } from "../shared/wire";
import { claimsOf, forgetRevocations } from "./access";
import { type Call, done, ok, type Operation, type Reply } from "./operation";

export const tokens: Operation[] = [
  {
    id: "exchangeKey",
    method: "POST",
    path: "/v1/tokens",
    tag: "tokens",
    summary: "A token of 15 minutes for an API key; with `refresh` also a refresh token",
    scopes: "none",
    body: { model: "TokenRequest" },
    answers: { 200: { model: "Token" } },
    problems: [401, 429],
    handle: async (call) => {
      const { apiKey, refresh } = call.body as TokenRequest;
      return answer(await call.env.AUTH.exchange(apiKey, addressOf(call), refresh), "unknown-key", "The API key isn't known");
    },
  },
  {
    id: "refreshToken",
    method: "POST",
    path: "/v1/tokens/refresh",
    tag: "tokens",
    summary: "The next tokens for a refresh token; one that comes a second time ends every session that came from the same sign-in",
    scopes: "none",
    body: { model: "RefreshRequest" },
    answers: { 200: { model: "Token" } },
    problems: [401, 429],
    handle: async (call) => {
      const { refreshToken } = call.body as RefreshRequest;
      const refreshed = await call.env.AUTH.refresh(refreshToken, addressOf(call));
      if (!refreshed.ok) forgetRevocations();
      return answer(refreshed, "unknown-refresh-token", "The refresh token isn't good");
    },
  },
  {
    id: "revokeToken",
    method: "POST",
    path: "/v1/tokens/revoke",
    tag: "tokens",
    summary: "Gives a token back (RFC 7009): it is refused from now on; 202 while some routers are still being told. One that isn't known is refused already",
    scopes: "none",
    body: { model: "TokenRevocation" },
    answers: { 204: null, 202: null },
    handle: async ({ env, body, later }) => {
      const { token } = body as TokenRevocation;
      const claims = await claimsOf(env, token);
      const revoked = claims?.jti ? await env.AUTH.revokeToken(claims.tenant ?? null, claims.jti, claims.exp * 1000) : await env.AUTH.revokeRefresh(token);
      forgetRevocations();
      later(ring(env, claims?.tenant ?? null, "refused"));
      return done(revoked.delivered ? 204 : 202);
    },
  },
];

function answer(exchanged: Exchanged, word: string, title: string): Reply {
  if (exchanged.ok) return ok(exchanged.issued, 200, { "cache-control": "no-store" });
  if (exchanged.reason === "unknown") throw new ProblemError(401, word, title, "", { "www-authenticate": "Bearer" });
  throw new ProblemError(429, "too-many-requests", "Too many tokens were asked for", `try again in ${exchanged.retryAfter} s`, { "retry-after": String(exchanged.retryAfter) });
}

/** The client's address as Cloudflare saw it; of IPv6 the network, which one client has whole. */
function addressOf({ request }: Call): string {
  const address = request.headers.get("cf-connecting-ip") ?? "";
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter(Boolean);
  const after = tail === undefined ? [] : tail.split(":").filter(Boolean);
  const filled = tail === undefined ? groups : [...groups, ...Array(Math.max(8 - groups.length - after.length, 0)).fill("0"), ...after];
  return filled
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
