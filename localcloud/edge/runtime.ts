/** workerd and what runs in it: changes are gathered, then applied together behind the gate, so that a reload costs no request. */
import { Miniflare, Log, LogLevel } from "miniflare";
import type { Gate } from "./gate.js";
import { optionsFor, type Ports, type Scripts } from "./options.js";
import { type Script, type State, type Store, sha256 } from "./state.js";

/** ms that a change waits for others before workerd is reloaded. */
const GATHER_MS = 100;

/** workerd would not run the deployment; `message` is its own. */
export class RuntimeRefused extends Error {}

interface Pending {
  name: string;
  script: Script | null;
  settle: (error?: Error) => void;
}

export class Runtime {
  #miniflare: Miniflare | null = null;
  #ports = new Map<string, number>();
  #pending: Pending[] = [];
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #digest = "";
  #startedListeners: (() => void)[] = [];
  /** Version of the state that workerd runs; grows with each reload. */
  applied = 0;
  reloads = 0;

  constructor(
    private readonly store: Store,
    private readonly gate: Gate,
    private readonly ports: Ports,
  ) {}

  /** Scripts as deployed and as waiting: what a binding of a new upload may name. */
  get upcoming(): Scripts {
    const scripts: Scripts = { ...this.store.now.scripts };
    for (const { name, script } of this.#pending) {
      if (script) scripts[name] = script;
      else delete scripts[name];
    }
    return scripts;
  }

  /** Loopback port on which `script` answers, or undefined while it is not deployed. */
  port(script: string): number | undefined {
    return this.#ports.get(script);
  }

  get miniflare(): Miniflare {
    if (!this.#miniflare) throw new Error("workerd is not started");
    return this.#miniflare;
  }

  /** Called after each start of workerd with all scripts in place. */
  onStarted(listener: () => void): void {
    this.#startedListeners.push(listener);
  }

  /** Puts (or with null removes) a script; resolves when the reload that contains it is done. Throws {@link RuntimeRefused}, and then nothing changed. */
  deploy(name: string, script: Script | null): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ name, script, settle: (error) => (error ? reject(error) : resolve()) });
      this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
    });
  }

  /** Brings workerd in line with the state where another table (a namespace, a workflow, a queue) matters to it. */
  async sync(): Promise<void> {
    await this.#queue(() => this.#load(this.store.now.scripts, this.store.now, false));
  }

  /** Starts workerd again after it ended by itself. */
  async recover(port: number): Promise<void> {
    await this.#queue(async () => {
      if ([...this.#ports.values()].includes(port)) await this.#load(this.store.now.scripts, this.store.now, true);
    });
  }

  /** A new miniflare over the same state: after many reloads an old one's references into workerd can be void. */
  async renew(): Promise<void> {
    await this.#queue(async () => {
      await this.#miniflare?.dispose();
      this.#miniflare = null;
      await this.#load(this.store.now.scripts, this.store.now, true);
    });
  }

  async stop(): Promise<void> {
    await this.#queue(async () => {
      await this.#miniflare?.dispose();
      this.#miniflare = null;
    });
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const result = this.#running.then(work);
    this.#running = result.catch(() => undefined);
    return result;
  }

  #flush(): void {
    this.#timer = null;
    const batch = this.#pending;
    void this.#queue(() => this.#commit(batch));
  }

  async #commit(batch: Pending[]): Promise<void> {
    const scripts: Scripts = { ...this.store.now.scripts };
    for (const { name, script } of batch) {
      if (script) scripts[name] = script;
      else delete scripts[name];
    }
    try {
      await this.#load(scripts, this.store.now, false);
    } catch (error) {
      if (batch.length > 1) {
        for (const one of batch) await this.#commit([one]);
        return;
      }
      this.#pending = this.#pending.filter((one) => !batch.includes(one));
      await this.#load(this.store.now.scripts, this.store.now, true);
      for (const one of batch) one.settle(new RuntimeRefused((error as Error).message));
      return;
    }
    this.#pending = this.#pending.filter((one) => !batch.includes(one));
    this.store.change((draft) => {
      for (const { name, script } of batch) {
        if (script) draft.scripts[name] = { ...script, schedules: draft.scripts[name]?.schedules ?? script.schedules, subdomain: draft.scripts[name]?.subdomain ?? script.subdomain };
        else delete draft.scripts[name];
      }
    });
    for (const one of batch) one.settle();
  }

  async #load(scripts: Scripts, state: State, force: boolean): Promise<void> {
    const options = optionsFor(scripts, state, this.store, this.ports);
    const digest = sha256(JSON.stringify(options, (_key, value) => (value instanceof Uint8Array ? sha256(value) : value)));
    if (digest === this.#digest && !force) {
      this.applied = state.serial;
      return;
    }
    const began = performance.now();
    await this.gate.close();
    try {
      const runnable = { ...options, log: new Log(LogLevel.WARN), handleRuntimeStdio: relay };
      if (this.#miniflare) await this.#miniflare.setOptions(runnable);
      else this.#miniflare = new Miniflare(runnable);
      await this.#miniflare.ready;
      const ports = new Map<string, number>();
      for (const name of Object.keys(scripts)) ports.set(name, Number((await this.#miniflare.unsafeGetDirectURL(name)).port));
      this.#ports = ports;
      this.#digest = digest;
      this.applied = state.serial;
      this.reloads += 1;
      process.stderr.write(`edge: reload ${this.reloads}: ${Object.keys(scripts).length} scripts in ${Math.round(performance.now() - began)} ms\n`);
    } catch (error) {
      this.#digest = "";
      throw error;
    } finally {
      this.gate.open();
    }
    for (const listener of this.#startedListeners) listener();
  }
}

function relay(out: NodeJS.ReadableStream, error: NodeJS.ReadableStream): void {
  out.pipe(process.stdout, { end: false });
  error.pipe(process.stderr, { end: false });
}
