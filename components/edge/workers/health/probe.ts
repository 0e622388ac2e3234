/** One check of a machine, through its tunnel and with the edge's signature. */
import { ORIGIN_SIGNATURE, type OriginSigner } from "../shared/origin";
import type { Watch } from "../shared/services";

/** The word that goes with a failed check: `HTTP 503`, `timed out`, `unreachable`. */
export type Verdict = { healthy: true } | { healthy: false; why: string };

/**
 * HTTP: 2xx at the health path in time. TCP: the tunnel's WebSocket to the TCP service opens in time, which it does only once the connector has
 * connected to the service's port.
 */
export async function probe(watch: Watch, signer: OriginSigner): Promise<Verdict> {
  const tcp = watch.health.protocol === "tcp";
  if (tcp && watch.tcpOrigin === null) return { healthy: false, why: "the placement serves no TCP" };
  const address = tcp ? `https://${watch.tcpOrigin}/` : watch.origin + watch.health.path;
  try {
    const headers: Record<string, string> = { "user-agent": "spotlane-health", "x-spotlane-probe": watch.placement, [ORIGIN_SIGNATURE]: await signer.header(watch.placement) };
    if (tcp) headers.upgrade = "websocket";
    const answer = await fetch(address, { headers, signal: AbortSignal.timeout(watch.health.timeoutSeconds * 1000), redirect: "manual" });
    if (!tcp) {
      await answer.body?.cancel();
      return answer.ok ? { healthy: true } : { healthy: false, why: `HTTP ${answer.status}` };
    }
    if (!answer.webSocket) {
      await answer.body?.cancel();
      return { healthy: false, why: `no connection (${answer.status})` };
    }
    answer.webSocket.accept();
    answer.webSocket.close(1000);
    return { healthy: true };
  } catch (error) {
    return { healthy: false, why: (error as Error).name === "TimeoutError" ? "timed out" : "unreachable" };
  }
}
