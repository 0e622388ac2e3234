/**
 * What is done with a request next. A machine that can't be reached costs one forced look at the routes and one try of another machine at once;
 * while no machine serves, an idempotent request is held and tried in steps. A request that may have arrived is repeated only if that changes nothing.
 */
import { pick } from "../shared/lookup";
import type { Route, Target } from "../shared/route";

/** How long an idempotent request waits for a machine while none serves, and between two looks; ms. */
export const HOLD_MS = 10_000;
export const HOLD_STEP_MS = 250;
/** RFC 9110, section 9.2.2; TRACE isn't served. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** `undelivered`: it never left Cloudflare's network. `broken`: it may have arrived. */
export type Failure = "undelivered" | "broken";

export interface Trip {
  idempotent: boolean;
  /** Whether the body can be sent a second time. */
  replayable: boolean;
  /** ms of a clock that only grows. */
  begunAt: number;
  failures: number;
  last: { placement: string; failure: Failure } | null;
  /** Whether there was a wait since the last failure. */
  waited: boolean;
}

export type Step = { kind: "send"; target: Target } | { kind: "wait" } | { kind: "refuse"; why: "no-machine" | "machine-unreached" };

export function begin(method: string, replayable: boolean, now: number): Trip {
  return { idempotent: IDEMPOTENT.has(method), replayable, begunAt: now, failures: 0, last: null, waited: false };
}

export function failed(trip: Trip, placement: string, failure: Failure): void {
  trip.failures += 1;
  trip.last = { placement, failure };
  trip.waited = false;
}

/** The next step by the route as it is known now; `random` in [0, 1). */
export function next(trip: Trip, route: Route | null, random: number, now: number): Step {
  const target = route && pick(route, random, trip.last?.placement);
  const repeatable = trip.idempotent && trip.replayable;
  const holds = repeatable && now - trip.begunAt < HOLD_MS;
  if (!target) return holds ? { kind: "wait" } : { kind: "refuse", why: "no-machine" };
  const { last } = trip;
  if (last === null) return { kind: "send", target };
  const first = trip.failures === 1 && target.placement !== last.placement;
  if (first && (repeatable || (trip.replayable && last.failure === "undelivered"))) return { kind: "send", target };
  if (!holds) return { kind: "refuse", why: "machine-unreached" };
  return trip.waited ? { kind: "send", target } : { kind: "wait" };
}
