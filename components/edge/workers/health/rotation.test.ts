import { expect, test } from "vitest";
import { after, FRESH, pause, type Standing } from "./rotation";

const HEALTH = { healthyCount: 2, unhealthyCount: 3 };
/** Standing after a row of checks: `+` good, `-` bad. */
const run = (checks: string, from: Standing = FRESH): Standing => [...checks].reduce((standing, check) => after(standing, check === "+", HEALTH), from);

test.each([
  ["", true],
  ["--", true],
  ["---", false],
  ["--+--", true],
  ["--+---", false],
  ["---+", false],
  ["---+-+", false],
  ["---++", true],
  ["---++--", true],
  ["---++---", false],
])("after %s a machine is in rotation: %s", (checks, healthy) => {
  expect(run(checks).healthy).toBe(healthy);
});

test("checks are spread by a tenth around their interval, and never closer than the least", () => {
  const at = (random: number, intervalSeconds: number) => pause({ intervalSeconds }, 500, random);
  expect([at(0, 10), at(0.5, 10), at(1, 10), at(0, 0.1)].map(Math.round)).toEqual([9_000, 10_000, 11_000, 500]);
});
