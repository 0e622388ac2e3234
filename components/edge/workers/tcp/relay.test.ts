import { expect, test } from "vitest";
import type { Route } from "../shared/route";
import { addressed, relay, type TcpEnv } from "./relay";
import type { Stream } from "./tunnel";

const ADDRESS = "tcp-data-acme.workloads.edge.test:5432";
const route: Route = {
  label: "data-acme",
  tenant: "acme",
  version: 1,
  targets: [{ placement: "acme_data_1", origin: "https://data-acme-1.origins.edge.test", tcpOrigin: "tcp-data-acme-1.origins.edge.test", weight: 1, healthy: true }],
  access: "anonymous",
  drainSeconds: 0,
  updatedAt: "",
};
const env = (address?: string) => ({ ZONE: "edge.test", ...(address ? { TCP_ADDRESS: address } : {}) }) as TcpEnv;

/** A connection as the Worker sees it, and what its other end sent and got. */
function connection(sends: string) {
  const got: string[] = [];
  let closed = false;
  const socket = {
    readable: new Response(sends).body,
    writable: new WritableStream<Uint8Array>({ write: (chunk) => void got.push(new TextDecoder().decode(chunk)) }),
    close: async () => {
      closed = true;
    },
  };
  return { socket: socket as unknown as Socket, got, closed: () => closed };
}

test("an address is taken apart, and only one of ours", () => {
  expect(addressed(ADDRESS, "edge.test")).toEqual({ label: "data-acme", port: 5432 });
  for (const other of ["data-acme.workloads.edge.test:5432", "tcp-data-acme.workloads.elsewhere.test:5432", "tcp-data-acme.workloads.edge.test", "tcp-nohyphen.workloads.edge.test:1"])
    expect(addressed(other, "edge.test")).toBeNull();
});

const stream = (connected: ReturnType<typeof connection>) => connected.socket as unknown as Stream;

test("a connection is joined with the machine that serves, both ways to the end", async () => {
  const client = connection("ask");
  const machine = connection("answer");
  const opened: string[] = [];
  await relay(
    client.socket,
    env(ADDRESS),
    async () => route,
    async (host) => {
      opened.push(host);
      return stream(machine);
    },
  );
  expect(opened).toEqual(["tcp-data-acme-1.origins.edge.test"]);
  expect([machine.got.join(""), client.got.join("")]).toEqual(["ask", "answer"]);
});

test("a machine that can't be reached is looked up afresh once, then the connection is closed", async () => {
  const client = connection("ask");
  const asked: boolean[] = [];
  const routes = async (_: string, fresh: boolean) => {
    asked.push(fresh);
    return route;
  };
  await relay(client.socket, env(ADDRESS), routes, async () => {
    throw new Error("the tunnel answered 502");
  });
  expect([asked, client.closed()]).toEqual([[false, true], true]);
});

test("a service that expects the PROXY protocol is told that the client isn't known", async () => {
  for (const [proxyProtocol, header] of [
    ["v1", "PROXY UNKNOWN\r\n"],
    ["v2", "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"],
  ] as const) {
    const client = connection("ask");
    const machine = connection("answer");
    const expecting = { ...route, targets: route.targets.map((target) => ({ ...target, proxyProtocol })) };
    await relay(
      client.socket,
      env(ADDRESS),
      async () => expecting,
      async () => stream(machine),
    );
    expect(machine.got.join("")).toBe(`${header}ask`);
  }
});

test("an open connection is closed once its machine has been out of the route for the drain's length", async () => {
  const silent = { readable: new ReadableStream(), writable: new WritableStream() };
  let closed = 0;
  const close = async () => {
    closed += 1;
  };
  const end = { ...silent, close };
  let present: Route = route;
  const done = relay(
    end as unknown as Socket,
    env(ADDRESS),
    async () => present,
    async () => ({ ...silent, readable: new ReadableStream(), writable: new WritableStream(), close: end.close }) as Stream,
  );
  const first = await Promise.race([done.then(() => "ended"), new Promise((resolve) => setTimeout(() => resolve("open"), 1_300))]);
  present = { ...route, version: 2, targets: [] };
  await done;
  expect([first, closed]).toEqual(["open", 2]);
});

test("without an address, a route or a machine a connection is closed", async () => {
  const cases: [string | undefined, Route | null][] = [
    [undefined, route],
    [ADDRESS, null],
    [ADDRESS, { ...route, targets: [] }],
    [ADDRESS, { ...route, targets: route.targets.map((target) => ({ ...target, healthy: false })) }],
  ];
  for (const [address, found] of cases) {
    const client = connection("ask");
    await relay(client.socket, env(address), async () => found);
    expect(client.closed()).toBe(true);
  }
});
