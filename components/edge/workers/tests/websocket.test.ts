import type { WebSocket } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestEdge } from "./edge";

const RESUME = "spotlane.resume.v1";

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start();
});
afterAll(async () => {
  await edge.stop();
});

interface Client {
  socket: WebSocket;
  echoes: string[];
  closed: Promise<{ code: number; reason: string }>;
}

async function connect(label: string, protocol?: string): Promise<Client> {
  const headers = { upgrade: "websocket", ...(protocol ? { "sec-websocket-protocol": protocol } : {}) };
  const answer = await edge.fetch(`${label}.workloads`, "/chat", { headers });
  expect([answer.status, answer.headers.get("sec-websocket-protocol")]).toEqual([101, protocol ?? null]);
  const socket = answer.webSocket as WebSocket;
  const echoes: string[] = [];
  socket.addEventListener("message", ({ data }) => void echoes.push(String(data)));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason })));
  socket.accept();
  return { socket, echoes, closed };
}

test("with the resume protocol a move loses nothing, duplicates nothing and keeps the order", async () => {
  const workload = await edge.serving("chat-acme");
  const old = edge.machine("acme_chat_1");
  old.echoDelayMs = 30;
  const client = await connect("chat-acme", RESUME);
  let sent = 0;
  const talk = setInterval(() => client.socket.send(String(sent++)), 3);
  const ended = await edge.ended((await edge.move(workload, "azure")).id);
  await new Promise((resolve) => setTimeout(resolve, 300));
  clearInterval(talk);
  expect(ended.status).toBe("succeeded");
  await edge.until("every echo", async () => client.echoes.length >= sent);
  expect(client.echoes.map((echo) => echo.split(":")[1])).toEqual(Array.from({ length: sent }, (_, at) => String(at)));
  const taken = [...old.messages, ...edge.machine("acme_chat_2").messages];
  expect(taken).toEqual(Array.from({ length: sent }, (_, at) => String(at)));
  expect(new Set(client.echoes.map((echo) => echo.split(":")[0]))).toEqual(new Set(["chat-acme-1", "chat-acme-2"]));
  client.socket.close(1000, "done");
  expect(await client.closed).toEqual({ code: 1000, reason: "done" });
});

test("a plain client stays on its machine for the drain and is closed with 1012, after all its echoes", async () => {
  const workload = await edge.serving("plain-acme", { drainSeconds: 2 });
  const client = await connect("plain-acme");
  const { id } = await edge.move(workload, "gcp");
  await edge.until("the commit", async () => (await edge.call<{ routeVersion: number | null }>("GET", `/migrations/${id}`)).routeVersion);
  client.socket.send("still here");
  await edge.until("the echo", async () => client.echoes.length === 1);
  expect(client.echoes).toEqual(["plain-acme-1:still here"]);
  expect((await client.closed).code).toBe(1012);
  expect((await edge.ended(id)).status).toBe("succeeded");
});

test("a machine's own close reaches the client with its code", async () => {
  await edge.serving("code-acme");
  const client = await connect("code-acme");
  client.socket.send("close 4001");
  expect(await client.closed).toEqual({ code: 4001, reason: "as asked" });
});

test("a client with the resume protocol outlives a machine that vanished, and reaches the next one", async () => {
  const workload = await edge.serving("lost-acme");
  const client = await connect("lost-acme", RESUME);
  client.socket.send("before");
  await edge.until("the echo", async () => client.echoes.length === 1);
  await edge.machine("acme_lost_1").stop();
  client.socket.send("after");
  const { id } = await edge.move(workload, "azure", { kind: "unhealthy" });
  expect((await edge.ended(id)).status).toBe("succeeded");
  client.socket.send("later");
  await edge.until("the echo", async () => client.echoes.includes("lost-acme-2:later"));
  client.socket.close(1000);
});
