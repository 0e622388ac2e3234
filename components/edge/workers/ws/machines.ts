/** Which machine a session belongs to: where the route leads, and the connection to it. */
import { Lookup, type LookupEnv, pick } from "../shared/lookup";
import { OriginSigner } from "../shared/origin";
import type { Route } from "../shared/route";
import type { Auth } from "../shared/services";
import { connect, type Handshake, isOriginOf, pause, type Upstream } from "./upstream";

export interface GatewayEnv extends LookupEnv {
  AUTH: Auth;
  ZONE: string;
  /** A client certificate that origins ask for (mTLS), where one is set up. */
  ORIGIN_TLS?: Fetcher;
}

const STEP_MS = 250;

/** One view of the routes for all sessions of the isolate: however many there are, a label is asked for once in a while. */
const lookup = new Lookup();
let signer: OriginSigner | null = null;

export class Machines {
  #seen = 0;
  readonly #asker: Request;

  /** `continent` is where the client's connection came in, in Cloudflare's words: the replica near it is asked. */
  constructor(
    private readonly env: GatewayEnv,
    readonly label: string,
    continent: string | null,
    private readonly later: (work: Promise<unknown>) => void,
  ) {
    this.#asker = new Request(`https://${label}.workloads.${env.ZONE}/`, { cf: continent ? { continent } : {} } as RequestInit);
    signer ??= new OriginSigner((placement) => env.AUTH.originKey(placement));
  }

  /** The route as it stands; null where there is none or it can't be read. */
  async route(fresh = false): Promise<Route | null> {
    return lookup.route(this.label, this.env, this.#asker, this.later, fresh).catch(() => null);
  }

  /** The route, where it has left `placement` since it was last looked at. */
  async movedFrom(placement: string): Promise<Route | null> {
    const route = await this.route();
    const moved = route && route.version > this.#seen && !route.targets.some((target) => target.placement === placement);
    if (route && !moved) this.#seen = Math.max(this.#seen, route.version);
    return moved ? route : null;
  }

  /**
   * A connection to a machine that serves, waited for until `limitMs` have passed or `stop` says so; null where none came. A machine that refuses
   * the upgrade answers for itself where `refusals` are asked for, and is asked again else.
   */
  async connect(handshake: Handshake, limitMs: number, stop: () => boolean, refusals: true): Promise<Upstream | Response | null>;
  async connect(handshake: Handshake, limitMs: number, stop: () => boolean, refusals?: false): Promise<Upstream | null>;
  async connect(handshake: Handshake, limitMs: number, stop: () => boolean, refusals = false): Promise<Upstream | Response | null> {
    const limit = Date.now() + limitMs;
    let failed: string | undefined;
    for (let fresh = false; !stop(); fresh = true) {
      const route = await this.route(fresh);
      const target = route && pick(route, Math.random(), failed);
      if (route && target && isOriginOf(this.label, this.env.ZONE, target.origin)) {
        failed = target.placement;
        const found = await connect(target, handshake, signer as OriginSigner, this.env.ORIGIN_TLS?.fetch.bind(this.env.ORIGIN_TLS) ?? fetch);
        if (found && (!(found instanceof Response) || refusals)) {
          this.#seen = route.version;
          return found;
        }
      }
      if (Date.now() > limit) return null;
      await pause(STEP_MS);
    }
    return null;
  }
}
