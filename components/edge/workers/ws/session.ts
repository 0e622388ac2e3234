/**
 * WsSession: one client's WebSocket, relayed to the machine that serves.
 *
 * With the subprotocol `spotlane.resume.v1` a move is invisible: what the client sends is held, the old machine is given time to answer what it has,
 * asked to close and read out to its close frame, then the new one is connected and the held messages follow in order. WebSocket delivers in order, so all that was sent before the close
 * frame was read by the old machine before it answered with its own. A plain client keeps its machine until the drain ends and is then closed with 1012.
 */
import { DurableObject } from "cloudflare:workers";
import { Lookup, type LookupEnv, pick } from "../shared/lookup";
import type { Route } from "../shared/route";

export const RESUME = "spotlane.resume.v1";
const LOOK_MS = 250;
const CLOSE_MS = 5_000;
/** A machine that has said nothing for this long has answered what it was sent; one that never falls silent is closed all the same. */
const QUIET_MS = 150;
const QUIET_AT_MOST_MS = 2_000;
/** The least that is waited for silence, and the share of the drain for which more is. */
const QUIET_AT_LEAST_MS = 300;
const QUIET_SHARE = 0.3;
const CONNECT_MS = 15_000;
const CONNECT_STEP_MS = 250;
const HELD_BYTES = 16 * 1024 * 1024;
const SERVICE_RESTART = 1012;
const TRY_AGAIN_LATER = 1013;
const GOING_AWAY = 1001;

type Message = string | ArrayBuffer;

export class WsSession extends DurableObject<LookupEnv> {
  #lookup = new Lookup();

  override async fetch(request: Request): Promise<Response> {
    const label = request.headers.get("x-spotlane-label") ?? "";
    const resumes = (request.headers.get("sec-websocket-protocol") ?? "").split(",").some((one) => one.trim() === RESUME);
    const route = await this.#route(label, request);
    const first = route && (await connect(route, request));
    if (!first) return new Response("no machine serves this workload now", { status: 503, headers: { "retry-after": "2" } });
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
    server.accept();
    const relay = new Relay(server, first, resumes);
    this.ctx.waitUntil(this.#follow(relay, label, request, route));
    const headers = resumes ? { "sec-websocket-protocol": RESUME } : first.protocol ? { "sec-websocket-protocol": first.protocol } : undefined;
    return new Response(null, { status: 101, webSocket: client, ...(headers ? { headers } : {}) });
  }

  /** Looks for a new machine as long as the client is there. */
  async #follow(relay: Relay, label: string, request: Request, begun: Route): Promise<void> {
    let served = begun.version;
    while (!relay.ended) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const route = await this.#route(label, request);
      if (!route || relay.ended) continue;
      const moved = route.version > served && !route.targets.some(({ placement }) => placement === relay.placement);
      served = Math.max(served, route.version);
      if (!moved && !relay.lost) continue;
      if (relay.resumes) await relay.handOver(route.drainSeconds * 1000, () => this.#connected(label, request));
      else await relay.drain(route.drainSeconds * 1000);
    }
  }

  async #connected(label: string, request: Request): Promise<Upstream | null> {
    const limit = Date.now() + CONNECT_MS;
    while (Date.now() < limit) {
      const route = await this.#route(label, request);
      const upstream = route && (await connect(route, request));
      if (upstream) return upstream;
      await new Promise((resolve) => setTimeout(resolve, CONNECT_STEP_MS));
    }
    return null;
  }

  async #route(label: string, request: Request): Promise<Route | null> {
    return this.#lookup.route(label, this.env, request, (work) => this.ctx.waitUntil(work)).catch(() => null);
  }
}

interface Upstream {
  socket: WebSocket;
  placement: string;
  protocol: string | null;
}

async function connect(route: Route, request: Request): Promise<Upstream | null> {
  const target = pick(route, Math.random());
  if (!target) return null;
  const url = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of ["sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "x-spotlane-label"]) headers.delete(name);
  const offered = (headers.get("sec-websocket-protocol") ?? "").split(",").map((one) => one.trim());
  const onward = offered.filter((one) => one && one !== RESUME).join(", ");
  if (onward) headers.set("sec-websocket-protocol", onward);
  else headers.delete("sec-websocket-protocol");
  try {
    const answer = await fetch(target.origin + url.pathname + url.search, { headers });
    if (!answer.webSocket) return null;
    answer.webSocket.accept();
    return { socket: answer.webSocket, placement: target.placement, protocol: answer.headers.get("sec-websocket-protocol") };
  } catch {
    return null;
  }
}

/** The two sockets of one session. */
class Relay {
  ended = false;
  /** The machine's socket closed without being asked to. */
  lost = false;
  #held: Message[] = [];
  #heldBytes = 0;
  #holding = false;
  #closing: (() => void) | null = null;
  #heardAt = 0;

  constructor(
    private readonly client: WebSocket,
    private upstream: Upstream,
    readonly resumes: boolean,
  ) {
    client.addEventListener("message", ({ data }) => this.#fromClient(data as Message));
    client.addEventListener("close", ({ code, reason }) => this.#clientGone(code, reason));
    client.addEventListener("error", () => this.#clientGone(GOING_AWAY, ""));
    this.#listen(upstream);
  }

  get placement(): string {
    return this.upstream.placement;
  }

  /** Reads the old machine out, connects to the new one and sends on what was held. */
  async handOver(graceMs: number, next: () => Promise<Upstream | null>): Promise<void> {
    this.#holding = true;
    if (!this.lost) await this.#silent(graceMs);
    if (!this.lost) await this.#closed();
    const upstream = await next();
    if (this.ended) return upstream?.socket.close(GOING_AWAY);
    if (!upstream) return this.#end(TRY_AGAIN_LATER, "no machine serves this workload now");
    this.upstream = upstream;
    this.lost = false;
    this.#listen(upstream);
    for (const message of this.#held.splice(0)) upstream.socket.send(message);
    this.#heldBytes = 0;
    this.#holding = false;
  }

  /** A plain client's end: after the grace its machine is read out, then it is told to come again. */
  async drain(graceMs: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.lost ? 0 : graceMs * 0.7));
    this.#holding = true;
    if (!this.ended && !this.lost) await this.#silent(graceMs);
    if (!this.ended && !this.lost) await this.#closed();
    this.#end(SERVICE_RESTART, "the service has moved; connect again");
  }

  #listen(upstream: Upstream): void {
    upstream.socket.addEventListener("message", ({ data }) => {
      this.#heardAt = Date.now();
      if (!this.ended) this.client.send(data as Message);
    });
    const gone = (code: number, reason: string): void => {
      if (upstream !== this.upstream) return;
      if (this.#closing) return this.#closing();
      if (this.resumes && code !== 1000) {
        this.lost = true;
        this.#holding = true;
        return;
      }
      this.#end(sendable(code), reason);
    };
    upstream.socket.addEventListener("close", ({ code, reason }) => gone(code, reason));
    upstream.socket.addEventListener("error", () => gone(1011, "the machine's connection broke"));
  }

  #fromClient(message: Message): void {
    if (!this.#holding) return this.upstream.socket.send(message);
    this.#heldBytes += typeof message === "string" ? message.length : message.byteLength;
    if (this.#heldBytes > HELD_BYTES) return this.#end(TRY_AGAIN_LATER, "too much was sent while the service moved");
    this.#held.push(message);
  }

  /** Waits until the machine has nothing more to say. */
  async #silent(graceMs: number): Promise<void> {
    const begun = Date.now();
    const limit = begun + Math.min(QUIET_AT_LEAST_MS + graceMs * QUIET_SHARE, QUIET_AT_MOST_MS);
    this.#heardAt = begun;
    while (!this.lost && !this.ended && Date.now() - this.#heardAt < QUIET_MS && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, QUIET_MS / 5));
  }

  /** Asks the machine to close and waits until it has, or for {@link CLOSE_MS}. */
  async #closed(): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#closing = resolve;
    });
    this.upstream.socket.close(GOING_AWAY, "the service moves");
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
    this.#closing = null;
  }

  #clientGone(code: number, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    if (!this.lost) this.upstream.socket.close(sendable(code), reason);
    this.client.close(sendable(code), reason);
  }

  #end(code: number, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.client.close(code, reason);
  }
}

/** A code that may be sent: 1005, 1006 and 1015 are for APIs only (RFC 6455, section 7.4.1). */
function sendable(code: number): number {
  return code === 1000 || (code >= 3000 && code <= 4999) || [1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013].includes(code) ? code : GOING_AWAY;
}
