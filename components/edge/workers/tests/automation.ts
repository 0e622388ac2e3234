/** The automation service as the edge sees it: takes runs and incidents, brings machines up and down, tells the saga. Failures are injected by field. */
import { createHash } from "node:crypto";
import http, { type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { BoundaryDocument, Incident, Run, RunRequest, WhatIfRequest } from "../shared/wire";
import type { TestEdge } from "./edge";
import { Machine } from "./machine";

/** A boundary without a name is refused, as by the service. */
const NAMELESS: [number, unknown] = [422, { type: "https://spotlane.dev/problems/invalid-boundary", title: "The boundary is not valid", status: 422, detail: "name: is required" }];

export class FakeAutomation {
  readonly runs = new Map<string, { run: Run; request: RunRequest }>();
  readonly incidents: Incident[] = [];
  readonly tokens = new Set<string>();
  /** Stacks whose next operation fails, with the reason. */
  readonly failing = new Map<string, string>();
  /** Stacks whose operation fails until it is taken out here. */
  readonly stuck = new Set<string>();
  /** Answers /healthz of machines that come up. */
  healthy = true;
  /** Whether runs' ends are told to the saga. */
  tells = true;
  delayMs = 20;
  /** Answers runs and incidents; while away every call gets 503. */
  away = false;
  /** Workloads of which it was told that they are new or changed. */
  readonly nudges: string[] = [];
  /** Addresses of what it was asked about spend. */
  readonly asked: string[] = [];
  #edge: TestEdge | null = null;

  private constructor(private readonly server: http.Server) {}

  static async start(): Promise<FakeAutomation> {
    const server = http.createServer();
    const automation = new FakeAutomation(server);
    server.on("request", (request, response) => {
      void automation.#answer(request).then(([status, document]) => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return automation;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  serves(edge: TestEdge): void {
    this.#edge = edge;
  }

  /** The operations that were asked for, in order: `up placement.acme.web.1`. */
  get operations(): string[] {
    return [...this.runs.values()].map(({ run }) => `${run.operation} ${run.stack}`);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<[number, unknown]> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.tokens.add((request.headers.authorization ?? "").replace("Bearer ", ""));
    const document: unknown = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : null;
    if (this.away) return [503, {}];
    if (request.method === "POST" && request.url === "/v1/nudges") {
      this.nudges.push((document as { workload: string }).workload);
      return [202, {}];
    }
    if (request.url?.startsWith("/v1/spend")) {
      this.asked.push(request.url);
      return [200, { marketNow: "2026-03-01T12:00:00Z", items: [] }];
    }
    if (request.method === "POST" && request.url === "/v1/boundaries") return this.#checked(document as BoundaryDocument);
    if (request.method === "POST" && request.url === "/v1/whatifs") return this.#tried(document as WhatIfRequest);
    if (request.method === "POST" && request.url === "/v1/runs") return this.#accept(document as RunRequest);
    if (request.method === "POST" && request.url === "/v1/incidents") {
      this.incidents.push(document as Incident);
      return [200, {}];
    }
    const known = [...this.runs.values()].find(({ run }) => request.url === `/v1/runs/${run.id}`);
    return known ? [200, known.run] : [404, {}];
  }

  #checked({ boundary }: BoundaryDocument): [number, unknown] {
    return boundary.name ? [200, { digest: `sha256:${"ab".repeat(32)}`, regions: { aws: ["eu-west-1"] } }] : NAMELESS;
  }

  #tried({ boundary }: WhatIfRequest): [number, unknown] {
    if (!boundary.name) return NAMELESS;
    const digest = `sha256:${"ab".repeat(32)}`;
    const at = "2026-03-01T12:00:00Z";
    return [200, { marketNow: at, begin: at, end: at, stepHours: 1, presentDigest: digest, changedDigest: digest, items: [] }];
  }

  #accept(request: RunRequest): [number, Run] {
    const known = this.runs.get(request.idempotencyKey);
    if (known) return [200, known.run];
    const { stack } = request;
    const run: Run = {
      id: `run-${createHash("sha256").update(request.idempotencyKey).digest("hex").slice(0, 24)}`,
      stack: [stack.kind, stack.tenant, stack.workload, stack.generation].filter((part) => part !== null).join("."),
      operation: request.operation,
      status: "running",
      error: null,
      changes: {},
      findings: [],
      outputs: { machine_id: "i-1" },
      acceptedAt: new Date().toISOString(),
      startedAt: new Date().toISOString(),
      finishedAt: null,
    };
    this.runs.set(request.idempotencyKey, { run, request });
    setTimeout(() => void this.#carryOut(run, request), this.delayMs);
    return [202, { ...run }];
  }

  async #carryOut(run: Run, request: RunRequest): Promise<void> {
    const { kind, tenant, workload, generation } = request.stack;
    const host = `${workload}-${tenant}-${generation}.origins.${this.#edge?.zone}`;
    const failure = this.failing.get(`${run.operation} ${run.stack}`) ?? (this.stuck.has(`${run.operation} ${run.stack}`) ? "the cloud refuses" : undefined);
    this.failing.delete(`${run.operation} ${run.stack}`);
    run.error = failure ?? null;
    run.status = failure === undefined ? "succeeded" : "failed";
    if (kind === "placement" && failure === undefined && this.#edge) {
      if (request.operation === "up") {
        const machine = await Machine.start(`${workload}-${tenant}-${generation}`);
        machine.healthy = this.healthy;
        this.#edge.machines.set(host, machine);
      } else {
        await this.#edge.machines.get(host)?.stop();
        this.#edge.machines.delete(host);
      }
    }
    run.finishedAt = new Date().toISOString();
    if (this.tells && request.migration && request.step) await this.#edge?.call("POST", `/migrations/${request.migration}/events`, { run, step: request.step });
  }
}
