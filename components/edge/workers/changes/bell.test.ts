import { env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { bell, ring } from "../shared/changes";
import { LISTENERS } from "./bell";

const listen = async (tenant: string | null): Promise<{ status: number; heard: string[]; socket: WebSocket | null }> => {
  const { status, webSocket: socket } = await bell(env as never, tenant).fetch("https://bell/", { headers: { upgrade: "websocket" } });
  const heard: string[] = [];
  socket?.accept();
  socket?.addEventListener("message", ({ data }) => void heard.push(String(data)));
  return { status, heard, socket };
};

test("a tenant's ring is heard by who follows it and by who follows all; one of none by the latter alone", async () => {
  const [acme, other, all] = await Promise.all([listen("acme"), listen("other"), listen(null)]);
  await ring(env as never, "acme");
  await ring(env as never, "acme", "refused");
  await ring(env as never, null);
  await vi.waitFor(() => expect([acme.heard, other.heard, all.heard]).toEqual([["changed", "refused"], [], ["changed", "refused", "changed"]]), 5_000);
});

test("only so many listen at one bell; one that leaves makes room", async () => {
  const listening = [];
  for (let count = 0; count < LISTENERS; count += 1) listening.push(await listen("crowded"));
  expect([listening.every(({ status }) => status === 101), (await listen("crowded")).status]).toEqual([true, 429]);
  listening[0]?.socket?.close();
  await vi.waitFor(async () => expect((await listen("crowded")).status).toBe(101), 5_000);
});

test("what isn't a WebSocket is refused", async () => {
  expect((await bell(env as never, "acme").fetch("https://bell/")).status).toBe(426);
});
