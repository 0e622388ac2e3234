/** The HTTP Router: `<label>.workloads.<zone>` → route → machine. Hot path: no call but the machine's own while the isolate knows the route. */
import { isLabel, tenantOf } from "../shared/ids";
import { bearer, Verifier } from "../shared/jwt";
import { Lookup, type LookupEnv, pick, RoutesUnavailable } from "../shared/lookup";
import { problem } from "../shared/problem";
import type { Route } from "../shared/route";
import type { Auth } from "../shared/services";
import { backHeaders, onwardHeaders } from "./headers";

interface Env extends LookupEnv {
  AUTH: Auth;
  WS: Fetcher;
  ZONE: string;
}

/** How long an idempotent request waits for a machine while none serves. */
const HOLD_MS = 10_000;
const HOLD_STEP_MS = 250;
/** Answers of Cloudflare's network, not of the machine: it could not be reached. */
const UNREACHED = new Set([502, 521, 522, 523, 525, 526, 530]);

const lookup = new Lookup();
let verifier: Verifier | null = null;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const suffix = `.workloads.${env.ZONE}`;
    const label = url.hostname.endsWith(suffix) ? url.hostname.slice(0, -suffix.length) : "";
    if (!isLabel(label)) return problem(404, "unknown-host", "No workload has this address", url.hostname);
    const later = (work: Promise<unknown>): void => ctx.waitUntil(work);
    try {
      const route = await lookup.route(label, env, request, later);
      if (!route) return problem(404, "unknown-host", "No workload has this address", url.hostname);
      const refusal = await admit(route, request, env);
      if (refusal) return refusal;
      if (request.headers.get("upgrade")?.toLowerCase() === "websocket") return await env.WS.fetch(request);
      return await forward(route, label, request, url, env, later);
    } catch (error) {
      if (error instanceof RoutesUnavailable) return problem(503, "routes-unavailable", "The routes can't be read now", label, { "retry-after": "2" });
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;

async function admit(route: Route, request: Request, env: Env): Promise<Response | null> {
  if (route.access === "anonymous") return null;
  verifier ??= new Verifier(`https://auth.${env.ZONE}`, () => env.AUTH.jwks());
  const token = bearer(request);
  const claims = token && (await verifier.verify(token));
  if (!claims) return problem(401, "not-signed-in", "A valid token is needed", "", { "www-authenticate": "Bearer" });
  const scopes = claims.scope.split(" ");
  if (scopes.includes("platform:admin") || (claims.tenant === tenantOf(route.label) && scopes.some((scope) => scope.startsWith("tenant:")))) return null;
  return problem(403, "forbidden", "The token is not of this workload's tenant");
}

async function forward(first: Route, label: string, request: Request, url: URL, env: Env, later: (work: Promise<unknown>) => void): Promise<Response> {
  const repeatable = (request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS") && request.body === null;
  const limit = performance.now() + HOLD_MS;
  let route: Route | null = first;
  let retried = false;
  for (;;) {
    const target = route && pick(route, Math.random());
    if (target) {
      const answer = await reach(target.origin, request, url, target.placement);
      if (answer && !UNREACHED.has(answer.status)) return answer;
      await answer?.body?.cancel();
      if (!repeatable) return problem(502, "machine-unreached", "The workload's machine can't be reached", label, { "retry-after": "1" });
      if (retried && performance.now() > limit) return problem(502, "machine-unreached", "The workload's machine can't be reached", label, { "retry-after": "1" });
      if (retried) await new Promise((resolve) => setTimeout(resolve, HOLD_STEP_MS));
      retried = true;
    } else {
      if (!repeatable || performance.now() > limit) return problem(503, "no-machine", "No machine serves this workload now", label, { "retry-after": "5" });
      await new Promise((resolve) => setTimeout(resolve, HOLD_STEP_MS));
    }
    route = await lookup.route(label, env, request, later, true);
  }
}

async function reach(origin: string, request: Request, url: URL, placement: string): Promise<Response | null> {
  try {
    const answer = await fetch(origin + url.pathname + url.search, {
      method: request.method,
      headers: onwardHeaders(request, url),
      body: request.body,
      redirect: "manual",
    });
    return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers: backHeaders(answer.headers, placement) });
  } catch {
    return null;
  }
}
