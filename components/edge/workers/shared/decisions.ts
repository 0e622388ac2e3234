/** A decision becomes a migration: lease first, then its rows, then its saga. */
import type { PriceEngine, Reserved } from "../control/prices";
import { fingerprintOf } from "./fingerprint";
import { originOf, placementId, tcpOriginOf } from "./ids";
import { ProblemError } from "./problem";
import { type MigrationRow, migrationOf, migrationRow, type WorkloadRow } from "./records";
import type { Decision, Migration, Placement, Tenant, WorkloadSpec } from "./wire";

export interface DecisionEnv {
  PRICES: DurableObjectNamespace;
  MIGRATIONS: Workflow<{ id: string }>;
  DB: D1Database;
  ZONE: string;
}

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
  if (row.active_migration !== null) throw new ProblemError(409, "lease-held", TITLES["lease-held"], `${row.active_migration} is at work on ${row.id}; wait for its end`);
  if (decision.kind !== "terminate" && (row.state === "STOPPING" || row.state === "TERMINATED")) throw new ProblemError(409, "stopping", "The workload is being removed", row.id);
  if (decision.kind === "deploy" ? row.placement !== null : decision.fromPlacement !== row.placement)
    throw new ProblemError(409, "stale-decision", TITLES["stale-decision"], `${row.id} now runs as ${row.placement ?? "nothing"}, not as ${decision.fromPlacement ?? "nothing"}`);
  const generation = await nextGeneration(env.DB, row.id);
  const id = placementId(row.id, generation);
  const reserved = await reserve(env, decision, id);
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

/** The lease. One whose holder was cut off before its migration was written is taken over: nobody will end it. */
async function reserve(env: DecisionEnv, decision: Decision, id: string): Promise<Reserved> {
  const reserved = await prices(env).reserve(decision, id);
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

async function store(env: DecisionEnv, row: WorkloadRow, decision: Decision, id: string, generation: number, token: number): Promise<void> {
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
    env.DB.prepare("update workloads set active_migration = ?, updated_at = ? where id = ?").bind(id, now, row.id),
  ];
  if (decision.offer && decision.evidence) {
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
    };
    statements.push(
      env.DB.prepare("insert into placements (id, workload, tenant, generation, state, document, artifact) values (?, ?, ?, ?, ?, ?, ?)").bind(
        id,
        row.id,
        row.tenant,
        generation,
        placement.state,
        JSON.stringify(placement),
        spec.artifact.digest,
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
  };
  try {
    return await propose(env, row, decision);
  } catch (error) {
    // A migration began since the row was read; at its end the workload is taken down.
    if (error instanceof ProblemError && (error.word === "lease-held" || error.word === "stale-decision")) return null;
    throw error;
  }
}
