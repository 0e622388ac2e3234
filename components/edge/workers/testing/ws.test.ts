/** WebSockets through the gateway: relayed, and handed over in a move without a lost or doubled message. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { AuthorityStub } from "../shared/route";
import { Platform, served, until, ZONE } from "./platform";

let platform: Platform;
let automation: Awaited<ReturnType<typeof served>>;
const servers: http.Server[] = [];

async function echo(generation: number): Promise<void> {
  const server = http.createServer((_, response) => response.end("ok"));
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`${generation}:${data}`)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  platform.origins.set(`chat-acme-${generation}.origins.${ZONE}`, `127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function commit(generation: number): Promise<void> {
  const namespace = await platform.miniflare.getDurableObjectNamespace("AUTHORITIES", "routes");
  const authority = namespace.get(namespace.idFromName("acme")) as unknown as AuthorityStub;
  const target = { placement: `acme_chat_${generation}`, origin: `https://chat-acme-${generation}.origins.${ZONE}`, tcpOrigin: null, weight: 1 };
  const done = await authority.commit({ label: "chat-acme", targets: [target], access: "anonymous", drainSeconds: 0.5, ifVersion: generation - 1, fencingToken: generation });
  expect(done).toEqual({ ok: true, version: generation });
}

async function connected(protocols: string[]): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${await platform.port("router")}/`, protocols, { headers: { host: `chat-acme.workloads.${ZONE}` } });
  await new Promise<void>((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

beforeAll(async () => {
  automation = await served(() => ({ json: {} }));
  platform = await Platform.start(automation.url);
  for (const generation of [1, 2, 3]) await echo(generation);
  await commit(1);
}, 60_000);

afterAll(async () => {
  await platform?.close();
  automation?.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

it("hands a resuming client over without losing or doubling a message", async () => {
  const socket = await connected(["spotlane.resume.v1"]);
  const back: string[] = [];
  socket.on("message", (data) => back.push(String(data)));
  let sent = 0;
  const sending = setInterval(() => socket.send(String(sent++)), 10);
  await until("echoes of the first machine", async () => back.length > 10);
  await commit(2);
  await until("echoes of the second machine", async () => back.some((one) => one.startsWith("2:")));
  clearInterval(sending);
  await until("every echo", async () => back.length >= sent);
  expect(back.map((one) => one.split(":")[1])).toEqual(Array.from({ length: sent }, (_, number) => String(number)));
  socket.close();
}, 30_000);

it("closes a plain client with 1012 after the drain, its messages answered", async () => {
  const socket = await connected([]);
  const back: string[] = [];
  socket.on("message", (data) => back.push(String(data)));
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  socket.send("before");
  await until("the echo", async () => back.length === 1);
  await commit(3);
  socket.send("during");
  expect([await closed, back]).toEqual([1012, ["2:before", "2:during"]]);
}, 30_000);

it("answers 404 where no workload has the address", async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${await platform.port("router")}/`, { headers: { host: `nobody-acme.workloads.${ZONE}` } });
  const status = await new Promise((resolve) => socket.once("unexpected-response", (_, response) => resolve(response.statusCode)).once("error", () => undefined));
  expect(status).toBe(404);
});
