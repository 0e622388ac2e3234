/**
 * Spectrum: a TCP listener for each application, on a loopback address of its own, that plays the relay of TCP mode B as well (components/relay).
 *
 * For each new connection it asks the tcp Worker for the label's route, takes a healthy target by weight, resolves it through the tunnel map and pipes. An
 * open connection keeps its machine until that has been out of the route for the drain's length. An application with `origin_direct` goes straight to that
 * origin, with the PROXY header that the application asks for; behind the relay the machine gets the header that its service expects.
 */
import net from "node:net";
import http from "node:http";
import { type ProxyProtocol, proxyHeader } from "./proxy-protocol.js";
import type { SpectrumApp, State, Store } from "./state.js";
import type { Tunnels } from "./tunnels.js";

/** ms that a route is kept for further connections; a moved route is followed within this and the look-up. */
const ROUTE_TTL_MS = 300;
const LOOKUP_TIMEOUT_MS = 5000;
const ATTEMPTS = 3;
const RETRY_MS = 200;
/** How often the routes of open connections are looked at, and how long after its orderly end one is reset, ms. */
const SWEEP_MS = 500;
const GRACE_MS = 5000;

interface Target {
  placement: string;
  origin: string;
  weight: number;
  healthy: boolean;
  proxyProtocol: ProxyProtocol;
}

interface Route {
  version: number;
  targets: Target[];
  drainSeconds: number;
}

interface Open {
  client: net.Socket;
  upstream: net.Socket;
  app: SpectrumApp;
  placement: string;
  /** When its machine has drained, and when it was ended in order; ms. */
  leavesAt: number | null;
  endedAt: number | null;
}

interface Listener {
  server: net.Server;
  address: string;
  port: number;
}

/** Port of an application's `tcp/<port>` protocol. */
export function portOf(app: Pick<SpectrumApp, "protocol">): number {
  return Number(app.protocol.split("/")[1]);
}

/** The lowest free address of 127.20.0.0/16, from 127.20.0.1 on. */
export function nextAddress(state: Pick<State, "spectrum">): string {
  const taken = new Set(Object.values(state.spectrum).map(({ edge_address }) => edge_address));
  for (let number = 1; number < 65_535; number += 1) {
    const address = `127.20.${number >> 8}.${number & 255}`;
    if (!taken.has(address)) return address;
  }
  throw new Error("127.20.0.0/16 has no free address for another Spectrum application");
}

export class Spectrum {
  #listeners = new Map<string, Listener>();
  #routes = new Map<string, { route: Route; until: number }>();
  #open = new Set<Open>();
  #sweeping: NodeJS.Timeout | null = null;
  #closing = false;

  constructor(
    private readonly store: Store,
    private readonly tunnels: Tunnels,
    private readonly edgePort: number,
  ) {
    store.onChange(() => this.apply());
  }

  /** Brings the listeners in line with the applications; connections of a removed one go on until they end. */
  apply(): void {
    if (this.#closing) return;
    const apps = this.store.now.spectrum;
    for (const [id, listener] of this.#listeners) {
      const app = apps[id];
      if (app && app.edge_address === listener.address && portOf(app) === listener.port) continue;
      listener.server.close();
      this.#listeners.delete(id);
    }
    for (const app of Object.values(apps)) {
      if (this.#listeners.has(app.id)) continue;
      const server = net.createServer({ allowHalfOpen: true }, (socket) => void this.#relay(app.id, socket));
      const listener = { server, address: app.edge_address, port: portOf(app) };
      server.on("error", (error) => {
        process.stderr.write(`edge: spectrum ${app.dns.name}: ${error.message}\n`);
        if (this.#listeners.get(app.id) === listener) this.#listeners.delete(app.id);
      });
      server.listen(listener.port, listener.address);
      this.#listeners.set(app.id, listener);
    }
  }

  /** Address and port of the listener for a public TCP host. */
  listener(host: string): { address: string; port: number } | undefined {
    const app = Object.values(this.store.now.spectrum).find(({ dns }) => dns.name === host);
    return app && { address: app.edge_address, port: portOf(app) };
  }

  close(): void {
    this.#closing = true;
    if (this.#sweeping) clearInterval(this.#sweeping);
    for (const { server } of this.#listeners.values()) server.close();
  }

  async #relay(id: string, client: net.Socket): Promise<void> {
    client.pause();
    client.setNoDelay(true);
    client.on("error", () => client.destroy());
    const app = this.store.now.spectrum[id];
    if (!app) return void client.destroy();
    const source = { address: client.remoteAddress ?? "", port: client.remotePort ?? 0 };
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      try {
        const target = await this.#target(app, attempt > 1);
        const upstream = await dial(target.address, target.port);
        const header = proxyHeader(target.header, source, { address: app.edge_address, port: portOf(app) });
        if (header.length > 0) upstream.write(header);
        this.#keep({ client, upstream, app, placement: target.placement, leavesAt: null, endedAt: null });
        return;
      } catch (error) {
        if (attempt === ATTEMPTS) process.stderr.write(`edge: spectrum ${app.dns.name}: ${(error as Error).message}\n`);
        else await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt));
      }
    }
    client.resetAndDestroy();
  }

  #keep(open: Open): void {
    join(open.client, open.upstream);
    if (open.placement === "") return;
    this.#open.add(open);
    open.client.once("close", () => this.#open.delete(open));
    this.#sweeping ??= setInterval(() => void this.#sweep(), SWEEP_MS).unref();
  }

  /** Ends connections whose machine has left the route for long enough: in order, then by a reset. A route that can't be read changes nothing. */
  async #sweep(): Promise<void> {
    const apps = new Map([...this.#open].map(({ app }) => [app.dns.name, app]));
    await Promise.all([...apps.values()].map((app) => this.#route(app, "?after=0").catch(() => undefined)));
    const now = performance.now();
    for (const open of this.#open) {
      const route = this.#routes.get(open.app.dns.name)?.route;
      if (open.endedAt !== null) {
        if (now - open.endedAt < GRACE_MS) continue;
        open.client.resetAndDestroy();
        open.upstream.destroy();
      } else if (!route || route.targets.some(({ placement }) => placement === open.placement)) {
        open.leavesAt = null;
      } else {
        open.leavesAt ??= now + route.drainSeconds * 1000;
        if (now < open.leavesAt) continue;
        open.endedAt = now;
        open.client.end();
        open.upstream.end();
      }
    }
  }

  /** Where a connection goes, and the PROXY header that it begins with there. */
  async #target(app: SpectrumApp, fresh: boolean): Promise<{ address: string; port: number; placement: string; header: ProxyProtocol }> {
    const direct = /^tcp:\/\/([^:]+):([0-9]+)$/.exec(String((app.origin_direct as string[] | undefined)?.[0] ?? ""));
    if (direct) return { address: direct[1] as string, port: Number(direct[2]), placement: "", header: app.proxy_protocol as ProxyProtocol };
    const { targets } = await this.#route(app, fresh ? "?fresh=1" : "");
    const target = choose(targets, Math.random());
    if (!target) throw new Error("no machine serves this address now");
    const resolved = this.tunnels.resolve(target.origin);
    if (typeof resolved === "number") throw new Error(`${target.origin}: error code ${resolved}`);
    return { address: resolved.address, port: resolved.port, placement: target.placement, header: target.proxyProtocol };
  }

  /** The route; with `after=0` also one that has no machine, which else is an error. */
  async #route(app: SpectrumApp, query: "" | "?fresh=1" | "?after=0"): Promise<Route> {
    const known = this.#routes.get(app.dns.name);
    const now = performance.now();
    if (known && known.until > now && query !== "?fresh=1") return known.route;
    const [first = "", ...rest] = app.dns.name.split(".");
    const label = first.replace(/^tcp-/, "");
    const zone = this.store.now.zones[app.zone_id]?.name ?? rest.slice(1).join(".");
    const answer = JSON.parse(await ask(this.edgePort, `tcp.${zone}`, `/tcp/${label}${query}`)) as Route;
    const held = this.#routes.get(app.dns.name)?.route;
    const route = held && held.version > answer.version ? held : answer;
    this.#routes.set(app.dns.name, { route, until: now + ROUTE_TTL_MS });
    return route;
  }
}

/** One of the healthy targets by weight; `random` in [0, 1). */
function choose(targets: Target[], random: number): Target | undefined {
  const usable = targets.filter(({ healthy, weight }) => healthy && weight > 0);
  let left = random * usable.reduce((sum, { weight }) => sum + weight, 0);
  return usable.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
}

function ask(port: number, host: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path, headers: { host }, timeout: LOOKUP_TIMEOUT_MS }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(`the tcp Worker answered ${answer.statusCode} for ${path}`))));
    });
    request.on("timeout", () => request.destroy(new Error(`the tcp Worker did not answer in ${LOOKUP_TIMEOUT_MS} ms`)));
    request.on("error", reject);
  });
}

export function dial(address: string, port: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function join(client: net.Socket, upstream: net.Socket): void {
  const end = () => {
    client.destroy();
    upstream.destroy();
  };
  client.on("error", end);
  upstream.on("error", end);
  upstream.on("close", () => client.destroySoon());
  client.on("close", () => upstream.destroySoon());
  client.pipe(upstream);
  upstream.pipe(client);
}
