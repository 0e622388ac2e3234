/** The HTTP Router: `<label>.workloads.<zone>` → route → machine. Hot path: no call but the machine's own while the isolate knows the route. */
import { isLabel, tenantOf } from "../shared/ids";
import { bearer, Verifier } from "../shared/jwt";
import { Lookup, type LookupEnv, pick, RoutesUnavailable } from "../shared/lookup";
import { problem } from "../shared/problem";
import type { Route, Target } from "../shared/route";
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
/** Bodies up to this many bytes are kept, so that a request can be sent again. */
const KEPT_BYTES = 64 * 1024;
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
/** Answers of Cloudflare's network, not of the machine: the request did not get there. 502 is the network's where its body says so. */
const UNDELIVERED = new Set([521, 522, 523, 525, 526, 530]);
const NETWORK_SAYS = "error code: ";

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
  const kept = await replayable(request);
  const repeatable = kept !== undefined && IDEMPOTENT.has(request.method);
  const limit = performance.now() + HOLD_MS;
  let route: Route | null = first;
  let failed: string | null = null;
  for (;;) {
    const target = route && pick(route, Math.random());
    const late = performance.now() > limit;
    if (!target && (late || !repeatable)) return problem(503, "no-machine", "No machine serves this workload now", label, { "retry-after": "5" });
    if (target?.placement === failed && (late || !repeatable)) return unreached(label);
    if (!target || target.placement === failed) await pause();
    if (target) {
      const outcome = await reach(target, request, url, kept);
      if (outcome instanceof Response) return outcome;
      // What never arrived may be sent to another machine once, whatever its method.
      if (!repeatable && (outcome === "broken" || kept === undefined || failed !== null)) return unreached(label);
      failed = target.placement;
    }
    route = await lookup.route(label, env, request, later, true);
  }
}

function unreached(label: string): Response {
  return problem(502, "machine-unreached", "The workload's machine can't be reached", label, { "retry-after": "1" });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, HOLD_STEP_MS));
}

/** The body, where it is small enough to be sent twice; null for none, undefined for one that can only be streamed once. */
async function replayable(request: Request): Promise<ArrayBuffer | null | undefined> {
  if (request.body === null) return null;
  const length = Number(request.headers.get("content-length") ?? Number.NaN);
  return length <= KEPT_BYTES ? request.arrayBuffer() : undefined;
}

/** The machine's answer; else whether the request may have arrived. */
async function reach(target: Target, request: Request, url: URL, kept: ArrayBuffer | null | undefined): Promise<Response | "undelivered" | "broken"> {
  let answer: Response;
  try {
    answer = await fetch(target.origin + url.pathname + url.search, {
      method: request.method,
      headers: onwardHeaders(request, url),
      body: kept === undefined ? request.body : kept,
      redirect: "manual",
    });
  } catch {
    return "broken";
  }
  let body: BodyInit | null = answer.body;
  if (UNDELIVERED.has(answer.status)) {
    await answer.body?.cancel();
    return "undelivered";
  }
  if (answer.status === 502 && answer.headers.get("content-type")?.startsWith("text/plain")) {
    body = await answer.text();
    if (body.startsWith(NETWORK_SAYS)) return "broken";
  }
  return new Response(body, { status: answer.status, statusText: answer.statusText, headers: backHeaders(answer.headers, target.placement) });
}
