/** Three projects: what the console computes; durable objects inside workerd, one by one; and the whole edge in workerd, driven from Node. */
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

const objects = (name: string) => ({ className: name, useSQLite: true });

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest({
            main: "./components/edge/workers/tests/objects.ts",
            miniflare: {
              compatibilityDate: "2026-04-01",
              durableObjects: {
                AUTHORITIES: objects("RouteAuthority"),
                REPLICAS: objects("RouteReplica"),
                KEYS: objects("AuthKeys"),
                PRICES: objects("PriceEngine"),
                MONITORS: objects("HealthMonitor"),
                BELLS: objects("ChangeBell"),
                LOGS: objects("MachineLog"),
              },
              kvNamespaces: ["ROUTES"],
              d1Databases: ["DB"],
              r2Buckets: ["ARTIFACTS"],
              bindings: { ZONE: "edge.test", PLATFORM_KEY_SHA256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" },
            },
          }),
        ],
        test: { name: "objects", testTimeout: 30_000, sequence: { groupOrder: 0 }, include: ["components/edge/workers/{api,auth,changes,control,health,logs,routes,router,shared,tcp,ws}/*.test.ts"] },
      },
      { test: { name: "console", environment: "node", include: ["components/edge/console/src/*.test.ts"], sequence: { groupOrder: 0 } } },
      {
        test: {
          name: "edge",
          environment: "node",
          include: ["components/edge/workers/tests/*.test.ts", "localcloud/edge/**/*.test.ts"],
          globalSetup: ["components/edge/workers/tests/setup.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
