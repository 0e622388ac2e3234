/** A decision becomes a migration: lease first, then its rows, then its saga; where it saves a machine while another one is saved, the lease comes last. */
import type { PriceEngine, Reserved } from "../control/prices";
import { fingerprintOf } from "./fingerprint";
import { originOf, placementId, tcpOriginOf } from "./ids";
import { ProblemError } from "./problem";
import { livePlacements, type MigrationRow, migrationOf, migrationRow, type WorkloadRow } from "./records";
import type { Decision, Migration, MigrationStep, Placement, Tenant, WorkloadSpec } from "./wire";

export interface DecisionEnv {
  PRICES: DurableObjectNamespace;
  MIGRATIONS: Workflow<{ id: string }>;
  DB: D1Database;
  ZONE: string;
}

/** Machines beyond those asked for that an availability may take: a spare, and the successor of one that is given up. */
const BESIDE = 2;

/** What a machine of the same workload that goes doesn't wait for. */
const UNFORCED = new Set<Decision["kind"]>(["deploy", "move", "redeploy", "requested"]);
/** Steps of a saga that writes no route any more: the old machine's end alone is left, and the lease may be another's by now. */
export const AFTER_COMMIT = new Set<MigrationStep>(["drain", "decommission", "record"]);

/** How long the writing of a migration can take at most, after its lease: two statements of D1. */
const CUT_OFF_MS = 10_000;

const TITLES = { "lease-held": "The workload is moving already", "stale-decision": "The decision is out of date", "price-moved": "The price has moved" };

export function prices(env: Pick<DecisionEnv, "PRICES">): PriceEngine {
  return env.PRICES.get(env.PRICES.idFromName("market")) as unknown as PriceEngine;
}

/** Authorises the decision and starts its saga. The same decision twice is one migration. Throws 409 problems. */
export async function propose(env: DecisionEnv, row: WorkloadRow, decision: Decision): Promise<Migration> {
  const twin = await env.DB.prepare("select * from migrations where workload = ? and json_extract(decision, '$.id') = ?").bind(row.id, decision.id).first<MigrationRow>();
  if (twin) return migrationOf(twin);
  const instead = await givesWay(env.DB, row, decision);
  const waits = row.active_migration !== null && instead === null;
  if (waits && !(await besideRescue(env.DB, row, decision))) throw new ProblemError(409, "lease-held", TITLES["lease-held"], `${row.active_migration} is at work on ${row.id}; wait for its end`);
  if (decision.kind !== "terminate" && (row.state === "STOPPING" || row.state === "TERMINATED")) throw new ProblemError(409, "stopping", "The workload is being removed", row.id);
  const outdated = outdatedBy(row, await livePlacements(env.DB, row.id), decision);
  if (outdated !== null) throw new ProblemError(409, "stale-decision", TITLES["stale-decision"], outdated);
  const generation = await nextGeneration(env.DB, row.id);
  const id = placementId(row.id, generation);
  const reserved: { ok: true; token: number | null } | Extract<Reserved, { ok: false }> = waits ? { ok: true, token: null } : await reserve(env, decision, id, instead);
  if (!reserved.ok) throw new ProblemError(409, reserved.word, TITLES[reserved.word], reserved.detail);
  try {
    await store(env, row, decision, id, generation, reserved.token);
    await env.MIGRATIONS.create({ id, params: { id } });
  } catch (error) {
    await prices(env).release(row.id, id);
    await env.DB.batch([
      env.DB.prepare("update migrations set status = 'failed', step = 'compensated', error = ?, finished_at = ? where id = ?").bind(String(error), new Date().toISOString(), id),
      env.DB.prepare("update workloads set active_migration = null where id = ? and active_migration = ?").bind(row.id, id),
    ]);
    throw error;
  }
  return migrationOf((await migrationRow(env.DB, id)) as MigrationRow);
}

/**
 * The migration at work that gives way to a decision; null where there is none. A machine that serves and goes or fails can't wait for what isn't forced: what is
 * made beside, given up, or moved of another machine. Before its commit such a saga loses the lease and undoes what it has begun; a saga that has told who
 * serves has only the old machine's end left. Between the two the lease isn't given away, which the lease's keeper sees to.
 */
export async function givesWay(db: D1Database, { active_migration: active, placement }: WorkloadRow, decision: Decision): Promise<string | null> {
  if (active === null || !rescues(decision)) return null;
  const row = await migrationRow(db, active);
  if (!row || row.kind === "terminate") return null;
  const held = JSON.parse(row.decision) as Decision;
  if (AFTER_COMMIT.has(row.step) || roleOf(held) === "standby" || held.kind === "retire") return active;
  // The successor of the very machine that goes is on its way already.
  const other = held.kind === "deploy" ? placement !== null : held.fromPlacement !== decision.fromPlacement;
  return UNFORCED.has(held.kind) && other ? active : null;
}

/**
 * Whether a decision may make its machine at once and take the lease once that is ready: its machine is taken back, and what is at work saves another one. A
 * standby needs no machine to be made; and where several fail their probes, one at a time shows whether another machine helps. One saga a machine: where one is
 * at work for it, or waits, another is not begun.
 */
async function besideRescue(db: D1Database, { id, active_migration: active }: WorkloadRow, decision: Decision): Promise<boolean> {
  if (decision.kind !== "interruption" || !rescues(decision) || decision.promote) return false;
  const { results } = await db.prepare("select * from migrations where workload = ? and status = 'running'").bind(id).all<MigrationRow>();
  const held = results.find((one) => one.id === active);
  return held !== undefined && rescues(JSON.parse(held.decision) as Decision) && results.every((one) => one.from_placement !== decision.fromPlacement);
}

/** Whether a decision replaces a machine that serves and goes or fails. */
function rescues(decision: Decision): boolean {
  return (decision.kind === "interruption" || decision.kind === "unhealthy") && roleOf(decision) === "serving";
}

/** Decisions from before there were standbys have none. */
export function roleOf(decision: Decision): Decision["role"] {
  return decision.role ?? "serving";
}

/** What has changed of a workload's machines since the decision, as a sentence; null where it still fits. */
export function outdatedBy(row: Pick<WorkloadRow, "id" | "placement" | "spec">, live: Pick<Placement, "id" | "state">[], decision: Decision): string | null {
  const { kind, fromPlacement } = decision;
  const from = live.find(({ id }) => id === fromPlacement);
  const standby = live.find(({ state }) => state === "STANDBY");
  if (roleOf(decision) === "standby") {
    if (kind !== "deploy") return from?.state === "STANDBY" ? null : `${fromPlacement} isn't a standby of ${row.id} any more`;
    if (row.placement === null) return `${row.id} runs nowhere: there is nothing to stand by for`;
    return standby ? `${standby.id} stands by for ${row.id} already` : null;
  }
  if (kind === "retire") {
    if (from === undefined) return `${fromPlacement} isn't a machine of ${row.id} any more`;
    const last = from.id === row.placement && !live.some(({ id, state }) => id !== from.id && state === "SERVING");
    return last ? `${fromPlacement} is the last machine that serves ${row.id}` : null;
  }
  const promoted = decision.promote ?? null;
  if (promoted !== null && promoted !== standby?.id) return `${promoted} no longer stands by for ${row.id}`;
  if (kind === "deploy" && row.placement !== null) {
    const serving = live.filter(({ state }) => state === "SERVING").length;
    const { replicas, availability } = (JSON.parse(row.spec) as WorkloadSpec).placement;
    const most = (replicas ?? 1) + (availability ? BESIDE : 0);
    return serving < most ? null : `${serving} of ${most} machines serve ${row.id} already`;
  }
  if (kind === "deploy" || fromPlacement === row.placement || (kind !== "terminate" && from?.state === "SERVING")) return null;
  return `${row.id} now runs as ${row.placement ?? "nothing"}, not as ${fromPlacement ?? "nothing"}`;
}

/** The lease. One whose holder was cut off before its migration was written is taken over: nobody will end it. */
async function reserve(env: DecisionEnv, decision: Decision, id: string, instead: string | null): Promise<Reserved> {
  const reserved = await prices(env).reserve(decision, id, instead);
  if (reserved.ok || reserved.word !== "lease-held") return reserved;
  const orphan = (await prices(env).holders(CUT_OFF_MS)).find(({ workload }) => workload === decision.workload);
  if (!orphan || (await migrationRow(env.DB, orphan.holder))?.status === "running") return reserved;
  await prices(env).release(decision.workload, orphan.holder);
  return prices(env).reserve(decision, id);
}

/** The next generation's number; it is used up even if its migration never starts. */
async function nextGeneration(db: D1Database, workload: string): Promise<number> {
  const row = await db.prepare("update workloads set generation = generation + 1 where id = ? returning generation").bind(workload).first<{ generation: number }>();
  if (!row) throw new ProblemError(404, "not-found", "No such workload", workload);
  return row.generation;
}

async function store(env: DecisionEnv, row: WorkloadRow, decision: Decision, id: string, generation: number, token: number | null): Promise<void> {
  const now = new Date().toISOString();
  const statements = [
    env.DB.prepare("insert into migrations values (?, ?, ?, ?, ?, 'reserve', 'running', ?, ?, ?, null, null, ?, null)").bind(
      id,
      row.id,
      row.tenant,
      generation,
      decision.kind,
      token,
      decision.fromPlacement,
      JSON.stringify(decision),
      now,
    ),
  ];
  if (token !== null) statements.push(env.DB.prepare("update workloads set active_migration = ?, updated_at = ? where id = ?").bind(id, now, row.id));
  // A standby that takes over is a placement already.
  if (decision.offer && decision.evidence && !decision.promote) {
    const spec = JSON.parse(row.spec) as WorkloadSpec;
    const placement: Placement = {
      id,
      workload: row.id,
      tenant: row.tenant,
      generation,
      state: "PROVISIONING",
      offer: decision.offer,
      origin: originOf(row.id, generation, env.ZONE),
      tcpOrigin: spec.ports.tcp === null ? null : tcpOriginOf(row.id, generation, env.ZONE),
      quote: decision.evidence.quote,
      createdAt: now,
      marketCreatedAt: await prices(env).marketNow(),
      marketServedFrom: null,
      marketServedUntil: null,
      fingerprint: fingerprintOf(spec),
      marketReadyFrom: null,
      replaces: decision.fromPlacement,
      beside: roleOf(decision) === "standby" || (decision.kind === "deploy" && row.placement !== null),
      capacity: decision.capacity ?? "spot",
    };
    statements.push(
      env.DB.prepare("insert into placements (id, workload, tenant, generation, state, document, artifact) values (?, ?, ?, ?, ?, ?, ?)").bind(
        id,
        row.id,
        row.tenant,
        generation,
        placement.state,
        JSON.stringify(placement),
        spec.artifact?.digest ?? null,
      ),
    );
  }
  await env.DB.batch(statements);
}

/** Begins to take down a workload that its owner has removed; null while a migration is still at work on it, whose end begins it then. */
export async function terminate(env: DecisionEnv, row: WorkloadRow): Promise<Migration | null> {
  if (row.active_migration !== null) return null;
  const tenant = await env.DB.prepare("select document from tenants where id = ?").bind(row.tenant).first<{ document: string }>();
  if (!tenant) throw new ProblemError(404, "not-found", "No such tenant", row.tenant);
  const decision: Decision = {
    id: `decision-terminate-${row.id}-${row.generation}`,
    workload: row.id,
    kind: "terminate",
    offer: null,
    fromPlacement: row.placement,
    boundaryDigest: (JSON.parse(tenant.document) as Tenant).boundaryDigest,
    evidence: null,
    reason: "removed by its owner",
    deadline: null,
    role: "serving",
    promote: null,
    capacity: "spot",
    holding: null,
  };
  try {
    return await propose(env, row, decision);
  } catch (error) {
    // A migration began since the row was read; at its end the workload is taken down.
    if (error instanceof ProblemError && (error.word === "lease-held" || error.word === "stale-decision")) return null;
    throw error;
  }
}
