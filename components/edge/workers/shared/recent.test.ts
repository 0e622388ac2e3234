import { expect, test } from "vitest";
import { RecentMap } from "./recent";

test("it never holds more than twice its size, and what is asked for stays", () => {
  const map = new RecentMap<number, string>(100);
  map.set(-1, "asked for");
  for (let at = 0; at < 10_000; at += 1) {
    map.set(at, String(at));
    if (at % 40 === 0) expect(map.get(-1)).toBe("asked for");
    expect(map.count).toBeLessThanOrEqual(200);
  }
  expect([map.get(0), map.get(9_999)]).toEqual([undefined, "9999"]);
});

test("a new value wins over an older one, and what was deleted is gone from both halves", () => {
  const map = new RecentMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  expect(map.get("a")).toBe(3);
  map.delete("a");
  expect(map.get("a")).toBeUndefined();
});
