/**
 * The TCP Router.
 *
 * Mode B: the relay before the machines follows `GET tcp.<zone>/tcp/<label>?after=<version>`, which answers when the route has moved on from that version;
 * without `after` it answers at once, with `fresh=1` past the caches. Mode A: where Spectrum hands an address's connections to a Worker, they are relayed
 * here.
 */
import { isLabel } from "../shared/ids";
import { Lookup, pick, RoutesUnavailable } from "../shared/lookup";
import { problem } from "../shared/problem";
import type { Route } from "../shared/route";
import { relay, type TcpEnv } from "./relay";

/** How long a follower waits for news at most, and how often they are looked for, ms. */
const WAIT_MS = 20_000;
const LOOK_MS = 100;

const lookup = new Lookup();

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const label = url.pathname.split("/")[2] ?? "";
    if (!url.pathname.startsWith("/tcp/") || !isLabel(label)) return problem(404, "not-found", "No such TCP route", url.pathname);
    if (request.method !== "GET") return problem(405, "method-not-allowed", "A route is only read", request.method, { allow: "GET" });
    const given = url.searchParams.get("after");
    if (given !== null && !/^\d{1,15}$/.test(given)) return problem(400, "invalid-request", "The request is not valid", "after is the version last seen, a whole number");
    const limit = performance.now() + WAIT_MS;
    const look = (fresh: boolean): Promise<Route | null> => lookup.route(label, env, request, (work) => ctx.waitUntil(work), fresh);
    try {
      let route = await look(url.searchParams.get("fresh") === "1");
      if (given === null) return answer(label, route);
      const after = Number(given);
      while ((route?.version ?? 0) <= after && performance.now() < limit) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        route = await look(false);
      }
      return news(label, route);
    } catch (error) {
      if (error instanceof RoutesUnavailable) return problem(503, "routes-unavailable", "The routes can't be read now", label, { "retry-after": "2" });
      throw error;
    }
  },

  async connect(socket: Socket, env: TcpEnv, ctx: ExecutionContext): Promise<void> {
    await relay(socket, env, (label, fresh) => lookup.route(label, env, new Request(`https://tcp.${env.ZONE}/`), (work) => ctx.waitUntil(work), fresh));
  },
} satisfies ExportedHandler<TcpEnv> & { connect: unknown };

/** To who asks once: where a connection goes now. */
function answer(label: string, route: Route | null): Response {
  const target = route && pick(route, Math.random());
  if (!route || !target?.tcpOrigin) return problem(503, "no-machine", "No machine serves this address now", label, { "retry-after": "2" });
  return document(label, route);
}

/** To a follower: what stands now, also where that is no machine, so that it knows what it has seen. */
function news(label: string, route: Route | null): Response {
  return document(label, route ?? { version: 0, targets: [], drainSeconds: 0 });
}

function document(label: string, route: Pick<Route, "version" | "targets" | "drainSeconds">): Response {
  const reached = route.targets.filter(({ tcpOrigin }) => tcpOrigin !== null);
  const targets = reached.map(({ placement, tcpOrigin, weight, healthy, proxyProtocol }) => ({ placement, origin: tcpOrigin, weight, healthy, proxyProtocol: proxyProtocol ?? "off" }));
  const chosen = pick({ ...route, targets: reached } as Route, Math.random());
  const body = { label, version: route.version, targets, origin: chosen?.tcpOrigin ?? null, placement: chosen?.placement ?? null, drainSeconds: route.drainSeconds };
  return Response.json(body, { headers: { "cache-control": "no-store" } });
}
