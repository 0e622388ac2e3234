/** Cloudflare Tunnel on loopback: which machine stands behind a public hostname now. */
import type { State, Store, Tunnel } from "./state.js";

/** A connector says every second where it is; this long after its last word (ms) its tunnel has no connector. */
const CONNECTOR_TTL_MS = 5000;
const CNAME_TARGET = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.cfargotunnel\.com$/;

export interface Origin {
  address: string;
  port: number;
  protocol: "http" | "tcp";
}

export interface Connector {
  address: string;
  connectedAt: number;
  seenAt: number;
}

/** Token of `cloudflared tunnel run`: base64 of `{"a": account, "t": tunnel id, "s": secret}`. */
export function tokenOf(tunnel: Tunnel): string {
  return Buffer.from(JSON.stringify({ a: tunnel.account_tag, t: tunnel.id, s: tunnel.secret })).toString("base64");
}

function tunnelOf(token: unknown): { t: string; s: string } | null {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(String(token), "base64").toString("utf8"));
    return parsed as { t: string; s: string };
  } catch {
    return null;
  }
}

/** CNAMEs into tunnels by host; wildcards are not part of our names. */
function tunnelHosts(state: Pick<State, "dns">): Map<string, string> {
  const hosts = new Map<string, string>();
  for (const { type, name, content } of Object.values(state.dns)) {
    const tunnel = type === "CNAME" ? CNAME_TARGET.exec(content)?.[1] : undefined;
    if (tunnel) hosts.set(name, tunnel);
  }
  return hosts;
}

export class Tunnels {
  #connectors = new Map<string, Connector>();
  #hosts: Map<string, string>;

  constructor(
    private readonly store: Store,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.#hosts = tunnelHosts(store.now);
    store.onChange((state) => {
      this.#hosts = tunnelHosts(state);
      for (const id of this.#connectors.keys()) if (!state.tunnels[id]) this.#connectors.delete(id);
    });
  }

  /** A connector's word; false for a token of no tunnel. */
  connect(token: unknown, address: string): boolean {
    const claim = tunnelOf(token);
    const tunnel = claim ? this.store.now.tunnels[claim.t] : undefined;
    if (!claim || !tunnel || tunnel.secret !== claim.s) return false;
    const before = this.connector(tunnel.id);
    const now = this.clock();
    this.#connectors.set(tunnel.id, { address, connectedAt: before?.address === address ? before.connectedAt : now, seenAt: now });
    return true;
  }

  /** The live connector of a tunnel. */
  connector(id: string): Connector | undefined {
    const connector = this.#connectors.get(id);
    return connector && this.clock() - connector.seenAt <= CONNECTOR_TTL_MS ? connector : undefined;
  }

  /** The origin of `host`, or Cloudflare's code: 1016 the host has no tunnel, 1033 the tunnel has no connector, 404 no ingress rule takes it. */
  resolve(host: string): Origin | 1016 | 1033 | 404 {
    const id = this.#hosts.get(host);
    if (!id) return 1016;
    const tunnel = this.store.now.tunnels[id];
    const connector = tunnel && this.connector(id);
    if (!connector) return 1033;
    const rule = tunnel.config?.config.ingress?.find(({ hostname }) => !hostname || hostname === host || (hostname.startsWith("*.") && host.endsWith(hostname.slice(1))));
    const service = rule && /^(https?|tcp):\/\/(?:localhost|127\.0\.0\.1)(?::([0-9]+))?$/.exec(rule.service);
    if (!service) return 404;
    const protocol = service[1] === "tcp" ? "tcp" : "http";
    return { address: connector.address, port: Number(service[2] ?? (service[1] === "https" ? 443 : 80)), protocol };
  }
}
