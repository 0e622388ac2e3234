/** The authority's place: the real RouteAuthority, its replicas as far away as their regions are. */
import { RouteAuthority as Real, type RoutesEnv } from "../../components/edge/workers/routes/authority";
import type { AuthorityStub, Change } from "../../components/edge/workers/shared/route";
import { cutting, distant, REGIONS, type Way } from "./distance";

interface Env extends RoutesEnv {
  [region: `REPLICAS_${string}`]: DurableObjectNamespace;
}

const ways = new Map<string, Way>(REGIONS.map(({ hint, oneWayMs }) => [hint, { oneWayMs, cut: false }]));

export class RouteAuthority extends Real {
  constructor(ctx: DurableObjectState, env: Env) {
    const replicas = distant((name) => {
      const hint = name.split("-")[0] ?? "";
      return { namespace: env[`REPLICAS_${hint}`] as DurableObjectNamespace, name, way: ways.get(hint) as Way };
    });
    super(ctx, { AUTHORITIES: env.AUTHORITIES, ROUTES: env.ROUTES, REPLICAS: replicas });
  }
}

export default {
  /** `POST /commit` {tenant, change} → {done, ackedAt}; `POST http://control/cut?region=…&on=…`; `GET http://store/?key=…`: KV, which all regions share. */
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url);
    if (url.hostname === "store") return Response.json(await env.ROUTES.get(url.searchParams.get("key") ?? ""));
    const way = ways.get(url.searchParams.get("region") ?? "");
    const cut = way && cutting(request, [way]);
    if (cut) return cut;
    const { tenant, change } = (await request.json()) as { tenant: string; change: Change };
    const authority = env.AUTHORITIES.get(env.AUTHORITIES.idFromName(tenant)) as unknown as AuthorityStub;
    const done = await authority.commit(change);
    return Response.json({ done, ackedAt: Date.now() });
  },
} satisfies ExportedHandler<Env>;
