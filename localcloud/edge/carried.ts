/**
 * A TCP service behind a tunnel as a client of the edge reaches it: by a WebSocket to its host, whose binary messages the connector carries to the service
 * (what `cloudflared access tcp` opens). The WebSocket opens once the connector has connected; its end is the end of both directions.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocketServer } from "ws";
import { dial } from "./spectrum.js";

const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });

/** `refuse` is called instead where the service takes no connection. */
export async function carry(request: IncomingMessage, client: Duplex, head: Buffer, service: { address: string; port: number }, refuse: () => void): Promise<void> {
  const upstream = await dial(service.address, service.port).catch(() => null);
  if (upstream === null) return refuse();
  const gone = () => upstream.destroy();
  upstream.on("error", () => client.destroy());
  // A client that goes before its WebSocket is open leaves nothing behind.
  if (client.destroyed) return void gone();
  client.once("close", gone);
  server.handleUpgrade(request, client, head, (socket) => {
    const messages = createWebSocketStream(socket);
    messages.on("error", gone);
    upstream.on("close", () => socket.close());
    upstream.pipe(messages);
    messages.pipe(upstream);
  });
}
