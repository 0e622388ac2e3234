/** Checks that what an upload binds exists, and carries its Durable Object migrations out; errors and their codes are Cloudflare's. */
import type { Scripts } from "../options.js";
import type { Binding, DurableClass, Json, Script, State } from "../state.js";
import { ApiError } from "./dispatch.js";

/** Binding types that the runtime can serve. */
const TYPES = new Set(["plain_text", "secret_text", "json", "kv_namespace", "d1", "r2_bucket", "queue", "service", "durable_object_namespace", "workflow", "assets", "ratelimit", "analytics_engine"]);

const refuse = (code: number, message: string): never => {
  throw new ApiError(400, code, message);
};

function checkDurable(binding: Binding, script: Script, scripts: Scripts): void {
  const owner = (binding.script_name as string | undefined) ?? script.name;
  const className = String(binding.class_name);
  const target = owner === script.name ? script : scripts[owner];
  if (!target) refuse(10_061, `Cannot create binding for class '${className}' in script '${owner}' because the script does not exist.`);
  if (!target?.classes[className])
    refuse(10_061, `Cannot create binding for class '${className}' because it is not currently configured to implement Durable Objects. Did you forget to apply a migration to script '${owner}'?`);
}

/** Refuses a binding to something that isn't there. `scripts` are those deployed or on their way. */
export function checkBindings(script: Script, scripts: Scripts, state: Readonly<State>): void {
  const names = new Set<string>();
  for (const binding of script.bindings) {
    if (!binding.name || names.has(binding.name)) refuse(10_021, `binding name '${binding.name ?? ""}' is ${binding.name ? "used twice" : "missing"}`);
    names.add(binding.name);
    if (!TYPES.has(binding.type)) refuse(10_021, `binding '${binding.name}' has type '${binding.type}', which this edge does not have`);
    switch (binding.type) {
      case "kv_namespace":
        if (!state.kv[String(binding.namespace_id)]) refuse(10_041, `KV namespace '${binding.namespace_id}' not found.`);
        break;
      case "d1":
        if (!state.d1[String(binding.id ?? binding.database_id)]) refuse(10_181, `D1 binding '${binding.name}' references database '${binding.id ?? binding.database_id}' which was not found.`);
        break;
      case "r2_bucket":
        if (!state.r2[String(binding.bucket_name)]) refuse(10_085, `R2 bucket '${binding.bucket_name}' not found.`);
        break;
      case "queue":
        if (!Object.values(state.queues).some(({ queue_name }) => queue_name === binding.queue_name)) refuse(11_000, `Queue "${binding.queue_name}" does not exist.`);
        break;
      case "service":
        if (binding.service !== script.name && !scripts[String(binding.service)]) refuse(10_143, `Could not resolve service binding '${binding.name}'. Target script '${binding.service}' not found.`);
        break;
      case "durable_object_namespace":
        checkDurable(binding, script, scripts);
        break;
      case "workflow": {
        const owner = (binding.script_name as string | undefined) ?? state.workflows[String(binding.workflow_name)]?.script_name ?? script.name;
        const registered = state.workflows[String(binding.workflow_name)];
        if (!registered && !binding.class_name) refuse(10_200, `Workflow '${binding.workflow_name}' of binding '${binding.name}' not found.`);
        if (owner !== script.name && !scripts[owner]) refuse(10_200, `Workflow binding '${binding.name}' references script '${owner}' which was not found.`);
        const className = (binding.class_name as string | undefined) ?? registered?.class_name ?? "";
        const exported = owner === script.name ? script.exports : (scripts[owner]?.exports ?? []);
        if (!exported.includes(className)) refuse(10_200, `Workflow class '${className}' is not exported by script '${owner}'.`);
        break;
      }
    }
  }
}

interface Migration {
  old_tag?: string;
  new_tag?: string;
  new_classes?: string[];
  new_sqlite_classes?: string[];
  deleted_classes?: string[];
  renamed_classes?: { from: string; to: string }[];
  transferred_classes?: { from: string; from_script: string; to: string }[];
  steps?: Migration[];
}

function addClass(classes: Record<string, DurableClass>, script: Script, name: string, sqlite: boolean): void {
  if (classes[name]) refuse(10_074, `Cannot apply new-class migration to class '${name}' that is already depended on by existing Durable Objects.`);
  if (!script.exports.includes(name)) refuse(10_070, `Cannot apply new-class migration to class '${name}' that is not exported by script '${script.name}'.`);
  classes[name] = { sqlite, key: `${script.name}-${name}` };
}

/** The classes and tag of `script` after its upload's `migrations`; the ones of `before` where there are none. */
export function migrate(script: Script, before: Script | undefined, migrations: Json | undefined, scripts: Scripts): Pick<Script, "classes" | "migrationTag"> {
  const classes: Record<string, DurableClass> = { ...before?.classes };
  const tag = before?.migrationTag ?? null;
  const plan = migrations as Migration | undefined;
  const same = plan?.new_tag !== undefined && plan.new_tag === tag;
  if (plan && !same) {
    if (plan.old_tag !== undefined && plan.old_tag !== (tag ?? "")) refuse(10_079, `Migration tag precondition failed; expected tag '${plan.old_tag}' but got '${tag ?? ""}'.`);
    for (const step of plan.steps ?? [plan]) {
      for (const name of step.new_classes ?? []) addClass(classes, script, name, false);
      for (const name of step.new_sqlite_classes ?? []) addClass(classes, script, name, true);
      for (const { from, to } of step.renamed_classes ?? []) {
        const known = classes[from] ?? refuse(10_072, `Cannot apply rename-class migration to class '${from}' that does not exist.`);
        delete classes[from];
        classes[to] = known as DurableClass;
      }
      for (const { from, from_script, to } of step.transferred_classes ?? []) {
        const known = scripts[from_script]?.classes[from] ?? refuse(10_072, `Cannot apply transfer-class migration to class '${from}' of script '${from_script}' that does not exist.`);
        classes[to] = known as DurableClass;
      }
      for (const name of step.deleted_classes ?? []) {
        if (!classes[name]) refuse(10_072, `Cannot apply delete-class migration to class '${name}' that does not exist.`);
        delete classes[name];
      }
    }
  }
  for (const name of Object.keys(classes))
    if (!script.exports.includes(name))
      refuse(
        10_064,
        `New version of script does not export class '${name}' which is depended on by existing Durable Objects. If you want to delete the class's existing Durable Objects, use a delete-class migration.`,
      );
  return { classes, migrationTag: plan?.new_tag ?? tag };
}

/** Scripts that could not run without `name`, as sentences. */
export function dependents(name: string, scripts: Scripts): string[] {
  const found: string[] = [];
  for (const script of Object.values(scripts)) {
    if (script.name === name) continue;
    for (const binding of script.bindings) {
      const target = binding.type === "service" ? binding.service : ["durable_object_namespace", "workflow"].includes(binding.type) ? binding.script_name : undefined;
      if (target === name) found.push(`binding '${binding.name}' (${binding.type}) of script '${script.name}'`);
    }
  }
  return found;
}
