/** What is kept for how long: a step of the cron. What a workload, or a placement within its retention, refers to is never deleted. */
import { TENANT } from "../shared/ids";
import type { ApiEnv } from "./env";
import { KEPT_MS } from "./idempotency";
import { forget, UPLOAD_MS } from "./uploads";

const DAY_MS = 86_400_000;
/** An artifact that nothing refers to is kept for this long after it was stored, and after the last placement that ran it has ended. */
export const ARTIFACT_MS = 30 * DAY_MS;
/** Runs' results, after they were delivered. */
export const RUN_EVENT_MS = 30 * DAY_MS;
/** R2's most objects in one deletion. */
const BATCH = 1000;
const ARTIFACT = new RegExp(`^(?:${TENANT.slice(1, -1)}/sha256/[0-9a-f]{64}|sha256:[0-9a-f]{64})$`);

export interface Retired {
  idempotencyKeys: number;
  runEvents: number;
  uploads: number;
  artifacts: number;
}

/** Forgets what is past its time; how much of each kind. `now` in ms. */
export async function retire(env: Pick<ApiEnv, "DB" | "ARTIFACTS">, now: number): Promise<Retired> {
  const time = (ms: number): string => new Date(ms).toISOString();
  await env.DB.prepare("update placements set ended_at = ? where state in ('DESTROYED', 'FAILED') and ended_at is null").bind(time(now)).run();
  const idempotencyKeys = await env.DB.prepare("delete from idempotency where started_at <= ?")
    .bind(now - KEPT_MS)
    .run();
  const runEvents = await env.DB.prepare("delete from run_events where at <= ? and migration not in (select id from migrations where status = 'running')")
    .bind(time(now - RUN_EVENT_MS))
    .run();
  await env.DB.prepare("delete from changes where kind = 'run' and at <= ?")
    .bind(time(now - RUN_EVENT_MS))
    .run();
  const old = await env.DB.prepare("select id, tenant, multipart, joined from uploads where created_at <= ?")
    .bind(now - UPLOAD_MS)
    .all<{ id: string; tenant: string; multipart: string; joined: number }>();
  for (const upload of old.results) await forget(env as ApiEnv, upload);
  return { idempotencyKeys: idempotencyKeys.meta.changes, runEvents: runEvents.meta.changes, uploads: old.results.length, artifacts: await retireArtifacts(env, now) };
}

async function retireArtifacts(env: Pick<ApiEnv, "DB" | "ARTIFACTS">, now: number): Promise<number> {
  let removed = 0;
  let cursor: string | undefined;
  do {
    const listed = await env.ARTIFACTS.list({ limit: BATCH, ...(cursor ? { cursor } : {}) });
    cursor = listed.truncated ? listed.cursor : undefined;
    const old = listed.objects.filter(({ key, uploaded }) => ARTIFACT.test(key) && uploaded.getTime() <= now - ARTIFACT_MS).map(({ key }) => key);
    if (old.length === 0) continue;
    // Asked for each batch anew: what has been declared since the cron began is seen.
    const referred = await references(env.DB, now);
    const unused = old.filter((key) => !referred.has(key));
    await env.ARTIFACTS.delete(unused);
    removed += unused.length;
  } while (cursor);
  return removed;
}

/** Keys of the artifacts that something refers to, also by the name that they had before they were a tenant's. */
async function references(db: D1Database, now: number): Promise<Set<string>> {
  const rows = await db
    .prepare(
      `select tenant, json_extract(spec, '$.artifact.digest') as digest from workloads
         where state <> 'TERMINATED' and json_extract(spec, '$.artifact.digest') is not null
       union select tenant, artifact from placements where artifact is not null and (ended_at is null or ended_at > ?)`,
    )
    .bind(new Date(now - ARTIFACT_MS).toISOString())
    .all<{ tenant: string; digest: string }>();
  return new Set(rows.results.flatMap(({ tenant, digest }) => [`${tenant}/sha256/${digest.slice("sha256:".length)}`, digest]));
}
