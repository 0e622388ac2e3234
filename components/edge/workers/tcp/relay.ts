/** Mode A: a connection that Spectrum hands to the Worker, joined with one to the machine that serves now. An open one keeps its machine until the drain ends. */
import { connect } from "cloudflare:sockets";
import { isLabel } from "../shared/ids";
import { type LookupEnv, pick } from "../shared/lookup";
import type { Route } from "../shared/route";

export interface TcpEnv extends LookupEnv {
  ZONE: string;
  /** `worker` where the zone may send Spectrum's connections to a Worker; else they are refused here. */
  TCP_MODE?: string;
}

/** The label of `tcp-<label>.workloads.<zone>:<port>`, and the port; null for any other address. */
export function addressed(address: string, zone: string): { label: string; port: number } | null {
  const [host = "", port = ""] = address.split(":");
  const suffix = `.workloads.${zone}`;
  if (!host.startsWith("tcp-") || !host.endsWith(suffix)) return null;
  const label = host.slice("tcp-".length, -suffix.length);
  return isLabel(label) && /^[0-9]+$/.test(port) ? { label, port: Number(port) } : null;
}

export async function relay(client: Socket, env: TcpEnv, route: (label: string) => Promise<Route | null>): Promise<void> {
  const { localAddress } = await client.opened;
  const wanted = env.TCP_MODE === "worker" && localAddress ? addressed(localAddress, env.ZONE) : null;
  const found = wanted && (await route(wanted.label).catch(() => null));
  const target = found && pick(found, Math.random());
  if (!wanted || !target?.tcpOrigin) return client.close();
  const machine = connect({ hostname: target.tcpOrigin, port: wanted.port }, { allowHalfOpen: true, secureTransport: "off" });
  await Promise.all([client.readable.pipeTo(machine.writable), machine.readable.pipeTo(client.writable)]).catch(() => Promise.all([client.close(), machine.close()]));
}
