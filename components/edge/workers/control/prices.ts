/**
 * PriceEngine, the Price Arbitrage Engine: the authoritative price book and one fencing lease a workload.
 *
 * It authorises: a decision holds only if its quote is in the book, young enough on the market's clock and not dearer than the evidence says. A forced
 * move (interruption, failed probes, termination) needs no price. Fencing tokens only grow per workload.
 */
import { DurableObject } from "cloudflare:workers";
import type { Decision, OfferRef, PriceBook, Quote } from "../shared/wire";

export interface PriceEnv {
  PRICES: DurableObjectNamespace;
}

/** Market hours after which a quote starts no move. */
const LIMIT_HOURS = 6;
/** How much dearer than its evidence an offer may have become. */
const TOLERANCE = 0.02;
/** Wall-clock time after which a lease whose holder is silent may be taken: longer than the longest drain (an hour). */
const LEASE_MS = 2 * 3_600_000;

export type Reserved = { ok: true; token: number } | { ok: false; word: "lease-held" | "stale-decision" | "price-moved"; detail: string };

const FORCED = new Set(["interruption", "unhealthy", "terminate", "retire"]);

export class PriceEngine extends DurableObject<PriceEnv> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: PriceEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      create table if not exists quotes (offer text primary key, cloud text not null, region text not null, spot real, document text not null, observed_at integer not null);
      create table if not exists leases (workload text primary key, token integer not null, holder text, until integer not null);
      create table if not exists sealed (workload text primary key, token integer not null);
      create table if not exists clock (id integer primary key check (id = 1), market_now text not null);
    `);
  }

  /** Takes in the quotes of one tick; an older quote never replaces a newer one. */
  async put(book: PriceBook): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      for (const quote of book.quotes) {
        const { cloud, region } = quote.offer;
        this.#sql.exec(
          "insert into quotes values (?, ?, ?, ?, ?, ?) on conflict (offer) do update set spot = excluded.spot, document = excluded.document, observed_at = excluded.observed_at where excluded.observed_at >= observed_at",
          offerId(quote.offer),
          cloud,
          region,
          quote.spotUsdPerHour,
          JSON.stringify(quote),
          Date.parse(quote.observedAt),
        );
      }
      this.#sql.exec("insert into clock values (1, ?) on conflict (id) do update set market_now = max(market_now, excluded.market_now)", new Date(book.marketNow).toISOString());
    });
  }

  async book(cloud: string | null, region: string | null): Promise<PriceBook> {
    const rows = this.#sql.exec<{ document: string }>("select document from quotes where (?1 is null or cloud = ?1) and (?2 is null or region = ?2) order by spot", cloud, region);
    return { marketNow: await this.marketNow(), quotes: [...rows].map(({ document }) => JSON.parse(document) as Quote) };
  }

  /** The market's clock: that of the newest book; the wall clock before the first. */
  async marketNow(): Promise<string> {
    return [...this.#sql.exec<{ market_now: string }>("select market_now from clock")][0]?.market_now ?? new Date().toISOString();
  }

  async quote(offer: OfferRef): Promise<Quote | null> {
    const row = [...this.#sql.exec<{ document: string }>("select document from quotes where offer = ?", offerId(offer))][0];
    return row ? (JSON.parse(row.document) as Quote) : null;
  }

  /**
   * The workload's lease for `holder` (a migration), if the decision still holds. Asked again by its holder, the same token for longer; `instead` names
   * the holder that gives way, which it doesn't while it writes the route ({@link seal}).
   */
  async reserve(decision: Decision, holder: string, instead: string | null = null): Promise<Reserved> {
    const held = [...this.#sql.exec<{ token: number; holder: string | null; until: number }>("select token, holder, until from leases where workload = ?", decision.workload)][0];
    if (held?.holder === holder) {
      this.#sql.exec("update leases set until = ? where workload = ?", Date.now() + LEASE_MS, decision.workload);
      return { ok: true, token: held.token };
    }
    const kept = held?.holder !== instead || this.#sealed(decision.workload, held?.token);
    if (held?.holder && kept && held.until > Date.now()) return { ok: false, word: "lease-held", detail: `${held.holder} is at work on ${decision.workload}; wait for its end` };
    if (!FORCED.has(decision.kind)) {
      const refusal = await this.#recheck(decision);
      if (refusal) return refusal;
    }
    const token = (held?.token ?? 0) + 1;
    this.#sql.exec("insert or replace into leases values (?, ?, ?, ?)", decision.workload, token, holder, Date.now() + LEASE_MS);
    return { ok: true, token };
  }

  /** Whether `holder` still has the lease under `token`; every step of its saga asks before it does something. A yes keeps the lease alive. */
  async holds(workload: string, holder: string, token: number): Promise<boolean> {
    const kept = this.#sql.exec("update leases set until = ? where workload = ? and holder = ? and token = ?", Date.now() + LEASE_MS, workload, holder, token);
    return kept.rowsWritten > 0;
  }

  /** {@link holds}, and from a yes on nobody takes the lease over until {@link unseal}: the route is written under it, and what follows from that. */
  async seal(workload: string, holder: string, token: number): Promise<boolean> {
    if (!(await this.holds(workload, holder, token))) return false;
    this.#sql.exec("insert or replace into sealed values (?, ?)", workload, token);
    return true;
  }

  /** What was written under the lease stands, and everybody knows: another migration may have it. */
  async unseal(workload: string, token: number): Promise<void> {
    this.#sql.exec("delete from sealed where workload = ? and token = ?", workload, token);
  }

  async release(workload: string, holder: string): Promise<void> {
    this.#sql.exec("update leases set holder = null where workload = ? and holder = ?", workload, holder);
  }

  /** Who has held a lease for at least `ms` without a sign of life. */
  async holders(ms: number): Promise<{ workload: string; holder: string }[]> {
    return [...this.#sql.exec<{ workload: string; holder: string }>("select workload, holder from leases where holder is not null and until <= ?", Date.now() + LEASE_MS - ms)];
  }

  #sealed(workload: string, token: number | undefined): boolean {
    return [...this.#sql.exec<{ token: number }>("select token from sealed where workload = ?", workload)].some((one) => one.token === token);
  }

  async #recheck(decision: Decision): Promise<Reserved | null> {
    const { offer, evidence } = decision;
    if (!offer || !evidence) return { ok: false, word: "stale-decision", detail: "the decision has no offer or no evidence" };
    const quote = await this.quote(offer);
    const price = (of: Quote): number | null => (decision.capacity === "on-demand" ? of.onDemandUsdPerHour : of.spotUsdPerHour);
    const costs = quote && price(quote);
    if (!quote || costs === null) return { ok: false, word: "stale-decision", detail: `${offerId(offer)} has no known price` };
    const age = (Date.parse(await this.marketNow()) - Date.parse(quote.observedAt)) / 3_600_000;
    if (age > LIMIT_HOURS) return { ok: false, word: "stale-decision", detail: `the quote of ${offerId(offer)} is ${age.toFixed(1)} h old; the limit is ${LIMIT_HOURS} h` };
    const decided = price(evidence.quote);
    if (decided === null || costs > decided * (1 + TOLERANCE)) return { ok: false, word: "price-moved", detail: `${offerId(offer)} costs ${costs} USD/h now, ${decided} when it was decided` };
    return null;
  }
}

export function offerId({ cloud, region, zone, instanceType }: OfferRef): string {
  return `${cloud}/${region}/${zone}/${instanceType}`;
}
