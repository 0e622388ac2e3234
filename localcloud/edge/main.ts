/** The edge host: workerd behind a gate, the Cloudflare API v4, tunnels, Spectrum and cron, from one state directory. */
import http from "node:http";
import { Api, readBody } from "./api/dispatch.js";
import { Scripts } from "./api/scripts.js";
import { Storage } from "./api/storage.js";
import { tunnelRoutes } from "./api/tunnels.js";
import { Zones } from "./api/zones.js";
import { type Scheduled, Scheduler } from "./crons.js";
import { Gate, type Lookup } from "./gate.js";
import { leash } from "./leash.js";
import { RouteTable } from "./routes.js";
import { Runtime } from "./runtime.js";
import { readSettings, type Settings, SettingsError } from "./settings.js";
import { Spectrum } from "./spectrum.js";
import { Store } from "./state.js";
import { Tunnels } from "./tunnels.js";

function listen(server: http.Server, port: number, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new SettingsError(`port ${port} of the ${what} is taken; stop what listens there or choose another --port-base`) : error);
    });
    server.listen(port, "127.0.0.1", resolve);
  });
}

function sendJson(response: http.ServerResponse, status: number, document: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(document));
}

class Host {
  readonly store: Store;
  readonly tunnels: Tunnels;
  readonly gate: Gate;
  readonly runtime: Runtime;
  readonly spectrum: Spectrum;
  readonly api = new Api();
  readonly scheduler: Scheduler;
  readonly apiServer: http.Server;
  #routes: RouteTable;
  #ready = false;

  constructor(private readonly settings: Settings) {
    this.store = new Store(settings.home, { id: settings.zoneId, name: settings.zone });
    this.tunnels = new Tunnels(this.store);
    this.#routes = new RouteTable(this.store.now);
    this.store.onChange((state) => {
      this.#routes = new RouteTable(state);
    });
    this.gate = new Gate(this.#lookup, (port) => this.runtime.recover(port), settings.drainMs);
    this.runtime = new Runtime(this.store, this.gate, { edge: settings.edgePort, api: settings.apiPort });
    this.spectrum = new Spectrum(this.store, this.tunnels, settings.edgePort);
    new Scripts(this.store, this.runtime).routes(this.api);
    new Storage(this.store, this.runtime).routes(this.api);
    new Zones(this.store, settings.accountId).routes(this.api);
    tunnelRoutes(this.api, this.store, this.tunnels);
    this.scheduler = new Scheduler(
      () => Object.values(this.store.now.scripts).flatMap((script) => script.schedules.map(({ cron }) => ({ script: script.name, cron }))),
      (due, at) => void this.#trigger(due, at),
    );
    this.runtime.onStarted(() => this.#wakeWorkflows());
    this.apiServer = http.createServer((request, response) => void this.#control(request, response).catch((error: Error) => sendJson(response, 500, { error: error.message })));
  }

  async start(): Promise<void> {
    leash(this.store.directory);
    await listen(this.apiServer, this.settings.apiPort, "Cloudflare API");
    await listen(this.gate.server, this.settings.edgePort, "edge");
    await this.runtime.sync();
    this.spectrum.apply();
    this.scheduler.start();
    this.#ready = true;
    process.stderr.write(`edge: ready on ${this.settings.edgePort}, API on ${this.settings.apiPort}\n`);
  }

  async stop(): Promise<void> {
    this.#ready = false;
    this.scheduler.stop();
    this.spectrum.close();
    this.gate.server.close();
    await this.gate.close();
    await this.runtime.stop();
  }

  #lookup: Lookup = (host, path) => {
    const script = this.#routes.script(host, path);
    const port = script === null ? undefined : this.runtime.port(script);
    if (port !== undefined) return { address: "127.0.0.1", port, worker: true };
    const origin = this.tunnels.resolve(host);
    return typeof origin === "number" ? origin : { ...origin, worker: false };
  };

  async #trigger({ script, cron }: Scheduled, at: Date): Promise<void> {
    try {
      const worker = await this.runtime.miniflare.getWorker(script);
      await worker.scheduled({ cron, scheduledTime: at });
    } catch (error) {
      process.stderr.write(`edge: cron ${cron} of ${script}: ${(error as Error).message}\n`);
    }
  }

  /**
   * workerd does not go on with Workflow instances by itself after a restart, as Cloudflare does: the owner of a workflow is given its cron at once, so that
   * it finds what is unfinished.
   */
  #wakeWorkflows(): void {
    const owners = new Set(Object.values(this.store.now.workflows).map(({ script_name }) => script_name));
    for (const owner of owners) {
      const cron = this.store.now.scripts[owner]?.schedules[0]?.cron;
      if (cron) void this.#trigger({ script: owner, cron }, new Date());
    }
  }

  async #control(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    if (url.pathname.startsWith("/client/v4/")) return this.api.handle(request, response);
    const call = `${request.method} ${url.pathname}`;
    if (call === "GET /healthz") {
      const state = this.store.now;
      const body = {
        status: this.#ready ? "ok" : "starting",
        serial: state.serial,
        applied: this.runtime.applied,
        reloads: this.runtime.reloads,
        scripts: Object.keys(state.scripts).length,
        webSockets: this.gate.webSockets,
        held: this.gate.held,
      };
      return sendJson(response, this.#ready ? 200 : 503, body);
    }
    if (call === "GET /resolve") return this.#resolve(url.searchParams.get("host") ?? "", response);
    if (call === "GET /hosts") return sendJson(response, 200, this.#hosts());
    if (call === "POST /tunnels/connect") {
      const { token, address } = JSON.parse((await readBody(request)).toString("utf8") || "{}") as { token?: string; address?: string };
      if (!address || !/^127(\.\d{1,3}){3}$/.test(address)) return sendJson(response, 400, { error: "address: a loopback address (127.x.y.z) is needed" });
      const known = this.tunnels.connect(token, address);
      return sendJson(response, known ? 200 : 401, known ? { status: "connected" } : { error: "Unauthorized: Tunnel not found" });
    }
    sendJson(response, 404, { error: `${call}: unknown; the Cloudflare API is under /client/v4` });
  }

  #resolve(host: string, response: http.ServerResponse): void {
    const listener = this.spectrum.listener(host);
    if (listener) return sendJson(response, 200, listener);
    const origin = this.tunnels.resolve(host);
    sendJson(response, typeof origin === "number" ? 404 : 200, typeof origin === "number" ? { error: `error code: ${origin}`, code: origin } : origin);
  }

  /** Every public host and where it leads now. */
  #hosts(): Record<string, unknown> {
    const spectrum = Object.values(this.store.now.spectrum).map(({ dns }) => [dns.name, this.spectrum.listener(dns.name)]);
    const tunnels = Object.values(this.store.now.dns).map(({ name }) => [name, this.tunnels.resolve(name)]);
    const workers = Object.values(this.store.now.domains).map(({ hostname }) => [hostname, { address: "127.0.0.1", port: this.settings.edgePort }]);
    return Object.fromEntries([...tunnels.filter(([, origin]) => typeof origin !== "number"), ...spectrum, ...workers]);
  }
}

/** Runs until SIGTERM or SIGINT. Exit code 2: the settings are wrong. */
export async function main(argv: string[]): Promise<void> {
  try {
    const host = new Host(readSettings(argv, process.env));
    let stopping = false;
    const stop = async () => {
      if (stopping) return;
      stopping = true;
      await host.stop();
      process.exit(0);
    };
    process.on("SIGTERM", () => void stop());
    process.on("SIGINT", () => void stop());
    await host.start();
  } catch (error) {
    const known = error instanceof SettingsError;
    process.stderr.write(`edge: ${known ? error.message : (error as Error).stack}\n`);
    process.exit(known ? 2 : 1);
  }
}
