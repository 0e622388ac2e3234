import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import type { Appended } from "../shared/logs";
import type { LogEntry } from "../shared/wire";
import { BYTES, KEPT_MS, LINES } from "./ring";

let made = 0;
/** A machine's own log, and what it tells and reads of it. */
function machine() {
  made += 1;
  const placement = `acme_web_${made}`;
  const log = env.LOGS.get(env.LOGS.idFromName(placement));
  const line = (message: string): LogEntry => ({ at: "2026-03-01T12:00:00.5Z", unit: "workload", message });
  const tell = (first: number, ...messages: string[]): Promise<Appended> => log.append({ placement, first, lines: messages.map(line) });
  /** Lines `first` to `last`, 200 at once. */
  const tellUpTo = async (first: number, last: number, message: (number: number) => string = String): Promise<void> => {
    for (let at = first; at <= last; at += 200) await tell(at, ...Array.from({ length: Math.min(200, last - at + 1) }, (_, index) => message(at + index)));
  };
  const read = async (after: number | null = null, limit = 1000) => {
    const { lines, ...rest } = await log.read(placement, after, limit);
    return { ...rest, numbers: lines.map(({ number }) => number), messages: lines.map(({ message }) => message) };
  };
  const age = (ms: number) => runInDurableObject(log, (_, state) => void state.storage.sql.exec("update told set at = at - ?", ms));
  const tables = () => runInDurableObject(log, (_, state) => [...state.storage.sql.exec("select name from sqlite_master where name in ('lines', 'told')")].length);
  return { placement, log, tell, tellUpTo, read, age, tables };
}

test("lines are read as they were told, the last ones or those after a number", async () => {
  const { placement, log, tell, read } = machine();
  expect(await tell(1, "one", "two", "three")).toEqual({ next: 4 });
  expect((await log.read(placement, 2, 10)).lines).toEqual([{ placement, number: 3, at: "2026-03-01T12:00:00.5Z", unit: "workload", message: "three" }]);
  expect(await read(null, 2)).toEqual({ numbers: [2, 3], messages: ["two", "three"], next: 3, lost: 0, any: true });
  expect(await read(0, 2)).toEqual({ numbers: [1, 2], messages: ["one", "two"], next: 2, lost: 0, any: true });
  expect(await read(3)).toEqual({ numbers: [], messages: [], next: 3, lost: 0, any: true });
});

test("what was told before is left aside, a whole batch or its beginning; the first telling stands", async () => {
  const { tell, read } = machine();
  await tell(1, "one", "two");
  expect([await tell(1, "one", "two"), await tell(1, "other"), await tell(2, "other", "three")]).toEqual([{ next: 3 }, { next: 3 }, { next: 4 }]);
  expect(await read()).toEqual({ numbers: [1, 2, 3], messages: ["one", "two", "three"], next: 3, lost: 0, any: true });
});

test("what the machine gave up is a gap that its reader is told of", async () => {
  const { tell, read } = machine();
  await tell(3, "three");
  expect(await tell(11, "eleven")).toEqual({ next: 12 });
  expect((await read()).lost).toBe(9);
  expect([(await read(0)).lost, (await read(3)).lost, (await read(5)).lost, (await read(10)).lost]).toEqual([9, 7, 5, 0]);
  expect((await read(null, 1)).lost).toBe(0);
});

test("only so many lines are kept; the oldest go and are lost to who asks for them", async () => {
  const { tellUpTo, read } = machine();
  await tellUpTo(1, LINES + 200);
  expect(await read(0, 1)).toMatchObject({ numbers: [201], lost: 200 });
  expect(await read(LINES)).toMatchObject({ lost: 0, next: LINES + 200, messages: Array.from({ length: 200 }, (_, at) => String(LINES + 1 + at)) });
  expect(await read(null, 1000)).toMatchObject({ lost: 0, next: LINES + 200 });
});

test("only so many bytes are kept, counted as they are sent", async () => {
  const { tellUpTo, read } = machine();
  const fit = BYTES / 1024;
  await tellUpTo(1, fit + 10, () => "ä".repeat(512));
  expect(await read(0)).toMatchObject({ lost: 10, next: fit + 10, numbers: Array.from({ length: fit }, (_, at) => 11 + at) });
  expect((await read(null, 1000)).lost).toBe(10);
});

test("a day after the last line everything goes, not before; what comes then is a new beginning", async () => {
  const { log, tell, read, age, tables } = machine();
  await tell(1, "one");
  expect([await runDurableObjectAlarm(log), await tables(), (await read()).any]).toEqual([true, 2, true]);
  await age(KEPT_MS + 1);
  expect([await runDurableObjectAlarm(log), await tables(), await runDurableObjectAlarm(log)]).toEqual([true, 0, false]);
  expect(await read(1)).toEqual({ numbers: [], messages: [], next: 1, lost: 0, any: false });
  expect(await tell(2, "two")).toEqual({ next: 3 });
  expect(await read(1)).toMatchObject({ numbers: [2], lost: 0 });
  expect(await runDurableObjectAlarm(log)).toBe(true);
});

test("a log that is only read holds nothing", async () => {
  const { read, tables } = machine();
  expect([await read(), await tables()]).toEqual([{ numbers: [], messages: [], next: 0, lost: 0, any: false }, 0]);
});

test("a machine that tells too often is told to wait, and nothing of it is kept; another's isn't", async () => {
  const { tell, read } = machine();
  const answers = [];
  for (let number = 1; number <= 25; number += 1) answers.push(await tell(number, String(number)));
  const refused = answers.filter((one) => "retryAfter" in one);
  expect(refused.length).toBeGreaterThan(0);
  expect([1, 2].map((retryAfter) => ({ retryAfter }))).toContainEqual(refused[0]);
  expect((await read()).numbers).toHaveLength(25 - refused.length);
  expect(await machine().tell(1, "mine")).toEqual({ next: 2 });
});
