/** The eight Workers together in workerd, with a fake automation service and origins on loopback: what the end-to-end tests act on. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare, type WorkerOptions } from "miniflare";

export const ZONE = "edge.test";
export const PLATFORM_KEY = "the platform's key";
const HERE = join(import.meta.dirname, "..");

interface Listing {
  compatibilityDate: string;
  scripts: Record<string, Script>;
}

interface Script {
  migrations?: { newSqliteClasses: string[] }[];
  durableObjects?: { binding: string; class: string; script: string }[];
  services?: { binding: string; script: string; entrypoint?: string }[];
  workflows?: { binding: string; name: string; class: string; script: string }[];
  kv?: { binding: string; namespace: string }[];
  d1?: { binding: string; database: string }[];
  r2?: { binding: string; bucket: string }[];
}

/** Sends names under `origins.<zone>` to what the test has put there; 530 where nothing is. */
const INTERNET = `
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (!url.hostname.endsWith(".origins.${ZONE}")) return fetch(request);
    const place = await (await fetch(env.MAP + "/?host=" + url.hostname)).text();
    if (!place) return new Response("error code: 1033", { status: 530 });
    try {
      return await fetch(new Request("http://" + place + url.pathname + url.search, request));
    } catch {
      return new Response("error code: 502", { status: 502 });
    }
  },
};`;

export interface Received {
  method: string;
  path: string;
  body: unknown;
}

/** A loopback HTTP server; `answer` gives the status and JSON for a request. */
export async function served(answer: (received: Received) => { status?: number; json?: unknown; text?: string }): Promise<{ url: string; received: Received[]; close: () => void }> {
  const received: Received[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const one = { method: request.method ?? "", path: request.url ?? "", body: text.startsWith("{") ? JSON.parse(text) : text };
      received.push(one);
      const { status = 200, json, text: plain } = answer(one);
      response.writeHead(status, { "content-type": json === undefined ? "text/plain" : "application/json" });
      response.end(json === undefined ? (plain ?? "") : JSON.stringify(json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export async function bundled(name: string): Promise<string> {
  const result = await build({
    entryPoints: [join(HERE, name, "index.ts")],
    bundle: true,
    format: "esm",
    target: "es2023",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "import", "default"],
    external: ["cloudflare:*", "node:*"],
    write: false,
  });
  return result.outputFiles[0]?.text ?? "";
}

export class Platform {
  readonly origins = new Map<string, string>();
  token = "";

  private constructor(
    readonly miniflare: Miniflare,
    private readonly closes: (() => void)[],
  ) {}

  static async start(automationUrl: string): Promise<Platform> {
    const listing = JSON.parse(readFileSync(join(HERE, "bindings.json"), "utf8")) as Listing;
    let platform: Platform | null = null;
    const map = await served(({ path }) => ({ text: platform?.origins.get(new URL(path, "http://x").searchParams.get("host") ?? "") ?? "" }));
    const workers: WorkerOptions[] = [{ name: "internet", modules: true, script: INTERNET, compatibilityDate: listing.compatibilityDate, bindings: { MAP: map.url } } as WorkerOptions];
    for (const [name, script] of Object.entries(listing.scripts)) {
      const own = new Set(script.migrations?.flatMap((one) => one.newSqliteClasses));
      workers.push({
        name,
        modules: [{ type: "ESModule", path: `${name}.js`, contents: await bundled(name) }],
        compatibilityDate: listing.compatibilityDate,
        outboundService: "internet",
        bindings: { ZONE, AUTOMATION_URL: automationUrl, PLATFORM_KEY_SHA256: createHash("sha256").update(PLATFORM_KEY).digest("hex") },
        durableObjects: Object.fromEntries(
          (script.durableObjects ?? []).map((one) => [one.binding, { className: one.class, useSQLite: true, ...(own.has(one.class) ? {} : { scriptName: one.script }) }]),
        ),
        serviceBindings: {
          ...Object.fromEntries((script.services ?? []).map((one) => [one.binding, one.entrypoint ? { name: one.script, entrypoint: one.entrypoint } : one.script])),
          ...(name === "api" ? { ASSETS: "internet" } : {}),
        },
        workflows: Object.fromEntries((script.workflows ?? []).map((one) => [one.binding, { name: one.name, className: one.class, scriptName: one.script }])),
        kvNamespaces: Object.fromEntries((script.kv ?? []).map((one) => [one.binding, one.namespace])),
        d1Databases: Object.fromEntries((script.d1 ?? []).map((one) => [one.binding, one.database])),
        r2Buckets: Object.fromEntries((script.r2 ?? []).map((one) => [one.binding, one.bucket])),
        unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      } as WorkerOptions);
    }
    const miniflare = new Miniflare({ host: "127.0.0.1", port: 0, cf: false, telemetry: { enabled: false }, workers } as ConstructorParameters<typeof Miniflare>[0]);
    await miniflare.ready;
    platform = new Platform(miniflare, [map.close]);
    const issued = (await (await platform.api("POST", "/tokens", { apiKey: PLATFORM_KEY })).json()) as { accessToken: string };
    platform.token = issued.accessToken;
    return platform;
  }

  /** A call of the API as the platform. */
  async api(method: string, path: string, body?: unknown, token = this.token): Promise<Response> {
    const worker = await this.miniflare.getWorker("api");
    const headers: Record<string, string> = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    return (await worker.fetch(`http://api.${ZONE}/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })) as unknown as Response;
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.api(method, path, body);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (answer.status === 204 ? null : await answer.json()) as T;
  }

  /** A request of a user to a workload's address. */
  async visit(label: string, path = "/", init: Record<string, unknown> = {}): Promise<Response> {
    const worker = await this.miniflare.getWorker("router");
    return (await worker.fetch(`http://${label}.workloads.${ZONE}${path}`, init as never)) as unknown as Response;
  }

  /** The port of a script's own socket, for WebSockets. */
  async port(script: string): Promise<number> {
    return Number((await this.miniflare.unsafeGetDirectURL(script)).port);
  }

  async close(): Promise<void> {
    await this.miniflare.dispose();
    for (const close of this.closes) close();
  }
}

/** Waits until `seen` gives something. Throws after `seconds`. */
export async function until<T>(what: string, seen: () => Promise<T | null | undefined | false>, seconds = 20): Promise<T> {
  const limit = Date.now() + seconds * 1000;
  for (;;) {
    const found = await seen();
    if (found) return found;
    if (Date.now() > limit) throw new Error(`${what} was not seen in ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
