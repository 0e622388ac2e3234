/** A region's replica: the real RouteReplica, its authority as far away as the region is. */
import type { RoutesEnv } from "../../components/edge/workers/routes/authority";
import { RouteReplica as Real } from "../../components/edge/workers/routes/replica";
import { type ReplicaStub, replicaOf } from "../../components/edge/workers/shared/route";
import { cutting, distant, type Region, type Way } from "./distance";

interface Env extends RoutesEnv {
  REGION: Region;
}

const way: Way = { oneWayMs: 0, cut: false };

export class RouteReplica extends Real {
  constructor(ctx: DurableObjectState, env: Env) {
    way.oneWayMs = env.REGION.oneWayMs;
    super(ctx, { REPLICAS: env.REPLICAS, ROUTES: env.ROUTES, AUTHORITIES: distant((name) => ({ namespace: env.AUTHORITIES, name, way })) });
  }
}

export default {
  /** `GET /version?label=` → the version that the replica answers by, 503 while it doesn't; `POST http://control/cut?on=…`. */
  async fetch(request, env): Promise<Response> {
    const cut = cutting(request, [way]);
    if (cut) return cut;
    const label = new URL(request.url).searchParams.get("label") ?? "";
    const name = replicaOf(env.REGION.hint, label.slice(label.lastIndexOf("-") + 1));
    const replica = env.REPLICAS.get(env.REPLICAS.idFromName(name)) as unknown as ReplicaStub;
    const answer = await replica.lookup(label, false).catch(() => null);
    return answer ? Response.json(answer.route?.version ?? 0) : new Response(null, { status: 503 });
  },
} satisfies ExportedHandler<Env>;
