/**
 * The TCP Router.
 *
 * Mode B: the relay before the machines asks `GET tcp.<zone>/tcp/<label>` where a new connection goes; `?after=<version>` answers when the route has moved
 * on from that version, `?fresh=1` passes the caches by. Mode A: where Spectrum hands an address's connections to a Worker, they are relayed here.
 */
import { isLabel } from "../shared/ids";
import { Lookup, pick, RoutesUnavailable } from "../shared/lookup";
import { problem } from "../shared/problem";
import type { Route } from "../shared/route";
import { relay, type TcpEnv } from "./relay";

const WAIT_MS = 20_000;
const LOOK_MS = 150;

const lookup = new Lookup();

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const label = url.pathname.split("/")[2] ?? "";
    if (request.method !== "GET" || !url.pathname.startsWith("/tcp/") || !isLabel(label)) return problem(404, "not-found", "No such TCP route", url.pathname);
    const after = url.searchParams.get("after");
    const limit = performance.now() + WAIT_MS;
    const look = (fresh: boolean): Promise<Route | null> => lookup.route(label, env, request, (work) => ctx.waitUntil(work), fresh);
    try {
      let route = await look(url.searchParams.get("fresh") === "1");
      while (after !== null && (route?.version ?? 0) <= Number(after) && performance.now() < limit) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        route = await look(false);
      }
      return answer(label, route);
    } catch (error) {
      if (error instanceof RoutesUnavailable) return problem(503, "routes-unavailable", "The routes can't be read now", label, { "retry-after": "2" });
      throw error;
    }
  },

  async connect(socket: Socket, env: TcpEnv, ctx: ExecutionContext): Promise<void> {
    await relay(socket, env, (label) => lookup.route(label, env, new Request(`https://tcp.${env.ZONE}/`), (work) => ctx.waitUntil(work)));
  },
} satisfies ExportedHandler<TcpEnv> & { connect: unknown };

function answer(label: string, route: Route | null): Response {
  const targets = (route?.targets ?? []).flatMap(({ placement, tcpOrigin, weight }) => (tcpOrigin === null ? [] : [{ placement, origin: tcpOrigin, weight }]));
  const target = route && pick(route, Math.random());
  if (!route || !target?.tcpOrigin) return problem(503, "no-machine", "No machine serves this address now", label, { "retry-after": "2" });
  const document = { label, version: route.version, targets, origin: target.tcpOrigin, placement: target.placement };
  return Response.json(document, { headers: { "cache-control": "no-store" } });
}
