/** Clients of the gateway over real sockets: connections can be cut as networks cut them. */
import WebSocket from "ws";
import { ResumableWebSocket } from "../../../../clients/javascript/resume.js";
import type { TestEdge } from "./edge";

interface End {
  code: number;
  reason: string;
}

/** The package's WebSocket, led to the edge's loopback port by the host that its URL names. */
function socketTo(edge: TestEdge, opened: WebSocket[]) {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      const { host, pathname, search } = new URL(url);
      super(`ws://${edge.address.host}${pathname}${search}`, protocols, { headers: { host, origin: "https://app.example" } });
      opened.push(this);
    }
  };
}

/** A client of the resume protocol that keeps what it heard. */
export class Resuming {
  readonly heard: string[] = [];
  readonly events: string[] = [];
  readonly closed: Promise<End>;

  private constructor(
    readonly socket: ResumableWebSocket,
    /** Every connection that it made. */
    readonly connections: WebSocket[],
  ) {
    this.closed = new Promise((resolve) => socket.addEventListener("close", (event) => resolve({ code: (event as unknown as End).code, reason: (event as unknown as End).reason })));
  }

  static async open(edge: TestEdge, label: string, path = "/chat", protocols: string[] = []): Promise<Resuming> {
    const connections: WebSocket[] = [];
    const socket = new ResumableWebSocket(`ws://${label}.workloads.${edge.zone}${path}`, protocols, { WebSocket: socketTo(edge, connections) });
    const client = new Resuming(socket, connections);
    socket.addEventListener("message", (event) => client.heard.push((event as unknown as { data: string }).data));
    for (const kind of ["disconnect", "resume", "interrupted"]) socket.addEventListener(kind, () => client.events.push(kind));
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("close", (event) => reject(new Error(`closed with ${(event as unknown as End).code}`)));
    });
    return client;
  }

  /** Breaks the present connection off without a close frame. */
  cut(): void {
    this.connections.at(-1)?.terminate();
  }
}

/** A bare connection; `frames` are what came, as text or bytes. */
export interface Raw {
  socket: WebSocket;
  frames: (string | Buffer)[];
  closed: Promise<End>;
  opened: Promise<void>;
}

export function raw(edge: TestEdge, label: string, protocols: string[] = [], path = "/chat"): Raw {
  const opened: WebSocket[] = [];
  const socket = new (socketTo(edge, opened))(`ws://${label}.workloads.${edge.zone}${path}`, protocols);
  const frames: (string | Buffer)[] = [];
  socket.on("message", (data: Buffer, binary: boolean) => frames.push(binary ? data : data.toString()));
  const closed = new Promise<End>((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })));
  return {
    socket,
    frames,
    closed,
    opened: new Promise((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    }),
  };
}
