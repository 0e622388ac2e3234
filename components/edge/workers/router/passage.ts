/** A request's way to a machine: tried, held, sent to another one, or refused, as {@link next} decides. */
import { pick } from "../shared/lookup";
import { registered } from "../shared/origin";
import type { Route, Target } from "../shared/route";
import type { Address } from "./address";
import { keep, type Kept, reach, type Send } from "./forwarding";
import { answered, sign } from "./headers";
import type { Answer } from "./pages";
import { begin, failed, type Failure, HOLD_STEP_MS, next, type Trip } from "./retry";

export interface Passage {
  address: Address;
  zone: string;
  /** What every machine is told; each try adds its own signature. */
  headers: Headers;
  /** NaN where the request doesn't say. */
  contentLength: number;
  send: Send;
  /** The origin signature for a placement, at once where there is one. */
  sign(placement: string): string | Promise<string>;
  /** The route as it is known now; `fresh` passes the caches by. */
  look(fresh: boolean): Promise<Route | null>;
  refuse(what: Answer, detail?: string): Response;
}

const NO_MACHINE: Answer = { status: 503, word: "no-machine", title: "No machine serves this workload now", headers: { "retry-after": "5" } };
const UNREACHED: Answer = { status: 502, word: "machine-unreached", title: "The workload's machine can't be reached", headers: { "retry-after": "1" } };
const LATE: Answer = { status: 504, word: "machine-late", title: "The workload's machine did not answer in time" };
const FOREIGN: Answer = { status: 502, word: "origin-refused", title: "The workload's origin is not one that a placement registered" };
const UNSIGNED: Answer = { status: 503, word: "auth-unavailable", title: "The request can't be signed for its machine now", headers: { "retry-after": "2" } };

export async function pass(request: Request, first: Route, passage: Passage): Promise<Response> {
  const kept: Kept = request.body === null ? null : await keep(request, passage.contentLength);
  const target = pick(first, Math.random());
  const outcome = target && (await attempt(request, kept, target, passage));
  return outcome instanceof Response ? outcome : again(request, kept, outcome ? { placement: (target as Target).placement, failure: outcome } : null, passage);
}

/** The way of a request that no machine has answered. */
async function again(request: Request, kept: Kept, last: Trip["last"], passage: Passage): Promise<Response> {
  const trip = begin(request.method, kept !== undefined, performance.now(), last);
  // Forced once; then what commits push to the region is soon enough, and a crowd that waits asks no authority.
  let route = await passage.look(true);
  for (;;) {
    const step = next(trip, route, Math.random(), performance.now());
    if (step.kind === "refuse") return passage.refuse(step.why === "no-machine" ? NO_MACHINE : UNREACHED, passage.address.label);
    if (step.kind === "send") {
      const outcome = await attempt(request, kept, step.target, passage);
      if (outcome instanceof Response) return outcome;
      failed(trip, step.target.placement, outcome);
    } else {
      await new Promise((resolve) => setTimeout(resolve, HOLD_STEP_MS));
      trip.waited = true;
    }
    route = await passage.look(false);
  }
}

async function attempt(request: Request, kept: Kept, target: Target, passage: Passage): Promise<Response | Failure> {
  const { address, zone, headers, send, refuse } = passage;
  const { label, path } = address;
  if (!registered(target, label, zone)) {
    console.error(`route of ${label}: the target of placement ${target.placement} has an origin that isn't its own; refused`);
    return refuse(FOREIGN, label);
  }
  const signature = passage.sign(target.placement);
  try {
    sign(headers, typeof signature === "string" ? signature : await signature);
  } catch {
    return refuse(UNSIGNED, label);
  }
  const outcome = await reach(send, target, path, request, headers, kept);
  if (outcome === "late") return refuse(LATE, label);
  return typeof outcome === "string" ? outcome : answered(outcome.answer, outcome.body, target.placement, target.origin, address);
}
