/** The benchmark's program: the driver, or with `--host` one of its processes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hosts, type Partitioned, partition, propagation } from "./driver";
import { REGIONS } from "./distance";
import { host } from "./host";

const PARTITION_SECONDS = 15;

if (process.argv[2] === "--host" && process.send) host();

function say(text: string): void {
  process.stderr.write(`propagation: ${text}\n`);
}

/** Nearest rank. */
function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? Number.NaN;
}

function figures(run: string, { counts, writes, waitedMs, replicaCatchUpMs, routerCatchUpMs }: Partitioned): Record<string, number> {
  return {
    [`${run}_old_origin_after_ack`]: counts.late(),
    [`${run}_refused`]: counts.refused,
    [`${run}_failed`]: counts.failed,
    [`${run}_regressions`]: counts.regressions,
    [`${run}_requests`]: counts.polls,
    [`${run}_writes`]: writes,
    [`${run}_longest_commit_ms`]: waitedMs,
    [`${run}_catch_up_ms`]: replicaCatchUpMs,
    [`${run}_router_catch_up_ms`]: routerCatchUpMs,
  };
}

export async function main(program: string, [given]: string[]): Promise<void> {
  const samples = Number(given);
  const registry = mkdtempSync(join(tmpdir(), "spotlane-registry-"));
  const hosts = new Hosts();
  let code = 0;
  const ended = async (): Promise<void> => {
    await hosts.stop();
    rmSync(registry, { recursive: true, force: true });
  };
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= ended();
    return stopping;
  };
  // Whoever started this is gone, or wants it over.
  process.stdin.resume().on("end", () => void stop().then(() => process.exit(130)));
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void stop().then(() => process.exit(130)));
  try {
    say("starting the authority's host and four router hosts");
    await hosts.start(program, registry);
    const { everywhere, regions, acknowledged, counts } = await propagation(hosts, samples, say);
    const replica = await partition(hosts, "partition", false, PARTITION_SECONDS, say);
    const region = await partition(hosts, "isolation", true, PARTITION_SECONDS, say);
    for (const failure of [counts, replica.counts, region.counts].flatMap(({ failures }) => [...failures])) say(`answered ${failure}`);
    const result = {
      claims: {
        write_to_all_p50_ms: percentile(everywhere, 0.5),
        write_to_all_p99_ms: percentile(everywhere, 0.99),
        write_to_all_max_ms: Math.max(...everywhere),
        version_regressions: counts.regressions + replica.counts.regressions + region.counts.regressions,
        writes: everywhere.length,
      },
      others: {
        ...Object.fromEntries(REGIONS.map(({ hint, oneWayMs }, at) => [`write_to_${hint}_${oneWayMs}_ms_away_p50_ms`, percentile(regions[at] ?? [], 0.5)])),
        acknowledged_p50_ms: percentile(acknowledged, 0.5),
        acknowledged_p99_ms: percentile(acknowledged, 0.99),
        old_origin_after_ack: counts.late(),
        requests: counts.polls,
        failed: counts.failed + counts.refused,
        ...figures("partition", replica),
        ...figures("isolation", region),
      },
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } catch (error) {
    if (!stopping) say((error as Error).stack ?? String(error));
    code = 1;
  } finally {
    await stop();
  }
  process.exit(code);
}
