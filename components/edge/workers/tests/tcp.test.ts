import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Workload } from "../shared/wire";
import { TestEdge } from "./edge";

const TCP = { ports: { tcp: 5432 } };
const TCP_ONLY = { ports: { http: null, tcp: 5432 }, health: { healthyCount: 2, unhealthyCount: 2 } };

let edge: TestEdge;
beforeAll(async () => {
  edge = await TestEdge.start("tcp-data-acme.workloads.edge.test:5432");
});
afterAll(async () => {
  await edge.stop();
});

interface Route {
  version: number;
  origin: string | null;
  drainSeconds: number;
  targets: { placement: string; origin: string; weight: number; healthy: boolean; proxyProtocol: string }[];
}
const route = async (label: string, query = ""): Promise<{ status: number; route: Route }> => {
  const answer = await edge.fetch("tcp", `/tcp/${label}${query}`);
  return { status: answer.status, route: (await answer.json()) as Route };
};

/** A connection that is handed to the Worker, as Spectrum does: an HTTP CONNECT, then the bytes. */
async function handed(): Promise<net.Socket> {
  const { host, port } = await edge.tcpEntry();
  const socket = net.connect({ host, port, allowHalfOpen: true });
  socket.write("CONNECT tcp-data-acme.workloads.edge.test:5432 HTTP/1.1\r\nhost: tcp-data-acme.workloads.edge.test:5432\r\n\r\n");
  let head = "";
  while (!head.includes("\r\n\r\n")) head += await next(socket);
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
  return socket;
}
const next = (socket: net.Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    socket.once("data", (data) => resolve(String(data)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });

test("a workload that serves TCP only is verified by a connection and served", async () => {
  const workload = await edge.serving("only-acme", TCP_ONLY);
  expect(workload).toMatchObject({ state: "RUNNING", placement: { id: "acme_only_1", state: "SERVING" } });
  expect((await route("only-acme")).route.targets).toMatchObject([{ placement: "acme_only_1", healthy: true, proxyProtocol: "off" }]);
});

test("a TCP service that refuses connections leaves rotation, and comes back when it takes them again", async () => {
  await edge.serving("port-acme", TCP_ONLY);
  await edge.machine("acme_port_1").closeTcp();
  const incident = await edge.until("the incident", async () => edge.automation.incidents.find(({ placement }) => placement === "acme_port_1"));
  expect(incident.detail).toMatch(/^\d+ TCP checks failed in a row, the last one: no connection \(502\)$/);
  await edge.until("the mark", async () => (await route("port-acme")).status === 503);
  expect((await route("port-acme", "?after=0")).route).toMatchObject({ origin: null, targets: [{ placement: "acme_port_1", healthy: false }] });
  await edge.machine("acme_port_1").openTcp();
  await edge.until("the return", async () => (await route("port-acme")).status === 200);
});

test("a connection that is handed to the Worker reaches the machine, stays with it for the drain, and the next one follows the move", async () => {
  const workload = await edge.serving("data-acme", { ...TCP, drainSeconds: 2 });
  const old = await handed();
  old.write("one");
  expect(await next(old)).toBe("data-acme-1:one");
  const { id } = await edge.move(workload, "azure");
  await edge.until("the commit", async () => (await edge.call<{ routeVersion: number | null }>("GET", `/migrations/${id}`)).routeVersion);
  await edge.until("the new machine", async () => {
    const fresh = await handed();
    fresh.write("two");
    const said = await next(fresh);
    fresh.destroy();
    return said === "data-acme-2:two";
  });
  old.write("still here");
  expect(await next(old)).toBe("data-acme-1:still here");
  const ended = new Promise((resolve) => old.once("close", resolve));
  old.resume();
  old.on("end", () => old.end());
  await ended;
  expect((await edge.ended(id)).status).toBe("succeeded");
});

test("a follower is told when the route has moved on, also to no machine; a version that is none is refused", async () => {
  const workload: Workload = await edge.serving("next-acme", { ...TCP, drainSeconds: 1 });
  expect((await route("next-acme", "?after=0")).route).toMatchObject({ version: 1, drainSeconds: 1 });
  const waiting = route("next-acme", "?after=1");
  const { id } = await edge.move(workload, "gcp");
  expect((await waiting).route).toMatchObject({ version: 2, origin: "tcp-next-acme-2.origins.edge.test" });
  await edge.ended(id);
  const last = route("next-acme", "?after=2");
  await edge.call("DELETE", "/workloads/next-acme");
  expect(await last).toMatchObject({ status: 200, route: { version: 3, origin: null, targets: [] } });
  expect((await route("next-acme")).status).toBe(503);
  for (const bad of ["x", "-1", "1.5", ""]) expect((await route("next-acme", `?after=${bad}`)).status).toBe(400);
});
