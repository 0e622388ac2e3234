/** /prices, /ledger, /audit: what things cost, what was paid, what was decided. */
import { mark } from "../shared/changes";
import { prices } from "../shared/decisions";
import { ProblemError } from "../shared/problem";
import type { AuditHead, LedgerHour, LedgerTotals, PriceBook, WorkloadMonth } from "../shared/wire";
import { visibleOf } from "./access";
import { AUTOMATION, type Call, done, MONTH, ok, type Operation, PARAMETERS, PLATFORM, READ } from "./operation";
import { paged, rowsOf } from "./pages";

const MICRO = 1_000_000;
const BATCH = 50;
/** Hours that the ledger's document shows; all of them stand in /ledger/hours. */
const HOURS = 5_000;
/** A whole book of three clouds has some 20,000 quotes of 300 bytes. */
const BOOK_BYTES = 32 * 1024 * 1024;
type Figure = number | null;
/** Sums of hours in millionths of USD and in seconds. SQL's sums leave out what is null, and so does a difference of which one part is. */
interface Sums {
  paid: number;
  onDemand: number;
  stayed: number;
  saved: number;
  savedStayed: number;
  seconds: number;
  unknown: number;
}
const NOTHING: Sums = { paid: 0, onDemand: 0, stayed: 0, saved: 0, savedStayed: 0, seconds: 0, unknown: 0 };
const SUMS = `coalesce(sum(paid_micro), 0) as paid, coalesce(sum(on_demand_micro), 0) as onDemand, coalesce(sum(stayed_micro), 0) as stayed,
  coalesce(sum(on_demand_micro - paid_micro), 0) as saved, coalesce(sum(stayed_micro - paid_micro), 0) as savedStayed, coalesce(sum(seconds), 0) as seconds,
  coalesce(sum(case when paid_micro is null then seconds end), 0) as unknown`;
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
      await mark(env.DB, [{ kind: "prices", subject: "book", tenant: null }]);
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
      await mark(
        env.DB,
        [...new Set(hours.map(({ tenant }) => tenant))].map((tenant) => ({ kind: "ledger", subject: tenant, tenant })),
      );
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
    summary: "Frozen hours, newest first; of one calendar month (UTC) where one is asked for",
    scopes: READ,
    query: { ...WHOSE, month: MONTH },
    paged: true,
    answers: { 200: { items: "LedgerHour" } },
    handle: async (call) => {
      const order = { columns: ["hour", "placement"], descending: true };
      const rows = await rowsOf<{ hour: string; placement: string; document: string }>(
        call.env.DB,
        "select hour, placement, document from ledger_hours",
        { ...asked(call), ...within(call.query.month) },
        order,
        call.page,
      );
      return paged(
        call.page,
        rows,
        ({ hour, placement }) => [hour, placement],
        ({ document }) => JSON.parse(document),
      );
    },
  },
  {
    id: "listLedgerMonths",
    method: "GET",
    path: "/v1/ledger/months",
    tag: "ledger",
    summary: "What each workload's hours come to, by calendar month (UTC) and workload",
    scopes: READ,
    query: { ...WHOSE, month: MONTH },
    paged: true,
    answers: { 200: { items: "WorkloadMonth" } },
    handle: months,
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
    problems: [409],
    handle: async ({ env, body }) => {
      const head = body as AuditHead;
      await env.DB.prepare("insert or ignore into audit_anchors values (?, ?, ?, ?, ?)").bind(head.point, head.member, head.seq, head.hash, head.at).run();
      const kept = await env.DB.prepare("select hash, at from audit_anchors where point = ? and member = ? and seq = ?").bind(head.point, head.member, head.seq).first<{ hash: string; at: string }>();
      if (kept && kept.hash !== head.hash)
        throw new ProblemError(
          409,
          "anchor-conflict",
          "Another record is anchored under this number, and stays: the chain was written anew",
          `${head.point} of ${head.member}, record ${head.seq}: ${kept.hash} at ${kept.at} stands, ${head.hash} was sent`,
        );
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
  const seen = new Map<string, Figure[]>();
  for (let at = 0; at < hours.length; at += BATCH) {
    const part = hours.slice(at, at + BATCH);
    const keys = JSON.stringify(part.map(({ placement, hour }) => [placement, hour]));
    const rows = await db
      .prepare(
        "select h.placement, h.hour, h.seconds, h.paid_micro, h.on_demand_micro, h.stayed_micro from json_each(?) k join ledger_hours h on h.placement = json_extract(k.value, '$[0]') and h.hour = json_extract(k.value, '$[1]')",
      )
      .bind(keys)
      .all<{ placement: string; hour: string; seconds: number; paid_micro: Figure; on_demand_micro: Figure; stayed_micro: Figure }>();
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

function figures([seconds = 0, ...costs]: Figure[]): string {
  const [paid, onDemand, stayed] = costs.map((cost) => (cost === null ? "unknown" : usd(cost)));
  return `${seconds} s, paid ${paid}, on-demand ${onDemand}, stayed ${stayed} USD`;
}

function asked(call: Call): Record<string, string | null> {
  return { "tenant = ?": visibleOf(call), "workload = ?": call.query.workload ?? null };
}

async function whole(call: Call): ReturnType<Operation["handle"]> {
  const db = call.env.DB;
  const only = visibleOf(call);
  const workload = call.query.workload ?? null;
  const where = "where (?1 is null or tenant = ?1) and (?2 is null or workload = ?2)";
  const totals = await db.prepare(`select ${SUMS} from ledger_hours ${where}`).bind(only, workload).first<Sums>();
  const hours = await db.prepare(`select document from ledger_hours ${where} order by hour desc, placement limit ${HOURS}`).bind(only, workload).all<{ document: string }>();
  const moves = await db.prepare(`select document from ledger_moves ${where} order by migration`).bind(only, workload).all<{ document: string }>();
  return ok({
    totals: summed(totals ?? NOTHING),
    hours: hours.results.map(({ document }) => JSON.parse(document)),
    moves: moves.results.map(({ document }) => JSON.parse(document)),
  });
}

/** Decimal USD as whole millionths: sums stay exact. Unknown stays null. */
function micro(text: unknown): Figure {
  return text === null ? null : Math.round(Number(text) * MICRO);
}

function summed(sums: Sums): LedgerTotals {
  return {
    paidUsd: usd(sums.paid),
    onDemandUsd: usd(sums.onDemand),
    stayedUsd: usd(sums.stayed),
    savedUsd: usd(sums.saved),
    savedStayedUsd: usd(sums.savedStayed),
    hours: sums.seconds / 3600,
    unknownHours: sums.unknown / 3600,
  };
}

/** By month and workload; each condition stands only where it is asked for, so that the index of the tenant's or the workload's hours serves. */
async function months(call: Call): ReturnType<Operation["handle"]> {
  const { month, workload } = call.query;
  const [afterMonth, afterWorkload] = call.page.after ?? [];
  const given: [string, string | number | null | undefined][] = [
    ["tenant = ?", visibleOf(call)],
    ["workload = ?", workload],
    ...Object.entries(within(month)),
    ["hour >= ?", afterMonth],
    ["(substr(hour, 1, 7), workload) > (?, ?)", afterMonth],
  ];
  const asked = given.filter(([, value]) => value !== null && value !== undefined);
  const values = asked.flatMap(([condition, value]) => (condition.startsWith("(") ? [value, afterWorkload] : [value]));
  const where = asked.length > 0 ? `where ${asked.map(([condition]) => condition).join(" and ")}` : "";
  const rows = await call.env.DB.prepare(`select substr(hour, 1, 7) as month, workload, tenant, ${SUMS} from ledger_hours ${where} group by substr(hour, 1, 7), workload, tenant order by 1, 2 limit ?`)
    .bind(...values, call.page.limit + 1)
    .all<Sums & { month: string; workload: string; tenant: string }>();
  return paged(
    call.page,
    rows.results,
    (row) => [row.month, row.workload],
    ({ month, workload, tenant, ...sums }) => ({ workload, tenant, month, ...summed(sums) }) satisfies WorkloadMonth,
  );
}

/** The hours of a month; no condition without one. */
function within(month: string | undefined): Record<string, string> {
  return month === undefined ? {} : { "hour >= ?": month, "hour < ?": following(month) };
}

/** The month after `month`, both `YYYY-MM`. */
function following(month: string): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
}

function usd(millionths: number): string {
  return (millionths / MICRO).toFixed(6);
}
