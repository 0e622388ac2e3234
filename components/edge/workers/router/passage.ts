/** A request's way to a machine: tried, held, sent to another one, or refused, as {@link next} decides. */
import { registered } from "../shared/origin";
import type { Route } from "../shared/route";
import type { Address } from "./address";
import { addressed, keep, type Kept, reach, type Send } from "./forwarding";
import { answered, sign } from "./headers";
import type { Answer } from "./pages";
import { begin, failed, HOLD_STEP_MS, next } from "./retry";

export interface Passage {
  address: Address;
  zone: string;
  /** Makes a copy of the client's headers what every machine is told; each try adds its own signature. */
  dress(headers: Headers): void;
  /** Whether the client asks which placement answered. */
  traced: boolean;
  /** NaN where the request doesn't say. */
  contentLength: number;
  send: Send;
  /** The origin signature for a placement, at once where there is one. */
  sign(placement: string): string | Promise<string>;
  /** The route as this isolate holds it now, null where it must be looked for. */
  held(): Route | null;
  /** The route as it is found now; `fresh` passes the caches by. */
  look(fresh: boolean): Promise<Route | null>;
  refuse(what: Answer, detail?: string): Response;
}

const NO_MACHINE: Answer = { status: 503, word: "no-machine", title: "No machine serves this workload now", headers: { "retry-after": "5" } };
const UNREACHED: Answer = { status: 502, word: "machine-unreached", title: "The workload's machine can't be reached", headers: { "retry-after": "1" } };
const LATE: Answer = { status: 504, word: "machine-late", title: "The workload's machine did not answer in time" };
const FOREIGN: Answer = { status: 502, word: "origin-refused", title: "The workload's origin is not one that a placement registered" };
const UNSIGNED: Answer = { status: 503, word: "auth-unavailable", title: "The request can't be signed for its machine now", headers: { "retry-after": "2" } };

export async function pass(request: Request, passage: Passage): Promise<Response> {
  const { refuse } = passage;
  const { label } = passage.address;
  const kept: Kept = request.body === null ? null : await keep(request, passage.contentLength);
  const trip = begin(request.method, kept !== undefined, performance.now());
  // Forced once; then what commits push to the region is soon enough, and a crowd that waits asks no authority.
  for (let fresh = false, looked = false; ; ) {
    // Nothing is awaited between this look and the send by it: the drain gate counts on that.
    const route = fresh ? await passage.look(true) : (passage.held() ?? (await passage.look(false)));
    const step = next(trip, route, Math.random(), performance.now());
    if (step.kind === "refuse") return refuse(step.why === "no-machine" ? NO_MACHINE : UNREACHED, label);
    if (step.kind === "send") {
      const { target } = step;
      if (!registered(target, label, passage.zone)) {
        console.error(`route of ${label}: the target of placement ${target.placement} has an origin that isn't its own; refused`);
        return refuse(FOREIGN, label);
      }
      const signature = passage.sign(target.placement);
      if (typeof signature !== "string") {
        if (!(await signature.catch(() => null))) return refuse(UNSIGNED, label);
        fresh = false;
        continue;
      }
      const onward = addressed(target, passage.address.path, request, kept);
      passage.dress(onward.headers);
      sign(onward.headers, signature);
      const outcome = await reach(passage.send, onward);
      if (outcome === "late") return refuse(LATE, label);
      if (typeof outcome !== "string") return answered(outcome.answer, outcome.body, passage.traced ? target.placement : null, target.origin, passage.address);
      failed(trip, target.placement, outcome);
    } else if (looked) {
      await new Promise((resolve) => setTimeout(resolve, HOLD_STEP_MS));
      trip.waited = true;
    }
    fresh = !looked;
    looked = true;
  }
}
