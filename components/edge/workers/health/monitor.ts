/** HealthMonitor: one a tenant; probes its serving placements at their own pace and reports the one that fails. */
import { DurableObject } from "cloudflare:workers";
import { ORIGIN_SIGNATURE, OriginSigner } from "../shared/origin";
import { type Auth, automation, type Watch } from "../shared/services";

export interface HealthEnv {
  MONITORS: DurableObjectNamespace;
  AUTH: Auth;
  DB: D1Database;
  ZONE: string;
  AUTOMATION_URL: string;
}

const LEAST_INTERVAL_MS = 500;
/** A failing placement is reported again after this long, should nobody have moved it. */
const REPORT_AGAIN_MS = 15_000;

interface State {
  failures: number;
  nextAt: number;
  reportedAt: number;
}

export class HealthMonitor extends DurableObject<HealthEnv> {
  #states = new Map<string, State>();

  constructor(ctx: DurableObjectState, env: HealthEnv) {
    super(ctx, env);
    ctx.storage.sql.exec("create table if not exists watched (placement text primary key, document text not null)");
  }

  async watch(watch: Watch): Promise<void> {
    this.ctx.storage.sql.exec("insert or replace into watched values (?, ?)", watch.placement, JSON.stringify(watch));
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + LEAST_INTERVAL_MS);
  }

  async unwatch(placement: string): Promise<void> {
    this.ctx.storage.sql.exec("delete from watched where placement = ?", placement);
    this.#states.delete(placement);
  }

  override async alarm(): Promise<void> {
    const watched = this.#watched();
    if (watched.length === 0) return;
    const now = Date.now();
    await Promise.all(watched.filter((one) => (this.#states.get(one.placement)?.nextAt ?? 0) <= now).map((one) => this.#look(one, now)));
    const next = Math.min(...watched.map((one) => this.#states.get(one.placement)?.nextAt ?? now + LEAST_INTERVAL_MS));
    await this.ctx.storage.setAlarm(Math.max(next, Date.now() + LEAST_INTERVAL_MS));
  }

  async #look(one: Watch, now: number): Promise<void> {
    const state = this.#states.get(one.placement) ?? { failures: 0, nextAt: 0, reportedAt: 0 };
    this.#states.set(one.placement, state);
    state.nextAt = now + Math.max(one.health.intervalSeconds * 1000, LEAST_INTERVAL_MS);
    if (await probe(one, this.env)) {
      state.failures = 0;
      return;
    }
    state.failures += 1;
    if (state.failures < one.health.unhealthyCount || now - state.reportedAt < REPORT_AGAIN_MS) return;
    state.reportedAt = now;
    const incident = { placement: one.placement, kind: "unhealthy", deadline: null, detail: `${state.failures} probes of ${one.health.path} failed in a row` };
    const answer = await automation(this.env.AUTH, this.env.AUTOMATION_URL, "POST", "/v1/incidents", incident).catch(() => null);
    if (!answer?.ok) state.reportedAt = 0;
  }

  #watched(): Watch[] {
    return [...this.ctx.storage.sql.exec<{ document: string }>("select document from watched")].map(({ document }) => JSON.parse(document) as Watch);
  }
}

let signer: OriginSigner | null = null;

/** Whether one probe, signed as every request of the edge, was answered with 2xx in time. */
export async function probe(one: Watch, env: Pick<HealthEnv, "AUTH">): Promise<boolean> {
  signer ??= new OriginSigner((placement) => env.AUTH.originKey(placement));
  try {
    const answer = await fetch(one.origin + one.health.path, {
      headers: { "user-agent": "spotlane-health", "x-spotlane-probe": one.placement, [ORIGIN_SIGNATURE]: await signer.header(one.placement) },
      signal: AbortSignal.timeout(one.health.timeoutSeconds * 1000),
      redirect: "manual",
    });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
