import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { apply, checksum, StepChanged, STEPS } from "./schema";

/** Of the steps that have landed, in their order. A step that is new is added here; one that stands here never changes. */
const LANDED = [
  "4ae86a8c043d5c6ce81e18d78bfd505004787b015073e8168c7636b1e4ce43c1",
  "d6f759586317af79ea4bcf34d2abc65d92571f9f477bdfa53419dc7491aceb62",
  "6d73c59983b00fb3ca5cbfa1185eae18ddd25c1d88a8ca326014eee5632ba959",
  "c5e69bb59c0bd87b8cb3dbf0eeaa9df980c0ee56ec5bdf92a30ae3671d9acbd3",
  "041f2753c824d3dca82ebcb4a055f0001d17d0b151ad6b51bfa6b7f1732718d9",
  "c6123b12c7aa95aff55dba8e60ae7f520adffffc23e8fd781bb8dc6f26008643",
  "54b77597d62e4f76c539cce5c832e76eda3079d63f6a4c5f71d4e0a36732335f",
];

const SPEC = JSON.stringify({ artifact: { digest: `sha256:${"ab".repeat(32)}`, sizeBytes: 1 } });
const AT = "2026-01-01T00:00:00.000Z";

/** Rows as the step's own version wrote them, by table. */
const ROWS: Record<string, Record<string, unknown>>[] = [
  {
    tenants: { id: "acme", document: "{}", created_at: AT },
    workloads: {
      id: "web-acme",
      tenant: "acme",
      name: "web",
      state: "RUNNING",
      reason: "",
      spec: SPEC,
      generation: 1,
      placement: "acme_web_1",
      active_migration: null,
      created_at: AT,
      updated_at: AT,
    },
    placements: { id: "acme_web_1", workload: "web-acme", tenant: "acme", generation: 1, state: "SERVING", document: "{}" },
    migrations: {
      id: "acme_web_1",
      workload: "web-acme",
      tenant: "acme",
      generation: 1,
      kind: "deploy",
      step: "done",
      status: "succeeded",
      fencing_token: 1,
      from_placement: null,
      decision: "{}",
      route_version: 1,
      error: null,
      started_at: AT,
      finished_at: AT,
    },
    events: { seq: 1, workload: "web-acme", state: "RUNNING", reason: "serves", at: AT },
    run_events: { run: "run-1", migration: "acme_web_1", step: "provision", document: "{}", at: AT },
    ledger_hours: { placement: "acme_web_1", hour: AT, workload: "web-acme", tenant: "acme", seconds: 3600, paid_micro: 1, on_demand_micro: 2, stayed_micro: 3, document: "{}" },
    ledger_moves: { migration: "acme_web_1", workload: "web-acme", tenant: "acme", document: "{}" },
    audit_heads: { point: "api", seq: 1, hash: "h", at: AT },
  },
  {
    idempotency: { id: "i", request: "r", status: 201, answer: "a", started_at: 1 },
    uploads: { id: "up_1", tenant: "acme", digest: "d", size_bytes: 1, multipart: "m", joined: 0, created_at: 1 },
    upload_parts: { upload: "up_1", number: 1, etag: "e", size_bytes: 1 },
  },
  {
    incidents: {
      id: 1,
      placement: "acme_web_1",
      workload: "web-acme",
      tenant: "acme",
      kind: "interruption",
      deadline: "",
      document: "{}",
      received_at: AT,
      attempts: 0,
      next_at: 1,
      taken_at: null,
      settled_at: null,
    },
    orphans: { stack: "placement.acme.web.1", workload: "web-acme", placement: null, request: "{}", attempt: 1, next_at: 1, error: "e", since: AT },
  },
  { audit_anchors: { point: "api", member: "local", seq: 1, hash: "h", at: AT } },
  {
    spend_alerts: { owner: "acme", month: "2026-03", percent: 50, tenant: "acme", workload: null, document: "{}", raised_at: AT },
  },
  {},
  {},
];

async function insert(rows: Record<string, Record<string, unknown>>): Promise<void> {
  for (const [table, row] of Object.entries(rows)) {
    const fields = Object.keys(row);
    await env.DB.prepare(`insert into ${table} (${fields}) values (${fields.map(() => "?")})`)
      .bind(...Object.values(row))
      .run();
  }
}

const tables = async (): Promise<string[]> => {
  const { results } = await env.DB.prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\' and name not like '\\_cf%' escape '\\'").all<{
    name: string;
  }>();
  return results.map(({ name }) => name);
};

/** Every column of every table: `events.seq`. */
const columns = async (): Promise<string[]> => {
  const found = await Promise.all(
    (await tables()).map(async (table) => (await env.DB.prepare("select name from pragma_table_info(?)").bind(table).all<{ name: string }>()).results.map(({ name }) => `${table}.${name}`)),
  );
  return found.flat().sort();
};

const empty = async (): Promise<void> => {
  for (const table of await tables()) await env.DB.prepare(`drop table "${table}"`).run();
};

beforeEach(empty);

test("the steps that have landed are as they were when they landed", async () => {
  expect(await Promise.all(STEPS.map(checksum))).toEqual(LANDED);
  expect(ROWS).toHaveLength(STEPS.length);
});

test.each(STEPS.map((_, index) => index + 1))("a database of version %i comes to the newest with all its rows", async (version) => {
  await apply(env.DB, STEPS);
  const newest = await columns();
  await empty();
  await apply(env.DB, STEPS.slice(0, version));
  for (const rows of ROWS.slice(0, version)) await insert(rows);
  await apply(env.DB, STEPS);
  await apply(env.DB, STEPS);
  expect(await columns()).toEqual(newest);
  for (const rows of ROWS.slice(0, version))
    for (const [table, row] of Object.entries(rows)) expect((await env.DB.prepare(`select * from ${table}`).all()).results).toEqual([expect.objectContaining(row)]);
});

test("a running placement of the first version knows its artifact afterwards", async () => {
  await apply(env.DB, STEPS.slice(0, 1));
  await insert(ROWS[0] ?? {});
  await apply(env.DB, STEPS);
  expect(await env.DB.prepare("select artifact, ended_at from placements").first()).toEqual({ artifact: `sha256:${"ab".repeat(32)}`, ended_at: null });
});

test("an anchor of the first version is the local process's afterwards, and nobody changes it", async () => {
  await apply(env.DB, STEPS.slice(0, 1));
  await insert(ROWS[0] ?? {});
  await apply(env.DB, STEPS);
  expect((await env.DB.prepare("select * from audit_anchors").all()).results).toEqual([{ point: "api", member: "local", seq: 1, hash: "h", at: AT }]);
  for (const harm of ["update audit_anchors set hash = 'x'", "delete from audit_anchors"]) await expect(env.DB.prepare(harm).run()).rejects.toThrow("append-only");
});

test("a database from before checksums takes the steps for what they are, and notices the next change", async () => {
  const [first = []] = STEPS;
  await env.DB.prepare("create table schema_steps (step integer primary key, applied_at text not null)").run();
  await env.DB.batch(first.map((sql) => env.DB.prepare(sql)));
  await env.DB.prepare("insert into schema_steps values (1, ?)").bind(AT).run();
  await apply(env.DB, [first]);
  expect(await env.DB.prepare("select step, checksum from schema_steps").first()).toEqual({ step: 1, checksum: await checksum(first) });
  await expect(apply(env.DB, [[...first, "create table more (id text)"]])).rejects.toThrow(new StepChanged(1));
});

test("a step that fails leaves nothing of itself, and isolates that begin together apply each step once", async () => {
  await expect(apply(env.DB, [["create table one (id text)", "no sql"]])).rejects.toThrow();
  expect((await columns()).filter((name) => name.startsWith("one."))).toEqual([]);
  await Promise.all([apply(env.DB), apply(env.DB), apply(env.DB)]);
  expect((await env.DB.prepare("select step from schema_steps order by step").all()).results).toEqual(STEPS.map((_, index) => ({ step: index + 1 })));
});
