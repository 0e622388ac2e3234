/** Token buckets by name, in memory: an object that begins anew begins with full ones. */

const MOST = 20_000;

interface Bucket {
  level: number;
  at: number;
}

export class Buckets {
  #held = new Map<string, Bucket>();

  /** `burst` at once, `perSecond` in the long run. */
  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
  ) {}

  /** Takes one; 0, or the seconds after which there is one again. `now` in ms. */
  take(name: string, now: number): number {
    const held = this.#held.get(name);
    const level = held ? this.#level(held, now) : this.burst;
    if (level < 1) return Math.ceil((1 - level) / this.perSecond);
    this.#held.delete(name);
    if (this.#held.size >= MOST) this.#forget(now);
    this.#held.set(name, { level: level - 1, at: now });
    return 0;
  }

  #level({ level, at }: Bucket, now: number): number {
    return Math.min(this.burst, level + (Math.max(now - at, 0) / 1000) * this.perSecond);
  }

  /** Full ones say nothing; where that isn't enough, those that were asked longest ago go. */
  #forget(now: number): void {
    for (const [name, bucket] of this.#held) if (this.#level(bucket, now) >= this.burst) this.#held.delete(name);
    for (const name of this.#held.keys()) {
      if (this.#held.size < MOST) return;
      this.#held.delete(name);
    }
  }
}
