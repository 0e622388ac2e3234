import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { encode } from "./frames";
import type { Machines } from "./machines";
import { Resumable } from "./resumable";
import { type SessionRow, SessionStore } from "./store";
import { Upstream } from "./upstream";

/** A socket that keeps what it is told; `emit` is what the other side does. */
class FakeSocket {
  readonly sent: (string | Uint8Array)[] = [];
  closed: { code: number; reason: string } | null = null;
  #listeners = new Map<string, ((event: object) => void)[]>();

  addEventListener(kind: string, listener: (event: object) => void): void {
    this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener]);
  }
  accept(): void {}
  send(message: string | Uint8Array): void {
    this.sent.push(message);
  }
  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
  }
  emit(kind: string, event: object): void {
    for (const listener of this.#listeners.get(kind) ?? []) listener(event);
  }
  as(): WebSocket {
    return this as unknown as WebSocket;
  }
}

/** No machine but the first is ever found, and the route never moves. */
const MACHINES = { connect: async () => null, movedFrom: async () => null } as unknown as Machines;

const row = (): SessionRow => ({
  label: "web-acme",
  secretHash: "h",
  subject: null,
  protocol: null,
  handshake: { path: "/", headers: [], continent: null },
  sent: 0,
  last: 0,
  connection: 1,
  awaySince: null,
  ended: null,
});

interface Begun {
  session: Resumable;
  client: FakeSocket;
  machine: FakeSocket;
  store: SessionStore;
}

/** Runs `scenario` with a session that has begun, in an object with storage of its own. */
async function within(name: string, scenario: (begun: Begun) => void | Promise<void>): Promise<void> {
  await runInDurableObject(env.REPLICAS.get(env.REPLICAS.idFromName(name)), async (_object, state) => {
    const store = new SessionStore(state.storage);
    const begun = row();
    store.begin(begun);
    const [client, machine] = [new FakeSocket(), new FakeSocket()];
    const session = new Resumable(begun, store, MACHINES, (work) => void work.catch(() => undefined), new Upstream(machine.as(), "acme_web_1", null));
    session.connected(client.as(), 0, "s", "id");
    await scenario({ session, client, machine, store });
    session.upkeep(Number.MAX_SAFE_INTEGER, 0);
    session.clientClosed(1000, "");
  });
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const message = (sequence: number, text: string): ArrayBuffer => encode({ sequence, acknowledged: 0, text: true, body: new TextEncoder().encode(text) }).buffer;

test("a session whose client is away for 120 s is over: its machine is closed with 1001 and its token names nothing", async () => {
  await within("expires", async ({ session, machine, store }) => {
    session.clientClosed(1006, "");
    const since = session.awaySince as number;
    expect(session.upkeep(since + 119_000, 0)).toBe(1_000);
    expect([session.over, session.canResume(0), machine.closed]).toEqual([false, true, null]);
    session.upkeep(since + 120_000, 0);
    expect([session.over, session.canResume(0), machine.closed?.code]).toEqual([true, false, 1001]);
    await later(20);
    expect(store.load()).toBeNull();
  });
});

test("a client that neither speaks nor pings for 60 s is taken for gone, and may come back; one whose pings the edge answers stays", async () => {
  await within("idle", ({ session, client, machine }) => {
    const now = Date.now();
    session.upkeep(now + 61_000, now + 40_000);
    expect([client.closed, session.awaySince]).toEqual([null, null]);
    session.upkeep(now + 61_000, 0);
    expect([client.closed?.code, session.canResume(0), machine.closed]).toEqual([1001, true, null]);
  });
});

test("a message is marked as sent before the machine has it, and acknowledged only then", async () => {
  await within("marks", async ({ session, client, machine, store }) => {
    session.received(message(1, "a"));
    session.received(message(2, "b"));
    expect([machine.sent, store.load()?.sent]).toEqual([[], 0]);
    await later(120);
    expect([machine.sent, store.load()?.sent]).toEqual([["a", "b"], 2]);
    expect(client.sent.slice(1)).toEqual(['{"type":"ack","received":2}']);
    session.received(message(2, "b"));
    await later(50);
    expect(machine.sent).toEqual(["a", "b"]);
  });
});

test("what a client has not acknowledged outlives the object's memory; the numbering goes on after what the client has", async () => {
  await within("restored", async ({ session, machine, store }) => {
    session.received(message(1, "a"));
    await later(30);
    for (const text of ["x", "y", "z"]) machine.emit("message", { data: text });
    session.clientClosed(1006, "");
    const restored = new Resumable(store.load() as SessionRow, store, MACHINES, () => undefined, null);
    expect([restored.canResume(0), restored.canResume(2), restored.canResume(4)]).toEqual([true, true, true]);
    const client = new FakeSocket();
    restored.succeeded({ path: "/", headers: [], continent: null });
    restored.connected(client.as(), 1, null, "id");
    const [welcome, interrupted, ...frames] = client.sent;
    expect(JSON.parse(welcome as string)).toMatchObject({ resumed: true, received: 1 });
    expect(interrupted).toBe('{"type":"interrupted","sent":1}');
    expect(frames.map((frame) => String.fromCharCode((frame as Uint8Array).at(-1) as number))).toEqual(["y", "z"]);
    restored.clientClosed(1000, "");
  });
});

test("a machine that breaks off is no end; one that closes for good ends the session after all that it said", async () => {
  await within("ends", ({ session, client, machine }) => {
    machine.emit("message", { data: "last" });
    machine.emit("close", { code: 4003, reason: "done" });
    expect(client.sent.at(-1)).toBe('{"type":"end","code":4003,"reason":"done"}');
    expect([client.sent.length, client.closed, session.over]).toEqual([3, { code: 4003, reason: "done" }, false]);
    session.clientClosed(4003, "done");
    expect(session.over).toBe(true);
  });
  await within("breaks", ({ session, client, machine }) => {
    machine.emit("close", { code: 1011, reason: "" });
    expect([client.closed, session.over]).toEqual([null, false]);
  });
});
