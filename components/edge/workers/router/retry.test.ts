import { expect, test } from "vitest";
import type { Route } from "../shared/route";
import { begin as begun, failed, HOLD_MS, next, type Trip } from "./retry";

const route = (...generations: number[]): Route => ({
  label: "web-acme",
  tenant: "acme",
  version: 1,
  targets: generations.map((one) => ({ placement: `acme_web_${one}`, origin: `https://web-acme-${one}.origins.edge.test`, tcpOrigin: null, weight: 1, healthy: true })),
  access: "anonymous",
  drainSeconds: 0,
  updatedAt: "",
});
const lost = (failure: "undelivered" | "broken") => ({ placement: "acme_web_1", failure });
const begin = (method: string, replayable: boolean, now: number, last: Trip["last"]): Trip => {
  const trip = begun(method, replayable, now);
  if (last) failed(trip, last.placement, last.failure);
  return trip;
};
const told = (step: ReturnType<typeof next>): string => (step.kind === "send" ? step.target.placement : step.kind === "refuse" ? step.why : step.kind);

test.each([
  ["GET", true, lost("broken"), "acme_web_2"],
  ["PUT", true, lost("broken"), "acme_web_2"],
  ["PUT", false, lost("broken"), "machine-unreached"],
  ["POST", true, lost("undelivered"), "acme_web_2"],
  ["POST", true, lost("broken"), "machine-unreached"],
  ["PATCH", true, lost("broken"), "machine-unreached"],
  ["POST", false, lost("undelivered"), "machine-unreached"],
] as const)("%s, replayable %s, after %o with another machine in the route: %s", (method, replayable, last, expected) => {
  expect(told(next(begin(method, replayable, 0, last), route(1, 2), 0, 0))).toBe(expected);
});

test.each([
  ["GET", "wait"],
  ["POST", "machine-unreached"],
] as const)("%s with no other machine than the one that failed: %s", (method, expected) => {
  expect(told(next(begin(method, true, 0, lost("undelivered")), route(1), 0, 0))).toBe(expected);
});

test("an idempotent request is held while no machine serves, and refused when it was held long enough; another is refused at once", () => {
  const nobody = { ...route(1), targets: route(1).targets.map((one) => ({ ...one, healthy: false })) };
  for (const none of [route(), nobody, null]) {
    expect(told(next(begin("GET", true, 0, null), none, 0, HOLD_MS - 1))).toBe("wait");
    expect(told(next(begin("GET", true, 0, null), none, 0, HOLD_MS))).toBe("no-machine");
    expect(told(next(begin("POST", true, 0, null), none, 0, 0))).toBe("no-machine");
  }
  expect(told(next(begin("POST", true, 0, null), route(3), 0, 0))).toBe("acme_web_3");
});

test("one other machine is tried at once; after that each try waits, up to the end of the hold", () => {
  const trip = begin("GET", true, 0, lost("broken"));
  expect(told(next(trip, route(1, 2), 0, 0))).toBe("acme_web_2");
  failed(trip, "acme_web_2", "broken");
  expect(told(next(trip, route(1, 2), 0, 0))).toBe("wait");
  trip.waited = true;
  expect(told(next(trip, route(1, 2), 0, 300))).toBe("acme_web_1");
  expect(told(next(trip, route(1, 2), 0, HOLD_MS))).toBe("machine-unreached");
});

test("a request that isn't idempotent is never sent a third time", () => {
  const trip = begin("POST", true, 0, lost("undelivered"));
  failed(trip, "acme_web_2", "undelivered");
  for (const waited of [false, true]) expect(told(next({ ...trip, waited }, route(3, 4), 0, 0))).toBe("machine-unreached");
});
