/** What a page holds of a machine's log, and when it asks for more. */
import { expect, test } from "vitest";
import type { LogLine, MachineLogs, Placement } from "../../workers/shared/wire";
import { pause, poll } from "./poll";
import { ApiFault } from "./session";
import { announced, FIRST, grown, harmless, isGap, KEPT, MORE, question, type Row, rowsOf, successor, type Tail, textOf } from "./tail";

const line = (number: number, changes: Partial<LogLine> = {}): LogLine => ({
  placement: "web-acme-3",
  number,
  at: "2026-03-20T10:05:07.250Z",
  unit: "workload",
  message: `line ${number}`,
  ...changes,
});
const answer = (numbers: number[], changes: Partial<MachineLogs> = {}): MachineLogs => ({
  lines: numbers.map((number) => line(number)),
  placement: "web-acme-3",
  next: numbers.at(-1) ?? 0,
  lost: 0,
  told: true,
  ...changes,
});
const held = (...answers: MachineLogs[]): Tail => answers.reduce<Tail | null>(grown, null) as Tail;
const read = (rows: Row[]) => rows.map((row) => (isGap(row) ? `lost ${row.lost}` : row.number));

test("what comes later is put at the end, and what is there already isn't taken twice", () => {
  const tail = held(answer([7, 8]), answer([8, 9]), answer([], { next: 9 }));
  expect([read(tail.rows), tail.after]).toEqual([[7, 8, 9], 9]);
});

test("lines that are missing between two are told there, whether in one answer or between two", () => {
  expect(read(held(answer([7, 10], { lost: 2 }), answer([12], { lost: 1 })).rows)).toEqual([7, "lost 2", 10, "lost 1", 12]);
});

test("what was lost before the first line, or before any that is left, is told by the API's count", () => {
  expect(read(held(answer([7, 9], { lost: 5 })).rows)).toEqual(["lost 4", 7, "lost 1", 9]);
  expect(read(held(answer([7]), answer([], { next: 10, lost: 3 }), answer([11])).rows)).toEqual([7, "lost 3", 11]);
});

test("another machine's lines begin anew", () => {
  expect(read(held(answer([7, 8]), answer([1, 2], { placement: "web-acme-4" })).rows)).toEqual([1, 2]);
});

test("a page keeps a bounded number of rows and says once it has given some up", () => {
  const numbers = Array.from({ length: KEPT }, (_, at) => at + 1);
  const full = held(answer(numbers));
  expect([full.rows.length, full.cut]).toEqual([KEPT, false]);
  const more = grown(full, answer([KEPT + 1]));
  expect([more.rows.length, more.cut, read(more.rows)[0]]).toEqual([KEPT, true, 2]);
});

test("the last lines are asked for until there is one, then those after it, of the same machine", () => {
  expect(question(null, null, FIRST)).toBe("limit=200");
  expect(question(held(answer([])), "web-acme-2", FIRST)).toBe("placement=web-acme-2&limit=200");
  expect(question(held(answer([7])), null, FIRST)).toBe(`placement=web-acme-3&after=7&limit=${MORE}`);
});

test("a unit's lines are shown with every gap, and gaps that nothing stands between are one", () => {
  const rows: Row[] = [line(1), { lost: 2, before: 4 }, line(4, { unit: "agent" }), { lost: 3, before: 8 }, line(8)];
  expect(read(rowsOf(rows, "workload"))).toEqual([1, "lost 5", 8]);
  expect(read(rowsOf(rows, null))).toEqual([1, "lost 2", 4, "lost 3", 8]);
});

test("what would act on a terminal, or turn the order of letters, is seen for itself; letters, tabs and joined signs stay", () => {
  expect(harmless("\u001b[31mred\u0007\r\n\u007f\u009b")).toBe("\\x1b[31mred\\x07\\r\\n\\x7f\\x9b");
  expect(harmless("a\u202etxt.exe\u2066 \u200b\ufeff")).toBe("a\\u202etxt.exe\\u2066 \\u200b\\ufeff");
  expect(harmless("\tназва – 👩‍🚒 <b>&amp;")).toBe("\tназва – 👩‍🚒 <b>&amp;");
});

test("what is copied or saved has a row a line, with the same signs as are shown", () => {
  expect(textOf([line(1, { unit: "agent", message: "a\nb" }), { lost: 1, before: 3 }, line(3)])).toBe(
    "2026-03-20T10:05:07.250Z agent    a\\nb\n-- 1 line was lost --\n2026-03-20T10:05:07.250Z workload line 3\n",
  );
});

test("a few new lines are read out, of many only the number is, and of those that were there at first nothing", () => {
  const rows = Array.from({ length: 30 }, (_, at) => line(at + 1));
  expect([announced(rows, null), announced(rows, 27), announced(rows, 5)]).toEqual([
    { aloud: false, count: 0 },
    { aloud: true, count: 3 },
    { aloud: false, count: 25 },
  ]);
});

test("the machine that serves instead is pointed at once the shown one leaves", () => {
  const machine = (id: string, state: Placement["state"]) => ({ id, state }) as Placement;
  const first = { placement: machine("web-acme-4", "SERVING") };
  expect(successor("web-acme-3", [machine("web-acme-3", "DRAINING")], first)).toBe("web-acme-4");
  expect(successor("web-acme-3", [machine("web-acme-3", "SERVING")], first)).toBeNull();
  expect(successor("web-acme-3", [machine("web-acme-3", "DESTROYED")], { placement: machine("web-acme-4", "VERIFYING") })).toBeNull();
});

test("a refusal for good is the last question, another is waited out: as long as is asked, and longer each time", () => {
  const after = (status: number, failures = 1, retryAfter: number | null = null) => pause({ status, retryAfter }, failures);
  expect([after(403), after(404), after(401), after(409)]).toEqual([null, null, null, null]);
  expect([after(429, 1, 7), after(429, 1, 1), after(429)]).toEqual([7000, 2000, 10_000]);
  expect([after(0), after(503, 2), after(500, 9), after(503, 1, 60)]).toEqual([2000, 4000, 30_000, 60_000]);
});

test("it asks on over a refusal that passes, tells it only for as long as it holds, and ends at one for good", async () => {
  const answers = [() => 1, () => Promise.reject(new ApiFault(503, "away")), () => 2, () => 3, () => Promise.reject(new ApiFault(404, "gone")), () => 4];
  const waited: number[] = [];
  const taken: number[] = [];
  const told: (string | null)[] = [];
  await poll<number>({
    path: () => `/logs?after=${taken.at(-1) ?? 0}`,
    get: async (path) => {
      expect(path).toBe(`/logs?after=${taken.at(-1) ?? 0}`);
      return (answers.shift() as () => number)();
    },
    take: (value) => {
      taken.push(value);
      return value === 2 ? 0 : 2000;
    },
    told: (fault) => told.push(fault?.message ?? null),
    wait: async (ms) => void waited.push(ms),
    stopped: new AbortController().signal,
  });
  expect([taken, waited, told]).toEqual([
    [1, 2, 3],
    [0, 2000, 2000, 0, 2000],
    [null, "away", null, null, "gone"],
  ]);
});

test("what comes after it was stopped is left aside, and what can't be understood ends it", async () => {
  const stop = new AbortController();
  const told: (string | undefined)[] = [];
  const rest = { path: () => "/logs", told: (fault: ApiFault | null) => void told.push(fault?.message), wait: async () => {}, stopped: stop.signal };
  const take = ({ lines }: MachineLogs) => lines.length;
  await poll<MachineLogs>({ ...rest, take, get: async () => ({}) as MachineLogs });
  expect(told).toEqual(["The API answered something that this console doesn't know: it may be newer than the page. Reload it."]);
  await poll<MachineLogs>({
    ...rest,
    take,
    get: async () => {
      stop.abort();
      return answer([1]);
    },
  });
  expect(told.length).toBe(1);
});
