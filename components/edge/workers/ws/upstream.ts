/** The machine's side of a session: one plain WebSocket, opened as the client opened its own. */
import { ORIGIN_SIGNATURE, type OriginSigner } from "../shared/origin";
import type { Target } from "../shared/route";
import { BROKEN, GOING_AWAY, sendable } from "./limits";

/** How the client asked, as it is repeated to each machine. */
export interface Handshake {
  /** Path and query. */
  path: string;
  headers: [string, string][];
  /** Continent where the connection came in (Cloudflare's `cf.continent`). */
  continent: string | null;
}

export type Message = string | ArrayBuffer;

/** ms in which a machine must have answered the upgrade. */
const ANSWER_MS = 10_000;
/** ms that a machine has for its close frame. */
const CLOSE_MS = 5_000;
/** A machine that has said nothing for this long (ms) has answered what it was sent; one that never falls silent is closed all the same. */
const QUIET_MS = 150;
const QUIET_AT_MOST_MS = 2_000;
/** The least that is waited for silence, and the share of the drain for which more is. */
const QUIET_AT_LEAST_MS = 300;
const QUIET_SHARE = 0.3;
/** Answers of Cloudflare's network, not of the machine. 502 is the network's where its body says so. */
const UNREACHED = new Set([521, 522, 523, 525, 526, 530]);
const NETWORK_SAYS = "error code: ";
/** The hop's own: the runtime writes them anew for the machine's connection, and compresses it or not as it likes. */
const HOP = ["connection", "upgrade", "content-length", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol", ORIGIN_SIGNATURE];

/** What a machine is told of the client's upgrade: the headers that the router lets onward, Origin among them, and only the subprotocols that are meant for it. */
export function handshakeOf(request: Request, protocols: string[]): Handshake {
  const url = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of HOP) headers.delete(name);
  if (protocols.length > 0) headers.set("sec-websocket-protocol", protocols.join(", "));
  return { path: url.pathname + url.search, headers: [...headers], continent: (request.cf?.continent as string | undefined) ?? null };
}

/** Whether an origin is one that a placement of this workload has: nothing else is ever connected. */
export function isOriginOf(label: string, zone: string, origin: string): boolean {
  const start = `https://${label}-`;
  const end = `.origins.${zone}`;
  return origin.startsWith(start) && origin.endsWith(end) && /^[1-9][0-9]{0,9}$/.test(origin.slice(start.length, -end.length));
}

/** A connection to a machine; the machine's own answer where it refuses the upgrade; null where it isn't reached. */
export async function connect(target: Target, handshake: Handshake, signer: OriginSigner, send: typeof fetch): Promise<Upstream | Response | null> {
  try {
    const headers = new Headers(handshake.headers);
    headers.set("upgrade", "websocket");
    headers.set(ORIGIN_SIGNATURE, await signer.header(target.placement));
    const asked = send(target.origin + handshake.path, { headers, redirect: "manual" });
    // Not by an AbortSignal: one that fires later would break the open socket.
    const answer = await Promise.race([asked, pause(ANSWER_MS)]);
    if (!answer) {
      void asked.then((late) => late.webSocket && new Upstream(late.webSocket, target.placement, null).refuse()).catch(() => undefined);
      return null;
    }
    if (answer.webSocket) return new Upstream(answer.webSocket, target.placement, answer.headers.get("sec-websocket-protocol"));
    if (UNREACHED.has(answer.status)) return null;
    const body = await answer.text();
    return answer.status === 502 && body.startsWith(NETWORK_SAYS) ? null : new Response(body, answer);
  } catch {
    return null;
  }
}

/** What a session hears of its machine. */
export interface Listener {
  said(message: Message): void;
  /** The machine closed, or its connection broke (`code` 1006). Not called for a close that {@link Upstream.readOut} asked for. */
  left(code: number, reason: string): void;
}

export class Upstream {
  /** Whether nothing can be sent any more. */
  gone = false;
  #closing = false;
  readonly openedAt = Date.now();
  #heardAt = 0;
  #readOut: ((clean: boolean) => void) | null = null;

  constructor(
    private readonly socket: WebSocket,
    readonly placement: string,
    readonly protocol: string | null,
  ) {}

  listen(listener: Listener): void {
    const left = (code: number, reason: string): void => {
      if (this.gone) return;
      this.gone = true;
      if (this.#readOut) this.#readOut(code !== BROKEN);
      else listener.left(code, reason);
    };
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => {
      this.#heardAt = Date.now();
      listener.said(data as Message);
    });
    this.socket.addEventListener("close", ({ code, reason }) => {
      left(code, reason);
      this.#close(code, reason);
    });
    this.socket.addEventListener("error", () => left(BROKEN, ""));
    this.socket.accept();
  }

  send(message: string | Uint8Array): void {
    if (!this.gone && !this.#closing) this.socket.send(message as string | Uint8Array<ArrayBuffer>);
  }

  /** Ends the conversation; what the machine says from now on reaches nobody. */
  drop(code: number, reason: string): void {
    if (this.gone) return;
    this.gone = true;
    this.#close(code, reason);
  }

  /** Ends a connection that nobody waits for any more. */
  refuse(): void {
    this.socket.accept();
    this.drop(GOING_AWAY, "too late");
  }

  /**
   * Lets the machine answer what it has, asks it to close, and resolves when it has: WebSocket delivers in order, so all that was sent before the close
   * frame was read by the machine before it answered with its own. False where its close frame didn't come.
   */
  async readOut(graceMs: number): Promise<boolean> {
    await this.#silent(graceMs);
    if (this.gone) return false;
    const done = new Promise<boolean>((resolve) => {
      this.#readOut = (clean) => resolve(clean);
    });
    this.#close(GOING_AWAY, "the service moves");
    const clean = await Promise.race([done, pause(CLOSE_MS).then(() => false)]);
    this.gone = true;
    return clean;
  }

  #close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    try {
      this.socket.close(sendable(code), reason);
    } catch {
      // It is closed already.
    }
  }

  async #silent(graceMs: number): Promise<void> {
    const begun = Date.now();
    const limit = begun + Math.min(QUIET_AT_LEAST_MS + graceMs * QUIET_SHARE, QUIET_AT_MOST_MS);
    this.#heardAt = begun;
    while (!this.gone && Date.now() - this.#heardAt < QUIET_MS && Date.now() < limit) await pause(QUIET_MS / 5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
