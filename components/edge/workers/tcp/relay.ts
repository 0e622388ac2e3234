/**
 * Mode A: connections that Spectrum hands to a Worker, joined with the machine that serves now. An open one keeps its machine until the drain ends.
 *
 * A connection doesn't say which address it came in on (workerd gives no `localAddress`), so the Worker is told the one that it serves.
 */
import { connect } from "cloudflare:sockets";
import { isLabel } from "../shared/ids";
import { type LookupEnv, pick } from "../shared/lookup";
import type { Route } from "../shared/route";

export interface TcpEnv extends LookupEnv {
  ZONE: string;
  /** `tcp-<label>.workloads.<zone>:<port>` where Spectrum hands that address's connections to this Worker; unset, none is taken. */
  TCP_ADDRESS?: string;
}

/** The label and port of `tcp-<label>.workloads.<zone>:<port>`; null for any other address. */
export function addressed(address: string, zone: string): { label: string; port: number } | null {
  const [host = "", port = ""] = address.split(":");
  const suffix = `.workloads.${zone}`;
  if (!host.startsWith("tcp-") || !host.endsWith(suffix)) return null;
  const label = host.slice("tcp-".length, -suffix.length);
  return isLabel(label) && /^[0-9]+$/.test(port) ? { label, port: Number(port) } : null;
}

export async function relay(client: Socket, env: TcpEnv, route: (label: string) => Promise<Route | null>, dial: typeof connect = connect): Promise<void> {
  const served = addressed(env.TCP_ADDRESS ?? "", env.ZONE);
  const found = served && (await route(served.label).catch(() => null));
  const target = found && pick(found, Math.random());
  if (!served || !target?.tcpOrigin) return client.close();
  const machine = dial({ hostname: target.tcpOrigin, port: served.port }, { allowHalfOpen: true, secureTransport: "off" });
  const joined = Promise.all([client.readable.pipeTo(machine.writable), machine.readable.pipeTo(client.writable)]);
  await joined.catch(() => Promise.allSettled([client.close(), machine.close()]));
}
