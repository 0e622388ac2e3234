/** What the pages show, asked for again every two seconds while the page is visible. */
import { signal } from "@preact/signals";
import type { Ledger, Migration, PriceBook, Tenant, Workload, WorkloadMonth } from "../../workers/shared/wire";
import { ApiFault, type Session } from "./session";

const EVERY_MS = 2000;
/** Prices, months and tenants change slowly; asked for every this many rounds. */
const SLOW_EVERY = 5;

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
/** Counts the rounds: what a page asks for itself is asked again with it. */
export const round = signal(0);

export interface Items<T> {
  items: T[];
}

const everything = [workloads, migrations, ledger, months, tenants, book, updatedAt] as const;

async function ask(current: Session, number: number): Promise<void> {
  const [work, moves, account] = await Promise.all([current.get<Items<Workload>>("/workloads?limit=500"), current.get<Items<Migration>>("/migrations?limit=200"), current.get<Ledger>("/ledger")]);
  workloads.value = work.items;
  migrations.value = moves.items;
  ledger.value = account;
  if (number % SLOW_EVERY === 0) {
    const [prices, owners, spent] = await Promise.all([
      current.get<PriceBook>("/prices"),
      current.get<Items<Tenant>>("/tenants?limit=500"),
      current.get<Items<WorkloadMonth>>("/ledger/months?limit=500"),
    ]);
    book.value = prices;
    tenants.value = owners.items;
    months.value = spent.items;
  }
  updatedAt.value = new Date();
  fault.value = "";
  round.value = number + 1;
}

/** Starts asking; returns what stops it. */
export function follow(current: Session): () => void {
  let number = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const step = async () => {
    if (!document.hidden) {
      try {
        await ask(current, number);
        number += 1;
      } catch (error) {
        fault.value = (error as Error).message;
        if (error instanceof ApiFault && error.status === 401) return signOut("Your session is over: the key has expired or was revoked. Sign in with another one.");
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

export function signOut(why = ""): void {
  session.value?.close();
  session.value = null;
  farewell.value = why;
  fault.value = "";
  for (const each of everything) each.value = null;
}
