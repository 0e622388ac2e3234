/** A region's router: the real HTTP Router with the region's replica near it and the authority as far away as the region is. */
import { WorkerEntrypoint } from "cloudflare:workers";
import router from "../../components/edge/workers/router/index";
import type { LookupEnv } from "../../components/edge/workers/shared/lookup";
import { cutting, distant, NEAR_MS, type Region, type Way } from "./distance";

interface Env extends LookupEnv {
  STORE: Fetcher;
  REGION: Region;
}

const far: Way = { oneWayMs: 0, cut: false };
const near: Way = { oneWayMs: NEAR_MS, cut: false };

/** The parts of Auth that a request to an anonymous workload needs. */
export class Keys extends WorkerEntrypoint {
  async jwks(): Promise<object> {
    return { keys: [], revoked: [] };
  }

  async checkKey(): Promise<null> {
    return null;
  }

  async originKey(placement: string): Promise<string> {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(placement));
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const cut = cutting(request, [far]);
    if (cut) return cut;
    far.oneWayMs = env.REGION.oneWayMs;
    // Requests of the benchmark come from nowhere: the region's replica is asked whatever their continent.
    const replicas = distant((name) => ({ namespace: env.REPLICAS, name: `${env.REGION.hint}-${name.split("-")[1]}`, way: near }));
    const authorities = distant((name) => ({ namespace: env.AUTHORITIES, name, way: far }));
    // miniflare's processes have no KV in common.
    const routes = { get: async (key: string) => (await env.STORE.fetch(`http://store/?key=${encodeURIComponent(key)}`)).json() };
    const fetch = router.fetch as unknown as (request: Request, env: unknown, ctx: ExecutionContext) => Promise<Response>;
    return fetch(request, { ...env, REPLICAS: replicas, AUTHORITIES: authorities, ROUTES: routes }, ctx);
  },
} satisfies ExportedHandler<Env>;
