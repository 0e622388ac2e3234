/** Asking for the same thing again and again: when next, and when never more. */
import { ApiFault } from "./session";

/** ms between an answer and the next question. */
export const EVERY_MS = 2000;
const RARELY_MS = 30_000;
/** s to wait where the API asks to wait and doesn't say how long. */
const A_WHILE_S = 10;

/** ms after which a refused question is asked again, the `failures`-th in a row; null where asking again helps nobody. */
export function pause({ status, retryAfter }: Pick<ApiFault, "status" | "retryAfter">, failures: number): number | null {
  if (status === 429) return Math.max(EVERY_MS, (retryAfter ?? A_WHILE_S) * 1000);
  if (status !== 0 && status < 500) return null;
  return Math.max(Math.min(EVERY_MS * 2 ** (failures - 1), RARELY_MS), (retryAfter ?? 0) * 1000);
}

export interface Polling<T> {
  /** What is asked for next. */
  path(): string;
  get(path: string): Promise<T>;
  /** Takes an answer; ms until it is asked again, null for never more. */
  take(value: T): number | null;
  /** Why the last question was refused; null once one was answered. */
  told(fault: ApiFault | null): void;
  /** Until `ms` are over and somebody looks, or it is stopped. */
  wait(ms: number): Promise<void>;
  stopped: AbortSignal;
}

/** Asks until it is stopped, `take` has enough, or the API refuses for good. */
export async function poll<T>({ path, get, take, told, wait, stopped }: Polling<T>): Promise<void> {
  let next: number | null = 0;
  for (let failures = 0; next !== null; ) {
    await wait(next);
    if (stopped.aborted) return;
    try {
      const value = await get(path());
      if (stopped.aborted) return;
      next = take(value);
      failures = 0;
      told(null);
    } catch (error) {
      if (stopped.aborted) return;
      const fault = error instanceof ApiFault ? error : new ApiFault(200, "The API answered something that this console doesn't know: it may be newer than the page. Reload it.");
      failures += 1;
      next = pause(fault, failures);
      told(fault);
    }
  }
}
