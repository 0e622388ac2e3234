/**
 * A session of `spotlane.resume.v1`: what it takes and gives is numbered, so that it outlives the client's connection, the machine's, and the object's memory.
 *
 * Client → machine: a message is settled (durably written as sent, then handed over) or still the client's; it is held in memory alone, since the client has it
 * until it is settled. Machine → client: a message is kept in memory until the client has it, and written where that takes longer than {@link WRITE_MS} or the
 * client is away: what would be lost besides with the object's memory is no more than what is lost with its connection to the machine (docs/websocket-resume.md).
 */
import { type Data, BadFrame, bodyOf, control, decode, encode, fromClient, HEADER_BYTES, messageOf, PONG, tokenOf } from "./frames";
import {
  ACK_BYTES,
  ACK_MESSAGES,
  ACK_MS,
  GOING_AWAY,
  IDLE_SECONDS,
  isFinal,
  KEPT_BYTES,
  KEPT_MESSAGES,
  MESSAGE_BYTES,
  NO_STATUS,
  NORMAL,
  PING_SECONDS,
  PROTOCOL_FAULT,
  RESUME_SECONDS,
  sendable,
  TOO_BIG,
  TRY_AGAIN_LATER,
  WINDOW_BYTES,
  WINDOW_MESSAGES,
} from "./limits";
import type { Machines } from "./machines";
import type { SessionRow, SessionStore } from "./store";
import { type Handshake, type Message, pause, type Upstream } from "./upstream";
import { type Numbered, Window } from "./window";

const LOOK_MS = 250;
/** A machine that breaks off sooner (ms) counts as one that doesn't serve; so many of them in a row end the session. */
const SHORT_MS = 1_000;
const SHORT_AT_MOST = 8;
const LONGEST_CONTROL_FRAME = 256;
/** ms for which what the client says is gathered, so that one write marks it all as sent. */
const MARK_MS = 10;
/** ms after which a message that the client has not acknowledged is written. */
const WRITE_MS = 250;

interface Held {
  sequence: number;
  message: string | Uint8Array;
  bytes: number;
}

export class Resumable {
  /** The session is over and what it kept is gone. */
  over = false;
  #client: WebSocket | null = null;
  #upstream: Upstream | null = null;
  /** Highest sequence of the client's that is in hand: sent or held. */
  #taken: number;
  #held: Held[] = [];
  #heldBytes = 0;
  /** The machine is read out, or there is none. */
  #holding = true;
  #markTimer: ReturnType<typeof setTimeout> | null = null;
  /** All that the machine said and the client doesn't have. */
  #kept: Window;
  /** What of it was sent over the present connection. */
  #flight: Window;
  /** Highest sequence of the machine's that stands in the store. */
  #written: number;
  #writeTimer: ReturnType<typeof setTimeout> | null = null;
  /** The session came back from the store: the client may have more of the machine's messages than were written. */
  readonly #restored: boolean;
  #owed = { messages: 0, bytes: 0, timer: null as ReturnType<typeof setTimeout> | null };
  /** The client's last word (ms of the wall clock). */
  #heardAt = Date.now();
  #interrupted: boolean;
  #closing: { code: number; reason: string } | null = null;
  #following = false;
  #short = 0;

  /** `upstream` is the machine of a session that begins; one that comes from the store has lost its own. */
  constructor(
    private readonly row: SessionRow,
    private readonly store: SessionStore,
    private readonly machines: Machines,
    private readonly later: (work: Promise<unknown>) => void,
    upstream: Upstream | null,
  ) {
    this.#taken = row.sent;
    this.#restored = upstream === null;
    this.#interrupted = this.#restored && row.sent > 0 && row.ended === null;
    const kept = this.#restored ? store.kept() : [];
    this.#kept = new Window(row.last - kept.length + 1);
    for (const { text, body } of kept) this.#kept.add(text, body);
    this.#written = row.last;
    this.#flight = new Window(row.last + 1);
    if (this.#restored && row.awaySince === null) this.#away();
    if (upstream) this.#attach(upstream);
  }

  get connection(): number {
    return this.row.connection;
  }

  /** ms of the wall clock since when the client is away; null while it is there. */
  get awaySince(): number | null {
    return this.row.awaySince;
  }

  /** Whether a client that has `received` of the machine's messages can go on. */
  canResume(received: number): boolean {
    return !this.over && received >= this.#kept.acknowledged && (received <= this.#kept.last || this.#restored);
  }

  /** The client's connection, which has `received` of the machine's messages; `secret` is the token's, null where the client keeps the one it has. */
  connected(client: WebSocket, received: number, secret: string | null, session: string): void {
    this.#client = client;
    this.#heardAt = Date.now();
    if (!this.#kept.release(received)) this.#kept = new Window(received + 1);
    this.#flight = new Window(received + 1);
    const limits = { messageBytes: MESSAGE_BYTES, windowMessages: WINDOW_MESSAGES, windowBytes: WINDOW_BYTES, resumeSeconds: RESUME_SECONDS, pingSeconds: PING_SECONDS };
    const token = secret === null ? "" : tokenOf(session, secret);
    client.send(control({ type: "welcome", token, resumed: secret === null, received: this.row.sent, protocol: this.row.protocol, limits }));
    this.#settled();
    this.#tellInterruption();
    this.#pump();
    this.#follow();
  }

  /** A new connection takes the place of the present one. */
  succeeded(handshake: Handshake): WebSocket | null {
    const before = this.#client;
    this.#client = null;
    this.row.connection += 1;
    this.row.handshake = handshake;
    this.row.awaySince = null;
    this.store.connected(this.row.connection, handshake);
    return before;
  }

  /** A frame of the present connection. */
  received(frame: Message): void {
    if (this.over) return;
    this.#heardAt = Date.now();
    try {
      if (typeof frame === "string") this.#control(frame);
      else if (frame.byteLength > HEADER_BYTES + MESSAGE_BYTES) this.#abort(TOO_BIG, `a message is larger than ${MESSAGE_BYTES} bytes`);
      else this.#data(decode(frame));
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.#abort(PROTOCOL_FAULT, error.message);
    }
  }

  /** The present connection ended. With a code of a conversation's end the session is over; else it waits for the client to come back. */
  clientClosed(code: number, reason: string): void {
    this.#client = null;
    if (this.over) return;
    const done = this.row.ended !== null && this.#flight.last === this.#kept.last && code === this.row.ended.code;
    if (done) return this.#forget();
    if (code === NORMAL || code === NO_STATUS || (code >= 3000 && code <= 4899)) {
      this.#closing = { code: code === NO_STATUS ? NORMAL : code, reason };
      if (this.#held.length === 0) this.#closeMachine();
      else this.#hand();
      return;
    }
    this.#away();
  }

  /** What time has brought; ms until it is to be asked again. `heardAt` is of the last ping that was answered without the object. */
  upkeep(now: number, heardAt: number): number {
    if (this.row.awaySince !== null && now - this.row.awaySince >= RESUME_SECONDS * 1000) {
      this.#upstream?.drop(GOING_AWAY, "the client did not come back");
      this.#forget();
    }
    if (this.#client && now - Math.max(this.#heardAt, heardAt) > IDLE_SECONDS * 1000) {
      const client = this.#client;
      this.clientClosed(GOING_AWAY, "");
      client.close(GOING_AWAY, `no ping for ${IDLE_SECONDS} s`);
    }
    return this.row.awaySince === null ? (IDLE_SECONDS * 1000) / 2 : this.row.awaySince + RESUME_SECONDS * 1000 - now;
  }

  #away(): void {
    this.row.awaySince = Date.now();
    this.store.away(this.row.awaySince);
    this.#write();
  }

  #control(text: string): void {
    if (text.length > LONGEST_CONTROL_FRAME) throw new BadFrame("a control frame is too long");
    const frame = fromClient(text);
    if (frame.type === "ping") this.#client?.send(PONG);
    else this.#acknowledged(frame.received);
  }

  #data({ sequence, acknowledged, text, body }: Data): void {
    this.#acknowledged(acknowledged);
    if (sequence <= this.#taken) return this.#owe(0);
    if (sequence > this.#taken + 1) throw new BadFrame(`message ${sequence} came after ${this.#taken}`);
    const message = messageOf(text, body);
    this.#taken = sequence;
    this.#held.push({ sequence, message, bytes: body.length });
    this.#heldBytes += body.length;
    if (this.#held.length > WINDOW_MESSAGES || this.#heldBytes > WINDOW_BYTES + MESSAGE_BYTES) this.#abort(TRY_AGAIN_LATER, "more was sent than the window allows");
    else this.#hand();
  }

  /** Hands what is held to the machine soon: one mark for all that comes until then. */
  #hand(): void {
    if (this.#holding) return;
    if (this.#held.length > 0) this.#markTimer ??= setTimeout(() => this.#marked(), MARK_MS);
    else if (this.#closing) this.#closeMachine();
  }

  #marked(): void {
    this.#markTimer = null;
    if (this.over || this.#holding) return;
    this.row.sent = this.#taken;
    this.store.sent(this.row.sent);
    for (const { message, bytes } of this.#held.splice(0)) {
      this.#upstream?.send(message);
      this.#owe(bytes);
    }
    this.#heldBytes = 0;
    this.#hand();
  }

  #acknowledged(upTo: number): void {
    if (upTo <= this.#kept.acknowledged) return;
    if (!this.#kept.release(upTo)) throw new BadFrame(`message ${upTo} was acknowledged before it was sent`);
    if (!this.#flight.release(upTo)) this.#flight = new Window(upTo + 1);
    this.#pump();
  }

  /** An acknowledgement is due: with the machine's next message, or by itself. */
  #owe(bytes: number): void {
    this.#owed.messages += 1;
    this.#owed.bytes += bytes;
    if (this.#owed.messages >= ACK_MESSAGES || this.#owed.bytes >= ACK_BYTES) this.#acknowledge();
    else this.#owed.timer ??= setTimeout(() => this.#acknowledge(), ACK_MS);
  }

  #acknowledge(): void {
    this.#settled();
    this.#client?.send(control({ type: "ack", received: this.row.sent }));
  }

  #settled(): void {
    if (this.#owed.timer !== null) clearTimeout(this.#owed.timer);
    this.#owed = { messages: 0, bytes: 0, timer: null };
  }

  #attach(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#holding = false;
    upstream.listen({
      said: (message) => this.#said(message),
      left: (code, reason) => this.#left(upstream, code, reason),
    });
  }

  #said(message: Message): void {
    if (this.over || this.row.ended || this.#closing) return;
    const body = bodyOf(message);
    if (body.length > MESSAGE_BYTES) return this.#end(TOO_BIG, `the machine's message is larger than ${MESSAGE_BYTES} bytes`);
    if (this.#kept.count >= KEPT_MESSAGES || this.#kept.bytes + body.length > KEPT_BYTES) return this.#abort(TRY_AGAIN_LATER, "the client takes too little of what the machine says");
    const next = this.#kept.add(typeof message === "string", body);
    if (this.#client && this.#flight.last === next.sequence - 1 && this.#hasRoom()) this.#give(next);
    this.#writeTimer ??= setTimeout(() => this.#write(), WRITE_MS);
  }

  /** Writes what the client has not acknowledged and is not yet written. */
  #write(): void {
    if (this.#writeTimer !== null) clearTimeout(this.#writeTimer);
    this.#writeTimer = null;
    if (this.over || (this.#written >= this.#kept.last && this.#kept.count === 0)) return;
    const messages = [...this.#kept.after(this.#written)];
    if (messages.length === 0) return;
    this.row.last = this.#kept.last;
    this.#written = this.#kept.last;
    this.store.keep(messages, this.#kept.last, this.#kept.acknowledged);
  }

  #hasRoom(): boolean {
    return this.#flight.count < WINDOW_MESSAGES && this.#flight.bytes < WINDOW_BYTES;
  }

  #give({ sequence, text, body }: Numbered): void {
    this.#flight.add(text, body);
    this.#client?.send(encode({ sequence, acknowledged: this.row.sent, text, body }));
    this.#settled();
  }

  /** Sends what the client doesn't have and its window takes; after the last of it, the end. */
  #pump(): void {
    if (!this.#client) return;
    if (this.#flight.last < this.#kept.last && this.#hasRoom()) {
      for (const one of this.#kept.after(this.#flight.last)) {
        this.#give(one);
        if (!this.#hasRoom()) break;
      }
    }
    const { ended } = this.row;
    if (ended && this.#flight.last === this.#kept.last) {
      this.#client.send(control({ type: "end", ...ended }));
      this.#client.close(ended.code, ended.reason);
    }
  }

  #left(upstream: Upstream, code: number, reason: string): void {
    if (this.over || upstream !== this.#upstream) return;
    if (isFinal(code)) return this.#end(code === NO_STATUS ? NORMAL : sendable(code), reason);
    this.#upstream = null;
    this.#holding = true;
    this.#short = Date.now() - upstream.openedAt < SHORT_MS ? this.#short + 1 : 0;
    if (this.#short > SHORT_AT_MOST) return this.#end(code === sendable(code) ? code : TRY_AGAIN_LATER, reason || "no machine keeps the connection");
    this.#interrupted = this.row.sent > 0;
    this.#tellInterruption();
  }

  #tellInterruption(): void {
    if (!this.#interrupted || !this.#client) return;
    this.#client.send(control({ type: "interrupted", sent: this.row.sent }));
    this.#interrupted = false;
  }

  get #wantsMachine(): boolean {
    return !this.over && this.row.ended === null;
  }

  /** Looks for another machine as long as the session lasts, also while the client is away. */
  #follow(): void {
    if (this.#following) return;
    this.#following = true;
    this.later(
      this.#followed().finally(() => {
        this.#following = false;
      }),
    );
  }

  async #followed(): Promise<void> {
    while (this.#wantsMachine) {
      if (!this.#upstream) await this.#next();
      else {
        await pause(LOOK_MS);
        const route = this.#upstream && (await this.machines.movedFrom(this.#upstream.placement));
        if (route && this.#upstream) await this.#handOver(this.#upstream, route.drainSeconds * 1000);
      }
    }
  }

  /** Reads the old machine out; the next one is connected by the loop. */
  async #handOver(old: Upstream, graceMs: number): Promise<void> {
    this.#holding = true;
    const clean = await old.readOut(graceMs);
    if (this.over || this.row.ended) return;
    this.#upstream = null;
    if (!clean) {
      this.#interrupted = this.row.sent > 0;
      this.#tellInterruption();
    }
  }

  async #next(): Promise<void> {
    if (this.#short > 0) await pause(Math.min(LOOK_MS * 2 ** this.#short, 5_000));
    const upstream = await this.machines.connect(this.row.handshake, RESUME_SECONDS * 1000, () => !this.#wantsMachine);
    if (!this.#wantsMachine) return upstream?.refuse();
    if (!upstream) return this.#end(TRY_AGAIN_LATER, "no machine serves this workload now");
    this.#attach(upstream);
    this.#hand();
  }

  #closeMachine(): void {
    if (this.#closing) this.#upstream?.drop(sendable(this.#closing.code), this.#closing.reason);
    this.#forget();
  }

  /** The conversation is over: the client is told once it has all that was said. */
  #end(code: number, reason: string): void {
    if (this.over || this.row.ended) return;
    this.row.ended = { code, reason };
    this.#write();
    this.store.end(code, reason);
    this.#upstream?.drop(code, reason);
    this.#upstream = null;
    this.#pump();
  }

  /** The session can't be kept: both sides are closed at once. */
  #abort(code: number, reason: string): void {
    this.#client?.send(control({ type: "end", code, reason }));
    this.#client?.close(code, reason);
    this.#upstream?.drop(sendable(code), reason);
    this.#forget();
  }

  #forget(): void {
    if (this.over) return;
    this.over = true;
    this.#settled();
    if (this.#writeTimer !== null) clearTimeout(this.#writeTimer);
    this.later(this.store.erase());
  }
}
