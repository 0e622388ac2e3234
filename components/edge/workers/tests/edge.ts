/** The whole edge in one workerd: every Worker as bindings.json declares it, with the local cloud's own internet before the machines. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare, type Request, type RequestInit, Response, type WorkerOptions } from "miniflare";
import type { Decision, Migration, OfferRef, Workload } from "../shared/wire";
import { FakeAutomation } from "./automation";
import { INTERNET, workers } from "./bindings";
import { Described } from "./described";
import { book, type Changes, decision, MARKET_NOW, offer, quote, spec, tenant } from "./documents";
import type { Machine } from "./machine";

const KEY = "platform-key-of-a-test";
const INTERNET_SOURCE = readFileSync(join(import.meta.dirname, "../../../../localcloud/edge/internet.worker.js"), "utf8");
const PRICES = { aws: 0.05, azure: 0.03, gcp: 0.04 };

/** A Worker to which connections are handed: this workerd knows `connect()` behind its experimental flag only. */
function takesConnections(worker: WorkerOptions, address: string): WorkerOptions {
  const flagged = { compatibilityFlags: ["experimental"], unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };
  return { ...worker, ...flagged, bindings: { ...worker.bindings, TCP_ADDRESS: address } } as WorkerOptions;
}

export class TestEdge {
  readonly zone = "edge.test";
  /** Machines by their origin's host name. */
  readonly machines = new Map<string, Machine>();
  #miniflare: Miniflare;
  #token = "";
  /** Where workerd listens: a Host header leads to a Worker. */
  address = new URL("http://127.0.0.1");
  #described: Described | null = null;

  private constructor(
    readonly automation: FakeAutomation,
    private readonly directory: string,
    /** `TCP_ADDRESS` of the tcp Worker: with one, it takes connections itself (mode A). */
    private readonly tcpAddress: string | null,
  ) {
    this.#miniflare = new Miniflare(this.#options() as never);
  }

  /** Starts the edge with the tenant `acme`, prices for {@link offer}s, and an automation service. */
  static async start(tcpAddress: string | null = null): Promise<TestEdge> {
    const automation = await FakeAutomation.start();
    const edge = new TestEdge(automation, mkdtempSync(join(tmpdir(), "spotlane-edge-")), tcpAddress);
    automation.serves(edge);
    edge.address = await edge.#miniflare.ready;
    edge.#described = new Described(await (await edge.fetch("api", "/openapi.json")).json());
    await edge.signIn();
    await edge.call("PUT", "/tenants/acme", tenant("acme"));
    await edge.call(
      "PUT",
      "/prices",
      book(
        MARKET_NOW,
        Object.entries(PRICES).map(([cloud, price]) => quote(offer(cloud as OfferRef["cloud"]), price)),
      ),
    );
    return edge;
  }

  async stop(): Promise<void> {
    await this.#miniflare.dispose();
    await this.automation.stop();
    for (const machine of this.machines.values()) await machine.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Ends workerd at once and starts it anew on the same state. */
  async restart(): Promise<void> {
    await this.#miniflare.dispose();
    this.#miniflare = new Miniflare(this.#options() as never);
    this.address = await this.#miniflare.ready;
  }

  /** A request to a host of the zone: `fetch("web-acme.workloads", "/")`. What the API answers must be what its document says. */
  async fetch(host: string, path: string, init?: RequestInit): Promise<Response> {
    const answer = await this.#miniflare.dispatchFetch(`http://${host}.${this.zone}${path}`, init);
    if (host === "api") await this.#described?.check(init?.method ?? "GET", path, answer);
    return answer;
  }

  /** The platform's token. */
  get token(): string {
    return this.#token;
  }

  /** The API's OpenAPI document. */
  get described(): Described {
    if (!this.#described) throw new Error("the edge has not been started");
    return this.#described;
  }

  /** A request straight to a Worker that has no route, as another Worker would send it. */
  async fetchFrom(script: string, url: string, init?: RequestInit): Promise<Response> {
    return (await this.#miniflare.getWorker(script)).fetch(url, init as never) as unknown as Promise<Response>;
  }

  /** A call of the API as the platform, or with another token. */
  async request(method: string, path: string, body?: unknown, token = this.#token): Promise<Response> {
    return this.fetch("api", `/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** A call that must succeed; its document. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.request(method, path, body);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  /** A token for an API key. */
  async exchange(apiKey: string): Promise<{ status: number; token: string }> {
    const answer = await this.fetch("api", "/v1/tokens", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ apiKey }) });
    return { status: answer.status, token: ((await answer.json()) as { accessToken: string }).accessToken };
  }

  /** Where the tcp Worker takes connections: an HTTP CONNECT there is its `connect()`. */
  async tcpEntry(): Promise<{ host: string; port: number }> {
    const { hostname, port } = await this.#miniflare.unsafeGetDirectURL("tcp");
    return { host: hostname, port: Number(port) };
  }

  /** Runs the cron of a script now. */
  async cron(script: string): Promise<void> {
    await ((await this.#miniflare.getWorker(script)) as unknown as { scheduled(options: object): Promise<unknown> }).scheduled({ cron: "* * * * *" });
  }

  /** Waits until `look` gives something, for at most `seconds`. */
  async until<T>(what: string, look: () => Promise<T | null | undefined | false>, seconds = 15): Promise<T> {
    const limit = Date.now() + seconds * 1000;
    for (;;) {
      const found = await look();
      if (found) return found;
      if (Date.now() > limit) throw new Error(`${what} did not come within ${seconds} s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async ended(migration: string, seconds = 15): Promise<Migration> {
    return this.until(
      `the end of ${migration}`,
      async () => {
        const found = await this.call<Migration>("GET", `/migrations/${migration}`);
        return found.status === "running" ? null : found;
      },
      seconds,
    );
  }

  /** Declares a workload and brings its first placement up. */
  async serving(id: string, changes: Changes = {}): Promise<Workload> {
    await this.call("PUT", `/workloads/${id}`, spec(changes));
    const { id: migration } = await this.call<Migration>("POST", `/workloads/${id}/decisions`, decision(id, "deploy", offer("aws"), PRICES.aws));
    const ended = await this.ended(migration);
    if (ended.status !== "succeeded") throw new Error(`${id} was not placed: ${ended.error}`);
    return this.call<Workload>("GET", `/workloads/${id}`);
  }

  /** Proposes a move to another cloud; the migration as accepted. */
  async move(workload: Workload, cloud: OfferRef["cloud"], changes: Partial<Decision> = {}): Promise<Migration> {
    return this.call<Migration>("POST", `/workloads/${workload.id}/decisions`, {
      ...decision(workload.id, "move", offer(cloud), PRICES[cloud]),
      fromPlacement: workload.placement?.id ?? null,
      ...changes,
    });
  }

  machine(placement: string): Machine {
    const [owner, name, generation] = placement.split("_");
    const found = this.machines.get(`${name}-${owner}-${generation}.origins.${this.zone}`);
    if (!found) throw new Error(`${placement} has no machine`);
    return found;
  }

  /** A new token for the platform. */
  async signIn(): Promise<void> {
    this.#token = (await this.exchange(KEY)).token;
  }

  #options(): object {
    const assets = join(this.directory, "console");
    mkdirSync(assets, { recursive: true });
    writeFileSync(join(assets, "index.html"), "<!doctype html><title>Spotlane</title>");
    const values = { ZONE: this.zone, AUTOMATION_URL: this.automation.url, PLATFORM_KEY_SHA256: createHash("sha256").update(KEY).digest("hex") };
    const resolver = (request: Request): Response => {
      const host = new URL(request.url).searchParams.get("host") ?? "";
      const tcp = this.machines.get(host.replace(/^tcp-/, ""));
      const machine = this.machines.get(host);
      if (machine) return Response.json({ address: "127.0.0.1", port: machine.port, protocol: "http" });
      return tcp ? Response.json({ address: "127.0.0.1", port: tcp.tcpPort, protocol: "tcp" }) : Response.json({ code: 1033 }, { status: 404 });
    };
    return {
      host: "127.0.0.1",
      port: 0,
      cf: false,
      telemetry: { enabled: false },
      defaultPersistRoot: join(this.directory, "state"),
      workers: [
        ...workers(this.zone, values, assets).map((one) => (one.name === "tcp" && this.tcpAddress !== null ? takesConnections(one, this.tcpAddress) : one)),
        {
          name: INTERNET,
          modules: [{ type: "ESModule", path: "/internet.js", contents: INTERNET_SOURCE }],
          modulesRoot: "/",
          compatibilityDate: "2026-04-01",
          bindings: { ZONES: [this.zone], FIRST_BYTE_MS: 3_000 },
          serviceBindings: { RESOLVER: resolver, EDGE: "api" },
        },
      ],
    };
  }
}
