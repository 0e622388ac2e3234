/** The public API and the console: `api.<zone>/v1`, `console.<zone>`, `auth.<zone>`. */
import { Hono } from "hono";
import { problem, ProblemError } from "../shared/problem";
import { migrate } from "../shared/schema";
import { authenticate } from "./access";
import { artifacts } from "./artifacts";
import type { ApiEnv, App } from "./env";
import { ledger } from "./ledger";
import { migrations } from "./migrations";
import { tenants } from "./tenants";
import { workloads } from "./workloads";

const api = new Hono<App>();

api.use("*", async (context, next) => {
  await migrate(context.env.DB);
  await next();
  context.res.headers.set("cache-control", context.res.headers.get("cache-control") ?? "no-store");
});

api.get("/healthz", (context) => context.json({ status: "ok" }));

api.get("/.well-known/jwks.json", async (context) => {
  const { keys } = await context.env.AUTH.jwks();
  return context.json({ keys }, 200, { "cache-control": "public, max-age=60" });
});

api.post("/v1/tokens", async (context) => {
  const given = await context.req.json<{ apiKey?: unknown }>().catch(() => ({ apiKey: undefined }));
  if (typeof given.apiKey !== "string" || given.apiKey === "") throw new ProblemError(400, "invalid-request", "The request is not valid", "apiKey is required");
  const issued = await context.env.AUTH.exchange(given.apiKey);
  if (!issued) throw new ProblemError(401, "unknown-key", "The API key isn't known");
  return context.json(issued);
});

const v1 = new Hono<App>();
v1.use("*", async (context, next) => {
  context.set("claims", await authenticate(context));
  await next();
});
v1.route("/tenants", tenants);
v1.route("/workloads", workloads);
v1.route("/artifacts", artifacts);
v1.route("/", migrations);
v1.route("/", ledger);
api.route("/v1", v1);

api.notFound((context) => problem(404, "not-found", "No such resource", new URL(context.req.url).pathname));

api.onError((error) => {
  if (error instanceof ProblemError) return error.response();
  console.error(error.stack ?? error.message);
  return problem(500, "internal", "The API failed", "the Worker's log says more");
});

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const { hostname, pathname, origin } = new URL(request.url);
    if (hostname !== `console.${env.ZONE}`) return api.fetch(request, env, ctx);
    if (pathname.startsWith("/v1/") || pathname === "/healthz") return api.fetch(request, env, ctx);
    const answer = await env.ASSETS.fetch(request);
    const headers = new Headers(answer.headers);
    headers.set(
      "content-security-policy",
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ${origin.replace("//console.", "//api.")}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    headers.set("x-content-type-options", "nosniff");
    return new Response(answer.body, { status: answer.status, headers });
  },
} satisfies ExportedHandler<ApiEnv>;
