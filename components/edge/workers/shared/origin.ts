/**
 * Origin authentication: a header by which a machine knows that a request came through the edge.
 *
 * `x-spotlane-signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA-256 of `<t>.<placement>` under the placement's own key (the machine has it as
 * `SPOTLANE_ORIGIN_KEY`). A signature is used again for {@link RENEW_SECONDS}, so that a request costs no cryptography; an origin accepts it for a minute.
 */
import { hex } from "./digest";
import { generationOf, originOf, placementId } from "./ids";
import { RecentMap } from "./recent";
import type { Target } from "./route";

export const ORIGIN_SIGNATURE = "x-spotlane-signature";
const RENEW_SECONDS = 10;
const PLACEMENTS = 10_000;

interface Signed {
  key: CryptoKey;
  value: string;
  /** ms of the wall clock. */
  until: number;
}

export class OriginSigner {
  #signed = new RecentMap<string, Signed>(PLACEMENTS);

  /** `keys` gives a placement's key (hex); it is asked once a placement. */
  constructor(private readonly keys: (placement: string) => Promise<string>) {}

  /** The header's value; a string at once while the last one is young enough. `now` in ms. */
  header(placement: string, now = Date.now()): string | Promise<string> {
    const held = this.#signed.get(placement);
    return held && now < held.until ? held.value : this.#sign(placement, held?.key, now);
  }

  async #sign(placement: string, known: CryptoKey | undefined, now: number): Promise<string> {
    const key = known ?? (await this.#key(placement));
    const seconds = Math.floor(now / 1000);
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(`${seconds}.${placement}`)));
    const value = `t=${seconds},v1=${hex(mac)}`;
    this.#signed.set(placement, { key, value, until: now + RENEW_SECONDS * 1000 });
    return value;
  }

  async #key(placement: string): Promise<CryptoKey> {
    const hex = await this.keys(placement);
    const raw = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    return crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  }
}

/** Whether a target is a placement of this workload and its origin the one that such a placement registers. Nothing else is ever fetched. */
export function registered(target: Target, label: string, zone: string): boolean {
  const generation = generationOf(target.placement);
  return target.placement === placementId(label, generation) && target.origin === originOf(label, generation, zone);
}
