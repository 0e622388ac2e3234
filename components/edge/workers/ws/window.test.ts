import { expect, test } from "vitest";
import { isFinal, sendable } from "./limits";
import { isOriginOf } from "./upstream";
import { Window } from "./window";

const body = (bytes: number): Uint8Array => new Uint8Array(bytes);

test("a window counts what is not acknowledged", () => {
  const window = new Window();
  for (const bytes of [5, 0, 7]) window.add(true, body(bytes));
  expect([window.count, window.bytes, window.last, window.acknowledged]).toEqual([3, 12, 3, 0]);
  expect(window.release(2)).toBe(true);
  expect([window.count, window.bytes, window.last, window.acknowledged]).toEqual([1, 7, 3, 2]);
});

test("messages are given from any sequence on, in order", () => {
  const window = new Window(5);
  for (const bytes of [1, 2, 3]) window.add(false, body(bytes));
  window.release(5);
  const sequences = (after: number): number[] => [...window.after(after)].map(({ sequence }) => sequence);
  expect([sequences(0), sequences(6), sequences(7)]).toEqual([[6, 7], [7], []]);
});

test("an acknowledgement that comes late changes nothing; one of something that was never sent is refused", () => {
  const window = new Window(10);
  window.add(true, body(3));
  expect([window.release(4), window.release(11), window.count, window.last]).toEqual([true, false, 1, 10]);
});

test("a window forgets what is acknowledged, however many pass", () => {
  const window = new Window();
  for (let sequence = 1; sequence <= 5_000; sequence += 1) {
    expect(window.add(true, body(sequence % 10)).sequence).toBe(sequence);
    if (sequence > 3) window.release(sequence - 3);
  }
  expect([window.count, window.bytes, window.acknowledged]).toEqual([3, 8 + 9 + 0, 4_997]);
});

test.each([
  ["https://web-acme-1.origins.edge.test", true],
  ["https://web-acme-1204.origins.edge.test", true],
  ["http://web-acme-1.origins.edge.test", false],
  ["https://web-acme-0.origins.edge.test", false],
  ["https://web-acme-.origins.edge.test", false],
  ["https://web-acme-1.origins.edge.test.evil.example", false],
  ["https://web-acme-1.origins.edge.test:8443", false],
  ["https://web-acme-1@evil.example/.origins.edge.test", false],
  ["https://web-other-1.origins.edge.test", false],
  ["https://my-web-acme-1.origins.edge.test", false],
  ["https://169.254.169.254", false],
])("%s is an origin of web-acme: %s", (origin, expected) => {
  expect(isOriginOf("web-acme", "edge.test", origin)).toBe(expected);
});

test("codes that are for APIs only are never sent; a machine that means itself is not the end of the conversation", () => {
  expect([1000, 1005, 1006, 1012, 1015, 2999, 3000, 4999, 5000].map(sendable)).toEqual([1000, 1001, 1001, 1012, 1001, 1001, 3000, 4999, 1001]);
  expect([1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 4000].map(isFinal)).toEqual([true, false, true, false, true, false, false, false, true]);
});
