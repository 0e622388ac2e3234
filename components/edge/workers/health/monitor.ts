/**
 * HealthMonitor: one a tenant. Checks the tenant's serving placements at their own pace, keeps the failing ones out of rotation and reports them, and
 * tells machines' notices on. What it knows is in its storage: an eviction forgets no failure and no pause.
 */
import { DurableObject } from "cloudflare:workers";
import { ring } from "../shared/changes";
import { tenantOf, workloadOf } from "../shared/ids";
import { OriginSigner } from "../shared/origin";
import { setState, workloadRow } from "../shared/records";
import type { AuthorityStub } from "../shared/route";
import { automation, type Watch } from "../shared/services";
import type { Incident } from "../shared/wire";
import { type IncidentEnv, keep, tell, tellAtOnce } from "./incidents";
import { probe } from "./probe";
import { after, pause, type Standing } from "./rotation";

export interface HealthEnv extends IncidentEnv {
  MONITORS: DurableObjectNamespace;
  AUTHORITIES: DurableObjectNamespace;
  BELLS: DurableObjectNamespace;
  ZONE: string;
}

const LEAST_INTERVAL_MS = 500;
/** A failing placement is reported again after this long, should nobody have moved it. */
const REPORT_AGAIN_MS = 15_000;
/** Checks on their way at once: Cloudflare opens six connections an invocation at a time, and a slow machine must not hold up the others. */
const AT_ONCE = 6;

interface Row extends Record<string, SqlStorageValue> {
  placement: string;
  document: string;
  failures: number;
  successes: number;
  healthy: number;
  /** Whether the route says so too. */
  marked: number;
  next_at: number;
  reported_at: number;
}

export class HealthMonitor extends DurableObject<HealthEnv> {
  readonly #sql: SqlStorage;
  readonly #signer: OriginSigner;
  readonly #marking = new Set<string>();

  constructor(ctx: DurableObjectState, env: HealthEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#signer = new OriginSigner((placement) => this.env.AUTH.originKey(placement));
    this.#sql.exec(`
      create table if not exists watched (placement text primary key, document text not null);
      create table if not exists standings (placement text primary key, failures integer not null, successes integer not null, healthy integer not null,
        marked integer not null, next_at integer not null, reported_at integer not null);
      create table if not exists notices (tenant text primary key, next_at integer not null);
    `);
  }

  /** Begins to watch, or takes the watch's new settings; what is known of the placement stays. */
  async watch(watch: Watch): Promise<void> {
    this.#sql.exec("insert or replace into watched values (?, ?)", watch.placement, JSON.stringify(watch));
    const known = [...this.#sql.exec<{ healthy: number; marked: number }>("select healthy, marked from standings where placement = ?", watch.placement)][0];
    if (!known) this.#sql.exec("insert into standings values (?, 0, 0, 1, 1, ?, 0)", watch.placement, Date.now() + LEAST_INTERVAL_MS);
    // A saga that failed after the machine had recovered has left the workload shown as unhealthy.
    if (known?.healthy && known.marked) this.ctx.waitUntil(this.#show(workloadOf(watch.placement), watch.placement, true).catch(() => undefined));
    await this.#awake();
  }

  async unwatch(placement: string): Promise<void> {
    this.#sql.exec("delete from watched where placement = ?", placement);
    this.#sql.exec("delete from standings where placement = ?", placement);
  }

  /** Gives up watches whose placement neither serves nor stands by any more: one whose end was lost. */
  async prune(tenant: string): Promise<void> {
    const watched = [...this.#sql.exec<{ placement: string }>("select placement from watched")].map(({ placement }) => placement);
    // Read after the watches: a placement serves, by D1, before it is watched.
    const rows = await this.env.DB.prepare("select id from placements where tenant = ? and state in ('SERVING', 'STANDBY')").bind(tenant).all<{ id: string }>();
    const serving = new Set(rows.results.map(({ id }) => id));
    for (const placement of watched) if (!serving.has(placement)) await this.unwatch(placement);
  }

  /** See {@link Monitor.report}. */
  async report(incident: Incident): Promise<{ migration?: string } | null> {
    await keep(this.env.DB, incident);
    await this.tellSoon(tenantOf(workloadOf(incident.placement)));
    return tellAtOnce(this.env, incident, Date.now());
  }

  /** Looks for open notices of the tenant at the next turn. The tenant is kept: an object that its alarm has woken doesn't know its own name. */
  async tellSoon(tenant: string): Promise<void> {
    this.#sql.exec("insert or replace into notices values (?, ?)", tenant, Date.now() + LEAST_INTERVAL_MS);
    await this.#awake();
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    await this.#notices(now);
    await inTurns(this.#due(now), AT_ONCE, (row) => this.#look(row));
    const next = this.#next();
    if (next !== null) await this.ctx.storage.setAlarm(Math.max(next, Date.now() + LEAST_INTERVAL_MS / 2));
  }

  async #awake(): Promise<void> {
    const next = this.#next();
    const set = await this.ctx.storage.getAlarm();
    if (next !== null && (set === null || set > next)) await this.ctx.storage.setAlarm(next);
  }

  #due(now: number): Row[] {
    return [...this.#sql.exec<Row>("select * from standings join watched using (placement) where next_at <= ? order by next_at", now)];
  }

  #next(): number | null {
    const row = [...this.#sql.exec<{ at: number | null }>("select min(next_at) as at from (select next_at from standings union all select next_at from notices)")][0];
    return row?.at ?? null;
  }

  async #notices(now: number): Promise<void> {
    const kept = [...this.#sql.exec<{ tenant: string; next_at: number }>("select tenant, next_at from notices")][0];
    if (!kept || kept.next_at > now) return;
    const next = await tell(this.env, kept.tenant, now).catch(() => now + 2 * LEAST_INTERVAL_MS);
    if (next === null) this.#sql.exec("delete from notices");
    else this.#sql.exec("update notices set next_at = ?", next);
  }

  async #look(row: Row): Promise<void> {
    const watch = JSON.parse(row.document) as Watch;
    const verdict = await probe(watch, this.#signer);
    const before: Standing = { failures: row.failures, successes: row.successes, healthy: row.healthy === 1 };
    const standing = after(before, verdict.healthy, watch.health);
    const next = Date.now() + pause(watch.health, LEAST_INTERVAL_MS, Math.random());
    this.#sql.exec(
      "update standings set failures = ?, successes = ?, healthy = ?, next_at = ? where placement = ?",
      standing.failures,
      standing.successes,
      standing.healthy ? 1 : 0,
      Math.round(next),
      watch.placement,
    );
    // Beside the checks: a route is written only once every replica has it, and nobody else's checks shall wait for that.
    if ((row.marked === 1) !== standing.healthy) this.ctx.waitUntil(this.#mark(watch.placement, standing.healthy));
    if (!verdict.healthy && !standing.healthy && Date.now() - row.reported_at >= REPORT_AGAIN_MS) await this.#unhealthy(watch, standing.failures, verdict.why);
  }

  /** Takes the placement out of rotation or puts it back. What fails is tried again after the next check. */
  async #mark(placement: string, healthy: boolean): Promise<void> {
    if (this.#marking.has(placement)) return;
    this.#marking.add(placement);
    try {
      const label = workloadOf(placement);
      const authority = this.env.AUTHORITIES.get(this.env.AUTHORITIES.idFromName(tenantOf(label))) as unknown as AuthorityStub;
      await authority.mark(label, placement, healthy);
      this.#sql.exec("update standings set marked = ? where placement = ?", healthy ? 1 : 0, placement);
      await this.#show(label, placement, healthy);
    } catch (error) {
      console.error(`${placement} was not marked ${healthy ? "healthy" : "unhealthy"}: ${(error as Error).message}`);
    } finally {
      this.#marking.delete(placement);
    }
  }

  /** The workload's state, where no saga is at work that tells it. */
  async #show(label: string, placement: string, healthy: boolean): Promise<void> {
    const workload = await workloadRow(this.env.DB, label);
    if (workload?.placement !== placement || workload.active_migration !== null) return;
    if (!healthy && workload.state === "RUNNING") await setState(this.env.DB, label, "UNHEALTHY", "its machine fails its checks; it is out of rotation");
    if (healthy && workload.state === "UNHEALTHY") await setState(this.env.DB, label, "RUNNING", "its machine passes its checks again");
    await ring(this.env, workload.tenant);
  }

  async #unhealthy(watch: Watch, failures: number, why: string): Promise<void> {
    this.#sql.exec("update standings set reported_at = ? where placement = ?", Date.now(), watch.placement);
    const checked = watch.health.protocol === "tcp" ? "TCP checks" : `checks of ${watch.health.path}`;
    const incident: Incident = { placement: watch.placement, kind: "unhealthy", deadline: null, detail: `${failures} ${checked} failed in a row, the last one: ${why}` };
    const answer = await automation(this.env.AUTH, this.env.AUTOMATION_URL, "POST", "/v1/incidents", incident).catch(() => null);
    if (!answer?.ok) this.#sql.exec("update standings set reported_at = 0 where placement = ?", watch.placement);
  }
}

/** Runs `work` over all of `items`, at most `width` at a time. */
async function inTurns<T>(items: T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
