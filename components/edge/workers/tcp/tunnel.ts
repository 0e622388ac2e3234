/**
 * A TCP connection through a machine's tunnel: the tunnel carries it in the binary messages of a WebSocket to the TCP hostname, as `cloudflared access tcp`
 * opens it. The WebSocket opens once the connector has connected to the service. It knows no half-close: its end is the end of both directions.
 */
export interface Stream {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
  close(): Promise<void> | void;
}

/** After the client's end the machine may still answer; this long (ms) after its last word the connection is closed. */
const LINGER_MS = 5_000;
/** What may wait for a slow client before the connection is given up; a WebSocket can't be told to wait. */
const WAITING_BYTES = 8 * 1024 * 1024;

/** Opens the tunnel to `host`. Throws where the machine can't be reached. */
export async function openTunnel(host: string, headers: Record<string, string> = {}, call: typeof fetch = fetch): Promise<Stream> {
  const answer = await call(`https://${host}/`, { headers: { ...headers, upgrade: "websocket" } });
  const socket = answer.webSocket;
  if (!socket) throw new Error(`${host}: the tunnel answered ${answer.status}`);
  socket.binaryType = "arraybuffer";
  socket.accept();
  return streamOf(socket);
}

/** The WebSocket as a pair of byte streams. */
export function streamOf(socket: WebSocket): Stream {
  let heard = Date.now();
  let open = true;
  const close = (): void => {
    if (open) socket.close(1000);
    open = false;
  };
  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        socket.addEventListener("message", ({ data }) => {
          heard = Date.now();
          if (!open) return;
          controller.enqueue(typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data as ArrayBuffer));
          if ((controller.desiredSize ?? 0) < -WAITING_BYTES) {
            controller.error(new Error("the client takes too little"));
            close();
          }
        });
        const ended = (): void => {
          if (open) controller.close();
          open = false;
        };
        socket.addEventListener("close", ended);
        socket.addEventListener("error", ended);
      },
      cancel: close,
    },
    { highWaterMark: 0, size: (chunk) => chunk?.byteLength ?? 0 },
  );
  const writable = new WritableStream<Uint8Array>({
    write(chunk) {
      if (!open) throw new Error("the machine has ended the connection");
      socket.send(chunk);
    },
    async close() {
      while (open && Date.now() - heard < LINGER_MS) await new Promise((resolve) => setTimeout(resolve, LINGER_MS / 10));
      close();
    },
    abort: close,
  });
  return { readable, writable, close };
}
