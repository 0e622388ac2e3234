/** KV, D1, R2, queues and workflows (https://developers.cloudflare.com/api/). Their data lives in workerd; here are their names and the data calls. */
import { randomBytes, randomUUID } from "node:crypto";
import { STORAGE_WORKER } from "../options.js";
import type { Runtime } from "../runtime.js";
import type { Json, Store } from "../state.js";
import { type Api, ApiError, type Call, Page, Raw } from "./dispatch.js";
import { statements } from "./sql.js";

const hexId = (): string => randomBytes(16).toString("hex");

export class Storage {
  constructor(
    private readonly store: Store,
    private readonly runtime: Runtime,
  ) {}

  routes(api: Api): void {
    this.#kv(api);
    this.#d1(api);
    this.#r2(api);
    this.#queues(api);
    this.#workflows(api);
  }

  #kv(api: Api): void {
    const base = "/accounts/{account}/storage/kv/namespaces";
    const shown = (row: { id: string; title: string }) => ({ ...row, supports_url_encoding: true });
    const find = (call: Call) => {
      const row = this.store.now.kv[call.param("id")];
      if (!row) throw new ApiError(404, 10_013, "get namespace: 'namespace not found'");
      return row;
    };
    const free = (title: string, except?: string) => {
      if (!title) throw new ApiError(400, 10_019, "create namespace: 'a namespace must have a title'");
      if (Object.values(this.store.now.kv).some((row) => row.title === title && row.id !== except))
        throw new ApiError(400, 10_014, "create namespace: 'a namespace with this account ID and title already exists'");
    };
    const open = async (call: Call) => {
      const { id } = find(call);
      await this.runtime.sync();
      return this.runtime.miniflare.getKVNamespace(id, STORAGE_WORKER);
    };
    api
      .on("GET", base, () => new Page(Object.values(this.store.now.kv).map(shown)))
      .on("POST", base, (call) => {
        const { title } = call.json<{ title: string }>();
        free(title);
        const row = { id: hexId(), title };
        this.store.change((draft) => {
          draft.kv[row.id] = row;
        });
        return shown(row);
      })
      .on("GET", `${base}/{id}`, (call) => shown(find(call)))
      .on("PUT", `${base}/{id}`, (call) => {
        const { title } = call.json<{ title: string }>();
        const row = { ...find(call), title };
        free(title, row.id);
        this.store.change((draft) => {
          draft.kv[row.id] = row;
        });
        return shown(row);
      })
      .on("DELETE", `${base}/{id}`, (call) => {
        const { id } = find(call);
        this.#refuseBound("kv_namespace", "namespace_id", id);
        this.store.change((draft) => {
          delete draft.kv[id];
        });
        return null;
      })
      .on("GET", `${base}/{id}/keys`, async (call) => {
        const list = await (await open(call)).list({ prefix: call.query.get("prefix") ?? null, limit: 1000 });
        return new Page(list.keys);
      })
      .on("GET", `${base}/{id}/values/{key}`, async (call) => {
        const value = await (await open(call)).get(call.param("key"), "arrayBuffer");
        if (!value) throw new ApiError(404, 10_009, "get: 'key not found'");
        return new Raw(Buffer.from(value), "application/octet-stream");
      })
      .on("PUT", `${base}/{id}/values/{key}`, async (call) => {
        const multipart = String(call.headers["content-type"]).startsWith("multipart/form-data");
        const part = multipart ? (await call.form()).get("value") : null;
        const value = part === null ? call.body.toString("utf8") : typeof part === "string" ? part : await part.text();
        const ttl = call.query.get("expiration_ttl");
        await (await open(call)).put(call.param("key"), value, ttl ? { expirationTtl: Number(ttl) } : {});
        return null;
      })
      .on("DELETE", `${base}/{id}/values/{key}`, async (call) => {
        await (await open(call)).delete(call.param("key"));
        return null;
      });
  }

  #d1(api: Api): void {
    const base = "/accounts/{account}/d1/database";
    const find = (call: Call) => {
      const row = this.store.now.d1[call.param("id")];
      if (!row) throw new ApiError(404, 7404, `The database ${call.param("id")} could not be found`);
      return row;
    };
    const run = async (call: Call, raw: boolean) => {
      const { uuid } = find(call);
      const { sql, params } = call.json<{ sql: string; params?: unknown[] }>();
      await this.runtime.sync();
      const database = await this.runtime.miniflare.getD1Database(uuid, STORAGE_WORKER);
      const results: unknown[] = [];
      try {
        for (const statement of statements(sql ?? "")) {
          const answer = await database
            .prepare(statement)
            .bind(...(params ?? []))
            .all();
          const rows = answer.results as Json[];
          results.push({
            success: true,
            meta: answer.meta,
            results: raw ? { columns: Object.keys(rows[0] ?? {}), rows: rows.map((row) => Object.values(row)) } : rows,
          });
        }
      } catch (error) {
        throw new ApiError(400, 7500, (error as Error).message.replace(/^D1_ERROR: /, ""));
      }
      return results;
    };
    api
      .on("GET", base, (call) => {
        const name = call.query.get("name");
        return new Page(Object.values(this.store.now.d1).filter((row) => !name || row.name.includes(name)));
      })
      .on("POST", base, (call) => {
        const { name, primary_location_hint, jurisdiction } = call.json<{ name: string; primary_location_hint?: string; jurisdiction?: string }>();
        if (!name) throw new ApiError(400, 7400, "name: Required");
        if (Object.values(this.store.now.d1).some((row) => row.name === name)) throw new ApiError(400, 7502, `Database with name '${name}' already exists`);
        const row = {
          uuid: randomUUID(),
          name,
          version: "production",
          num_tables: 0,
          file_size: 12_288,
          running_in_region: primary_location_hint?.toUpperCase() ?? "WEUR",
          ...(jurisdiction ? { jurisdiction } : {}),
          read_replication: { mode: "disabled" },
          created_at: new Date().toISOString(),
        };
        this.store.change((draft) => {
          draft.d1[row.uuid] = row;
        });
        return row;
      })
      .on("GET", `${base}/{id}`, find)
      .on("PUT", `${base}/{id}`, (call) => this.#replication(call, find(call)))
      .on("PATCH", `${base}/{id}`, (call) => this.#replication(call, find(call)))
      .on("DELETE", `${base}/{id}`, (call) => {
        const { uuid } = find(call);
        this.#refuseBound("d1", "id", uuid);
        this.#refuseBound("d1", "database_id", uuid);
        this.store.change((draft) => {
          delete draft.d1[uuid];
        });
        return null;
      })
      .on("POST", `${base}/{id}/query`, (call) => run(call, false))
      .on("POST", `${base}/{id}/raw`, (call) => run(call, true));
  }

  #replication(call: Call, row: Json & { uuid: string; name: string; created_at: string }): Json {
    const { read_replication } = call.json<{ read_replication?: Json }>();
    const edited = { ...row, ...(read_replication ? { read_replication } : {}) };
    this.store.change((draft) => {
      draft.d1[row.uuid] = edited;
    });
    return edited;
  }

  #r2(api: Api): void {
    const base = "/accounts/{account}/r2/buckets";
    const find = (call: Call) => {
      const row = this.store.now.r2[call.param("name")];
      if (!row) throw new ApiError(404, 10_006, "The specified bucket does not exist.");
      return row;
    };
    api
      .on("GET", base, () => ({ buckets: Object.values(this.store.now.r2) }))
      .on("POST", base, (call) => {
        const { name, locationHint, storageClass } = call.json<{ name: string; locationHint?: string; storageClass?: string }>();
        if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(name ?? "")) throw new ApiError(400, 10_005, "The specified bucket name is not valid.");
        if (this.store.now.r2[name]) throw new ApiError(409, 10_004, "The bucket you tried to create already exists, and you own it.");
        const row = {
          name,
          creation_date: new Date().toISOString(),
          location: (locationHint ?? "WEUR").toUpperCase(),
          storage_class: storageClass ?? "Standard",
          jurisdiction: String(call.headers["cf-r2-jurisdiction"] ?? "default"),
        };
        this.store.change((draft) => {
          draft.r2[name] = row;
        });
        return row;
      })
      .on("GET", `${base}/{name}`, find)
      .on("PATCH", `${base}/{name}`, (call) => {
        const row = { ...find(call), storage_class: String(call.headers["cf-r2-storage-class"] ?? find(call).storage_class) };
        this.store.change((draft) => {
          draft.r2[row.name] = row;
        });
        return row;
      })
      .on("DELETE", `${base}/{name}`, async (call) => {
        const { name } = find(call);
        this.#refuseBound("r2_bucket", "bucket_name", name);
        const held = await this.#settled(async () => (await this.runtime.miniflare.getR2Bucket(name, STORAGE_WORKER)).list({ limit: 1 }));
        if (held.objects.length > 0) throw new ApiError(409, 10_008, "The bucket you tried to delete is not empty (account ...)");
        this.store.change((draft) => {
          delete draft.r2[name];
        });
        return null;
      })
      .on("GET", `${base}/{name}/objects`, async (call) => {
        const { name } = find(call);
        const list = await this.#settled(async () => (await this.runtime.miniflare.getR2Bucket(name, STORAGE_WORKER)).list());
        return new Page(list.objects.map(({ key, size, etag }) => ({ key, size, etag })));
      })
      .on("DELETE", `${base}/{name}/objects/{key+}`, async (call) => {
        const { name } = find(call);
        await this.#settled(async () => (await this.runtime.miniflare.getR2Bucket(name, STORAGE_WORKER)).delete(call.param("key")));
        return { key: call.param("key") };
      });
  }

  /** `use` of a store; again when a reload took the store's proxy away in the middle of it. */
  async #settled<T>(use: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      await this.runtime.sync();
      try {
        return await use();
      } catch (error) {
        if (attempt === 4) throw error;
        if (attempt === 1) await new Promise((resolve) => setTimeout(resolve, 200));
        else await this.runtime.renew();
      }
    }
  }

  #queues(api: Api): void {
    const base = "/accounts/{account}/queues";
    const find = (call: Call) => {
      const row = this.store.now.queues[call.param("id")];
      if (!row) throw new ApiError(404, 11_000, `Queue "${call.param("id")}" does not exist.`);
      return row;
    };
    const save = async (row: ReturnType<typeof find>) => {
      this.store.change((draft) => {
        draft.queues[row.queue_id] = row;
      });
      await this.runtime.sync();
    };
    api
      .on("GET", base, () => new Page(Object.values(this.store.now.queues)))
      .on("POST", base, (call) => {
        const { queue_name } = call.json<{ queue_name: string }>();
        if (Object.values(this.store.now.queues).some((row) => row.queue_name === queue_name)) throw new ApiError(409, 11_009, `Queue name '${queue_name}' is already taken.`);
        const row = { queue_id: hexId(), queue_name, created_on: new Date().toISOString(), consumers: [] };
        this.store.change((draft) => {
          draft.queues[row.queue_id] = row;
        });
        return row;
      })
      .on("GET", `${base}/{id}`, find)
      .on("DELETE", `${base}/{id}`, (call) => {
        const row = find(call);
        this.#refuseBound("queue", "queue_name", row.queue_name);
        this.store.change((draft) => {
          delete draft.queues[row.queue_id];
        });
        return null;
      })
      .on("GET", `${base}/{id}/consumers`, (call) => new Page(find(call).consumers))
      .on("POST", `${base}/{id}/consumers`, async (call) => {
        const row = find(call);
        const consumer = { ...call.json(), consumer_id: hexId(), created_on: new Date().toISOString() };
        await save({ ...row, consumers: [...row.consumers, consumer] });
        return consumer;
      })
      .on("DELETE", `${base}/{id}/consumers/{consumer}`, async (call) => {
        const row = find(call);
        await save({ ...row, consumers: row.consumers.filter(({ consumer_id }) => consumer_id !== call.param("consumer")) });
        return null;
      });
  }

  #workflows(api: Api): void {
    const base = "/accounts/{account}/workflows";
    const find = (call: Call) => {
      const row = this.store.now.workflows[call.param("name")];
      if (!row) throw new ApiError(404, 10_200, "workflow.not_found");
      return row;
    };
    api
      .on("GET", base, () => new Page(Object.values(this.store.now.workflows)))
      .on("GET", `${base}/{name}`, find)
      .on("PUT", `${base}/{name}`, async (call) => {
        const { class_name, script_name } = call.json<{ class_name: string; script_name: string }>();
        const name = call.param("name");
        const script = this.store.now.scripts[script_name];
        if (!script) throw new ApiError(404, 10_007, `Script '${script_name}' of workflow '${name}' does not exist.`);
        if (!script.exports.includes(class_name)) throw new ApiError(400, 10_200, `Workflow class '${class_name}' is not exported by script '${script_name}'.`);
        const before = this.store.now.workflows[name];
        const now = new Date().toISOString();
        const row = { id: before?.id ?? randomUUID(), name, class_name, script_name, created_on: before?.created_on ?? now, modified_on: now, version_id: randomUUID() };
        this.store.change((draft) => {
          draft.workflows[name] = row;
        });
        await this.runtime.sync();
        return { ...row, triggered_on: null };
      })
      .on("DELETE", `${base}/{name}`, (call) => {
        const { name } = find(call);
        this.store.change((draft) => {
          delete draft.workflows[name];
        });
        return { status: "ok", success: true };
      });
  }

  /** Refuses to remove what a script still binds: locally, as a dangling binding would stop workerd from starting. */
  #refuseBound(type: string, field: string, value: string): void {
    for (const script of Object.values(this.runtime.upcoming))
      for (const binding of script.bindings)
        if (binding.type === type && binding[field] === value) throw new ApiError(400, 10_063, `'${value}' is still bound as '${binding.name}' of script '${script.name}'.`);
  }
}
