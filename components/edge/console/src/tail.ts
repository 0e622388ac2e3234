/** The end of a machine's log as a page holds it: what came, what was lost between, and what is shown of it. Its lines are anybody's text. */
import type { LogLine, MachineLogs, Placement, Workload } from "../../workers/shared/wire";

/** Lines asked for at first, and where more of the past is wanted: the most that the API gives at once. */
export const FIRST = 200;
export const MORE = 1000;
/** Rows that a page keeps. */
export const KEPT = 2000;
/** More new lines than this at once aren't read out, only how many there are. */
const READ_OUT = 10;

export type Unit = LogLine["unit"];
export const UNITS: Unit[] = ["workload", "agent", "tunnel"];

/** Lines that are nowhere any more: `lost` of them, before number `before`. */
export interface Gap {
  lost: number;
  before: number;
}
export type Row = LogLine | Gap;

export interface Tail {
  /** Whose lines; null while there is no machine. */
  placement: string | null;
  told: boolean;
  /** The number of the last line that is known of. */
  after: number;
  rows: Row[];
  /** Whether the page has given up older rows for newer ones. */
  cut: boolean;
}

export const isGap = (row: Row): row is Gap => "lost" in row;

/** What to ask for: all of `placement` (null: the one that the API takes to be meant) after what is `held`, or its last `limit` lines. */
export function question(held: Tail | null, placement: string | null, limit: number): string {
  const parts = new URLSearchParams();
  const goesOn = held !== null && held.rows.length > 0;
  const whose = placement ?? (goesOn ? held.placement : null);
  if (whose !== null) parts.set("placement", whose);
  if (goesOn) parts.set("after", String(held.after));
  parts.set("limit", String(goesOn ? MORE : limit));
  return parts.toString();
}

/** What is `held`, and after it what the API answered; another machine's lines begin anew. */
export function grown(held: Tail | null, answer: MachineLogs): Tail {
  const goesOn = held !== null && held.rows.length > 0 && held.placement === answer.placement;
  const base = goesOn ? held : { after: null, rows: [], cut: false };
  const fresh = answer.lines.filter(({ number }) => base.after === null || number > base.after);
  const rows: Row[] = [];
  let expected = base.after === null ? fresh[0]?.number : base.after + 1;
  let seen = 0;
  for (const line of fresh) {
    const missing = line.number - (expected ?? line.number);
    if (missing > 0) rows.push({ lost: missing, before: line.number });
    seen += Math.max(missing, 0);
    rows.push(line);
    expected = line.number + 1;
  }
  const after = Math.max(answer.next, fresh.at(-1)?.number ?? 0, base.after ?? 0);
  // Lost before the first line of all, or with no line after it yet: no number shows it, only the API's own count.
  const unseen = answer.lost - seen;
  const first = fresh[0]?.number;
  if (unseen > 0 && (base.after === null || first === undefined)) rows.unshift({ lost: unseen, before: first ?? after + 1 });
  const all = [...base.rows, ...rows];
  return { placement: answer.placement, told: answer.told, after, rows: all.slice(-KEPT), cut: base.cut || all.length > KEPT };
}

/** The rows of `unit`, null for all; gaps that nothing stands between are one. */
export function rowsOf(rows: Row[], unit: Unit | null): Row[] {
  const kept: Row[] = [];
  for (const row of rows) {
    const last = kept.at(-1);
    if (!isGap(row)) {
      if (unit === null || row.unit === unit) kept.push(row);
    } else if (last && isGap(last)) kept[kept.length - 1] = { lost: last.lost + row.lost, before: row.before };
    else kept.push(row);
  }
  return kept;
}

/** What would act on the page, a terminal or the order of letters, each to be seen for itself; a tab stays. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** `text` with its control characters as they are written in code: `\n`, `\x1b`, `\u202e`. */
export function harmless(text: string): string {
  return text.replace(UNSEEN, (one) => {
    const code = one.charCodeAt(0);
    if (one === "\n" || one === "\r") return one === "\n" ? "\\n" : "\\r";
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

export const lostText = ({ lost }: Gap): string => (lost === 1 ? "1 line was lost" : `${lost.toLocaleString("en-US")} lines were lost`);

/** `03-20 10:05:07`: month, day and time, UTC. */
export const second = (at: string): string => at.slice(5, 19).replace("T", " ");

/** The rows as the text that is copied or saved, a row a line. */
export function textOf(rows: Row[]): string {
  return rows.map((row) => `${isGap(row) ? `-- ${lostText(row)} --` : `${row.at} ${row.unit.padEnd(8)} ${harmless(row.message)}`}\n`).join("");
}

export function newestFirst(placements: Placement[]): Placement[] {
  return [...placements].sort((one, other) => other.generation - one.generation);
}

const LEAVING: Placement["state"][] = ["DRAINING", "DESTROYED", "FAILED", "ORPHANED"];

/** The machine that serves in the place of `shown`, which has left or is leaving; null while there is none. */
export function successor(shown: string | null, placements: Placement[], { placement: first }: Pick<Workload, "placement">): string | null {
  const gone = placements.some(({ id, state }) => id === shown && LEAVING.includes(state));
  return gone && first?.state === "SERVING" && first.id !== shown ? first.id : null;
}

/** What is said of new lines to who doesn't see them: few are read out by themselves, of many only the number is told. `known`: the last line that was there. */
export function announced(rows: Row[], known: number | null): { aloud: boolean; count: number } {
  if (known === null) return { aloud: false, count: 0 };
  const count = rows.filter((row) => !isGap(row) && row.number > known).length;
  return { aloud: count <= READ_OUT, count };
}
