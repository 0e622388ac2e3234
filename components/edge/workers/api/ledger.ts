/** /prices, /ledger, /audit: what things cost, what was paid, what was decided. */
import { Hono } from "hono";
import { tenantOf } from "../shared/ids";
import type { AuditHead, LedgerHour, PriceBook } from "../shared/wire";
import { body, need, valid, visible } from "./access";
import { prices } from "../shared/decisions";
import type { App } from "./env";
import { ProblemError } from "../shared/problem";

const MICRO = 1_000_000;
const BATCH = 50;
const HOURS = 5_000;

export const ledger = new Hono<App>();

ledger.put("/prices", async (context) => {
  need(context, "service:automation");
  await prices(context.env).put(await body<PriceBook>(context, "PriceBook"));
  return context.body(null, 204);
});

ledger.get("/prices", async (context) => {
  const { cloud, region } = context.req.query();
  return context.json(await prices(context.env).book(cloud ?? null, region ?? null));
});

ledger.put("/ledger/hours", async (context) => {
  need(context, "service:automation");
  const given = (await context.req.json().catch(() => null)) as unknown;
  if (!Array.isArray(given)) throw new ProblemError(422, "invalid-request", "The request is not valid", "a list of hours is expected");
  const hours = given.map((hour) => valid<LedgerHour>("LedgerHour", hour));
  const differing = await differ(context.env.DB, hours);
  const insert = context.env.DB.prepare("insert or ignore into ledger_hours values (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (let at = 0; at < hours.length; at += BATCH) {
    const statements = hours
      .slice(at, at + BATCH)
      .map((hour) => insert.bind(hour.placement, hour.hour, hour.workload, hour.tenant, hour.seconds, micro(hour.paidUsd), micro(hour.onDemandUsd), micro(hour.stayedUsd), JSON.stringify(hour)));
    await context.env.DB.batch(statements);
  }
  if (differing.length > 0) throw new ProblemError(409, "ledger-conflict", "The ledger holds other figures for these hours, and keeps them", differing.join("; "));
  return context.body(null, 204);
});

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

ledger.get("/ledger", async (context) => {
  const workload = context.req.query("workload") ?? null;
  const only = visible(context, context.req.query("tenant") ?? (workload ? tenantOf(workload) : undefined));
  const where = "where (?1 is null or tenant = ?1) and (?2 is null or workload = ?2)";
  const totals = await context.env.DB.prepare(
    `select coalesce(sum(paid_micro), 0) as paid, coalesce(sum(on_demand_micro), 0) as onDemand, coalesce(sum(stayed_micro), 0) as stayed, coalesce(sum(seconds), 0) as seconds from ledger_hours ${where}`,
  )
    .bind(only, workload)
    .first<{ paid: number; onDemand: number; stayed: number; seconds: number }>();
  const hours = await context.env.DB.prepare(`select document from ledger_hours ${where} order by hour desc, placement limit ${HOURS}`).bind(only, workload).all<{ document: string }>();
  const moves = await context.env.DB.prepare(`select document from ledger_moves ${where} order by migration`).bind(only, workload).all<{ document: string }>();
  return context.json({
    totals: { paidUsd: usd(totals?.paid ?? 0), onDemandUsd: usd(totals?.onDemand ?? 0), stayedUsd: usd(totals?.stayed ?? 0), hours: (totals?.seconds ?? 0) / 3600 },
    hours: hours.results.map(({ document }) => JSON.parse(document)),
    moves: moves.results.map(({ document }) => JSON.parse(document)),
  });
});

ledger.post("/audit/heads", async (context) => {
  need(context, "service:automation");
  const head = await body<AuditHead>(context, "AuditHead");
  await context.env.DB.prepare("insert or ignore into audit_heads values (?, ?, ?, ?)").bind(head.point, head.seq, head.hash, head.at).run();
  return context.body(null, 204);
});

ledger.get("/audit/heads", async (context) => {
  need(context, "platform:admin");
  const rows = await context.env.DB.prepare("select point, seq, hash, at from audit_heads order by at desc limit 500").all();
  return context.json({ items: rows.results });
});

/** Decimal USD as whole millionths: sums stay exact. */
function micro(text: unknown): number {
  return Math.round(Number(text) * MICRO);
}

function usd(millionths: number): string {
  return (millionths / MICRO).toFixed(6);
}
