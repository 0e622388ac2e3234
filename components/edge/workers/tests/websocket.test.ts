import type { WebSocket } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestEdge } from "./edge";
import { Resuming, raw } from "./sockets";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));

test("with the resume protocol a move loses nothing, duplicates nothing and keeps the order and the connection", async () => {
  const workload = await edge.serving("chat-acme");
  const old = edge.machine("acme_chat_1");
  old.echoDelayMs = 30;
  const client = await Resuming.open(edge, "chat-acme");
  let sent = 0;
  const talk = setInterval(() => void client.socket.send(String(sent++)), 3);
  const ended = await edge.ended((await edge.move(workload, "azure")).id);
  await new Promise((resolve) => setTimeout(resolve, 300));
  clearInterval(talk);
  expect(ended.status).toBe("succeeded");
  await edge.until("every echo", async () => client.heard.length >= sent);
  expect(client.heard.map((echo) => echo.split(":")[1])).toEqual(numbers(sent));
  expect([...old.messages, ...edge.machine("acme_chat_2").messages]).toEqual(numbers(sent));
  expect(new Set(client.heard.map((echo) => echo.split(":")[0]))).toEqual(new Set(["chat-acme-1", "chat-acme-2"]));
  expect([client.connections.length, client.events]).toEqual([1, []]);
  await client.socket.close(1000, "done");
  await edge.until("the machine's close", async () => edge.machine("acme_chat_2").talks === 0);
});

test("a plain client stays on its machine for the drain and is closed with 1012, after all its echoes", async () => {
  const workload = await edge.serving("plain-acme", { drainSeconds: 2 });
  const client = raw(edge, "plain-acme");
  await client.opened;
  const { id } = await edge.move(workload, "gcp");
  await edge.until("the commit", async () => (await edge.call<{ routeVersion: number | null }>("GET", `/migrations/${id}`)).routeVersion);
  edge.machine("acme_plain_1").echoDelayMs = 40;
  let sent = 0;
  const talk = setInterval(() => client.socket.readyState === 1 && client.socket.send(String(sent++)), 100);
  await edge.until("an echo", async () => client.frames.length > 0);
  setTimeout(() => clearInterval(talk), 700);
  expect((await client.closed).code).toBe(1012);
  expect(client.frames).toEqual(numbers(sent).map((at) => `plain-acme-1:${at}`));
  expect((await edge.ended(id)).status).toBe("succeeded");
});

test("a machine's own close reaches the client with its code", async () => {
  await edge.serving("code-acme");
  const client = raw(edge, "code-acme");
  await client.opened;
  client.socket.send("close 4001");
  expect(await client.closed).toEqual({ code: 4001, reason: "as asked" });
});

test("a machine's own close ends a session of the resume protocol with its code, after all that it said", async () => {
  await edge.serving("final-acme");
  const client = await Resuming.open(edge, "final-acme");
  await client.socket.send("push 300 10");
  await client.socket.send("close 4001");
  expect(await client.closed).toEqual({ code: 4001, reason: "as asked" });
  expect(client.heard.map((one) => Number.parseInt(one, 10))).toEqual(Array.from({ length: 300 }, (_, at) => at));
  await expect(client.socket.send("more")).rejects.toThrow("closed");
});

test("a client's close reaches the machine with its code", async () => {
  await edge.serving("bye-acme");
  const client = raw(edge, "bye-acme");
  await client.opened;
  client.socket.close(4002, "enough");
  expect((await client.closed).code).toBe(4002);
  await edge.until("the machine's close", async () => edge.machine("acme_bye_1").talks === 0);
});

test("a client with the resume protocol outlives a machine that vanished, is told so, and reaches the next one", async () => {
  const workload = await edge.serving("lost-acme");
  const client = await Resuming.open(edge, "lost-acme");
  await client.socket.send("before");
  await edge.until("the echo", async () => client.heard.length === 1);
  await edge.machine("acme_lost_1").stop();
  await edge.until("the word of it", async () => client.events.includes("interrupted"));
  await client.socket.send("after");
  const { id } = await edge.move(workload, "azure", { kind: "unhealthy" });
  expect((await edge.ended(id)).status).toBe("succeeded");
  await client.socket.send("later");
  await edge.until("the echo", async () => client.heard.includes("lost-acme-2:later"));
  expect(client.heard).toEqual(["lost-acme-1:before", "lost-acme-2:after", "lost-acme-2:later"]);
  expect(client.connections.length).toBe(1);
  await client.socket.close();
});

test("what a machine took before its connection broke is not sent again", async () => {
  await edge.serving("once-acme");
  const machine = edge.machine("acme_once_1");
  machine.echoDelayMs = 10_000;
  const client = await Resuming.open(edge, "once-acme");
  await client.socket.send("0");
  await client.socket.send("1");
  await edge.until("both", async () => machine.messages.length === 2);
  machine.echoDelayMs = 0;
  machine.breakOff();
  await edge.until("the word of it", async () => client.events.includes("interrupted"));
  await client.socket.send("2");
  await edge.until("the echo", async () => client.heard.length === 1);
  expect([machine.messages, client.heard]).toEqual([["0", "1", "2"], ["once-acme-1:2"]]);
  await client.socket.close();
});

test("text stays text, binary stays binary, up to 1 MiB each way", async () => {
  await edge.serving("kinds-acme");
  const client = await Resuming.open(edge, "kinds-acme", "/mirror");
  const large = new Uint8Array(1024 * 1024).map((_, at) => at % 251);
  for (const message of ["", "é", new Uint8Array(), new Uint8Array([0, 255]), large]) await client.socket.send(message);
  await edge.until("every echo", async () => client.heard.length === 5);
  const heard = client.heard as unknown as (string | ArrayBuffer)[];
  expect(heard.slice(0, 2)).toEqual(["", "é"]);
  expect(heard.slice(2).map((one) => Buffer.from(one as ArrayBuffer).equals(Buffer.from(large)) || [...new Uint8Array(one as ArrayBuffer)])).toEqual([[], [0, 255], true]);
  await client.socket.close();

  const plain = raw(edge, "kinds-acme", [], "/mirror");
  await plain.opened;
  plain.socket.send(Buffer.from([1, 2]));
  plain.socket.send("text");
  await edge.until("both echoes", async () => plain.frames.length === 2);
  expect(plain.frames).toEqual([Buffer.from([1, 2]), "text"]);
  plain.socket.close(1000);
});

test("a message over 1 MiB closes a connection with 1009, of either protocol and from either side", async () => {
  await edge.serving("size-acme");
  const plain = raw(edge, "size-acme");
  await plain.opened;
  plain.socket.send("x".repeat(1024 * 1024 + 1));
  expect((await plain.closed).code).toBe(1009);
  const other = raw(edge, "size-acme");
  await other.opened;
  other.socket.send(`push 1 ${1024 * 1024 + 1}`);
  expect((await other.closed).code).toBe(1009);
  const resuming = await Resuming.open(edge, "size-acme");
  await expect(resuming.socket.send("x".repeat(1024 * 1024 + 1))).rejects.toThrow("larger than 1048576");
  await resuming.socket.send(`push 1 ${1024 * 1024 + 1}`);
  expect((await resuming.closed).code).toBe(1009);
});

test("the machine sees a plain WebSocket: the path, Origin and its own subprotocols, signed by the edge", async () => {
  await edge.serving("seen-acme");
  const client = await Resuming.open(edge, "seen-acme", "/room?id=7", ["chat.v2", "chat.v1"]);
  expect(client.socket.protocol).toBe("chat.v2");
  const [{ path, headers }] = edge.machine("acme_seen_1").upgrades as [{ path: string; headers: Record<string, string> }];
  expect([path, headers.origin, headers["sec-websocket-protocol"]?.replaceAll(" ", "")]).toEqual(["/room?id=7", "https://app.example", "chat.v2,chat.v1"]);
  expect(headers["x-spotlane-signature"]).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/);
  expect(Object.keys(headers).filter((name) => /label|resume/.test(name))).toEqual([]);
  await client.socket.close();

  const plain = raw(edge, "seen-acme", ["chat.v1"]);
  await plain.opened;
  expect(plain.socket.protocol).toBe("chat.v1");
  plain.socket.close(1000);
});

test("a machine's refusal of the upgrade is the client's answer", async () => {
  await edge.serving("denied-acme");
  const answer = await edge.fetch("denied-acme.workloads", "/denied", { headers: { upgrade: "websocket" } });
  expect([answer.status, await answer.text()]).toEqual([403, "not you"]);
});

test("pings are answered by the edge, without the machine", async () => {
  await edge.serving("ping-acme");
  const client = raw(edge, "ping-acme", ["spotlane.resume.v1"]);
  await client.opened;
  client.socket.send('{"type":"ping"}');
  client.socket.ping();
  const ponged = new Promise((resolve) => client.socket.once("pong", () => resolve(true)));
  await edge.until("the pong", async () => client.frames.includes('{"type":"pong"}'));
  expect(await ponged).toBe(true);
  expect(edge.machine("acme_ping_1").messages).toEqual([]);
  client.socket.close(1000);
});

test("the gateway has no address of its own, and takes upgrades alone", async () => {
  await edge.serving("only-acme");
  const plain = await edge.fetchFrom("ws", `http://only-acme.workloads.${edge.zone}/`);
  expect(plain.status).toBe(426);
  const foreign = await edge.fetchFrom("ws", "http://only-acme.workloads.evil.example/", { headers: { upgrade: "websocket" } });
  expect(foreign.status).toBe(404);
  const large = await edge.fetchFrom("ws", `http://only-acme.workloads.${edge.zone}/?${"x".repeat(9_000)}`, { headers: { upgrade: "websocket", "x-much": "y".repeat(60_000) } }).catch(() => null);
  expect(large === null || large.status === 431).toBe(true);
  const right = await edge.fetchFrom("ws", `http://only-acme.workloads.${edge.zone}/`, { headers: { upgrade: "websocket" } });
  expect(right.status).toBe(101);
  const socket = right.webSocket as WebSocket;
  socket.accept();
  socket.close(1000);
});
