/** API keys at a workload's address: Auth is asked once a key, isolate and minute, by the key's hash. */
import type { Grant } from "../auth/keys";
import { sha256 } from "../shared/digest";
import { RecentMap } from "../shared/recent";

/** ms for which an answer is believed. A revoked key doesn't wait for it: its subject travels with the route. */
const KNOWN_MS = 60_000;
const UNKNOWN_MS = 5_000;
const KEYS = 4_096;
/** Characters of the longest key that is looked at; ours have 47. */
const LONGEST = 128;
export const KEY_PREFIX = "spk_";

export class ApiKeys {
  #granted = new RecentMap<string, { grant: Grant; until: number }>(KEYS);
  /** Keys that aren't ours fill a memory of their own, so that guesses push out no good one. */
  #refused = new RecentMap<string, number>(KEYS);

  /** `check` answers for a key's SHA-256 (hex). */
  constructor(private readonly check: (sha256: string) => Promise<Grant | null>) {}

  /** What a key may do; null for one that isn't known. Throws what `check` throws. */
  async grant(key: string, now = Date.now()): Promise<Grant | null> {
    if (key.length > LONGEST) return null;
    const hash = await sha256(key);
    const known = this.#granted.get(hash);
    if (known && now < known.until) return known.grant;
    if (now < (this.#refused.get(hash) ?? 0)) return null;
    const grant = await this.check(hash);
    if (grant) this.#granted.set(hash, { grant, until: now + KNOWN_MS });
    else this.#refused.set(hash, now + UNKNOWN_MS);
    return grant;
  }
}
