/** bindings.json as miniflare's options, with the bundles of dist/. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { WorkerOptions } from "miniflare";

interface Declared {
  migrations?: { tag: string; newSqliteClasses: string[] }[];
  durableObjects?: { binding: string; class: string; script: string }[];
  services?: { binding: string; script: string; entrypoint?: string }[];
  kv?: { binding: string; namespace: string }[];
  d1?: { binding: string; database: string }[];
  r2?: { binding: string; bucket: string }[];
  workflows?: { binding: string; name: string; class: string; script: string }[];
  vars?: string[];
  secrets?: string[];
  assets?: { binding: string };
  routes?: string[];
}

const HERE = join(import.meta.dirname, "..");
const DECLARED = JSON.parse(readFileSync(join(HERE, "bindings.json"), "utf8")) as {
  compatibilityDate: string;
  compatibilityFlags: string[];
  scripts: Record<string, Declared>;
};
export const INTERNET = "internet";

function keyed<T, V>(list: T[] | undefined, key: (one: T) => string, value: (one: T) => V): Record<string, V> {
  return Object.fromEntries((list ?? []).map((one) => [key(one), value(one)]));
}

/** One Worker's options; `values` are its variables and secrets, `assets` the directory of the console. */
function worker(name: string, declared: Declared, zone: string, values: Record<string, string>, assets: string): WorkerOptions {
  const bound = [...(declared.vars ?? []), ...(declared.secrets ?? [])];
  return {
    name,
    modules: [{ type: "ESModule", path: `/${name}.js`, contents: readFileSync(join(HERE, "dist", `${name}.js`), "utf8") }],
    modulesRoot: "/",
    compatibilityDate: DECLARED.compatibilityDate,
    compatibilityFlags: DECLARED.compatibilityFlags,
    outboundService: INTERNET,
    bindings: Object.fromEntries(bound.map((one) => [one, values[one] ?? ""])),
    durableObjects: keyed(
      declared.durableObjects,
      ({ binding }) => binding,
      (one) => ({ className: one.class, useSQLite: true, ...(one.script === name ? {} : { scriptName: one.script }) }),
    ),
    serviceBindings: keyed(
      declared.services,
      ({ binding }) => binding,
      ({ script, entrypoint }) => ({ name: script, ...(entrypoint ? { entrypoint } : {}) }),
    ),
    kvNamespaces: keyed(
      declared.kv,
      ({ binding }) => binding,
      ({ namespace }) => namespace,
    ),
    d1Databases: keyed(
      declared.d1,
      ({ binding }) => binding,
      ({ database }) => database,
    ),
    r2Buckets: keyed(
      declared.r2,
      ({ binding }) => binding,
      ({ bucket }) => bucket,
    ),
    workflows: keyed(
      declared.workflows,
      ({ binding }) => binding,
      (one) => ({ name: one.name, className: one.class, scriptName: one.script }),
    ),
    routes: (declared.routes ?? []).map((pattern) => pattern.replace("{zone}", zone)),
    ...(declared.assets
      ? {
          assets: {
            workerName: name,
            directory: assets,
            binding: declared.assets.binding,
            routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: true },
            assetConfig: { not_found_handling: "single-page-application" },
          },
        }
      : {}),
  } as WorkerOptions;
}

export function workers(zone: string, values: Record<string, string>, assets: string): WorkerOptions[] {
  return Object.entries(DECLARED.scripts).map(([name, declared]) => worker(name, declared, zone, values, assets));
}
