/** Pages of listings: `?limit=&cursor=`, and `next` in the body. A cursor says after what a page begins, and for which question it is. */
import { ProblemError } from "../shared/problem";
import { ok, type Reply } from "./operation";

export const LIMIT = 100;
export const LARGEST = 500;

export type Key = string | number;

export interface Page {
  limit: number;
  /** After this the page begins; null for the first one. */
  after: Key[] | null;
  /** What the listing is of: cursors of another question are refused. */
  question: string;
}

/** The page that a query asks for. Throws 400 and 422 problems. */
export function pageOf(operation: string, query: Record<string, string>): Page {
  const { limit, cursor, ...rest } = query;
  const size = limit === undefined ? LIMIT : Number(limit);
  if (!/^\d+$/.test(limit ?? "1") || size < 1 || size > LARGEST) throw new ProblemError(422, "invalid-request", "The request is not valid", `limit must be a whole number from 1 to ${LARGEST}`);
  const question = JSON.stringify([operation, ...Object.entries(rest).sort()]);
  return { limit: size, question, after: cursor === undefined ? null : opened(cursor, question) };
}

function opened(cursor: string, question: string): Key[] {
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    const [of, ...keys] = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes)) as [string, ...Key[]];
    if (of === question && keys.length > 0 && keys.every((key) => typeof key === "string" || Number.isFinite(key))) return keys;
  } catch {
    // Told below: whatever is wrong with it, it is none of ours.
  }
  throw new ProblemError(400, "invalid-cursor", "The cursor is not one of this listing", "begin again without a cursor, or pass `next` of the last page with the same query");
}

function closed(question: string, keys: Key[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify([question, ...keys]));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** A page of rows that were asked for with one more than the limit. */
export function paged<T>(page: Page, rows: T[], key: (row: T) => Key[], shown: (row: T) => unknown): Reply {
  const here = rows.slice(0, page.limit);
  const last = here.at(-1);
  return ok({ items: here.map(shown), next: rows.length > page.limit && last !== undefined ? closed(page.question, key(last)) : null });
}

export interface Order {
  columns: string[];
  descending?: boolean;
}

/** A page's rows of D1: `select … where …` with the conditions that have a value. */
export async function rowsOf<T>(db: D1Database, select: string, conditions: Record<string, string | number | null>, order: Order, page: Page): Promise<T[]> {
  const given = Object.entries(conditions).filter(([, value]) => value !== null);
  const values: Key[] = given.map(([, value]) => value as Key);
  const wheres = given.map(([condition]) => condition);
  if (page.after) {
    if (page.after.length !== order.columns.length) throw new ProblemError(400, "invalid-cursor", "The cursor is not one of this listing");
    wheres.push(`(${order.columns.join(", ")}) ${order.descending ? "<" : ">"} (${order.columns.map(() => "?").join(", ")})`);
    values.push(...page.after);
  }
  const by = order.columns.map((column) => `${column} ${order.descending ? "desc" : "asc"}`).join(", ");
  const where = wheres.length > 0 ? `where ${wheres.join(" and ")}` : "";
  const found = await db
    .prepare(`${select} ${where} order by ${by} limit ?`)
    .bind(...values, page.limit + 1)
    .all<T>();
  return found.results;
}
