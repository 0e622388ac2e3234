/** /prices, /ledger, /audit: what things cost, what was paid, what was decided. */
import { prices } from "../shared/decisions";
import { ProblemError } from "../shared/problem";
import type { AuditHead, LedgerHour, PriceBook } from "../shared/wire";
import { visibleOf } from "./access";
import { AUTOMATION, type Call, done, ok, type Operation, PARAMETERS, PLATFORM, READ } from "./operation";
import { paged, rowsOf } from "./pages";

const MICRO = 1_000_000;
const BATCH = 50;
/** Hours that the ledger's document shows; all of them stand in /ledger/hours. */
const HOURS = 5_000;
/** A whole book of three clouds has some 20,000 quotes of 300 bytes. */
const BOOK_BYTES = 32 * 1024 * 1024;
const WHOSE = { tenant: PARAMETERS.tenant ?? {}, workload: PARAMETERS.workload ?? {} };

export const ledger: Operation[] = [
  {
    id: "putPrices",
    method: "PUT",
    path: "/v1/prices",
    tag: "prices",
    summary: "Upserts the quotes of one tick; an older quote never replaces a newer one",
    scopes: AUTOMATION,
    body: { model: "PriceBook" },
    bodyBytes: BOOK_BYTES,
    answers: { 204: null },
    handle: async ({ env, body }) => {
      await prices(env).put(body as PriceBook);
      return done();
    },
  },
  {
    id: "getPrices",
    method: "GET",
    path: "/v1/prices",
    tag: "prices",
    summary: "The authoritative price book, cheapest first",
    scopes: READ,
    query: { cloud: { enum: ["aws", "azure", "gcp"], type: "string" }, region: { type: "string", pattern: "^[a-z0-9-]{1,60}$" } },
    answers: { 200: { model: "PriceBook" } },
    handle: async ({ env, query }) => ok(await prices(env).book(query.cloud ?? null, query.region ?? null)),
  },
  {
    id: "putLedgerHours",
    method: "PUT",
    path: "/v1/ledger/hours",
    tag: "ledger",
    summary: "Freezes hours; idempotent by placement and hour",
    scopes: AUTOMATION,
    body: { list: "LedgerHour" },
    bodyBytes: BOOK_BYTES,
    answers: { 204: null },
    problems: [409],
    handle: async ({ env, body }) => {
      const hours = body as LedgerHour[];
      const differing = await differ(env.DB, hours);
      const insert = env.DB.prepare("insert or ignore into ledger_hours values (?, ?, ?, ?, ?, ?, ?, ?, ?)");
      for (let at = 0; at < hours.length; at += BATCH) {
        const statements = hours
          .slice(at, at + BATCH)
          .map((hour) => insert.bind(hour.placement, hour.hour, hour.workload, hour.tenant, hour.seconds, micro(hour.paidUsd), micro(hour.onDemandUsd), micro(hour.stayedUsd), JSON.stringify(hour)));
        await env.DB.batch(statements);
      }
      if (differing.length > 0) throw new ProblemError(409, "ledger-conflict", "The ledger holds other figures for these hours, and keeps them", differing.join("; "));
      return done();
    },
  },
  {
    id: "getLedger",
    method: "GET",
    path: "/v1/ledger",
    tag: "ledger",
    summary: `What was paid, and what on-demand and staying would have cost; with the latest ${HOURS} hours and every move`,
    scopes: READ,
    query: WHOSE,
    answers: { 200: { model: "Ledger" } },
    handle: whole,
  },
  {
    id: "listLedgerHours",
    method: "GET",
    path: "/v1/ledger/hours",
    tag: "ledger",
    summary: "Frozen hours, newest first",
    scopes: READ,
    query: WHOSE,
    paged: true,
    answers: { 200: { items: "LedgerHour" } },
    handle: async (call) => {
      const order = { columns: ["hour", "placement"], descending: true };
      const rows = await rowsOf<{ hour: string; placement: string; document: string }>(call.env.DB, "select hour, placement, document from ledger_hours", asked(call), order, call.page);
      return paged(
        call.page,
        rows,
        ({ hour, placement }) => [hour, placement],
        ({ document }) => JSON.parse(document),
      );
    },
  },
  {
    id: "listLedgerMoves",
    method: "GET",
    path: "/v1/ledger/moves",
    tag: "ledger",
    summary: "What each move was expected to save, with the evidence acted on, by migration",
    scopes: READ,
    query: WHOSE,
    paged: true,
    answers: { 200: { items: "LedgerMove" } },
    handle: async (call) => {
      const rows = await rowsOf<{ migration: string; document: string }>(call.env.DB, "select migration, document from ledger_moves", asked(call), { columns: ["migration"] }, call.page);
      return paged(
        call.page,
        rows,
        ({ migration }) => [migration],
        ({ document }) => JSON.parse(document),
      );
    },
  },
  {
    id: "anchorAudit",
    method: "POST",
    path: "/v1/audit/heads",
    tag: "audit",
    summary: "Anchors the head of an enforcer's hash chain; one that is known stays as it is",
    scopes: AUTOMATION,
    body: { model: "AuditHead" },
    answers: { 204: null },
    handle: async ({ env, body }) => {
      const head = body as AuditHead;
      await env.DB.prepare("insert or ignore into audit_anchors values (?, ?, ?, ?, ?)").bind(head.point, head.member, head.seq, head.hash, head.at).run();
      return done();
    },
  },
  {
    id: "listAuditHeads",
    method: "GET",
    path: "/v1/audit/heads",
    tag: "audit",
    summary: "Anchored heads, newest first",
    scopes: PLATFORM,
    paged: true,
    answers: { 200: { items: "AuditHead" } },
    handle: async (call) => {
      const order = { columns: ["at", "point", "member", "seq"], descending: true };
      const rows = await rowsOf<AuditHead>(call.env.DB, "select point, member, seq, hash, at from audit_anchors", {}, order, call.page);
      return paged(
        call.page,
        rows,
        ({ at, point, member, seq }) => [at, point, member, seq],
        (head) => head,
      );
    },
  },
];

/** Hours that are in the ledger with other figures, each with both; the first write stands. */
async function differ(db: D1Database, hours: LedgerHour[]): Promise<string[]> {
  const found: string[] = [];
  const seen = new Map<string, number[]>();
  for (let at = 0; at < hours.length; at += BATCH) {
    const part = hours.slice(at, at + BATCH);
    const keys = JSON.stringify(part.map(({ placement, hour }) => [placement, hour]));
    const rows = await db
      .prepare(
        "select h.placement, h.hour, h.seconds, h.paid_micro, h.on_demand_micro, h.stayed_micro from json_each(?) k join ledger_hours h on h.placement = json_extract(k.value, '$[0]') and h.hour = json_extract(k.value, '$[1]')",
      )
      .bind(keys)
      .all<{ placement: string; hour: string; seconds: number; paid_micro: number; on_demand_micro: number; stayed_micro: number }>();
    for (const row of rows.results) seen.set(`${row.placement} ${row.hour}`, [row.seconds, row.paid_micro, row.on_demand_micro, row.stayed_micro]);
    for (const hour of part) {
      const key = `${hour.placement} ${hour.hour}`;
      const given = [hour.seconds, micro(hour.paidUsd), micro(hour.onDemandUsd), micro(hour.stayedUsd)];
      const held = seen.get(key) ?? given;
      seen.set(key, held);
      if (held.some((figure, column) => figure !== given[column])) found.push(`${key}: ${figures(held)} stands, ${figures(given)} was sent`);
    }
  }
  return found;
}

function figures([seconds = 0, paid = 0, onDemand = 0, stayed = 0]: number[]): string {
  return `${seconds} s, paid ${usd(paid)}, on-demand ${usd(onDemand)}, stayed ${usd(stayed)} USD`;
}

function asked(call: Call): Record<string, string | null> {
  return { "tenant = ?": visibleOf(call), "workload = ?": call.query.workload ?? null };
}

async function whole(call: Call): ReturnType<Operation["handle"]> {
  const db = call.env.DB;
  const only = visibleOf(call);
  const workload = call.query.workload ?? null;
  const where = "where (?1 is null or tenant = ?1) and (?2 is null or workload = ?2)";
  const totals = await db
    .prepare(
      `select coalesce(sum(paid_micro), 0) as paid, coalesce(sum(on_demand_micro), 0) as onDemand, coalesce(sum(stayed_micro), 0) as stayed, coalesce(sum(seconds), 0) as seconds from ledger_hours ${where}`,
    )
    .bind(only, workload)
    .first<{ paid: number; onDemand: number; stayed: number; seconds: number }>();
  const hours = await db.prepare(`select document from ledger_hours ${where} order by hour desc, placement limit ${HOURS}`).bind(only, workload).all<{ document: string }>();
  const moves = await db.prepare(`select document from ledger_moves ${where} order by migration`).bind(only, workload).all<{ document: string }>();
  return ok({
    totals: { paidUsd: usd(totals?.paid ?? 0), onDemandUsd: usd(totals?.onDemand ?? 0), stayedUsd: usd(totals?.stayed ?? 0), hours: (totals?.seconds ?? 0) / 3600 },
    hours: hours.results.map(({ document }) => JSON.parse(document)),
    moves: moves.results.map(({ document }) => JSON.parse(document)),
  });
}

/** Decimal USD as whole millionths: sums stay exact. */
function micro(text: unknown): number {
  return Math.round(Number(text) * MICRO);
}

function usd(millionths: number): string {
  return (millionths / MICRO).toFixed(6);
}
