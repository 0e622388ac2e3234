/** Writes routes and polls every router until each serves them; counts what reached a machine that should not have. */
import { type ChildProcess, fork } from "node:child_process";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { REGIONS, type Region, ZONE } from "./distance";
import type { Place, Ports } from "./host";

/** Between an answer and the next request of the same kind: what the figures are exact to. A request costs all processes together 2 ms of CPU. */
const POLL_MS = 20;
/** Workloads that move at the same time, of a tenant each. */
const MOVING = 2;
const MOVING_IN_PARTITION = 3;

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

interface Answer {
  status: number;
  body: string;
}

function call(port: number, method: string, host: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { host, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const sent = request({ agent, host: "127.0.0.1", port, method, path, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The processes of one run. */
export class Hosts {
  readonly #children: ChildProcess[] = [];
  authority: Ports = {};
  readonly regions: { region: Region; ports: Ports }[] = [];

  async start(program: string, registry: string): Promise<void> {
    const launch = (region: Region | null): Promise<Ports> => {
      const child = fork(program, ["--host"], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      this.#children.push(child);
      return new Promise((resolve, reject) => {
        child.once("message", (ports) => resolve(ports as Ports));
        child.once("exit", (code) => reject(new Error(`the host of ${region?.hint ?? "the authority"} ended with ${code}`)));
        child.send({ region, registry } satisfies Place);
      });
    };
    const [authority, ...regions] = await Promise.all([launch(null), ...REGIONS.map(launch)]);
    this.authority = authority as Ports;
    this.regions.push(...REGIONS.map((region, at) => ({ region, ports: regions[at] as Ports })));
  }

  /** Resolves when the last has ended. */
  stop(): Promise<unknown> {
    return Promise.all(
      this.#children.map((child) => {
        if (child.exitCode !== null) return null;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        if (child.connected) child.disconnect();
        return ended;
      }),
    );
  }

  /** Cuts the ways between a region's replica, `routers`: its routers too, and the authority; or mends them. */
  async cut(at: number, on: boolean, routers: boolean): Promise<void> {
    const { region, ports } = this.regions[at] as (typeof this.regions)[number];
    const path = `/cut?region=${region.hint}&on=${on ? 1 : 0}`;
    await Promise.all([
      call(this.authority.authority ?? 0, "POST", "control", path),
      call(ports.replica ?? 0, "POST", "control", path),
      ...(routers ? [call(ports.router ?? 0, "POST", "control", path)] : []),
    ]);
  }
}

/** What one router of the run has served. */
interface Seen {
  generation: number;
  /** When it first served each generation; ms of this process. */
  at: Map<number, number>;
}

/** One workload that moves from machine to machine. */
export class Workload {
  generation = 0;
  /** The highest generation whose commit was acknowledged, and when; ms of the wall clock. */
  readonly acked: { generation: number; at: number }[] = [];
  readonly seen: Seen[];

  constructor(
    readonly label: string,
    readonly tenant: string,
    private readonly hosts: Hosts,
  ) {
    this.seen = hosts.regions.map(() => ({ generation: 0, at: new Map() }));
  }

  /** Commits the next generation; ms from then until it was acknowledged. */
  async write(): Promise<number> {
    this.generation += 1;
    const generation = this.generation;
    const target = { placement: `${this.tenant}_web_${generation}`, origin: `https://${this.label}-${generation}.origins.${ZONE}`, tcpOrigin: null, weight: 1 };
    const change = { label: this.label, targets: [target], access: "anonymous", drainSeconds: 0, ifVersion: generation - 1, fencingToken: generation };
    const begun = performance.now();
    const { status, body } = await call(this.hosts.authority.authority ?? 0, "POST", "authority", "/commit", { tenant: this.tenant, change });
    if (status !== 200) throw new Error(`the commit of ${this.label} answered ${status}: ${body.slice(0, 300)}`);
    const { done, ackedAt } = JSON.parse(body) as { done: { ok: boolean; version: number }; ackedAt: number };
    if (!done.ok || done.version !== generation) throw new Error(`the commit of ${this.label} was refused: ${body}`);
    this.acked.push({ generation, at: ackedAt });
    return performance.now() - begun;
  }

  /** Whether a request that reached a machine of `generation` at a moment should not have. */
  late(generation: number, at: number): boolean {
    return this.acked.some((one) => one.generation > generation && one.at < at);
  }
}

/** What the polls of a run counted. */
export class Counts {
  polls = 0;
  refused = 0;
  failed = 0;
  regressions = 0;
  /** What else was answered, each once. */
  readonly failures = new Set<string>();
  readonly arrivals: { workload: Workload; generation: number; at: number }[] = [];

  /** Requests that reached an old origin after the acknowledged commit; an answer may come in before the acknowledgement is known, so they are counted at the end. */
  late(): number {
    return this.arrivals.filter(({ workload, generation, at }) => workload.late(generation, at)).length;
  }
}

/** Polls one router for one workload until `over`. */
async function poll(hosts: Hosts, workload: Workload, at: number, counts: Counts, over: () => boolean): Promise<void> {
  const port = hosts.regions[at]?.ports.router ?? 0;
  const seen = workload.seen[at] as Seen;
  while (!over()) {
    const { status, body } = await call(port, "GET", `${workload.label}.workloads.${ZONE}`, "/").catch((error: Error) => ({ status: 0, body: error.message }));
    counts.polls += 1;
    if (status === 200) {
      const arrival = JSON.parse(body) as { generation: number; at: number };
      counts.arrivals.push({ workload, generation: arrival.generation, at: arrival.at });
      if (arrival.generation < seen.generation) counts.regressions += 1;
      seen.generation = Math.max(seen.generation, arrival.generation);
      if (!seen.at.has(arrival.generation)) seen.at.set(arrival.generation, performance.now());
    } else if (status === 503) counts.refused += 1;
    else {
      counts.failed += 1;
      counts.failures.add(`${status}: ${body.slice(0, 200)}`);
    }
    await sleep(POLL_MS);
  }
}

function workloads(hosts: Hosts, run: string, count: number): Workload[] {
  return Array.from({ length: count }, (_, at) => new Workload(`web-${run}${at}`, `${run}${at}`, hosts));
}

export interface Propagated {
  /** ms from each write to the last router's serving it. */
  everywhere: number[];
  /** The same for each region's router. */
  regions: number[][];
  acknowledged: number[];
  counts: Counts;
}

/** `samples` writes, several workloads at once, each router polled for each. */
export async function propagation(hosts: Hosts, samples: number, say: (text: string) => void): Promise<Propagated> {
  const counts = new Counts();
  const result: Propagated = { everywhere: [], regions: hosts.regions.map(() => []), acknowledged: [], counts };
  const all = workloads(hosts, "plain", MOVING);
  await Promise.all(all.map((workload) => workload.write()));
  let over = false;
  const polling = all.flatMap((workload) => hosts.regions.map((_, at) => poll(hosts, workload, at, counts, () => over)));
  for (const workload of all) await served(workload, 1, performance.now());
  let left = samples;
  const commits: Promise<void>[] = [];
  await Promise.all(
    all.map(async (workload) => {
      while (left > 0) {
        left -= 1;
        await sleep(Math.random() * 100);
        const begun = performance.now();
        const acknowledged = workload.write().then((ms) => void result.acknowledged.push(ms));
        acknowledged.catch(() => undefined);
        commits.push(acknowledged);
        // The next write doesn't wait for the acknowledgement, which comes when nobody can act by the old route any more.
        const each = await served(workload, workload.generation, begun);
        result.everywhere.push(Math.max(...each));
        each.forEach((ms, at) => void result.regions[at]?.push(ms));
        if (result.everywhere.length % 100 === 0) say(`${result.everywhere.length} of ${samples} writes`);
      }
    }),
  );
  await Promise.all(commits);
  over = true;
  await Promise.all(polling);
  return result;
}

/** ms until each router serves a generation; throws after half a minute. */
async function served(workload: Workload, generation: number, begun: number): Promise<number[]> {
  while (workload.seen.some((one) => one.generation < generation)) {
    if (performance.now() - begun > 30_000) throw new Error(`${workload.label} ${generation} is not served everywhere after 30 s`);
    await sleep(5);
  }
  return workload.seen.map(({ at }) => Math.min(...[...at].filter(([one]) => one >= generation).map(([, first]) => first)) - begun);
}

export interface Partitioned {
  counts: Counts;
  writes: number;
  /** The longest that a commit waited. */
  waitedMs: number;
  /** From the mended way to the replica's answering by the newest version of every workload. */
  replicaCatchUpMs: number;
  /** From the mended way to the region's router serving the newest of every workload. */
  routerCatchUpMs: number;
}

/** The farthest region's replica is cut off its authority for `seconds`, with or without its routers, while all workloads go on moving. */
export async function partition(hosts: Hosts, run: string, routers: boolean, seconds: number, say: (text: string) => void): Promise<Partitioned> {
  const counts = new Counts();
  const cutAt = REGIONS.length - 1;
  const all = workloads(hosts, run, MOVING_IN_PARTITION);
  await Promise.all(all.map((workload) => workload.write()));
  let over = false;
  const polling = all.flatMap((workload) => hosts.regions.map((_, at) => poll(hosts, workload, at, counts, () => over)));
  let waitedMs = 0;
  let writes = 0;
  let writing = true;
  const writers = all.map(async (workload) => {
    while (writing) {
      waitedMs = Math.max(waitedMs, await workload.write());
      writes += 1;
      await sleep(200);
    }
  });
  await sleep(4_000);
  say(`${run}: cut for ${seconds} s`);
  await hosts.cut(cutAt, true, routers);
  await sleep(seconds * 1_000);
  await hosts.cut(cutAt, false, routers);
  const mended = performance.now();
  say(`${run}: mended`);
  const newest = all.map((workload) => workload.acked.at(-1)?.generation ?? 0);
  const replica = async (workload: Workload, generation: number): Promise<void> => {
    for (;;) {
      const { status, body } = await call(hosts.regions[cutAt]?.ports.replica ?? 0, "GET", "replica", `/version?label=${workload.label}`);
      if (status === 200 && Number(body) >= generation) return;
      await sleep(25);
    }
  };
  const router = async (workload: Workload, generation: number): Promise<void> => {
    while ((workload.seen[cutAt]?.generation ?? 0) < generation) await sleep(5);
  };
  const since = (work: Promise<unknown>[]): Promise<number> => Promise.all(work).then(() => performance.now() - mended);
  const [replicaCatchUpMs, routerCatchUpMs] = await Promise.all([
    since(all.map((workload, at) => replica(workload, newest[at] ?? 0))),
    since(all.map((workload, at) => router(workload, newest[at] ?? 0))),
  ]);
  await sleep(3_000);
  writing = false;
  await Promise.all(writers);
  over = true;
  await Promise.all(polling);
  return { counts, writes, waitedMs, replicaCatchUpMs, routerCatchUpMs };
}
