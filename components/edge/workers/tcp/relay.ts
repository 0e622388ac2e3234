/**
 * Mode A: connections that Spectrum hands to a Worker, joined with the machine that serves now. An open one keeps its machine until that has left the
 * route for the drain's length.
 *
 * A connection doesn't say which address it came in on (workerd gives no `localAddress`), so the Worker is told the one that it serves; nor who the client
 * is, so that a service that expects the PROXY protocol is told that it isn't known.
 */
import { isLabel } from "../shared/ids";
import { type LookupEnv, pick } from "../shared/lookup";
import type { Route } from "../shared/route";
import { openTunnel, type Stream } from "./tunnel";

export interface TcpEnv extends LookupEnv {
  ZONE: string;
  /** `tcp-<label>.workloads.<zone>:<port>` where Spectrum hands that address's connections to this Worker; unset, none is taken. */
  TCP_ADDRESS?: string;
}

/** How often an open connection's route is looked at, ms. */
const LOOK_MS = 1_000;
const ATTEMPTS = 2;
/** The PROXY protocol's headers for a connection whose ends are not told (versions 1 and 2, section 2). */
const UNKNOWN_CLIENT = { v1: "PROXY UNKNOWN\r\n", v2: "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" };

/** The label and port of `tcp-<label>.workloads.<zone>:<port>`; null for any other address. */
export function addressed(address: string, zone: string): { label: string; port: number } | null {
  const [host = "", port = ""] = address.split(":");
  const suffix = `.workloads.${zone}`;
  if (!host.startsWith("tcp-") || !host.endsWith(suffix)) return null;
  const label = host.slice("tcp-".length, -suffix.length);
  return isLabel(label) && /^[0-9]+$/.test(port) ? { label, port: Number(port) } : null;
}

type Routes = (label: string, fresh: boolean) => Promise<Route | null>;

export async function relay(client: Socket, env: TcpEnv, routes: Routes, open: (host: string) => Promise<Stream> = openTunnel): Promise<void> {
  const served = addressed(env.TCP_ADDRESS ?? "", env.ZONE);
  const reached = served && (await reach(served.label, routes, open));
  if (!served || !reached) return client.close();
  const { placement, machine } = reached;
  const end = (): unknown => Promise.allSettled([client.close(), machine.close()]);
  let joined = true;
  const both = Promise.all([client.readable.pipeTo(machine.writable), machine.readable.pipeTo(client.writable)])
    .catch(end)
    .finally(() => {
      joined = false;
    });
  await Promise.race([both, drained(served.label, placement, routes, () => joined)]);
  if (joined) await end();
}

async function reach(label: string, routes: Routes, open: (host: string) => Promise<Stream>): Promise<{ placement: string; machine: Stream } | null> {
  let failed: string | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const route = await routes(label, attempt > 1).catch(() => null);
    const target = route && pick(route, Math.random(), failed);
    if (!target?.tcpOrigin) continue;
    failed = target.placement;
    const machine = await open(target.tcpOrigin).catch(() => null);
    if (!machine) continue;
    if (target.proxyProtocol && target.proxyProtocol !== "off") {
      const writer = machine.writable.getWriter();
      await writer.write(Uint8Array.from(UNKNOWN_CLIENT[target.proxyProtocol], (character) => character.charCodeAt(0)));
      writer.releaseLock();
    }
    return { placement: target.placement, machine };
  }
  return null;
}

/** Resolves once the placement has been out of the route for the drain's length, or the connection has ended. A route that can't be read changes nothing. */
async function drained(label: string, placement: string, routes: Routes, joined: () => boolean): Promise<void> {
  let left: number | null = null;
  while (joined()) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const route = await routes(label, false).catch(() => undefined);
    if (route === undefined) continue;
    if (route?.targets.some((target) => target.placement === placement)) left = null;
    else left ??= Date.now();
    if (left !== null && Date.now() - left >= (route?.drainSeconds ?? 0) * 1000) return;
  }
}
