/** A session without the resume protocol: it stays with its machine until the drain ends, then is told to come again. */
import { bodyOf } from "./frames";
import { GOING_AWAY, isFinal, MESSAGE_BYTES, NO_STATUS, NORMAL, PLAIN_IDLE_SECONDS, SERVICE_RESTART, sendable, TOO_BIG } from "./limits";
import type { Machines } from "./machines";
import { type Message, pause, type Upstream } from "./upstream";

const LOOK_MS = 250;
/** Share of the drain for which the machine is left alone; the rest is for reading it out. */
const DRAIN_SHARE = 0.7;

export class Plain {
  over = false;
  #heardAt = Date.now();

  constructor(
    private readonly client: WebSocket,
    private readonly upstream: Upstream,
    private readonly machines: Machines,
  ) {
    upstream.listen({
      said: (message) => this.#said(message),
      left: (code, reason) => this.#left(code, reason),
    });
  }

  /** Looks for the end of the machine's service as long as the session lasts. */
  async follow(): Promise<void> {
    while (!this.over) {
      await pause(LOOK_MS);
      if (Date.now() - this.#heardAt > PLAIN_IDLE_SECONDS * 1000) return this.#end(GOING_AWAY, `nothing was said for ${PLAIN_IDLE_SECONDS} s`);
      const route = this.over ? null : await this.machines.movedFrom(this.upstream.placement);
      if (!route) continue;
      await pause(route.drainSeconds * 1000 * DRAIN_SHARE);
      if (!this.over) await this.upstream.readOut(route.drainSeconds * 1000);
      this.#end(SERVICE_RESTART, "the service has moved; connect again");
    }
  }

  fromClient(message: Message): void {
    this.#heardAt = Date.now();
    if (bodyOf(message).length > MESSAGE_BYTES) return this.#end(TOO_BIG, `a message is larger than ${MESSAGE_BYTES} bytes`);
    this.upstream.send(typeof message === "string" ? message : new Uint8Array(message));
  }

  clientClosed(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.upstream.drop(code === NO_STATUS ? NORMAL : sendable(code), reason);
  }

  #said(message: Message): void {
    this.#heardAt = Date.now();
    if (this.over) return;
    if (bodyOf(message).length > MESSAGE_BYTES) return this.#end(TOO_BIG, `the machine's message is larger than ${MESSAGE_BYTES} bytes`);
    this.client.send(message);
  }

  #left(code: number, reason: string): void {
    if (code === NO_STATUS) this.#end(NORMAL, "");
    else if (code === sendable(code) || isFinal(code)) this.#end(code, reason);
    else this.#end(SERVICE_RESTART, "the machine's connection broke; connect again");
  }

  #end(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.client.close(code, reason);
    this.upstream.drop(sendable(code), reason);
  }
}
