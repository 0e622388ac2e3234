/**
 * The edge's address: passes HTTP and WebSocket to the script that a request's host names, and holds requests while workerd is reloaded.
 *
 * A reload first lets open requests finish (bounded), closes WebSockets with 1012 between two frames, then holds what comes until workerd is back.
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { carry } from "./carried.js";
import { CLOSE_RESTART, FrameBoundary } from "./frames.js";
import { bareHost } from "./routes.js";

/** Set by the internet Worker: the request belongs to one that is already open and must not wait for it to finish. */
const HOP = "x-edge-hop";
/** workerd closes a connection that was idle for 5 s; ours is given up before, so that no request is written into one that is being closed. */
const IDLE_MS = 3_000;
/** How long a client may take for a request's headers, and how often that is looked at. */
const HEADERS_MS = 10_000;
const LOOK_MS = 1_000;
const REUSED_ERRORS = new Set(["ECONNRESET", "EPIPE"]);

export interface Target {
  address: string;
  port: number;
  /** Whether workerd itself is the target. */
  worker: boolean;
  /** What stands there, if it isn't HTTP. */
  protocol?: "http" | "tcp";
}

/** What a request's host and path lead to; a number is Cloudflare's error code (1016: no such host, 1033: tunnel without connector). */
export type Lookup = (host: string, path: string) => Target | number;

type Phase = "open" | "draining" | "closed";

interface WebSocketRelay {
  client: Socket;
  upstream: Socket;
  boundary: FrameBoundary;
}

export class Gate {
  readonly server: http.Server;
  readonly #agent = new http.Agent({ keepAlive: true, maxFreeSockets: 1024, timeout: IDLE_MS });
  #phase: Phase = "closed";
  readonly #active = new Set<ServerResponse>();
  /** Answers that go on for as long as their client listens: nothing waits for their end, a reload brings it. */
  readonly #streams = new Set<ServerResponse>();
  #idle: (() => void) | null = null;
  #held: (() => void)[] = [];
  #relays = new Set<WebSocketRelay>();

  constructor(
    private readonly lookup: Lookup,
    private readonly onDead: (port: number) => Promise<void>,
    private readonly drainMs: number,
  ) {
    const limits = { keepAliveTimeout: 65_000, requestTimeout: 0, headersTimeout: HEADERS_MS, connectionsCheckingInterval: LOOK_MS };
    this.server = http.createServer(limits, (request, response) => {
      if (!plain(request)) return void response.writeHead(400, { connection: "close", "content-length": "0" }).end();
      if (this.#admits(request)) this.#pass(request, response, true);
      else this.#held.push(() => this.#pass(request, response, true));
    });
    this.server.on("upgrade", (request, socket, head) => {
      socket.on("error", () => socket.destroy());
      if (!plain(request)) return void socket.end(statusLine(400, "Bad Request"));
      const enter = () => this.#upgrade(request, socket as Socket, head);
      if (this.#admits(request)) enter();
      else this.#held.push(enter);
    });
    this.server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      const [status, reason] = CLIENT_ERRORS[error.code ?? ""] ?? [400, "Bad Request"];
      if (socket.writable) socket.end(statusLine(status, reason));
    });
  }

  get webSockets(): number {
    return this.#relays.size;
  }

  get held(): number {
    return this.#held.length;
  }

  /** Resolves when nothing passes any more; then workerd may be stopped. */
  async close(): Promise<void> {
    if (this.#phase === "closed") return;
    this.#phase = "draining";
    for (const stream of this.#streams) stream.destroy();
    if (this.#active.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      const drained = new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      const bound = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, this.drainMs);
      });
      await Promise.race([drained, bound]);
      clearTimeout(timer);
      this.#idle = null;
    }
    this.#phase = "closed";
    await Promise.all([...this.#relays].map((relay) => restart(relay)));
    for (const sockets of Object.values(this.#agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  open(): void {
    this.#phase = "open";
    const held = this.#held;
    this.#held = [];
    for (const enter of held) enter();
  }

  #admits(request: IncomingMessage): boolean {
    return this.#phase === "open" || (this.#phase === "draining" && request.headers[HOP] !== undefined);
  }

  #pass(request: IncomingMessage, response: ServerResponse, first: boolean): void {
    const target = this.lookup(bareHost(request.headers.host), pathOf(request.url));
    if (typeof target === "number") return refuse(response, target);
    if (target.protocol === "tcp") return refuse(response, 502);
    if (first) {
      this.#active.add(response);
      response.once("close", () => this.#leave(response));
    }
    const bodyless = request.headers["content-length"] === undefined && request.headers["transfer-encoding"] === undefined;
    const onward = http.request({ agent: this.#agent, host: target.address, port: target.port, method: request.method, path: request.url, headers: outward(request) });
    onward.on("response", (answer) => {
      if (answer.headers["content-type"] === "text/event-stream") {
        this.#streams.add(response);
        this.#leave(response);
        response.once("close", () => this.#streams.delete(response));
      }
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    onward.on("error", (error: NodeJS.ErrnoException) => {
      if (response.destroyed || response.headersSent) return void response.destroy();
      if (onward.reusedSocket && bodyless && REUSED_ERRORS.has(error.code ?? "")) return this.#pass(request, response, false);
      if (target.worker && first && error.code === "ECONNREFUSED") {
        void this.onDead(target.port).finally(() => this.#pass(request, response, false));
        return;
      }
      refuse(response, 502);
    });
    response.on("close", () => {
      if (!response.writableFinished) onward.destroy();
    });
    if (bodyless) onward.end();
    else request.pipe(onward);
  }

  #leave(response: ServerResponse): void {
    this.#active.delete(response);
    if (this.#active.size === 0) this.#idle?.();
  }

  #upgrade(request: IncomingMessage, client: Socket, head: Buffer): void {
    const target = this.lookup(bareHost(request.headers.host), pathOf(request.url));
    if (typeof target === "number") return void client.end(`HTTP/1.1 530 Origin Error\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\nerror code: ${target}`);
    const unreachable = () => void client.end(statusLine(502, "Bad Gateway"));
    if (target.protocol === "tcp") return void carry(request, client, head, target, unreachable);
    const onward = http.request({ host: target.address, port: target.port, method: request.method, path: request.url, headers: outward(request), agent: false });
    onward.on("upgrade", (answer, upstream, upstreamHead) => {
      const relay: WebSocketRelay = { client, upstream, boundary: new FrameBoundary() };
      this.#relays.add(relay);
      client.setNoDelay(true);
      upstream.setNoDelay(true);
      const end = () => {
        this.#relays.delete(relay);
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
      client.write(statusLines(answer));
      const downward = (chunk: Buffer) => {
        relay.boundary.push(chunk);
        if (!client.write(chunk)) {
          upstream.pause();
          client.once("drain", () => upstream.resume());
        }
      };
      if (upstreamHead.length > 0) downward(upstreamHead);
      upstream.on("data", downward);
      upstream.on("end", () => client.end());
      if (head.length > 0) upstream.write(head);
      client.pipe(upstream);
    });
    onward.on("response", (answer) => {
      client.write(statusLines(answer));
      answer.pipe(client);
    });
    onward.on("error", unreachable);
    onward.end();
  }
}

/** Says 1012 to a client as soon as the server's last frame is whole (at most 200 ms), and lets go of workerd's side. */
async function restart(relay: WebSocketRelay): Promise<void> {
  for (let waited = 0; !relay.boundary.atBoundary && waited < 200; waited += 10) await new Promise((resolve) => setTimeout(resolve, 10));
  relay.upstream.removeAllListeners("data");
  relay.upstream.removeAllListeners("close");
  relay.upstream.removeAllListeners("end");
  relay.client.unpipe(relay.upstream);
  if (relay.boundary.atBoundary) relay.client.end(CLOSE_RESTART);
  else relay.client.destroy();
  relay.upstream.destroy();
}

const CLIENT_ERRORS: Record<string, [number, string]> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"],
};

const statusLine = (status: number, reason: string): string => `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;

/** One host, and a path that names no other: what the network lets pass to a zone. The parser has refused what else is malformed. */
function plain(request: IncomingMessage): boolean {
  let hosts = 0;
  for (let index = 0; index < request.rawHeaders.length; index += 2) if (request.rawHeaders[index]?.toLowerCase() === "host") hosts += 1;
  return hosts === 1 && (request.url?.startsWith("/") === true || (request.method === "OPTIONS" && request.url === "*"));
}

function pathOf(url: string | undefined): string {
  const path = url ?? "/";
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}

/** The client's headers with what Cloudflare adds; hop-by-hop headers of an upgrade stay. */
function outward(request: IncomingMessage): http.OutgoingHttpHeaders {
  const address = request.socket.remoteAddress ?? "127.0.0.1";
  const headers: http.OutgoingHttpHeaders = { ...request.headers };
  if (!headers.upgrade) delete headers.connection;
  headers["cf-connecting-ip"] = address;
  headers["x-forwarded-for"] = headers["x-forwarded-for"] ? `${headers["x-forwarded-for"]}, ${address}` : address;
  headers["x-forwarded-proto"] ??= "http";
  return headers;
}

function statusLines(answer: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? ""}`];
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    if (answer.statusCode !== 101 && /^(transfer-encoding|connection|keep-alive)$/i.test(answer.rawHeaders[index] as string)) continue;
    lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
  }
  if (answer.statusCode !== 101) lines.push("connection: close");
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function refuse(response: ServerResponse, code: number): void {
  const status = code >= 1000 ? 530 : code;
  response.writeHead(status, { "content-type": "text/plain; charset=UTF-8", "cache-control": "no-store" });
  response.end(`error code: ${code}`);
}
