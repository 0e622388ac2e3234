/** What the API says of itself: health, public keys, its document. */
import type { Operation } from "./operation";
import { ok } from "./operation";

export const service: Operation[] = [
  {
    id: "health",
    method: "GET",
    path: "/healthz",
    tag: "service",
    summary: "Whether the API serves: D1 is migrated",
    scopes: "none",
    answers: { 200: { schema: { type: "object", properties: { status: { const: "ok" } }, required: ["status"], additionalProperties: false } } },
    handle: async () => ok({ status: "ok" }, 200, { "cache-control": "no-store" }),
  },
  {
    id: "jwks",
    method: "GET",
    path: "/.well-known/jwks.json",
    tag: "service",
    summary: "The public keys by which tokens verify (RFC 7517); a new one stands here two minutes before it signs",
    scopes: "none",
    answers: {
      200: {
        schema: {
          type: "object",
          properties: { keys: { type: "array", items: { type: "object", required: ["kid", "kty", "crv", "x", "y", "alg", "use"] } } },
          required: ["keys"],
          additionalProperties: false,
        },
      },
    },
    handle: async ({ env }) => {
      const { keys } = await env.AUTH.jwks();
      return ok({ keys }, 200, { "cache-control": "public, max-age=60", "access-control-allow-origin": "*" });
    },
  },
];
