/** What the page shows, asked for again every two seconds while the page is visible. */
import { signal } from "@preact/signals";
import type { Ledger, Migration, PriceBook, Workload } from "../../workers/shared/wire";
import { ApiFault, type Session } from "./session";

const EVERY_MS = 2000;
/** Prices change per market tick; asked for every this many rounds. */
const PRICES_EVERY = 5;

export const session = signal<Session | null>(null);
export const workloads = signal<Workload[] | null>(null);
export const migrations = signal<Migration[] | null>(null);
export const ledger = signal<Ledger | null>(null);
export const book = signal<PriceBook | null>(null);
export const fault = signal("");
export const updatedAt = signal<Date | null>(null);

interface Items<T> {
  items: T[];
}

async function round(current: Session, number: number): Promise<void> {
  const [work, moves, account] = await Promise.all([current.get<Items<Workload>>("/workloads?limit=500"), current.get<Items<Migration>>("/migrations?limit=500"), current.get<Ledger>("/ledger")]);
  workloads.value = work.items;
  migrations.value = moves.items;
  ledger.value = account;
  if (number % PRICES_EVERY === 0) book.value = await current.get<PriceBook>("/prices");
  updatedAt.value = new Date();
  fault.value = "";
}

/** Starts asking; returns what stops it. */
export function follow(current: Session): () => void {
  let number = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const step = async () => {
    if (!document.hidden) {
      try {
        await round(current, number);
        number += 1;
      } catch (error) {
        fault.value = (error as Error).message;
        if (error instanceof ApiFault && error.status === 401) return signOut();
      }
    }
    if (!stopped) timer = setTimeout(step, EVERY_MS);
  };
  void step();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

export function signOut(): void {
  session.value?.close();
  session.value = null;
  workloads.value = null;
  migrations.value = null;
  ledger.value = null;
  book.value = null;
}
