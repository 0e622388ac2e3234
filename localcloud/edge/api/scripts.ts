/** Workers: upload, settings, schedules, assets (https://developers.cloudflare.com/api/resources/workers/subresources/scripts/). */
import { randomUUID } from "node:crypto";
import { build } from "esbuild";
import { BadCron, parseCron } from "../crons.js";
import { RuntimeRefused, type Runtime } from "../runtime.js";
import { type Binding, type Json, type Script, type ScriptAssets, type Store, sha256 } from "../state.js";
import { checkBindings, dependents, migrate } from "./bindings.js";
import { type Api, ApiError, type Call, Created, Page, Raw } from "./dispatch.js";

interface Metadata extends Json {
  main_module?: string;
  body_part?: string;
  bindings?: Binding[];
  keep_bindings?: string[];
  keep_assets?: boolean;
  migrations?: Json;
  compatibility_date?: string;
  compatibility_flags?: string[];
  assets?: { jwt?: string; config?: Json };
}

/** Secrets are write-only. */
function shown(binding: Binding): Json {
  const { text, ...rest } = binding;
  return binding.type === "secret_text" ? rest : { ...rest, ...(text === undefined ? {} : { text }) };
}

function summary(script: Script): Json {
  return {
    id: script.name,
    etag: sha256(JSON.stringify(script.modules)),
    handlers: script.exports.includes("default") ? ["fetch"] : [],
    named_handlers: script.exports.filter((name) => name !== "default").map((name) => ({ name, handlers: ["class"] })),
    has_assets: script.assets !== null,
    has_modules: true,
    created_on: script.createdOn,
    modified_on: script.modifiedOn,
    usage_model: "standard",
    compatibility_date: script.compatibilityDate,
    compatibility_flags: script.compatibilityFlags,
    last_deployed_from: "api",
    migration_tag: script.migrationTag,
    startup_time_ms: 1,
    placement_mode: null,
    logpush: false,
    ...script.extra,
  };
}

/** Names that a module exports; a module that does not parse is refused as Cloudflare refuses it. */
async function exportsOf(source: string): Promise<string[]> {
  try {
    const { metafile } = await build({ stdin: { contents: source, loader: "js" }, bundle: false, format: "esm", metafile: true, write: false, outfile: "main.js", logLevel: "silent" });
    return Object.values(metafile.outputs)[0]?.exports ?? [];
  } catch (error) {
    const first = (error as { errors?: { text: string; location: { line: number } | null }[] }).errors?.[0];
    throw new ApiError(400, 10_021, `Uncaught SyntaxError: ${first?.text ?? (error as Error).message}${first?.location ? ` at main module:${first.location.line}` : ""}`);
  }
}

export class Scripts {
  /** Asset uploads under way, by token. */
  #sessions = new Map<string, { manifest: Record<string, { hash: string; size: number }>; missing: Set<string> }>();
  #completed = new Map<string, Record<string, string>>();

  constructor(
    private readonly store: Store,
    private readonly runtime: Runtime,
  ) {}

  routes(api: Api): void {
    const script = "/accounts/{account}/workers/scripts/{name}";
    api
      .on("GET", "/accounts/{account}/workers/scripts", () => new Page(Object.values(this.store.now.scripts).map(summary)))
      .on("PUT", script, (call) => this.#put(call))
      .on("PUT", `${script}/content`, (call) => this.#put(call))
      .on("GET", script, (call) => this.#source(call))
      .on("GET", `${script}/content/v2`, (call) => this.#source(call))
      .on("DELETE", script, (call) => this.#delete(call))
      .on("GET", `${script}/settings`, (call) => this.#settings(call))
      .on("GET", `${script}/script-settings`, (call) => this.#find(call).extra)
      .on("GET", `${script}/schedules`, (call) => ({ schedules: this.#find(call).schedules }))
      .on("PUT", `${script}/schedules`, (call) => this.#schedule(call))
      .on("GET", `${script}/subdomain`, (call) => this.#find(call).subdomain)
      .on("POST", `${script}/subdomain`, (call) => this.#subdomain(call))
      .on("DELETE", `${script}/subdomain`, (call) => this.#edit(call, { subdomain: { enabled: false, previews_enabled: false } }).subdomain)
      .on(
        "GET",
        `${script}/secrets`,
        (call) =>
          new Page(
            this.#find(call)
              .bindings.filter(({ type }) => type === "secret_text")
              .map(shown),
          ),
      )
      .on("PUT", `${script}/secrets`, (call) => this.#secret(call))
      .on("POST", `${script}/assets-upload-session`, (call) => this.#openUpload(call))
      .on("POST", "/accounts/{account}/workers/assets/upload", (call) => this.#upload(call));
  }

  #find(call: Call): Script {
    const script = this.store.now.scripts[call.param("name")];
    if (!script) throw new ApiError(404, 10_007, "This Worker does not exist on your account.");
    return script;
  }

  #edit(call: Call, fields: Partial<Script>): Script {
    const script = { ...this.#find(call), ...fields };
    this.store.change((draft) => {
      draft.scripts[script.name] = script;
    });
    return script;
  }

  #source(call: Call): Raw {
    const script = this.#find(call);
    return new Raw(this.store.blob("scripts", script.modules[script.mainModule]?.digest as string), "application/javascript+module");
  }

  #settings(call: Call): Json {
    const script = this.#find(call);
    return {
      bindings: script.bindings.map(shown),
      compatibility_date: script.compatibilityDate,
      compatibility_flags: script.compatibilityFlags,
      migration_tag: script.migrationTag,
      usage_model: "standard",
      placement: {},
      logpush: false,
      tail_consumers: null,
      tags: [],
      ...script.extra,
    };
  }

  async #put(call: Call): Promise<Json> {
    const name = call.param("name");
    if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) throw new ApiError(400, 10_016, `workers.api.error.invalid_script_name: '${name}'`);
    const form = await call.form().catch(() => {
      throw new ApiError(400, 10_001, "Content-Type must be multipart/form-data with a part 'metadata' and one part a module.");
    });
    const metadata = await readMetadata(form);
    const before = this.runtime.upcoming[name];
    const { modules, mainSource } = await this.#modules(form, metadata);
    const now = new Date().toISOString();
    const { main_module, bindings, keep_bindings, keep_assets, migrations, compatibility_date, compatibility_flags, assets, body_part: _, ...extra } = metadata;
    const kept = (before?.bindings ?? []).filter((old) => keep_bindings?.includes(old.type) && !bindings?.some((fresh) => fresh.name === old.name));
    const inherited = (bindings ?? []).map((binding) => (binding.type === "inherit" ? inherit(binding, before) : binding));
    const script: Script = {
      name,
      mainModule: main_module as string,
      modules,
      exports: await exportsOf(mainSource),
      bindings: [...inherited, ...kept],
      classes: {},
      migrationTag: null,
      compatibilityDate: compatibility_date ?? now.slice(0, 10),
      compatibilityFlags: compatibility_flags ?? [],
      assets: assets ? this.#assets(assets, before) : keep_assets ? (before?.assets ?? null) : null,
      schedules: before?.schedules ?? [],
      subdomain: before?.subdomain ?? { enabled: false, previews_enabled: false },
      extra,
      createdOn: before?.createdOn ?? now,
      modifiedOn: now,
    };
    Object.assign(script, migrate(script, before, migrations, this.runtime.upcoming));
    checkBindings(script, this.runtime.upcoming, this.store.now);
    try {
      await this.runtime.deploy(name, script);
    } catch (error) {
      if (error instanceof RuntimeRefused) throw new ApiError(400, 10_021, error.message);
      throw error;
    }
    return summary(script);
  }

  async #modules(form: FormData, metadata: Metadata): Promise<{ modules: Script["modules"]; mainSource: string }> {
    const modules: Script["modules"] = {};
    let mainSource: string | undefined;
    for (const [part, value] of form.entries()) {
      if (part === "metadata" || typeof value === "string") continue;
      const path = value.name && value.name !== "blob" ? value.name : part;
      const data = Buffer.from(await value.arrayBuffer());
      const digest = sha256(data);
      this.store.putBlob("scripts", digest, data);
      modules[path] = { digest, type: value.type || "application/javascript+module" };
      if (path === metadata.main_module || part === metadata.main_module) {
        metadata.main_module = path;
        mainSource = data.toString("utf8");
      }
    }
    if (mainSource === undefined) throw new ApiError(400, 10_021, `No such module: "${metadata.main_module ?? ""}"; metadata.main_module names one of the uploaded parts.`);
    return { modules, mainSource };
  }

  #assets(assets: { jwt?: string; config?: Json }, before: Script | undefined): ScriptAssets | null {
    if (!assets.jwt) return before?.assets ? { manifest: before.assets.manifest, config: assets.config ?? before.assets.config } : null;
    const manifest = this.#completed.get(assets.jwt);
    if (!manifest) throw new ApiError(400, 10_304, "Asset upload token is invalid or not complete.");
    return { manifest, config: assets.config ?? {} };
  }

  async #delete(call: Call): Promise<Json> {
    const script = this.#find(call);
    const state = this.store.now;
    const users = dependents(script.name, this.runtime.upcoming);
    if (users.length > 0 && call.query.get("force") !== "true")
      throw new ApiError(400, 10_064, `Cannot delete this Worker as it is still referenced by ${users.join(", ")}. Remove the bindings, or delete with force=true.`);
    const others = this.runtime.upcoming;
    if (users.length > 0)
      for (const other of Object.values(others))
        if (dependents(script.name, { [other.name]: other }).length > 0)
          void this.runtime.deploy(other.name, { ...other, bindings: other.bindings.filter((one) => one.service !== script.name && one.script_name !== script.name) });
    await this.runtime.deploy(script.name, null);
    this.store.change((draft) => {
      for (const [id, domain] of Object.entries(state.domains)) if (domain.service === script.name) delete draft.domains[id];
      for (const [id, route] of Object.entries(state.routes)) if (route.script === script.name) delete draft.routes[id];
    });
    return { id: script.name };
  }

  #schedule(call: Call): Json {
    const before = this.#find(call);
    const now = new Date().toISOString();
    const schedules = call.json<{ cron: string }[]>().map(({ cron }) => {
      try {
        parseCron(cron);
      } catch (error) {
        if (error instanceof BadCron) throw new ApiError(400, 10_100, `invalid cron string: ${error.message}`);
        throw error;
      }
      return { cron, created_on: before.schedules.find((old) => old.cron === cron)?.created_on ?? now, modified_on: now };
    });
    return { schedules: this.#edit(call, { schedules }).schedules };
  }

  #subdomain(call: Call): Json {
    const { enabled, previews_enabled } = call.json<{ enabled: boolean; previews_enabled?: boolean }>();
    return this.#edit(call, { subdomain: { enabled, previews_enabled: previews_enabled ?? enabled } }).subdomain;
  }

  async #secret(call: Call): Promise<Json> {
    const { name, text } = call.json<{ name: string; text: string }>();
    const script = this.#find(call);
    const bindings = [...script.bindings.filter((binding) => binding.name !== name), { name, text, type: "secret_text" }];
    await this.runtime.deploy(script.name, { ...script, bindings });
    return { name, type: "secret_text" };
  }

  #openUpload(call: Call): Json {
    const { manifest } = call.json<{ manifest: Record<string, { hash: string; size: number }> }>();
    for (const [path, { hash }] of Object.entries(manifest))
      if (!/^[0-9a-f]{32,64}$/.test(hash) || !path.startsWith("/") || path.split("/").includes("..")) throw new ApiError(400, 10_306, `Asset manifest entry '${path}' has a malformed path or hash.`);
    const missing = new Set(Object.values(manifest).map(({ hash }) => hash));
    for (const hash of missing) if (this.store.hasBlob("assets", hash)) missing.delete(hash);
    const jwt = randomUUID();
    if (missing.size === 0) return { jwt: this.#complete(manifest), buckets: [] };
    this.#sessions.set(jwt, { manifest, missing });
    return { jwt, buckets: [[...missing]] };
  }

  #complete(manifest: Record<string, { hash: string }>): string {
    const jwt = randomUUID();
    this.#completed.set(jwt, Object.fromEntries(Object.entries(manifest).map(([path, { hash }]) => [path, hash])));
    return jwt;
  }

  async #upload(call: Call): Promise<unknown> {
    const jwt = String(call.headers.authorization).replace(/^Bearer /, "");
    const session = this.#sessions.get(jwt);
    if (!session) throw new ApiError(401, 10_303, "Asset upload session is unknown or over; open another.");
    const form = await call.form();
    for (const [hash, value] of form.entries()) {
      if (!session.missing.has(hash)) throw new ApiError(400, 10_305, `Asset '${hash}' is not part of this upload session.`);
      const text = typeof value === "string" ? value : await value.text();
      this.store.putBlob("assets", hash, Buffer.from(text, "base64"));
      session.missing.delete(hash);
    }
    if (session.missing.size > 0) return { jwt: null };
    this.#sessions.delete(jwt);
    return new Created({ jwt: this.#complete(session.manifest) });
  }
}

async function readMetadata(form: FormData): Promise<Metadata> {
  const part = form.get("metadata");
  const text = typeof part === "string" ? part : await part?.text();
  try {
    return JSON.parse(text ?? "") as Metadata;
  } catch {
    throw new ApiError(400, 10_001, "Part 'metadata' is missing or is not JSON.");
  }
}

function inherit(binding: Binding, before: Script | undefined): Binding {
  const source = before?.bindings.find(({ name }) => name === (binding.old_name ?? binding.name));
  if (!source) throw new ApiError(400, 10_057, `Cannot inherit binding '${binding.name}' from a version that does not have it.`);
  return { ...source, name: binding.name };
}
