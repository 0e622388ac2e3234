/**
 * MachineLog: one a placement. It keeps the last lines that its machine told, for a day after the last of them, and nothing else knows them.
 *
 * Lines are tenant data: none is in an error, in this Worker's own output, or anywhere but in this object's rows. A placement that told nothing has no rows.
 */
import { DurableObject } from "cloudflare:workers";
import { Buckets } from "../shared/buckets";
import type { Appended, Keeping, Kept } from "../shared/logs";
import type { LogBatch, LogEntry, LogLine } from "../shared/wire";

/** Lines that are kept at most. */
export const LINES = 2_000;
/** Bytes that their messages come to at most, in UTF-8: what one has to say who can't be looked into, not an archive. */
export const BYTES = 256 * 1024;
/** ms after the last line until all of them go. */
export const KEPT_MS = 24 * 3_600_000;
/** Batches at once, and a second in the long run: a machine sends one every 2 s. */
const BURST = 20;
const PER_SECOND = 0.5;

const TABLES = `create table if not exists lines (number integer primary key, at text not null, unit text not null, message text not null, bytes integer not null);
  create table if not exists told (id integer primary key check (id = 1), next integer not null, lines integer not null, bytes integer not null, at integer not null)`;

/** `next`: the number that is asked for next; `lines` and `bytes`: what is kept; `at`: when the last line came, ms. */
interface Told extends Record<string, SqlStorageValue> {
  next: number;
  lines: number;
  bytes: number;
  at: number;
}

type Row = Pick<LogLine, "number" | "at" | "message"> & { unit: LogEntry["unit"] } & Record<string, SqlStorageValue>;

export class MachineLog extends DurableObject implements Keeping {
  readonly #rate = new Buckets(BURST, PER_SECOND);

  /** Takes what isn't known yet of a batch in; the oldest lines make room. */
  async append(batch: LogBatch): Promise<Appended> {
    const now = Date.now();
    const retryAfter = this.#rate.take("", now);
    if (retryAfter > 0) return { retryAfter };
    const next = this.ctx.storage.transactionSync(() => this.#take(batch, now));
    // Not moved with each batch: an alarm that comes too early is set again.
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(now + KEPT_MS);
    return { next };
  }

  /** The first `limit` lines after number `after`; with null the last ones. */
  async read(placement: string, after: number | null, limit: number): Promise<Kept> {
    const told = this.#told();
    if (!told) return { lines: [], next: after ?? 0, lost: 0, any: false };
    const select = "select number, at, unit, message from lines";
    const rows =
      after === null
        ? [...this.ctx.storage.sql.exec<Row>(`${select} order by number desc limit ?`, limit)].reverse()
        : [...this.ctx.storage.sql.exec<Row>(`${select} where number > ? order by number limit ?`, after, limit)];
    const last = rows.at(-1)?.number ?? after ?? 0;
    return { lines: rows.map((row) => ({ placement, ...row })), next: last, lost: given(rows, last, after, limit), any: told.lines > 0 };
  }

  override async alarm(): Promise<void> {
    const told = this.#told();
    if (told && told.at + KEPT_MS > Date.now()) await this.ctx.storage.setAlarm(told.at + KEPT_MS);
    else await this.ctx.storage.deleteAll();
  }

  #take({ first, lines }: LogBatch, now: number): number {
    const { sql } = this.ctx.storage;
    sql.exec(TABLES);
    const told = this.#told() ?? { next: 1, lines: 0, bytes: 0, at: now };
    const known = Math.max(told.next - first, 0);
    const fresh = lines.slice(known);
    if (fresh.length === 0) return told.next;
    for (const [at, line] of fresh.entries()) {
      const bytes = new TextEncoder().encode(line.message).byteLength;
      sql.exec("insert into lines values (?, ?, ?, ?, ?)", first + known + at, line.at, line.unit, line.message, bytes);
      told.bytes += bytes;
    }
    told.next = first + lines.length;
    told.lines += fresh.length;
    this.#makeRoom(told);
    sql.exec("insert or replace into told values (1, ?, ?, ?, ?)", told.next, told.lines, told.bytes, now);
    return told.next;
  }

  #makeRoom(told: Told): void {
    if (told.lines <= LINES && told.bytes <= BYTES) return;
    const { sql } = this.ctx.storage;
    let upTo = 0;
    for (const { number, bytes } of sql.exec<{ number: number; bytes: number }>("select number, bytes from lines order by number")) {
      if (told.lines <= LINES && told.bytes <= BYTES) break;
      upTo = number;
      told.lines -= 1;
      told.bytes -= bytes;
    }
    sql.exec("delete from lines where number <= ?", upTo);
  }

  /** Null where nothing was told, or all of it has gone. */
  #told(): Told | null {
    const { sql } = this.ctx.storage;
    if ([...sql.exec("select 1 from sqlite_master where name = 'told'")].length === 0) return null;
    return [...sql.exec<Told>("select next, lines, bytes, at from told")][0] ?? null;
  }
}

/** How many lines were given up of those that were asked for: all that is missing after `after`; of the last ones what is missing among and before them. */
function given(rows: Row[], last: number, after: number | null, limit: number): number {
  if (rows.length === 0) return 0;
  if (after !== null) return last - after - rows.length;
  const first = rows[0]?.number ?? last;
  return last - first + 1 - rows.length + Math.min(first - 1, limit - rows.length);
}
