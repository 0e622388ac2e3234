/** The HTTP Router: `<label>.workloads.<zone>` → route → machine. Hot path: no call but the machine's own while the isolate knows the route and the caller. */
import { Verifier } from "../shared/jwt";
import { Lookup, type LookupEnv, RoutesUnavailable } from "../shared/lookup";
import { OriginSigner } from "../shared/origin";
import type { Auth } from "../shared/services";
import { addressOf } from "./address";
import { Gatekeeper, refused } from "./admission";
import { ApiKeys } from "./apikeys";
import { dress, read, upgradeHeaders } from "./headers";
import { type Answer, answer } from "./pages";
import { pass } from "./passage";

interface Env extends LookupEnv {
  AUTH: Auth;
  WS: Fetcher;
  ZONE: string;
  /** A client certificate that origins ask for (mTLS), where one is set up. */
  ORIGIN_TLS?: Fetcher;
}

/** Workloads that a request may pass through, each calling the next with the headers that it got. */
const MOST_HOPS = 8;
/** TRACE would hand the client what the edge says to the machine; CONNECT is no request for a workload. */
const UNSERVED = new Set(["TRACE", "CONNECT"]);

const UNKNOWN_HOST: Answer = { status: 404, word: "unknown-host", title: "No workload has this address" };
const LOOP: Answer = { status: 508, word: "loop", title: "The request goes round in circles" };
const UNSERVED_METHOD: Answer = { status: 405, word: "method-not-allowed", title: "The method is not served", headers: { allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" } };
const ROUTES_AWAY: Answer = { status: 503, word: "routes-unavailable", title: "The routes can't be read now", headers: { "retry-after": "2" } };
const lookup = new Lookup();
/** What an isolate keeps for its Auth binding. */
let kept: { gatekeeper: Gatekeeper; signer: OriginSigner } | null = null;

function keeping(env: Env): { gatekeeper: Gatekeeper; signer: OriginSigner } {
  kept ??= {
    gatekeeper: new Gatekeeper(new Verifier(`https://auth.${env.ZONE}`, () => env.AUTH.jwks()), new ApiKeys((hash) => env.AUTH.checkKey(hash))),
    signer: new OriginSigner((placement) => env.AUTH.originKey(placement)),
  };
  return kept;
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const asked = read(request.headers);
    const refuse = (what: Answer, detail = ""): Response => answer(request.method, asked, { ...what, detail });
    const address = addressOf(request.url, env.ZONE);
    if (!address) return refuse(UNKNOWN_HOST);
    if (UNSERVED.has(request.method)) return refuse(UNSERVED_METHOD, request.method);
    if (asked.hops >= MOST_HOPS) return refuse(LOOP, address.label);
    const later = (work: Promise<unknown>): void => ctx.waitUntil(work);
    try {
      const known = lookup.held(address.label, env, request, later) ?? (await lookup.find(address.label, env, request, later));
      if (!known.route) return refuse(UNKNOWN_HOST, address.label);
      const { gatekeeper, signer } = keeping(env);
      const admission = gatekeeper.admit(known, asked, later);
      const caller = admission instanceof Promise ? await admission : admission;
      if (refused(caller)) return refuse(caller);
      if (asked.webSocket) return await env.WS.fetch(new Request(request, { headers: upgradeHeaders(request.headers, asked, address, caller) }));
      return await pass(request, {
        address,
        zone: env.ZONE,
        dress: (headers) => dress(headers, asked, address, caller),
        traced: asked.traced,
        contentLength: asked.contentLength,
        send: env.ORIGIN_TLS ? env.ORIGIN_TLS.fetch.bind(env.ORIGIN_TLS) : fetch,
        sign: (placement) => signer.header(placement),
        held: () => lookup.held(address.label, env, request, later)?.route ?? null,
        look: (fresh) => lookup.route(address.label, env, request, later, fresh),
        refuse,
      });
    } catch (error) {
      if (error instanceof RoutesUnavailable) return refuse(ROUTES_AWAY, address.label);
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;
