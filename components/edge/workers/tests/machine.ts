/** A machine of a test: a small service on loopback with HTTP, and an echo over WebSocket and TCP, known to the edge by its origin's name. */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

export class Machine {
  healthy = true;
  readonly requests: { method: string; path: string; headers: IncomingMessage["headers"] }[] = [];
  /** What came over WebSocket, in order. */
  readonly messages: string[] = [];
  /** The upgrades that came. */
  readonly upgrades: { path: string; headers: IncomingMessage["headers"] }[] = [];
  /** Answers for paths other than those that every machine has. */
  readonly pages = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  /** Milliseconds before a message is echoed. */
  echoDelayMs = 0;
  readonly #sockets = new Set<Socket>();
  readonly #talks = new Set<WebSocket>();
  /** Its TCP service; {@link closeTcp} ends it. */
  readonly #tcp = net.createServer({ allowHalfOpen: true });

  private constructor(
    readonly name: string,
    private readonly server: http.Server,
  ) {}

  static async start(name: string): Promise<Machine> {
    const server = http.createServer();
    const machine = new Machine(name, server);
    server.on("request", (request, response) => machine.#serve(request, response));
    server.on("connection", (socket) => {
      machine.#sockets.add(socket);
      socket.on("close", () => machine.#sockets.delete(socket));
    });
    const echo = new WebSocketServer({ server, maxPayload: 8 * 1024 * 1024, verifyClient: ({ req }, answer) => (req.url === "/denied" ? answer(false, 403, "not you") : answer(true)) });
    echo.on("connection", (socket, { url, headers }) => {
      machine.upgrades.push({ path: url ?? "", headers });
      machine.#talks.add(socket);
      socket.on("close", () => machine.#talks.delete(socket));
      if (url === "/mirror") return socket.on("message", (data, binary) => socket.send(data, { binary }));
      // Echoes in order; a close waits for what is still to be echoed, as a service that stops cleanly does.
      let last = Promise.resolve();
      socket.on("message", (data) => {
        const order = /^close (\d+)$/.exec(String(data));
        if (order) return socket.close(Number(order[1]), "as asked");
        const push = /^push (\d+) (\d+)$/.exec(String(data));
        if (push) return Array.from({ length: Number(push[1]) }, (_, at) => socket.send(`${at}`.padEnd(Number(push[2]), ".")));
        machine.messages.push(String(data));
        const waited = new Promise((resolve) => setTimeout(resolve, machine.echoDelayMs));
        last = last.then(() => waited).then(() => socket.send(`${machine.name}:${data}`));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await machine.openTcp();
    return machine;
  }

  get tcpPort(): number {
    return machinePort(this.#tcp) || this.#lastTcpPort;
  }

  #lastTcpPort = 0;

  /** Opens the TCP service, on the port that it had before. What comes is sent back after the machine's name. */
  async openTcp(): Promise<void> {
    this.#tcp.removeAllListeners("connection");
    this.#tcp.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.on("data", (data) => void socket.write(`${this.name}:${data}`));
      socket.on("end", () => socket.end());
    });
    await new Promise<void>((resolve) => this.#tcp.listen(this.#lastTcpPort, "127.0.0.1", resolve));
    this.#lastTcpPort = machinePort(this.#tcp);
  }

  /** Refuses TCP connections from now on. */
  async closeTcp(): Promise<void> {
    if (!this.#tcp.listening) return;
    const closed = new Promise((resolve) => this.#tcp.close(resolve));
    for (const socket of this.#sockets) if (socket.localPort === this.#lastTcpPort) socket.destroy();
    await closed;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** WebSockets that are open. */
  get talks(): number {
    return this.#talks.size;
  }

  /** Breaks every WebSocket off, without a close frame. */
  breakOff(): void {
    for (const socket of this.#talks) socket.terminate();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.closeTcp();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url ?? "/", "http://machine").pathname;
    if (path === "/healthz") return void response.writeHead(this.healthy ? 200 : 503).end();
    this.requests.push({ method: request.method ?? "", path, headers: request.headers });
    const page = this.pages.get(path);
    if (page) return page(request, response);
    if (path === "/echo") return void request.pipe(response.writeHead(200));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ machine: this.name }));
  }
}

function machinePort(server: net.Server): number {
  return (server.address() as AddressInfo | null)?.port ?? 0;
}
