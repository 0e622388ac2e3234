/** The API's stream of changes as it comes in: text to changes (Server-Sent Events, whose every message is a `Change`). */
import type { Change } from "../../workers/shared/wire";

export interface Heard {
  changes: Change[];
  /** The number to come again with; null where no message has ended yet. */
  lastId: string | null;
  /** The begin of a message whose end hasn't come. */
  left: string;
}

/** What `text` tells after what was `left` before it. */
export function heard(left: string, text: string): Heard {
  const blocks = (left + text).split("\n\n");
  const rest = blocks.pop() ?? "";
  const fields = blocks.flatMap((block) => block.split("\n")).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const);
  const of = (name: string): string[] => fields.filter(([field]) => field === name).map(([, value]) => value);
  return { changes: of("data").map((one) => JSON.parse(one) as Change), lastId: of("id").at(-1) ?? null, left: rest };
}

/** What a page shows, by the changes that make it out of date. */
export interface About {
  kinds: Change["kind"][];
  /** Only changes of this workload, and of what is no single workload's. */
  workload?: string;
  /** While there is no stream: asked again every so many rounds. */
  every?: number;
}

export function concerns({ kinds, workload }: About, changes: Change[]): boolean {
  return changes.some((one) => one.kind === "everything" || (kinds.includes(one.kind) && (!workload || one.workload === null || one.workload === workload)));
}

/** The rows with `changed` in the place of those of the same id; new ones come at the end, null takes a row away. */
export function merged<T extends { id: string }>(rows: T[], changed: [id: string, row: T | null][]): T[] {
  const fresh = new Map(changed);
  const kept = rows.flatMap((row) => (fresh.has(row.id) ? (fresh.get(row.id) ?? []) : row));
  const known = new Set(rows.map(({ id }) => id));
  return [...kept, ...changed.flatMap(([id, row]) => (known.has(id) || row === null ? [] : row))];
}
