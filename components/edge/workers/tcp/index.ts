/** The TCP route for the relay of mode B: `GET tcp.<zone>/tcp/<label>` gives the tunnel's name of the machine that serves now. */
import { isLabel } from "../shared/ids";
import { Lookup, type LookupEnv, pick, RoutesUnavailable } from "../shared/lookup";
import { problem } from "../shared/problem";

const lookup = new Lookup();

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const label = url.pathname.split("/")[2] ?? "";
    if (request.method !== "GET" || !url.pathname.startsWith("/tcp/") || !isLabel(label)) return problem(404, "not-found", "No such TCP route", url.pathname);
    try {
      const route = await lookup.route(label, env, request, (work) => ctx.waitUntil(work), url.searchParams.get("fresh") === "1");
      const target = route && pick(route, Math.random());
      if (!route || !target?.tcpOrigin) return problem(503, "no-machine", "No machine serves this address now", label, { "retry-after": "2" });
      return Response.json({ label, version: route.version, origin: target.tcpOrigin, placement: target.placement }, { headers: { "cache-control": "no-store" } });
    } catch (error) {
      if (error instanceof RoutesUnavailable) return problem(503, "routes-unavailable", "The routes can't be read now", label, { "retry-after": "2" });
      throw error;
    }
  },
} satisfies ExportedHandler<LookupEnv>;
