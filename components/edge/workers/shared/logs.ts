/** What the API calls of the object that keeps a placement's lines (docs/adr/0092-a-machines-lines.md). */
import type { LogBatch, LogLine, LogTaken } from "./wire";

/** The answer to a batch: what is asked for next, or the seconds after which another batch is taken. */
export type Appended = LogTaken | { retryAfter: number };

export interface Kept {
  lines: LogLine[];
  next: number;
  lost: number;
  /** Whether any line is kept, be it one of those that were asked for or not. */
  any: boolean;
}

export interface Keeping {
  append(batch: LogBatch): Promise<Appended>;
  read(placement: string, after: number | null, limit: number): Promise<Kept>;
}

export interface Logs {
  LOGS: DurableObjectNamespace;
}

/** Where the lines of a placement are kept; its number is never used again, and so nobody meets another machine's lines there. */
export function logOf(env: Logs, placement: string): Keeping {
  return env.LOGS.get(env.LOGS.idFromName(placement)) as unknown as Keeping;
}
