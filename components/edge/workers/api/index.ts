/** The public API and the console: `api.<zone>/v1`, `console.<zone>`, `auth.<zone>`. */
import { Hono } from "hono";
import { problem } from "../shared/problem";
import { migrate } from "../shared/schema";
import type { ApiEnv, App } from "./env";
import { OPERATIONS } from "./operations";
import { retire } from "./retention";
import { failed, serve } from "./serve";

const api = new Hono<App>();
const paths = new Map<string, string[]>();

api.use("*", async (context, next) => {
  await migrate(context.env.DB);
  await next();
});

for (const operation of OPERATIONS) {
  const path = operation.path.replaceAll(/\{(\w+)\}/g, ":$1");
  paths.set(path, [...(paths.get(path) ?? []), operation.method]);
  api.on(operation.method, path, (context) => serve(operation, context.env, context.req.raw, context.req.param(), (work) => context.executionCtx.waitUntil(work)));
}

for (const [path, methods] of paths) {
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].sort().join(", ");
  api.all(path, ({ req }) =>
    req.method === "OPTIONS"
      ? new Response(null, { status: 204, headers: { allow } })
      : problem(405, "method-not-allowed", "The method isn't one of this address", `${req.method.slice(0, 20)}; it takes ${allow}`, { allow }),
  );
}

api.notFound((context) => problem(404, "unknown-call", "No such resource", new URL(context.req.url).pathname.slice(0, 200)));
api.onError(failed);

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

  async scheduled(_: ScheduledController, env: ApiEnv): Promise<void> {
    await migrate(env.DB);
    const retired = await retire(env, Date.now());
    await env.AUTH.sweep();
    console.log(`retention: ${JSON.stringify(retired)}`);
  },
} satisfies ExportedHandler<ApiEnv>;
