/** What an isolate believes of the routes, and for how long. No I/O, no clock: `now` is passed in, ms of the isolate's own clock. */
import { HARD_MS, type Known, LEASE_SECONDS } from "./route";

/** Workloads that an isolate remembers. One that was asked for lately is kept all the same: its revision is the floor under what comes next. */
const REMEMBERED = 20_000;
const FLOOR_MS = 2 * LEASE_SECONDS * 1000;

export interface Belief {
  known: Known;
  revision: number;
  /** The moment that it holds for. */
  at: number;
}

/** Whether one may still act by it. A clock that was set back by more ends every belief. */
export function holds({ at }: Belief, now: number): boolean {
  return now - at < HARD_MS && now - at > -HARD_MS;
}

export class Beliefs {
  readonly #held = new Map<string, Belief>();

  constructor(private readonly remembered = REMEMBERED) {}

  /** What is believed of a label, whether it still holds or not. */
  get(label: string): Belief | undefined {
    return this.#held.get(label);
  }

  /**
   * Takes an answer; what is believed then. Of two the one of the higher revision stays, with the later moment of both: no source that vouches for a moment
   * lacks what was acknowledged before it. That there is no route isn't believed twice: a workload's first route counts from its commit on.
   */
  keep(label: string, found: Belief, now: number): Belief {
    const held = this.#held.get(label);
    const newer = held && held.revision > found.revision ? held : found;
    const belief = { ...newer, at: Math.max(found.at, held?.at ?? found.at) };
    if (!belief.known.route) return found;
    this.#held.delete(label);
    this.#held.set(label, belief);
    for (const [oldest, { at }] of this.#held) {
      if (this.#held.size <= this.remembered || now - at < FLOOR_MS) break;
      this.#held.delete(oldest);
    }
    return belief;
  }
}
