/** The deployed state as miniflare's options: pure, so that an unchanged deployment is known by its digest. */
import { mkdirSync, existsSync, linkSync, copyFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { MiniflareOptions, WorkerOptions } from "miniflare";
import workerd from "workerd";
import INTERNET from "./internet.worker.js";
import { type Binding, type Script, type State, type Store, sha256 } from "./state.js";

export const INTERNET_WORKER = "localcloud-internet";
export const STORAGE_WORKER = "localcloud-storage";

/** Scripts as they shall run; the tables of `state` give what their bindings name. */
export type Scripts = Record<string, Script>;

export interface Ports {
  edge: number;
  api: number;
}

function durable(scripts: Scripts, owner: Script, className: string, scriptName?: string) {
  const declared = scripts[scriptName ?? owner.name]?.classes[className];
  const foreign = scriptName !== undefined && scriptName !== owner.name;
  return { className, ...(foreign ? { scriptName } : {}), useSQLite: declared?.sqlite ?? true, unsafeUniqueKey: declared?.key ?? `${scriptName ?? owner.name}-${className}` };
}

function workflowOf(binding: Binding, script: Script, state: State) {
  const registered = state.workflows[String(binding.workflow_name)];
  const scriptName = (binding.script_name as string | undefined) ?? registered?.script_name ?? script.name;
  return { name: String(binding.workflow_name), className: (binding.class_name as string | undefined) ?? registered?.class_name ?? "", scriptName };
}

function bound(script: Script, scripts: Scripts, state: State): Partial<WorkerOptions> {
  const bindings: Record<string, unknown> = {};
  const kvNamespaces: Record<string, string> = {};
  const d1Databases: Record<string, string> = {};
  const r2Buckets: Record<string, string> = {};
  const queueProducers: Record<string, string> = {};
  const serviceBindings: Record<string, string | { name: string; entrypoint: string }> = {};
  const durableObjects: Record<string, ReturnType<typeof durable>> = {};
  const workflows: Record<string, ReturnType<typeof workflowOf>> = {};
  const ratelimits: Record<string, { simple: { limit: number; period: 10 | 60 } }> = {};
  const analyticsEngineDatasets: Record<string, { dataset: string }> = {};
  for (const binding of script.bindings) {
    const { name } = binding;
    switch (binding.type) {
      case "plain_text":
      case "secret_text":
        bindings[name] = String(binding.text ?? "");
        break;
      case "json":
        bindings[name] = typeof binding.json === "string" ? JSON.parse(binding.json) : binding.json;
        break;
      case "kv_namespace":
        kvNamespaces[name] = String(binding.namespace_id);
        break;
      case "d1":
        d1Databases[name] = String(binding.id ?? binding.database_id);
        break;
      case "r2_bucket":
        r2Buckets[name] = String(binding.bucket_name);
        break;
      case "queue":
        queueProducers[name] = String(binding.queue_name);
        break;
      case "service":
        serviceBindings[name] = binding.entrypoint ? { name: String(binding.service), entrypoint: String(binding.entrypoint) } : String(binding.service);
        break;
      case "durable_object_namespace":
        durableObjects[name] = durable(scripts, script, String(binding.class_name), binding.script_name as string | undefined);
        break;
      case "workflow":
        workflows[name] = workflowOf(binding, script, state);
        break;
      case "ratelimit":
        ratelimits[name] = { simple: binding.simple as { limit: number; period: 10 | 60 } };
        break;
      case "analytics_engine":
        analyticsEngineDatasets[name] = { dataset: String(binding.dataset) };
        break;
    }
  }
  const queueConsumers = Object.values(state.queues)
    .filter((queue) => queue.consumers.some((consumer) => consumer.script_name === script.name))
    .map((queue) => queue.queue_name);
  const unbound = Object.keys(script.classes).filter((className) => !Object.values(durableObjects).some((one) => one.className === className && !("scriptName" in one)));
  return {
    bindings: bindings as WorkerOptions["bindings"],
    kvNamespaces,
    d1Databases,
    r2Buckets,
    queueProducers,
    queueConsumers,
    serviceBindings,
    durableObjects,
    additionalUnboundDurableObjects: unbound.map((className) => durable(scripts, script, className)),
    workflows,
    ratelimits,
    analyticsEngineDatasets,
  } as Partial<WorkerOptions>;
}

/** Lays a script's assets out as a directory named by its manifest; hard links, so that a large console costs nothing twice. */
function assetsDirectory(script: Script, store: Store): string {
  const manifest = script.assets?.manifest ?? {};
  const directory = join(store.directory, "scripts", `${script.name}.assets.${sha256(JSON.stringify(manifest)).slice(0, 16)}`);
  if (existsSync(directory)) return directory;
  const draft = `${directory}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  for (const [path, hash] of Object.entries(manifest)) {
    const target = join(draft, path);
    mkdirSync(dirname(target), { recursive: true });
    try {
      linkSync(store.blobPath("assets", hash), target);
    } catch {
      copyFileSync(store.blobPath("assets", hash), target);
    }
  }
  renameSync(draft, directory);
  return directory;
}

function assets(script: Script, store: Store): Partial<WorkerOptions> {
  if (!script.assets) return {};
  const binding = script.bindings.find(({ type }) => type === "assets")?.name;
  const { run_worker_first: first, _redirects, _headers, ...assetConfig } = script.assets.config;
  return {
    assets: {
      workerName: script.name,
      directory: assetsDirectory(script, store),
      ...(binding ? { binding } : {}),
      routerConfig: {
        has_user_worker: true,
        invoke_user_worker_ahead_of_assets: first === true,
        ...(Array.isArray(first)
          ? { static_routing: { user_worker: first.filter((rule) => !rule.startsWith("!")), asset_worker: first.filter((rule) => rule.startsWith("!")).map((rule) => rule.slice(1)) } }
          : {}),
      },
      assetConfig,
    },
  } as Partial<WorkerOptions>;
}

function contents(script: Script, store: Store) {
  const kinds = [
    ["javascript+module", "ESModule"],
    ["javascript", "CommonJS"],
    ["wasm", "CompiledWasm"],
    ["octet-stream", "Data"],
  ] as const;
  const entries = Object.entries(script.modules).map(([path, { digest, type }]) => {
    const kind = kinds.find(([mime]) => type.includes(mime))?.[1] ?? "Text";
    const data = store.blob("scripts", digest);
    return { type: kind, path: `/${path}`, contents: kind === "CompiledWasm" || kind === "Data" ? new Uint8Array(data) : data.toString("utf8") };
  });
  return entries.sort((one, other) => Number(other.path === `/${script.mainModule}`) - Number(one.path === `/${script.mainModule}`));
}

/** Miniflare's options for `scripts`. Each script has a socket of its own; outbound traffic passes the internet Worker. */
export function optionsFor(scripts: Scripts, state: State, store: Store, ports: Ports): MiniflareOptions {
  const local = (port: number) => ({ external: { address: `127.0.0.1:${port}`, http: {} } });
  const workers: WorkerOptions[] = [
    {
      name: INTERNET_WORKER,
      modules: [{ type: "ESModule", path: "/internet.worker.js", contents: INTERNET }],
      modulesRoot: "/",
      compatibilityDate: "2026-04-01",
      stripCfConnectingIp: false,
      bindings: { ZONES: Object.values(state.zones).map(({ name }) => name) },
      serviceBindings: { RESOLVER: local(ports.api), EDGE: local(ports.edge) },
    } as WorkerOptions,
    {
      name: STORAGE_WORKER,
      modules: [{ type: "ESModule", path: "/storage.js", contents: "export default {};" }],
      modulesRoot: "/",
      compatibilityDate: "2026-04-01",
      kvNamespaces: Object.fromEntries(Object.keys(state.kv).map((id) => [id, id])),
      d1Databases: Object.fromEntries(Object.keys(state.d1).map((id) => [id, id])),
      r2Buckets: Object.fromEntries(Object.keys(state.r2).map((name) => [name, name])),
    } as WorkerOptions,
  ];
  for (const script of Object.values(scripts).sort((one, other) => one.name.localeCompare(other.name)))
    workers.push({
      name: script.name,
      modules: contents(script, store),
      modulesRoot: "/",
      compatibilityDate: [script.compatibilityDate, workerd.compatibilityDate].sort()[0],
      compatibilityFlags: script.compatibilityFlags,
      stripCfConnectingIp: false,
      outboundService: INTERNET_WORKER,
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      ...bound(script, scripts, state),
      ...assets(script, store),
    } as WorkerOptions);
  return { host: "127.0.0.1", port: 0, cf: false, telemetry: { enabled: false }, defaultPersistRoot: join(store.directory, "data"), workers } as MiniflareOptions;
}
