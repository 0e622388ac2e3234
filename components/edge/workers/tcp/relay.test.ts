import { expect, test } from "vitest";
import type { Route } from "../shared/route";
import { addressed, relay, type TcpEnv } from "./relay";

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

test("a connection is joined with the machine that serves, both ways to the end", async () => {
  const client = connection("ask");
  const machine = connection("answer");
  const dialled: unknown[] = [];
  await relay(
    client.socket,
    env(ADDRESS),
    async () => route,
    (address) => {
      dialled.push(address);
      return machine.socket;
    },
  );
  expect(dialled).toEqual([{ hostname: "tcp-data-acme-1.origins.edge.test", port: 5432 }]);
  expect([machine.got.join(""), client.got.join("")]).toEqual(["ask", "answer"]);
});

test("without an address, a route or a machine a connection is closed", async () => {
  const cases: [string | undefined, Route | null][] = [
    [undefined, route],
    [ADDRESS, null],
    [ADDRESS, { ...route, targets: [] }],
  ];
  for (const [address, found] of cases) {
    const client = connection("ask");
    await relay(client.socket, env(address), async () => found);
    expect(client.closed()).toBe(true);
  }
});
