/**
 * WsSession: one client's session. The client's connection is accepted by the Hibernation API; the machine's can't be, so the object stays in memory while
 * it has one (adr/0017). What must outlive it all the same stands in its SQLite.
 */
import { DurableObject } from "cloudflare:workers";
import { hex, sha256 } from "../shared/digest";
import { problem } from "../shared/problem";
import { offerOf, PING, PONG, RESUME, type Resumption } from "./frames";
import { NOT_RESUMABLE, REPLACED, SERVICE_RESTART } from "./limits";
import { type GatewayEnv, Machines } from "./machines";
import { Plain } from "./plain";
import { Resumable } from "./resumable";
import { SessionStore } from "./store";
import { type Handshake, handshakeOf, type Message, type Upstream } from "./upstream";

/** Whom the router has admitted (set by it alone); none where the workload lets anyone in. */
/** The router's word on whose token or key it was: the subject, then its scopes. */
const CALLER = "x-spotlane-caller";
/** How long an upgrade waits for a machine while none serves, ms; as the HTTP Router lets an idempotent request wait. */
const HOLD_MS = 10_000;

interface Attachment {
  /** Counts a session's connections; 0 of a plain one. */
  connection: number;
}

export class WsSession extends DurableObject<GatewayEnv> {
  readonly #store: SessionStore;
  #resumable: Resumable | null = null;
  #plain: Plain | null = null;

  constructor(ctx: DurableObjectState, env: GatewayEnv) {
    super(ctx, env);
    this.#store = new SessionStore(ctx.storage);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    const row = this.#store.load();
    if (row) this.#resumable = new Resumable(row, this.#store, this.#machines(row.label, row.handshake), this.#later, null);
    // Their machine's connection went with the memory of the object before; a client of the resume protocol comes back with what it has.
    for (const socket of ctx.getWebSockets()) socket.close(SERVICE_RESTART, "the session was interrupted; connect again");
  }

  /** An upgrade for `<label>.workloads.<zone>`, which the router has admitted. */
  override async fetch(request: Request): Promise<Response> {
    const label = new URL(request.url).hostname.slice(0, -`.workloads.${this.env.ZONE}`.length);
    const offer = offerOf(request.headers.get("sec-websocket-protocol"));
    const handshake = handshakeOf(request, offer.protocols);
    if (offer.resumes && offer.resumption) return offer.resumption === "malformed" ? refused() : this.#resume(label, request, handshake, offer.resumption);
    const machines = this.#machines(label, handshake);
    const found = await machines.connect(handshake, HOLD_MS, () => request.signal.aborted, true);
    if (found instanceof Response) return found;
    if (!found) return problem(503, "no-machine", "No machine serves this workload now", label, { "retry-after": "5" });
    if (!offer.resumes) return this.#begin(found, machines);
    return this.#beginResumable(label, request, handshake, found, machines);
  }

  override webSocketMessage(socket: WebSocket, message: Message): void {
    if (this.#isPresent(socket)) this.#resumable?.received(message);
    else this.#plain?.fromClient(message);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#closed(socket, code, reason);
    try {
      socket.close(code, reason);
    } catch {
      // 1005 and 1006 can't be answered: there is nobody to answer.
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#closed(socket, 1006, "");
  }

  /** Keeps time for a session while its object is in memory or not. */
  override async alarm(): Promise<void> {
    const session = this.#resumable;
    if (!session) return this.#store.erase();
    const pinged = this.ctx.getWebSockets().map((socket) => this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0);
    const wait = session.upkeep(Date.now(), Math.max(0, ...pinged));
    if (!session.over) await this.ctx.storage.setAlarm(Date.now() + wait);
  }

  #begin(upstream: Upstream, machines: Machines): Response {
    const [client, server] = this.#accept(0);
    this.#plain = new Plain(server, upstream, machines);
    this.#later(this.#plain.follow());
    return switching(client, upstream.protocol);
  }

  async #beginResumable(label: string, request: Request, handshake: Handshake, upstream: Upstream, machines: Machines): Promise<Response> {
    const secret = hex(crypto.getRandomValues(new Uint8Array(32)));
    const row = {
      label,
      secretHash: await sha256(secret),
      subject: subjectOf(request),
      protocol: upstream.protocol,
      handshake,
      sent: 0,
      last: 0,
      connection: 1,
      awaySince: null,
      ended: null,
    };
    this.#store.begin(row);
    const [client, server] = this.#accept(1);
    this.#resumable = new Resumable(row, this.#store, machines, this.#later, upstream);
    this.#resumable.connected(server, 0, secret, this.ctx.id.toString());
    await this.alarm();
    return switching(client, RESUME);
  }

  async #resume(label: string, request: Request, handshake: Handshake, { secret, received }: Resumption): Promise<Response> {
    const given = await sha256(secret);
    const session = this.#resumable;
    const row = session && this.#store.load();
    if (!session?.canResume(received) || row?.label !== label || row.secretHash !== given || row.subject !== subjectOf(request)) return refused();
    const before = session.succeeded(handshake);
    before?.close(REPLACED, "another connection came with this session's token");
    const [client, server] = this.#accept(session.connection);
    session.connected(server, received, null, this.ctx.id.toString());
    await this.alarm();
    return switching(client, RESUME);
  }

  #accept(connection: number): [WebSocket, WebSocket] {
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({ connection } satisfies Attachment);
    return [client, server];
  }

  #closed(socket: WebSocket, code: number, reason: string): void {
    if (this.#isPresent(socket)) {
      this.#resumable?.clientClosed(code, reason);
      this.#later(this.alarm());
    } else this.#plain?.clientClosed(code, reason);
  }

  #isPresent(socket: WebSocket): boolean {
    return this.#resumable !== null && (socket.deserializeAttachment() as Attachment).connection === this.#resumable.connection;
  }

  #machines(label: string, handshake: Handshake): Machines {
    return new Machines(this.env, label, handshake.continent, this.#later);
  }

  readonly #later = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
}

function switching(client: WebSocket, protocol: string | null): Response {
  return new Response(null, { status: 101, webSocket: client, ...(protocol ? { headers: { "sec-websocket-protocol": protocol } } : {}) });
}

/** Says that a token is of no use: by a close code, since a browser can't read the status of a refused upgrade. */
export function refused(): Response {
  const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
  server.accept();
  server.close(NOT_RESUMABLE, "no session of this client can be resumed with this token");
  return switching(client, RESUME);
}

/** Null for a workload that asks for no token. */
function subjectOf(request: Request): string | null {
  return request.headers.get(CALLER)?.split(" ")[0] ?? null;
}
