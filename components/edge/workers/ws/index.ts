/** The WebSocket Gateway: a session object for each client. It has no public route: the router has admitted the request. */
import { isLabel } from "../shared/ids";
import { problem } from "../shared/problem";
import { offerOf } from "./frames";
import { HANDSHAKE_BYTES } from "./limits";
import type { GatewayEnv } from "./machines";
import { refused } from "./session";

export { WsSession } from "./session";

interface Env extends GatewayEnv {
  SESSIONS: DurableObjectNamespace;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { hostname, pathname, search } = new URL(request.url);
    const suffix = `.workloads.${env.ZONE}`;
    if (!hostname.endsWith(suffix) || !isLabel(hostname.slice(0, -suffix.length))) return problem(404, "unknown-host", "No workload has this address", hostname);
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return problem(426, "not-a-websocket", "This is a WebSocket", "", { upgrade: "websocket" });
    const size = [...request.headers].reduce((sum, [name, value]) => sum + name.length + value.length, pathname.length + search.length);
    if (size > HANDSHAKE_BYTES) return problem(431, "headers-too-large", "The upgrade's headers are too large", `at most ${HANDSHAKE_BYTES} bytes`);
    const { resumes, resumption } = offerOf(request.headers.get("sec-websocket-protocol"));
    const id = resumes && resumption ? session(env.SESSIONS, resumption) : env.SESSIONS.newUniqueId();
    return id ? env.SESSIONS.get(id).fetch(request) : refused();
  },
} satisfies ExportedHandler<Env>;

/** The object of a token; null for a token that none of ours made. */
function session(sessions: DurableObjectNamespace, resumption: { session: string } | "malformed"): DurableObjectId | null {
  try {
    return resumption === "malformed" ? null : sessions.idFromString(resumption.session);
  } catch {
    return null;
  }
}
