/** The Health Monitor: checks on behalf of the saga, watches what serves, and as a back-stop finds what nobody watches. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { tenantOf, workloadOf } from "../shared/ids";
import { OriginSigner } from "../shared/origin";
import { type Monitor, type Watch, watchOf } from "../shared/services";
import type { Incident, Placement, WorkloadSpec } from "../shared/wire";
import { tenantsWithOpen } from "./incidents";
import type { HealthEnv, HealthMonitor } from "./monitor";
import { probe } from "./probe";

export { HealthMonitor } from "./monitor";

const VERIFY_PAUSE_MS = 200;

function monitor(env: HealthEnv, tenant: string): HealthMonitor {
  return env.MONITORS.get(env.MONITORS.idFromName(tenant)) as unknown as HealthMonitor;
}

export class HealthService extends WorkerEntrypoint<HealthEnv> implements Monitor {
  async verify(watch: Watch, timeoutMs: number): Promise<number> {
    const signer = new OriginSigner((placement) => this.env.AUTH.originKey(placement));
    const limit = Date.now() + timeoutMs;
    let healthy = 0;
    while (Date.now() < limit) {
      healthy = (await probe(watch, signer)).healthy ? healthy + 1 : 0;
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

  async report(incident: Incident): Promise<{ migration?: string } | null> {
    return monitor(this.env, tenantOf(workloadOf(incident.placement))).report(incident);
  }
}

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },

  /** Watches every placement that serves or stands by, and no other, in case that a watch or its end was lost; has open notices told on. */
  async scheduled(_: ScheduledController, env: HealthEnv): Promise<void> {
    const rows = await env.DB.prepare("select p.document as placement, w.spec as spec from placements p join workloads w on w.id = p.workload where p.state in ('SERVING', 'STANDBY')")
      .all<{ placement: string; spec: string }>()
      .catch(() => null);
    // Before the API's first answer there is no schema, and nothing to watch.
    if (!rows) return;
    const tenants = new Set<string>();
    for (const row of rows.results) {
      const placement = JSON.parse(row.placement) as Placement;
      tenants.add(placement.tenant);
      await monitor(env, placement.tenant).watch(watchOf(placement, JSON.parse(row.spec) as WorkloadSpec));
    }
    for (const tenant of tenants) await monitor(env, tenant).prune(tenant);
    for (const tenant of await tenantsWithOpen(env.DB)) await monitor(env, tenant).tellSoon(tenant);
  },
} satisfies ExportedHandler<HealthEnv>;
