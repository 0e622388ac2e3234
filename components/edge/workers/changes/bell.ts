/**
 * ChangeBell: one a tenant, and one for who sees every tenant. It is rung when something of theirs has changed, and rings on to every stream that follows.
 *
 * It carries no content and stores nothing: what has changed stands in D1, where each stream reads what it may see. Its sockets hibernate, so that a bell
 * at which nobody rings costs nothing, however many listen.
 */
import { DurableObject } from "cloudflare:workers";
import type { Ringing, Rung } from "../shared/changes";

/** Streams of one bell: a team's open pages, not a crowd. One above it is told to ask now and then instead. */
export const LISTENERS = 500;

export class ChangeBell extends DurableObject implements Ringing {
  /** A stream begins to listen, by WebSocket; 429 where too many do. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade") !== "websocket") return new Response("a WebSocket is needed", { status: 426 });
    if (this.ctx.getWebSockets().length >= LISTENERS) return new Response("too many listen", { status: 429 });
    const { 0: theirs, 1: ours } = new WebSocketPair();
    this.ctx.acceptWebSocket(ours);
    return new Response(null, { status: 101, webSocket: theirs });
  }

  async ring(rung: Rung): Promise<void> {
    for (const socket of this.ctx.getWebSockets()) {
      try {
        socket.send(rung);
      } catch {
        // It is closing: who listened looks by itself when it comes again.
      }
    }
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }
}
