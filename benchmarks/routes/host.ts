/** A process of the benchmark with a workerd of its own: the authority's, or a region's with router, replica and machines. Ends with its parent. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, LogLevel, Miniflare, type WorkerOptions } from "miniflare";
import { leash } from "../../localcloud/edge/leash.js";
import { REGIONS, type Region, ZONE } from "./distance";

declare const WORKERS: Record<"authority" | "replica" | "router" | "origins", string>;

/** What a host is told when it is started. */
export interface Place {
  /** Null for the authority's. */
  region: Region | null;
  /** Where the hosts find each other's objects. */
  registry: string;
}

/** The ports of a host's Workers by their kind. */
export type Ports = Partial<Record<keyof typeof WORKERS, number>>;

const replicaOf = ({ hint }: Region): string => `replica-${hint}`;

function worker(name: string, kind: keyof typeof WORKERS, further: Partial<WorkerOptions>): WorkerOptions {
  return {
    name,
    modules: [{ type: "ESModule", path: `/${kind}.js`, contents: WORKERS[kind] }],
    modulesRoot: "/",
    compatibilityDate: "2026-04-01",
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    ...further,
  } as WorkerOptions;
}

function workersOf({ region }: Place): WorkerOptions[] {
  const authorities = { className: "RouteAuthority", useSQLite: true };
  const replicas = { className: "RouteReplica", useSQLite: true };
  if (!region) {
    const bound = Object.fromEntries(REGIONS.map((one) => [`REPLICAS_${one.hint}`, { ...replicas, scriptName: replicaOf(one) }]));
    return [worker("authority", "authority", { durableObjects: { AUTHORITIES: authorities, ...bound }, kvNamespaces: { ROUTES: "routes" } })];
  }
  const away = { ...authorities, scriptName: "authority" };
  const bindings = { REGION: region as never, ZONE };
  const name = replicaOf(region);
  return [
    worker(`router-${region.hint}`, "router", {
      bindings,
      durableObjects: { AUTHORITIES: away, REPLICAS: { ...replicas, scriptName: name } },
      serviceBindings: { STORE: "authority", AUTH: { name: `router-${region.hint}`, entrypoint: "Keys" }, WS: "origins" },
      outboundService: "origins",
    }),
    worker(name, "replica", { bindings, durableObjects: { AUTHORITIES: away, REPLICAS: replicas }, kvNamespaces: { ROUTES: "routes" } }),
    worker("origins", "origins", {}),
  ];
}

/** Runs the host that the parent's first message asks for. */
export function host(): void {
  const directory = mkdtempSync(join(tmpdir(), "spotlane-propagation-"));
  let miniflare: Miniflare | null = null;
  const end = async (): Promise<void> => {
    await miniflare?.dispose().catch(() => undefined);
    rmSync(directory, { recursive: true, force: true });
    process.exit(0);
  };
  process.on("disconnect", () => void end());
  // Ctrl-C goes to the whole group: the parent says when it is over.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
  process.once("message", async (place: Place) => {
    leash(directory);
    const workers = workersOf(place);
    miniflare = new Miniflare({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.ERROR),
      defaultPersistRoot: join(directory, "state"),
      unsafeDevRegistryPath: place.registry,
      workers,
    } as never);
    await miniflare.ready;
    const ports: Ports = {};
    for (const { name } of workers) ports[name?.split("-")[0] as keyof Ports] = Number((await miniflare.unsafeGetDirectURL(name)).port);
    process.send?.(ports);
  });
}
