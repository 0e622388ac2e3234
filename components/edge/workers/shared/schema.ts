/** D1's schema, step by step. A step is never changed once it has landed; a new one is added. */
import { sha256 } from "./digest";

/** The trigger that numbers a change anew: an entry a thing, by its last change. Deleted and inserted, as a conflict clause of the outer statement would take the place of its own. */
function numbered(table: string, verb: "insert" | "update" | "delete", kind: string, subject: string, tenant: string, workload = "null"): string {
  return `create trigger changes_of_${table}_${verb} after ${verb} on ${table} begin
    delete from changes where kind = '${kind}' and subject = ${subject};
    insert into changes (kind, subject, tenant, workload, at) values ('${kind}', ${subject}, ${tenant}, ${workload}, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
  end`;
}

export const STEPS: string[][] = [
  [
    "create table tenants (id text primary key, document text not null, created_at text not null)",
    `create table workloads (id text primary key, tenant text not null, name text not null, state text not null, reason text not null, spec text not null,
      generation integer not null default 0, placement text, active_migration text, created_at text not null, updated_at text not null)`,
    "create index workloads_by_tenant on workloads (tenant)",
    `create table placements (id text primary key, workload text not null, tenant text not null, generation integer not null, state text not null, document text not null)`,
    "create index placements_by_workload on placements (workload, generation)",
    `create table migrations (id text primary key, workload text not null, tenant text not null, generation integer not null, kind text not null, step text not null,
      status text not null, fencing_token integer, from_placement text, decision text not null, route_version integer, error text, started_at text not null, finished_at text)`,
    "create index migrations_by_workload on migrations (workload, generation)",
    "create index migrations_by_status on migrations (status)",
    "create table events (seq integer primary key autoincrement, workload text not null, state text not null, reason text not null, at text not null)",
    "create index events_by_workload on events (workload, seq)",
    "create table run_events (run text primary key, migration text not null, step text not null, document text not null, at text not null)",
    `create table ledger_hours (placement text not null, hour text not null, workload text not null, tenant text not null, seconds real not null, paid_micro integer not null,
      on_demand_micro integer not null, stayed_micro integer not null, document text not null, primary key (placement, hour)) without rowid`,
    "create index ledger_hours_by_workload on ledger_hours (workload, hour)",
    "create table ledger_moves (migration text primary key, workload text not null, tenant text not null, document text not null)",
    "create table audit_heads (point text not null, seq integer not null, hash text not null, at text not null, primary key (point, seq)) without rowid",
  ],
  [
    "alter table placements add column artifact text",
    "alter table placements add column ended_at text",
    `update placements set artifact = (select json_extract(spec, '$.artifact.digest') from workloads where workloads.id = placements.workload)
      where state not in ('DESTROYED', 'FAILED')`,
    "create index placements_by_tenant on placements (tenant, id)",
    "create index migrations_by_tenant on migrations (tenant, started_at, id)",
    "create index migrations_by_start on migrations (started_at, id)",
    "create index ledger_hours_by_tenant on ledger_hours (tenant, hour, placement)",
    "create index ledger_moves_by_tenant on ledger_moves (tenant, migration)",
    "create index audit_heads_by_time on audit_heads (at, point, seq)",
    "create table idempotency (id text primary key, request text not null, status integer, answer text, started_at integer not null) without rowid",
    "create index idempotency_by_start on idempotency (started_at)",
    `create table uploads (id text primary key, tenant text not null, digest text not null, size_bytes integer not null, multipart text not null, joined integer not null default 0,
      created_at integer not null) without rowid`,
    "create table upload_parts (upload text not null, number integer not null, etag text not null, size_bytes integer not null, primary key (upload, number)) without rowid",
  ],
  [
    `create table incidents (id integer primary key autoincrement, placement text not null, workload text not null, tenant text not null, kind text not null,
      deadline text not null, document text not null, received_at text not null, attempts integer not null default 0, next_at integer not null, taken_at text,
      settled_at text, unique (placement, kind, deadline))`,
    "create index incidents_open on incidents (tenant, next_at) where settled_at is null",
    `create table orphans (stack text primary key, workload text not null, placement text, request text not null, attempt integer not null, next_at integer not null,
      error text not null, since text not null)`,
    // What is in the ledger stays as it was written: no program of ours, and no one at the database's console, changes it.
    ...["ledger_hours", "ledger_moves"].flatMap((table) =>
      ["update", "delete"].map((verb) => `create trigger ${table}_no_${verb} before ${verb} on ${table} begin select raise(abort, 'the ledger is append-only'); end`),
    ),
  ],
  [
    // A chain is one service process's on one machine: two of them count from 1, each for itself.
    "create table audit_anchors (point text not null, member text not null, seq integer not null, hash text not null, at text not null, primary key (point, member, seq)) without rowid",
    "insert into audit_anchors select point, 'local', seq, hash, at from audit_heads",
    "create index audit_anchors_by_time on audit_anchors (at, point, member, seq)",
    // The edge's word against the machine's: like the ledger, nobody changes it.
    ...["update", "delete"].map((verb) => `create trigger audit_anchors_no_${verb} before ${verb} on audit_anchors begin select raise(abort, 'anchors are append-only'); end`),
  ],
  [
    // An hour whose price nobody knew is in the ledger as unknown: its figures may be null. SQLite can't loosen a column, so the table is made anew.
    ...["ledger_hours_no_update", "ledger_hours_no_delete"].map((trigger) => `drop trigger ${trigger}`),
    "alter table ledger_hours rename to ledger_hours_before",
    ...["ledger_hours_by_workload", "ledger_hours_by_tenant"].map((index) => `drop index ${index}`),
    `create table ledger_hours (placement text not null, hour text not null, workload text not null, tenant text not null, seconds real not null, paid_micro integer,
      on_demand_micro integer, stayed_micro integer, document text not null, primary key (placement, hour)) without rowid`,
    "insert into ledger_hours select * from ledger_hours_before",
    "drop table ledger_hours_before",
    "create index ledger_hours_by_workload on ledger_hours (workload, hour)",
    "create index ledger_hours_by_tenant on ledger_hours (tenant, hour, placement)",
    `create table spend_alerts (owner text not null, month text not null, percent integer not null, tenant text not null, workload text, document text not null,
      raised_at text not null, primary key (owner, month, percent)) without rowid`,
    "create index spend_alerts_by_tenant on spend_alerts (tenant, raised_at)",
    ...["ledger_hours", "spend_alerts"].flatMap((table) =>
      ["update", "delete"].map((verb) => `create trigger ${table}_no_${verb} before ${verb} on ${table} begin select raise(abort, 'the ledger is append-only'); end`),
    ),
  ],
  // A workload's runs are listed by its migrations.
  ["create index run_events_by_migration on run_events (migration, at)"],
  [
    // `tenant`: null for what everybody may know of, empty for what the platform alone may.
    `create table changes (seq integer primary key autoincrement, kind text not null, subject text not null, tenant text, workload text, at text not null,
      unique (kind, subject))`,
    ...(["insert", "update"] as const).flatMap((verb) => [
      numbered("workloads", verb, "workload", "new.id", "new.tenant", "new.id"),
      numbered("placements", verb, "placement", "new.id", "new.tenant", "new.workload"),
      numbered("migrations", verb, "migration", "new.id", "new.tenant", "new.workload"),
      numbered("tenants", verb, "tenant", "new.id", "new.id"),
    ]),
    numbered("tenants", "delete", "tenant", "old.id", "old.id"),
    numbered("events", "insert", "event", "new.workload", "(select tenant from workloads where id = new.workload)", "new.workload"),
    numbered("run_events", "insert", "run", "new.run", "(select tenant from migrations where id = new.migration)", "(select workload from migrations where id = new.migration)"),
    numbered("spend_alerts", "insert", "alert", "new.owner", "new.tenant", "new.workload"),
    numbered("audit_anchors", "insert", "audit", "new.point", "''"),
  ],
];

let migrated: Promise<void> | null = null;

/** Applies the steps that are missing; once an isolate, and safe when two isolates begin together. */
export function migrate(db: D1Database): Promise<void> {
  migrated ??= apply(db).catch((error) => {
    migrated = null;
    throw error;
  });
  return migrated;
}

/** A step that was applied is not what the Worker has under its number: it was changed after it had landed. */
export class StepChanged extends Error {
  constructor(readonly step: number) {
    super(`step ${step} of D1's schema was changed after it was applied; undo the change and add a new step`);
  }
}

/** What a step is known by: SHA-256, hex. */
export async function checksum(statements: string[]): Promise<string> {
  return sha256(JSON.stringify(statements));
}

/** Applies `steps` in their order. Throws {@link StepChanged}. */
export async function apply(db: D1Database, steps = STEPS): Promise<void> {
  await db.prepare("create table if not exists schema_steps (step integer primary key, applied_at text not null)").run();
  await withChecksums(db);
  for (const [index, statements] of steps.entries()) {
    const step = index + 1;
    const sum = await checksum(statements);
    if (await applied(db, step, sum)) continue;
    try {
      // The entry comes first: of two isolates the second fails on it, and with it its whole batch.
      await db.batch([db.prepare("insert into schema_steps (step, applied_at, checksum) values (?, ?, ?)").bind(step, new Date().toISOString(), sum), ...statements.map((sql) => db.prepare(sql))]);
    } catch (error) {
      if (!(await applied(db, step, sum))) throw error;
    }
  }
}

async function applied(db: D1Database, step: number, sum: string): Promise<boolean> {
  const row = await db.prepare("select checksum from schema_steps where step = ?").bind(step).first<{ checksum: string | null }>();
  if (!row) return false;
  // Applied before checksums were kept: what stands there now is taken for what it was.
  if (row.checksum === null) await db.prepare("update schema_steps set checksum = ? where step = ? and checksum is null").bind(sum, step).run();
  else if (row.checksum !== sum) throw new StepChanged(step);
  return true;
}

async function withChecksums(db: D1Database): Promise<void> {
  const known = () => db.prepare("select 1 from pragma_table_info('schema_steps') where name = 'checksum'").first();
  if (await known()) return;
  try {
    await db.prepare("alter table schema_steps add column checksum text").run();
  } catch (error) {
    if (!(await known())) throw error;
  }
}
