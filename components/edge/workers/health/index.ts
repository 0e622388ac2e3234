/** The Health Monitor: probes on behalf of the saga, watches what serves, and as a back-stop finds what nobody watches. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Monitor, Watch } from "../shared/services";
import type { Placement, WorkloadSpec } from "../shared/wire";
import { type HealthEnv, type HealthMonitor, probe } from "./monitor";

export { HealthMonitor } from "./monitor";

const VERIFY_PAUSE_MS = 200;

function monitor(env: HealthEnv, tenant: string): HealthMonitor {
  return env.MONITORS.get(env.MONITORS.idFromName(tenant)) as unknown as HealthMonitor;
}

export class HealthService extends WorkerEntrypoint<HealthEnv> implements Monitor {
  async verify(watch: Watch, timeoutMs: number): Promise<number> {
    const limit = Date.now() + timeoutMs;
    let healthy = 0;
    while (Date.now() < limit) {
      healthy = (await probe(watch, this.env)) ? healthy + 1 : 0;
      if (healthy >= watch.health.healthyCount) return healthy;
      await new Promise((resolve) => setTimeout(resolve, VERIFY_PAUSE_MS));
    }
    return healthy;
  }

  async watch(watch: Watch): Promise<void> {
    await monitor(this.env, watch.tenant).watch(watch);
  }

  async unwatch(tenant: string, placement: string): Promise<void> {
    await monitor(this.env, tenant).unwatch(placement);
  }
}

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },

  /** Watches every serving placement, in case that a watch was lost. */
  async scheduled(_: ScheduledController, env: HealthEnv): Promise<void> {
    const rows = await env.DB.prepare("select p.document as placement, w.spec as spec from placements p join workloads w on w.placement = p.id where p.state = 'SERVING'")
      .all<{ placement: string; spec: string }>()
      .catch(() => null);
    for (const row of rows?.results ?? []) {
      const placement = JSON.parse(row.placement) as Placement;
      const { health } = JSON.parse(row.spec) as WorkloadSpec;
      await monitor(env, placement.tenant).watch({ placement: placement.id, tenant: placement.tenant, origin: placement.origin, health });
    }
  },
} satisfies ExportedHandler<HealthEnv>;
