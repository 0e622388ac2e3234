/** What one replica is told of a tenant, until it has it or can't answer any more. */
import type { Delta } from "../shared/route";

/** A push that isn't answered is sent again beside the first after this long, ms, then at twice the pause: to take a delta twice is to take it once. */
const AGAIN_MS = 350;
const AGAIN_AT_MOST_MS = 2_000;

export class Delivery {
  readonly #waiting = new Set<{ revision: number; resolve: () => void }>();

  /** `has`: what the replica is known to hold. `since` reads a delta, `send` brings it there. */
  constructor(
    private has: number,
    private readonly since: (from: number) => Delta,
    private readonly send: (delta: Delta) => Promise<void>,
  ) {}

  /** The replica holds this revision, or answers by nothing below it. */
  heard(revision: number): void {
    this.has = Math.max(this.has, revision);
    for (const one of this.#waiting)
      if (one.revision <= this.has) {
        this.#waiting.delete(one);
        one.resolve();
      }
  }

  /** Resolves when the replica has a revision (true), or when it is `until` (false). Never throws. */
  async settled(revision: number, until: number): Promise<boolean> {
    const hearing = new Promise<void>((resolve) => {
      this.#waiting.add({ revision, resolve });
      this.heard(this.has);
    });
    for (let pause = AGAIN_MS; this.has < revision && Date.now() < until; pause = Math.min(pause * 2, AGAIN_AT_MOST_MS)) {
      void this.#push();
      await Promise.race([hearing, new Promise((resolve) => setTimeout(resolve, Math.min(pause, Math.max(until - Date.now(), 0))))]);
    }
    return this.has >= revision;
  }

  async #push(): Promise<void> {
    const delta = this.since(this.has);
    try {
      await this.send(delta);
      this.heard(delta.revision);
    } catch {
      // It is sent again, until the lease has run out.
    }
  }
}
