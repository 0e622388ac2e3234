/** D1's rows as wire models, and the few writes that both the API and the saga do. */
import { fingerprintOf } from "./fingerprint";
import { generationOf } from "./ids";
import type { Decision, Migration, MigrationStep, Placement, PlacementState, Workload, WorkloadSpec, WorkloadState } from "./wire";

export interface WorkloadRow {
  id: string;
  tenant: string;
  name: string;
  state: WorkloadState;
  reason: string;
  spec: string;
  generation: number;
  placement: string | null;
  active_migration: string | null;
  created_at: string;
  updated_at: string;
}

export interface MigrationRow {
  id: string;
  workload: string;
  tenant: string;
  kind: string;
  step: MigrationStep;
  status: "running" | "succeeded" | "failed";
  fencing_token: number | null;
  from_placement: string | null;
  decision: string;
  route_version: number | null;
  error: string | null;
  started_at: string;
  finished_at: string | null;
}

export function migrationOf(row: MigrationRow): Migration {
  return {
    id: row.id,
    workload: row.workload,
    tenant: row.tenant,
    generation: generationOf(row.id),
    kind: row.kind,
    step: row.step,
    status: row.status,
    fencingToken: row.fencing_token,
    fromPlacement: row.from_placement,
    decision: JSON.parse(row.decision) as Decision,
    routeVersion: row.route_version,
    error: row.error,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

/** Whether a placement holds its machine for traffic, or to take it over. */
export const LIVE = ["SERVING", "STANDBY"] as const;

/** SQL: a JSON array of the placements beside the first of workload `w`, oldest first. */
export const FURTHER = `(select json_group_array(json(f.document)) from (select document from placements
  where workload = w.id and id is not w.placement and state in ('SERVING', 'STANDBY') order by generation) f)`;

/** What a workload's machines are now, those that serve and its standby, oldest first. */
export async function livePlacements(db: D1Database, workload: string): Promise<Placement[]> {
  const rows = await db.prepare("select document from placements where workload = ? and state in ('SERVING', 'STANDBY') order by generation").bind(workload).all<{ document: string }>();
  return rows.results.map(({ document }) => JSON.parse(document) as Placement);
}

export function workloadOfRow(row: WorkloadRow, placement: Placement | null, further: Placement[]): Workload {
  const spec = JSON.parse(row.spec) as WorkloadSpec;
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    state: row.state,
    reason: row.reason,
    spec,
    placement,
    activeMigration: row.active_migration,
    generation: row.generation,
    fingerprint: fingerprintOf(spec),
    further,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export async function placementBy(db: D1Database, id: string | null): Promise<Placement | null> {
  if (id === null) return null;
  const row = await db.prepare("select document from placements where id = ?").bind(id).first<{ document: string }>();
  return row ? (JSON.parse(row.document) as Placement) : null;
}

export async function workloadRow(db: D1Database, id: string): Promise<WorkloadRow | null> {
  return db.prepare("select * from workloads where id = ?").bind(id).first<WorkloadRow>();
}

export async function migrationRow(db: D1Database, id: string): Promise<MigrationRow | null> {
  return db.prepare("select * from migrations where id = ?").bind(id).first<MigrationRow>();
}

/** A change of state with its reason, and its event; the same state and reason twice is one. A workload that is being removed only ends. */
export async function setState(db: D1Database, workload: string, state: WorkloadState, reason: string): Promise<void> {
  const now = new Date().toISOString();
  const changed = await db
    .prepare("update workloads set state = ?1, reason = ?2, updated_at = ?3 where id = ?4 and (state <> ?1 or reason <> ?2) and (state <> 'STOPPING' or ?1 = 'TERMINATED')")
    .bind(state, reason, now, workload)
    .run();
  if (changed.meta.changes > 0) await db.prepare("insert into events (workload, state, reason, at) values (?, ?, ?, ?)").bind(workload, state, reason, now).run();
}

/** An event without a change of state: something that the workload's owner or operator has to know. */
export async function note(db: D1Database, workload: string, reason: string): Promise<void> {
  await db.prepare("insert into events (workload, state, reason, at) select id, state, ?1, ?2 from workloads where id = ?3").bind(reason, new Date().toISOString(), workload).run();
}

export async function putPlacement(db: D1Database, placement: Placement): Promise<void> {
  await db
    .prepare("insert into placements (id, workload, tenant, generation, state, document) values (?, ?, ?, ?, ?, ?) on conflict (id) do update set state = excluded.state, document = excluded.document")
    .bind(placement.id, placement.workload, placement.tenant, placement.generation, placement.state, JSON.stringify(placement))
    .run();
}

export async function setPlacement(db: D1Database, id: string, state: PlacementState, changes: Partial<Placement> = {}): Promise<Placement | null> {
  const placement = await placementBy(db, id);
  if (!placement) return null;
  const changed: Placement = { ...placement, ...changes, state };
  await putPlacement(db, changed);
  return changed;
}

export async function setStep(db: D1Database, id: string, step: MigrationStep, changes: { fencingToken?: number; routeVersion?: number } = {}): Promise<void> {
  await db
    .prepare("update migrations set step = ?, fencing_token = coalesce(?, fencing_token), route_version = coalesce(?, route_version) where id = ? and status = 'running'")
    .bind(step, changes.fencingToken ?? null, changes.routeVersion ?? null, id)
    .run();
}

/** The migration has the workload's lease under `fencingToken`, and is at work on it from now on. */
export async function setActive(db: D1Database, id: string, workload: string, fencingToken: number): Promise<void> {
  await db.batch([
    db.prepare("update migrations set fencing_token = ? where id = ? and status = 'running'").bind(fencingToken, id),
    db.prepare("update workloads set active_migration = ?, updated_at = ? where id = ?").bind(id, new Date().toISOString(), workload),
  ]);
}

/** The end of a migration. One of the workload's that still waits for the lease is at work on it from now on. */
export async function endMigration(db: D1Database, id: string, workload: string, succeeded: boolean, error: string | null): Promise<void> {
  const now = new Date().toISOString();
  await db.batch([
    db
      .prepare("update migrations set status = ?, step = ?, error = ?, finished_at = ? where id = ? and status = 'running'")
      .bind(succeeded ? "succeeded" : "failed", succeeded ? "done" : "compensated", error, now, id),
    db
      .prepare(
        "update workloads set updated_at = ?1, active_migration = (select id from migrations where workload = ?2 and status = 'running' and fencing_token is null order by generation limit 1) where id = ?2 and active_migration = ?3",
      )
      .bind(now, workload, id),
  ]);
}
