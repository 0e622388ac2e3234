/**
 * What the pages show, kept up to date while the page is visible: by the API's stream of changes, of which each is asked for as it is told; where the stream
 * can't be had, by asking for everything every two seconds.
 */
import { type Signal, signal } from "@preact/signals";
import type { Change, Ledger, Migration, PriceBook, Tenant, Workload, WorkloadMonth } from "../../workers/shared/wire";
import { ApiFault, type Session } from "./session";
import { heard, merged } from "./stream";

const EVERY_MS = 2000;
/** Without a stream, prices, months and tenants are asked for every this many rounds: they change slowly. */
const SLOW_EVERY = 5;
/** Without a stream it is tried again after 1, 2, 4 … rounds, at most this many. */
const RARELY = 16;
/** ms after which a stream that has ended in order is taken up again. */
const AGAIN_MS = 250;
/** More changed workloads than this are asked for as one list. */
const ONE_BY_ONE = 8;
/** The stream says every 15 s that it is there; after this many ms without a word it is gone. */
const SILENT_MS = 40_000;

export const session = signal<Session | null>(null);
export const workloads = signal<Workload[] | null>(null);
export const migrations = signal<Migration[] | null>(null);
export const ledger = signal<Ledger | null>(null);
export const months = signal<WorkloadMonth[] | null>(null);
export const tenants = signal<Tenant[] | null>(null);
export const book = signal<PriceBook | null>(null);
export const fault = signal("");
/** Why there is no session, for the sign-in page. */
export const farewell = signal("");
export const updatedAt = signal<Date | null>(null);
/** Whether changes are told as they happen. */
export const streaming = signal(false);
/** What the stream has told last; a page that is about it asks again. */
export const news = signal<Change[]>([]);
/** Counts the rounds without a stream: what a page asks for itself is asked again with it. */
export const round = signal(0);
/** The wall clock in ms, for what is told as "so long ago". */
export const clock = signal(Date.now());

export interface Items<T> {
  items: T[];
}

const everything = [workloads, migrations, ledger, months, tenants, book, updatedAt] as const;

async function load<T>(into: Signal<T | null>, asked: Promise<T>): Promise<void> {
  into.value = await asked;
}

const loads = {
  workloads: (from: Session) =>
    load(
      workloads,
      from.get<Items<Workload>>("/workloads?limit=500").then(({ items }) => items),
    ),
  migrations: (from: Session) =>
    load(
      migrations,
      from.get<Items<Migration>>("/migrations?limit=200").then(({ items }) => items),
    ),
  ledger: (from: Session) => load(ledger, from.get<Ledger>("/ledger")),
  months: (from: Session) =>
    load(
      months,
      from.get<Items<WorkloadMonth>>("/ledger/months?limit=500").then(({ items }) => items),
    ),
  tenants: (from: Session) =>
    load(
      tenants,
      from.get<Items<Tenant>>("/tenants?limit=500").then(({ items }) => items),
    ),
  book: (from: Session) => load(book, from.get<PriceBook>("/prices")),
};

async function all(current: Session, slow = true): Promise<void> {
  await Promise.all([loads.workloads(current), loads.migrations(current), loads.ledger(current)]);
  if (slow) await Promise.all([loads.book(current), loads.tenants(current), loads.months(current)]);
}

/** Asks for what has changed, and for nothing else. */
async function only(current: Session, changes: Change[]): Promise<void> {
  const of = (...kinds: Change["kind"][]): Change[] => changes.filter(({ kind }) => kinds.includes(kind));
  const ids = [...new Set(of("workload", "placement", "event").flatMap(({ workload }) => workload ?? []))];
  const moved = [...new Set(of("migration").map(({ subject }) => subject))];
  await Promise.all([
    ids.length > ONE_BY_ONE ? loads.workloads(current) : renewed(workloads, ids, (id) => current.get<Workload>(`/workloads/${id}`)),
    moved.length > ONE_BY_ONE ? loads.migrations(current) : renewed(migrations, moved, (id) => current.get<Migration>(`/migrations/${id}`)),
    of("ledger").length > 0 && Promise.all([loads.ledger(current), loads.months(current)]),
    of("prices").length > 0 && loads.book(current),
    of("tenant").length > 0 && loads.tenants(current),
  ]);
}

async function renewed<T extends { id: string }>(rows: Signal<T[] | null>, ids: string[], ask: (id: string) => Promise<T>): Promise<void> {
  const changed = await Promise.all(ids.map(async (id): Promise<[string, T | null]> => [id, await ask(id).catch(absent)]));
  if (rows.value && changed.length > 0) rows.value = merged(rows.value, changed);
}

function absent(error: unknown): null {
  if (error instanceof ApiFault && error.status === 404) return null;
  throw error;
}

async function take(current: Session, changes: Change[]): Promise<void> {
  if (changes.some(({ kind }) => kind === "everything")) await all(current);
  else await only(current, changes);
  news.value = changes;
}

/** Keeps up to date; returns what stops it. */
export function follow(current: Session): () => void {
  const stop = new AbortController();
  const ticking = setInterval(() => {
    if (!document.hidden) clock.value = Date.now();
  }, EVERY_MS);
  void keep(current, stop.signal).catch((error) => {
    if (!stop.signal.aborted) signOut(`The console has stopped: ${(error as Error).message}. Sign in again.`);
  });
  return () => {
    stop.abort();
    clearInterval(ticking);
  };
}

async function keep(current: Session, stopped: AbortSignal): Promise<void> {
  let lastId: string | null = null;
  let number = 0;
  let due = 0;
  let failures = 0;
  while (!stopped.aborted) {
    if (document.hidden) {
      await seen(stopped);
      continue;
    }
    try {
      if (number >= due) {
        for await (const { changes, id } of stream(current, lastId, stopped)) {
          if (changes.length > 0) await take(current, changes);
          lastId = id ?? lastId;
          failures = 0;
          fresh();
          streaming.value = true;
        }
        // Its time was up, or the page is out of view.
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        continue;
      }
    } catch (error) {
      if (over(error, stopped)) return;
      due = number + Math.min(2 ** failures, RARELY);
      failures += 1;
      // What was missed while asking is covered by the asking.
    }
    streaming.value = false;
    try {
      await all(current, number % SLOW_EVERY === 0);
      fresh();
      round.value += 1;
    } catch (error) {
      fault.value = (error as Error).message;
      if (over(error, stopped)) return;
    }
    number += 1;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

function fresh(): void {
  updatedAt.value = new Date();
  fault.value = "";
}

/** Whether there is nothing left to keep up to date; a session that is over is signed out. */
function over(error: unknown, stopped: AbortSignal): boolean {
  if (stopped.aborted) return true;
  if (!(error instanceof ApiFault) || error.status !== 401) return false;
  signOut("Your session is over: the key has expired or was revoked. Sign in with another one.");
  return true;
}

/** The stream's messages until it ends, is cut (which throws), or the page is out of view: a browser has few connections, and others may need it. */
async function* stream(current: Session, lastId: string | null, stopped: AbortSignal): AsyncGenerator<{ changes: Change[]; id: string | null }> {
  const cut = new AbortController();
  const hidden = (): void => {
    if (document.hidden) cut.abort();
  };
  document.addEventListener("visibilitychange", hidden);
  let silent: ReturnType<typeof setTimeout> | undefined;
  const heardOf = (): void => {
    clearTimeout(silent);
    silent = setTimeout(() => cut.abort(), SILENT_MS);
  };
  try {
    heardOf();
    const reader = (await current.stream("/changes", lastId, AbortSignal.any([cut.signal, stopped]))).getReader();
    const decoder = new TextDecoder();
    let left = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      heardOf();
      const told = heard(left, decoder.decode(part.value, { stream: true }));
      left = told.left;
      yield { changes: told.changes, id: told.lastId };
    }
  } catch (error) {
    if (!document.hidden || stopped.aborted) throw error;
  } finally {
    clearTimeout(silent);
    document.removeEventListener("visibilitychange", hidden);
    cut.abort();
  }
}

/** Until the page is in view again, or `stopped`. */
export async function seen(stopped: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (document.hidden && !stopped.aborted) return;
      document.removeEventListener("visibilitychange", look);
      stopped.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    stopped.addEventListener("abort", look);
  });
}

export function signOut(why = ""): void {
  session.value?.close();
  session.value = null;
  farewell.value = why;
  fault.value = "";
  streaming.value = false;
  for (const each of everything) each.value = null;
}
