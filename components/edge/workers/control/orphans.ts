/**
 * Stacks that are no longer wanted and could not be destroyed: kept in D1, tried again by the reconciler until they are gone, seen by the workload's
 * owner as events and as the placement's state.
 */
import { note, placementBy, setPlacement, workloadRow } from "../shared/records";
import { automation } from "../shared/services";
import { placementId } from "../shared/ids";
import type { Run, RunRequest } from "../shared/wire";
import type { ControlEnv } from "./env";

const LONGEST_PAUSE_MS = 30 * 60_000;

interface Row {
  stack: string;
  workload: string;
  placement: string | null;
  request: string;
  attempt: number;
}

/** Keeps the stack of a destroy that failed; the same stack twice is one. */
export async function adopt(db: D1Database, workload: string, request: RunRequest, error: string, now: number): Promise<void> {
  const { stack } = request;
  const placement = stack.kind === "placement" && stack.generation !== null ? placementId(workload, stack.generation) : null;
  const name = [stack.kind, stack.tenant, stack.workload, stack.generation].filter((part) => part !== null).join(".");
  const kept = await db
    .prepare("insert into orphans values (?, ?, ?, ?, 0, ?, ?, ?) on conflict (stack) do nothing")
    .bind(name, workload, placement, JSON.stringify({ ...request, step: null }), now, error, new Date(now).toISOString())
    .run();
  if (placement) await setPlacement(db, placement, "ORPHANED");
  if (kept.meta.changes > 0) await note(db, workload, `${name} could not be destroyed: ${error}; it is tried again until it is gone`);
}

/** One turn of each orphan that is due: asks for a destroy, or after the one asked for. */
export async function sweep(env: ControlEnv, now: number): Promise<void> {
  const due = await env.DB.prepare("select stack, workload, placement, request, attempt from orphans where next_at <= ? order by next_at limit 20").bind(now).all<Row>();
  for (const row of due.results) await attend(env, row, now).catch((error: Error) => console.error(`${row.stack} was not swept: ${error.message}`));
}

async function attend(env: ControlEnv, row: Row, now: number): Promise<void> {
  if (row.placement === null && (await reused(env.DB, row.workload))) {
    // The address belongs to the workload's next life.
    await env.DB.prepare("delete from orphans where stack = ?").bind(row.stack).run();
    return;
  }
  const request = JSON.parse(row.request) as RunRequest;
  const key = `${request.idempotencyKey}:sweep:${row.attempt}`;
  const answer = await automation(env.AUTH, env.AUTOMATION_URL, "POST", "/v1/runs", { ...request, idempotencyKey: key }, request.migration);
  if (!answer.ok) throw new Error(`automation answered ${answer.status} for ${key}`);
  const run = (await answer.json()) as Run;
  if (run.status === "queued" || run.status === "running") return;
  if (run.status !== "succeeded") {
    const pause = Math.min(60_000 * 2 ** row.attempt, LONGEST_PAUSE_MS);
    await env.DB.prepare("update orphans set attempt = attempt + 1, error = ?, next_at = ? where stack = ?")
      .bind(run.error ?? run.status, now + pause, row.stack)
      .run();
    return;
  }
  const failed = row.placement !== null && (await placementBy(env.DB, row.placement))?.marketServedFrom === null;
  if (row.placement !== null) await setPlacement(env.DB, row.placement, failed ? "FAILED" : "DESTROYED");
  await note(env.DB, row.workload, `${row.stack} is destroyed at last`);
  await env.DB.prepare("delete from orphans where stack = ?").bind(row.stack).run();
}

async function reused(db: D1Database, workload: string): Promise<boolean> {
  return (await workloadRow(db, workload))?.state !== "TERMINATED";
}
