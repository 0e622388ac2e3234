import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { migrate } from "../shared/schema";
import type { Watch } from "../shared/services";
import type { HealthEnv } from "./monitor";

/** A tenant of its own for each test, with what its monitor did to the world. */
let number = 0;
let tenant = "";
let marks: [string, boolean][] = [];
let incidents: string[] = [];
let answers: (path: string) => Response = () => new Response(null, { status: 503 });
beforeEach(async () => {
  number += 1;
  tenant = `acme${number}`;
  marks = [];
  incidents = [];
  await migrate(env.DB);
});

const monitor = () => env.MONITORS.get(env.MONITORS.idFromName(tenant));
const watch = (changes: Partial<Watch["health"]> = {}): Watch => ({
  placement: `${tenant}_web_1`,
  tenant,
  origin: `https://web-${tenant}-1.origins.edge.test`,
  tcpOrigin: null,
  health: { protocol: "http", path: "/healthz", intervalSeconds: 0.5, timeoutSeconds: 1, healthyCount: 2, unhealthyCount: 2, ...changes },
});

/** Puts fakes before the monitor's bindings and the network; they keep what was asked of them. */
async function fakes(): Promise<void> {
  await runInDurableObject(monitor(), (instance) => {
    const authority = { mark: async (_: string, placement: string, healthy: boolean) => marks.push([placement, healthy]) > 0 };
    const open = instance as unknown as { env: HealthEnv };
    open.env = {
      ...open.env,
      AUTHORITIES: { idFromName: () => "one", get: () => authority } as never,
      AUTH: { originKey: async () => "00".repeat(32), issue: async () => ({ accessToken: "t", expiresIn: 900 }) } as never,
      AUTOMATION_URL: "http://automation.test",
    };
  });
  globalThis.fetch = (async (input: RequestInfo, init?: RequestInit) => {
    const url = new URL(typeof input === "string" ? input : input.url);
    if (url.hostname !== "automation.test") return answers(url.pathname);
    incidents.push((JSON.parse(String(init?.body)) as { detail: string }).detail);
    return Response.json({});
  }) as typeof fetch;
}

/** Turns of the alarm, each with every check due. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await runInDurableObject(monitor(), (_, state) => void state.storage.sql.exec("update standings set next_at = 0"));
    await runDurableObjectAlarm(monitor());
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const standing = () => runInDurableObject(monitor(), (_, state) => [...state.storage.sql.exec("select failures, successes, healthy, marked from standings")][0]);

test("a failing machine leaves rotation and is reported; it comes back after good checks in a row", async () => {
  await fakes();
  await monitor().watch(watch());
  answers = () => new Response(null, { status: 503 });
  await turns(1);
  expect([marks, incidents]).toEqual([[], []]);
  await turns(1);
  expect([marks, incidents]).toEqual([[[`${tenant}_web_1`, false]], ["2 checks of /healthz failed in a row, the last one: HTTP 503"]]);
  await turns(3);
  expect(incidents).toHaveLength(1);
  answers = () => new Response("ok");
  await turns(2);
  expect(marks).toEqual([
    [`${tenant}_web_1`, false],
    [`${tenant}_web_1`, true],
  ]);
});

test("failures counted before an eviction count after it", async () => {
  await fakes();
  await monitor().watch(watch());
  answers = () => new Response(null, { status: 500 });
  await turns(1);
  await runInDurableObject(monitor(), (_, state) => state.abort("evicted")).catch(() => undefined);
  await fakes();
  await turns(1);
  expect([await standing(), marks]).toEqual([{ failures: 2, successes: 0, healthy: 0, marked: 0 }, [[`${tenant}_web_1`, false]]]);
});

test("a mark that could not be made is made after the next check", async () => {
  await fakes();
  await monitor().watch(watch());
  answers = () => new Response(null, { status: 500 });
  await runInDurableObject(monitor(), (instance) => {
    const open = instance as unknown as { env: HealthEnv };
    open.env = { ...open.env, AUTHORITIES: { idFromName: () => "one", get: () => ({ mark: () => Promise.reject(new Error("away")) }) } as never };
  });
  await turns(2);
  expect(await standing()).toMatchObject({ healthy: 0, marked: 1 });
  await fakes();
  await turns(1);
  expect([await standing(), marks]).toEqual([{ failures: 3, successes: 0, healthy: 0, marked: 0 }, [[`${tenant}_web_1`, false]]]);
});

test("of many machines no more than six are checked at once", async () => {
  await fakes();
  let now = 0;
  let most = 0;
  for (let one = 1; one <= 20; one += 1) await monitor().watch({ ...watch(), placement: `${tenant}_web_${one}` });
  globalThis.fetch = (async (input: RequestInfo) => {
    // Monitors of other tests have alarms of their own.
    if (!String(input).includes(`-${tenant}-`)) return new Response("ok");
    now += 1;
    most = Math.max(most, now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now -= 1;
    return new Response("ok");
  }) as unknown as typeof fetch;
  await turns(1);
  expect(most).toBe(6);
});

test("a watch whose placement no longer serves is given up, one that serves is kept", async () => {
  await fakes();
  await monitor().watch(watch());
  await monitor().watch({ ...watch(), placement: `${tenant}_web_2` });
  await env.DB.prepare("insert into placements (id, workload, tenant, generation, state, document) values (?, ?, ?, 2, 'SERVING', '{}')").bind(`${tenant}_web_2`, `web-${tenant}`, tenant).run();
  await monitor().prune(tenant);
  const left = await runInDurableObject(monitor(), (_, state) => [...state.storage.sql.exec<{ placement: string }>("select placement from watched")]);
  expect(left).toEqual([{ placement: `${tenant}_web_2` }]);
});

test("new settings of a watch keep what is known of the machine", async () => {
  await fakes();
  await monitor().watch(watch());
  answers = () => new Response(null, { status: 500 });
  await turns(1);
  await monitor().watch(watch({ unhealthyCount: 5 }));
  expect(await standing()).toMatchObject({ failures: 1 });
});
