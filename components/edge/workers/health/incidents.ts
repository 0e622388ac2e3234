/**
 * Machines' notices, kept in D1 from before they are acknowledged until the workload is off the machine.
 *
 * The automation service is told of each at least once; it takes a notice of a machine that a saga is at work on, or that no longer serves, as said
 * already, so that more tellings have no more effect. One that it took without the workload having moved (it restarted, it saw no way out) is told again.
 */
import { tenantOf, workloadOf } from "../shared/ids";
import { type Auth, automation } from "../shared/services";
import type { Incident } from "../shared/wire";

export interface IncidentEnv {
  AUTH: Auth;
  DB: D1Database;
  AUTOMATION_URL: string;
}

/** Pause after a telling that failed, and after one that was taken, ms. */
const AWAY_MS = 1_000;
const TAKEN_MS = 15_000;
const AT_ONCE = 50;

interface Row {
  id: number;
  document: string;
}

/** Puts a notice on record; the same notice (placement, kind, deadline) twice is one. */
export async function keep(db: D1Database, incident: Incident): Promise<void> {
  await db
    .prepare("insert into incidents (placement, workload, tenant, kind, deadline, document, received_at, next_at) values (?, ?, ?, ?, ?, ?, ?, 0) on conflict (placement, kind, deadline) do nothing")
    .bind(incident.placement, workloadOf(incident.placement), tenantOf(workloadOf(incident.placement)), incident.kind, incident.deadline ?? "", JSON.stringify(incident), new Date().toISOString())
    .run();
}

/** Settles what is over, tells what is due; when there is more to do, in ms of the wall clock, null where nothing is left open. */
export async function tell(env: IncidentEnv, tenant: string, now: number): Promise<number | null> {
  await settle(env.DB, tenant, now);
  const due = await env.DB.prepare("select id, document from incidents where tenant = ? and settled_at is null and next_at <= ? order by id limit ?").bind(tenant, now, AT_ONCE).all<Row>();
  await Promise.all(due.results.map((row) => deliver(env, row, now)));
  const next = await env.DB.prepare("select min(next_at) as at from incidents where tenant = ? and settled_at is null").bind(tenant).first<{ at: number | null }>();
  return next?.at ?? null;
}

/** Tells the newest word about a placement now; what the automation service answered, null where it didn't take it. */
export async function tellAtOnce(env: IncidentEnv, incident: Incident, now: number): Promise<{ migration?: string } | null> {
  const row = await env.DB.prepare("select id, document from incidents where placement = ? and kind = ? and deadline = ?")
    .bind(incident.placement, incident.kind, incident.deadline ?? "")
    .first<Row>();
  return row ? deliver(env, row, now) : null;
}

/** Tenants with notices that are open: for whom the monitor must be awake. */
export async function tenantsWithOpen(db: D1Database): Promise<string[]> {
  const rows = await db.prepare("select distinct tenant from incidents where settled_at is null").all<{ tenant: string }>();
  return rows.results.map(({ tenant }) => tenant);
}

async function deliver(env: IncidentEnv, row: Row, now: number): Promise<{ migration?: string } | null> {
  const answer = await automation(env.AUTH, env.AUTOMATION_URL, "POST", "/v1/incidents", JSON.parse(row.document)).catch(() => null);
  // A refusal is final for this telling only: whether the workload has left the machine decides, not the answer.
  const taken = answer !== null && answer.status < 500 && answer.status !== 429;
  await env.DB.prepare("update incidents set attempts = attempts + 1, taken_at = case when ?1 then coalesce(taken_at, ?2) else taken_at end, next_at = ?3 where id = ?4")
    .bind(taken ? 1 : 0, new Date(now).toISOString(), now + (taken ? TAKEN_MS : AWAY_MS), row.id)
    .run();
  return answer?.ok ? ((await answer.json().catch(() => ({}))) as { migration?: string }) : null;
}

/** A notice is over once its machine neither serves nor stands by. One that only warned (`rebalance`) is over once it was taken. */
async function settle(db: D1Database, tenant: string, now: number): Promise<void> {
  await db
    .prepare(
      `update incidents set settled_at = ?1 where tenant = ?2 and settled_at is null and
         ((kind = 'rebalance' and taken_at is not null) or not exists (select 1 from placements p where p.id = incidents.placement and p.state in ('SERVING', 'STANDBY')))`,
    )
    .bind(new Date(now).toISOString(), tenant)
    .run();
}
