/** The control plane: Price Arbitrage Engine, migration saga, and the reconciler that wakes what was left asleep and destroys what was left behind. */
import { prices, terminate } from "../shared/decisions";
import { migrationRow, type WorkloadRow } from "../shared/records";
import type { ControlEnv } from "./env";
import { sweep } from "./orphans";

export { MigrationWorkflow } from "./migration";
export { PriceEngine } from "./prices";

/** A lease without a migration: its decision was cut off between the two. */
const ORPHAN_MS = 60_000;

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },

  async scheduled(_: ScheduledController, env: ControlEnv): Promise<void> {
    const running = await env.DB.prepare("select id from migrations where status = 'running'")
      .all<{ id: string }>()
      .catch(() => null);
    // Before the API's first answer there is no schema, and nothing to reconcile.
    if (!running) return;
    for (const { id } of running.results) await wake(env, id).catch((error: Error) => console.error(`${id} was not woken: ${error.message}`));
    const stopping = await env.DB.prepare("select * from workloads where state = 'STOPPING' and active_migration is null").all<WorkloadRow>();
    for (const row of stopping.results) await terminate(env, row).catch((error: Error) => console.error(`${row.id} was not taken down: ${error.message}`));
    await sweep(env, Date.now());
    for (const { workload, holder } of await prices(env).holders(ORPHAN_MS)) if ((await migrationRow(env.DB, holder))?.status !== "running") await prices(env).release(workload, holder);
  },
} satisfies ExportedHandler<ControlEnv>;

/** Lets a migration go on that has not ended: an interrupted instance hears the event, a failed one begins again (its steps may be repeated), a missing one is made. */
async function wake(env: ControlEnv, id: string): Promise<void> {
  const instance = await env.MIGRATIONS.get(id).catch(() => null);
  if (!instance) {
    await env.MIGRATIONS.create({ id, params: { id } });
    return;
  }
  const { status } = await instance.status();
  if (status === "errored" || status === "terminated" || status === "complete") await instance.restart();
  else await instance.sendEvent({ type: "wake", payload: {} });
}
