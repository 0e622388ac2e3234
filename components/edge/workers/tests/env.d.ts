/// <reference types="@cloudflare/vitest-pool-workers/types" />
/** The bindings of the object tests (vitest.config.ts). */
declare namespace Cloudflare {
  interface Env {
    AUTHORITIES: DurableObjectNamespace<import("../routes/authority").RouteAuthority>;
    REPLICAS: DurableObjectNamespace<import("../routes/replica").RouteReplica>;
    KEYS: DurableObjectNamespace<import("../auth/keys").AuthKeys>;
    PRICES: DurableObjectNamespace<import("../control/prices").PriceEngine>;
    MONITORS: DurableObjectNamespace<import("../health/monitor").HealthMonitor>;
    LOGS: DurableObjectNamespace<import("../logs/ring").MachineLog>;
    ROUTES: KVNamespace;
    DB: D1Database;
    ARTIFACTS: R2Bucket;
    ZONE: string;
  }
}
