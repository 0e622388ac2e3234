/** The control plane: Price Arbitrage Engine, migration saga, and the reconciler that wakes what was left asleep. */
import type { ControlEnv } from "./env";

export { MigrationWorkflow } from "./migration";
export { PriceEngine } from "./prices";

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },

  /** Wakes every migration that has not ended: an instance that was interrupted goes on, one that was never made is made, any other takes no notice. */
  async scheduled(_: ScheduledController, env: ControlEnv): Promise<void> {
    const rows = await env.DB.prepare("select id from migrations where status = 'running'")
      .all<{ id: string }>()
      .catch(() => null);
    for (const { id } of rows?.results ?? []) {
      const instance = await env.MIGRATIONS.get(id).catch(() => null);
      if (instance) await instance.sendEvent({ type: "wake", payload: {} }).catch(() => undefined);
      else await env.MIGRATIONS.create({ id, params: { id } }).catch(() => undefined);
    }
  },
} satisfies ExportedHandler<ControlEnv>;
