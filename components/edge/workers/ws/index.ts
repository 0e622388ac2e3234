/** The WebSocket Gateway: a session object for each connection. The router has admitted the request. */
import type { LookupEnv } from "../shared/lookup";
import { problem } from "../shared/problem";

export { WsSession } from "./session";

interface Env extends LookupEnv {
  SESSIONS: DurableObjectNamespace;
  ZONE: string;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { hostname } = new URL(request.url);
    const suffix = `.workloads.${env.ZONE}`;
    if (!hostname.endsWith(suffix)) return problem(404, "unknown-host", "No workload has this address", hostname);
    const onward = new Request(request);
    onward.headers.set("x-spotlane-label", hostname.slice(0, -suffix.length));
    return env.SESSIONS.get(env.SESSIONS.newUniqueId()).fetch(onward);
  },
} satisfies ExportedHandler<Env>;
