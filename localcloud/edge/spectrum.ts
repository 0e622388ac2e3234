/**
 * Spectrum: a TCP listener for each application, on a loopback address of its own, that plays the relay of TCP mode B as well.
 *
 * For each new connection it asks the tcp Worker for the label's route, resolves the target through the tunnel map and pipes; open connections are left
 * alone, so that they drain. An application with `origin_direct` goes straight to that origin.
 */
import net from "node:net";
import http from "node:http";
import type { SpectrumApp, State, Store } from "./state.js";
import type { Tunnels } from "./tunnels.js";

/** ms that a route is kept for further connections; a moved route is followed within this and the look-up. */
const ROUTE_TTL_MS = 300;
const LOOKUP_TIMEOUT_MS = 5000;

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
  #routes = new Map<string, { origin: string; until: number }>();
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
    for (const { server } of this.#listeners.values()) server.close();
  }

  async #relay(id: string, client: net.Socket): Promise<void> {
    client.pause();
    client.setNoDelay(true);
    client.on("error", () => client.destroy());
    const app = this.store.now.spectrum[id];
    if (!app) return void client.destroy();
    for (const attempt of [1, 2]) {
      try {
        const target = await this.#target(app, attempt > 1);
        const upstream = await dial(target.address, target.port);
        join(client, upstream);
        return;
      } catch (error) {
        this.#routes.delete(app.dns.name);
        if (attempt === 2) process.stderr.write(`edge: spectrum ${app.dns.name}: ${(error as Error).message}\n`);
      }
    }
    client.resetAndDestroy();
  }

  async #target(app: SpectrumApp, fresh: boolean): Promise<{ address: string; port: number }> {
    const direct = /^tcp:\/\/([^:]+):([0-9]+)$/.exec(String((app.origin_direct as string[] | undefined)?.[0] ?? ""));
    if (direct) return { address: direct[1] as string, port: Number(direct[2]) };
    const origin = await this.#route(app, fresh);
    const resolved = this.tunnels.resolve(origin);
    if (typeof resolved === "number") throw new Error(`${origin}: error code ${resolved}`);
    return resolved;
  }

  async #route(app: SpectrumApp, fresh: boolean): Promise<string> {
    const known = this.#routes.get(app.dns.name);
    const now = performance.now();
    if (known && known.until > now && !fresh) return known.origin;
    const [first = "", ...rest] = app.dns.name.split(".");
    const label = first.replace(/^tcp-/, "");
    const zone = this.store.now.zones[app.zone_id]?.name ?? rest.slice(1).join(".");
    const answer = await ask(this.edgePort, `tcp.${zone}`, `/tcp/${label}${fresh ? "?fresh=1" : ""}`);
    const origin = (JSON.parse(answer) as { origin?: string; host?: string }).origin ?? "";
    const host = origin.replace(/^tcp:\/\//, "").replace(/:[0-9]+$/, "");
    if (!host) throw new Error(`the tcp Worker knows no route of ${label}`);
    this.#routes.set(app.dns.name, { origin: host, until: now + ROUTE_TTL_MS });
    return host;
  }
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

function dial(address: string, port: number): Promise<net.Socket> {
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
