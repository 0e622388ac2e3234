/** The two sides of the router benchmark, each in a workerd of its own: a Worker that only passes on, and the router as it is deployed with what it binds. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare, type WorkerOptions } from "miniflare";
import { workers } from "../../components/edge/workers/tests/bindings";

const ZONE = "bench.test";
const LABEL = "web-acme";
const ORIGIN = `https://${LABEL}-1.origins.${ZONE}`;
/** What the router binds, and what those bind. */
const BOUND = ["routes", "auth", "ws", "router"];

/** The least that a proxy does. */
const PASSTHROUGH = `export default {
  fetch(request) {
    const url = new URL(request.url);
    return fetch(${JSON.stringify(ORIGIN)} + url.pathname + url.search, request);
  }
};`;

/** Commits the route and has tokens issued, by the bindings by which the API Worker and the saga do. */
const SETUP = `export default {
  async fetch(request, env) {
    const tokens = Number(new URL(request.url).searchParams.get("tokens"));
    await env.AUTHORITIES.get(env.AUTHORITIES.idFromName("acme")).commit({
      label: ${JSON.stringify(LABEL)}, targets: [{ placement: "acme_web_1", origin: ${JSON.stringify(ORIGIN)}, tcpOrigin: null, weight: 1 }],
      access: "token", drainSeconds: 5, ifVersion: 0, fencingToken: 1,
    });
    const issued = [];
    for (let at = 0; at < tokens; at += 1) {
      const grant = { subject: "key_" + String(at).padStart(16, "0"), scopes: ["tenant:read"], tenant: "acme", ttlSeconds: 86400 };
      issued.push((await env.AUTH.issue(grant)).accessToken);
    }
    return Response.json(issued);
  }
};`;

function script(name: string, contents: string, more: object = {}): WorkerOptions {
  return { name, modules: [{ type: "ESModule", path: `/${name}.js`, contents }], modulesRoot: "/", compatibilityDate: "2026-04-01", ...more } as WorkerOptions;
}

export async function start(side: "passthrough" | "router", originPort: number, tokens: number): Promise<void> {
  const state = mkdtempSync(join(tmpdir(), "spotlane-bench-"));
  const reached = { external: { address: `127.0.0.1:${originPort}`, http: {} } };
  const served = { outboundService: reached, unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };
  const values = { ZONE, AUTOMATION_URL: "http://127.0.0.1:9", PLATFORM_KEY_SHA256: "0".repeat(64) };
  const ours = (): WorkerOptions[] => [
    ...workers(ZONE, values, state)
      .filter(({ name }) => BOUND.includes(name ?? ""))
      .map((one) => ({ ...one, routes: [], ...(one.name === "router" ? served : { outboundService: reached }) }) as WorkerOptions),
    script("setup", SETUP, {
      serviceBindings: { AUTH: { name: "auth", entrypoint: "AuthService" } },
      durableObjects: { AUTHORITIES: { className: "RouteAuthority", scriptName: "routes", useSQLite: true } },
    }),
  ];
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    defaultPersistRoot: state,
    workers: side === "router" ? ours() : [script("passthrough", PASSTHROUGH, served)],
  } as never);
  await miniflare.ready;
  const issued = side === "router" ? await (await (await miniflare.getWorker("setup")).fetch(`http://setup/?tokens=${tokens}`)).json() : [];
  const port = Number((await miniflare.unsafeGetDirectURL(side)).port);
  process.stdout.write(`${JSON.stringify({ port, workerd: workerd(), host: `${LABEL}.workloads.${ZONE}`, tokens: issued })}\n`);
  process.stdin.resume();
  process.stdin.on("end", async () => {
    await miniflare.dispose();
    rmSync(state, { recursive: true, force: true });
    process.exit(0);
  });
}

/** The process id of this process's workerd. */
function workerd(): number {
  for (const task of readdirSync("/proc/self/task"))
    for (const child of readFileSync(`/proc/self/task/${task}/children`, "utf8").trim().split(" ")) if (child && readFileSync(`/proc/${child}/comm`, "utf8").trim() === "workerd") return Number(child);
  throw new Error("workerd is not among this process's children");
}
