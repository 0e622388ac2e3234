/**
 * What has changed, for who follows it.
 *
 * D1's triggers number each change of a workload, placement, migration, event, run, alert, tenant or audit head, whoever wrote it; the few things that aren't
 * rows of D1 are {@link mark}ed. A bell is rung after the write, so that streams look at once; one that wasn't rung costs them until their next look.
 */
import type { Change } from "./wire";

/** What a bell says: that something has changed, or that somebody's token is refused from now on. */
export type Rung = "changed" | "refused";

export interface Ringing {
  ring(rung: Rung): Promise<void>;
}

export interface Bells {
  BELLS: DurableObjectNamespace;
}

/** The bell of who sees every tenant; no tenant has this name. */
const EVERYONE = "*";
/** The owner of what only the platform's own keys see. */
export const OF_PLATFORM = "";
/** Changes that are told in one go. */
const AT_ONCE = 200;

export function bell(env: Bells, tenant: string | null): DurableObjectStub {
  return env.BELLS.get(env.BELLS.idFromName(tenant ?? EVERYONE));
}

/** Has everybody look who follows the tenant's changes, or with null only who follows all. Never throws: a stream looks by itself now and then. */
export async function ring(env: Bells, tenant: string | null, rung: Rung = "changed"): Promise<void> {
  const bells = tenant === null ? [null] : [null, tenant];
  await Promise.allSettled(bells.map((one) => (bell(env, one) as unknown as Ringing).ring(rung)));
}

/** Numbers a change of what is no row of D1. `tenant`: null where everybody may know, {@link OF_PLATFORM} where the platform's keys alone do. */
export async function mark(db: D1Database, changes: { kind: Change["kind"]; subject: string; tenant: string | null; workload?: string | null }[]): Promise<void> {
  if (changes.length === 0) return;
  const put = db.prepare("insert or replace into changes (kind, subject, tenant, workload, at) values (?, ?, ?, ?, ?)");
  const now = new Date().toISOString();
  await db.batch(changes.map(({ kind, subject, tenant, workload }) => put.bind(kind, subject, tenant, workload ?? null, now)));
}

export interface Changed {
  changes: Change[];
  /** The number up to which `changes` is all that the tenant may know of. */
  until: number;
}

/** What has changed after number `after` and is the tenant's or everybody's; with null, of all. The oldest first, each thing once, by its last change. */
export async function since(db: D1Database, tenant: string | null, after: number): Promise<Changed> {
  const newest = await newestOf(db);
  const rows = await db
    .prepare("select seq, kind, subject, tenant, workload, at from changes where seq > ?1 and seq <= ?2 and (?3 is null or tenant is null or tenant = ?3) order by seq limit ?4")
    .bind(after, newest, tenant, AT_ONCE)
    .all<Change>();
  const changes = rows.results.map((row) => ({ ...row, tenant: row.tenant || null }));
  return { changes, until: changes.length < AT_ONCE ? Math.max(newest, after) : (changes.at(-1)?.seq ?? newest) };
}

/** The number of the last change; 0 before the first. */
export async function newestOf(db: D1Database): Promise<number> {
  return (await db.prepare("select coalesce(max(seq), 0) as seq from changes").first<{ seq: number }>())?.seq ?? 0;
}
