/** What is deployed, kept as one document with atomic replacement; script modules and assets lie beside it by content. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";

export type Json = Record<string, unknown>;

/** A binding as Cloudflare's upload metadata carries it: `name`, `type` and the fields of its type. */
export interface Binding extends Json {
  name: string;
  type: string;
}

/** A Durable Object class: its storage backend and the key under which its objects are stored (kept through renames). */
export interface DurableClass {
  sqlite: boolean;
  key: string;
}

export interface ScriptAssets {
  /** Path (leading slash) to content hash. */
  manifest: Record<string, string>;
  config: Json;
}

export interface Script {
  name: string;
  mainModule: string;
  /** Module name to content digest and MIME type. */
  modules: Record<string, { digest: string; type: string }>;
  /** Names that the main module exports. */
  exports: string[];
  bindings: Binding[];
  classes: Record<string, DurableClass>;
  migrationTag: string | null;
  compatibilityDate: string;
  compatibilityFlags: string[];
  assets: ScriptAssets | null;
  schedules: { cron: string; created_on: string; modified_on: string }[];
  subdomain: { enabled: boolean; previews_enabled: boolean };
  /** Other metadata, given back as it came (observability, placement, limits, …). */
  extra: Json;
  createdOn: string;
  modifiedOn: string;
}

export interface Tunnel {
  id: string;
  account_tag: string;
  name: string;
  secret: string;
  created_at: string;
  config: { version: number; config: { ingress?: IngressRule[] } & Json; created_at: string } | null;
}

export interface IngressRule {
  hostname?: string;
  path?: string;
  service: string;
}

export interface DnsRecord extends Json {
  id: string;
  zone_id: string;
  name: string;
  type: string;
  content: string;
}

export interface SpectrumApp extends Json {
  id: string;
  zone_id: string;
  protocol: string;
  dns: { type: string; name: string };
  /** Loopback address of its listener. */
  edge_address: string;
}

export interface State {
  version: 1;
  /** Grows with each write. */
  serial: number;
  zones: Record<string, { id: string; name: string }>;
  scripts: Record<string, Script>;
  kv: Record<string, { id: string; title: string }>;
  d1: Record<string, { uuid: string; name: string; created_at: string } & Json>;
  r2: Record<string, { name: string; creation_date: string } & Json>;
  queues: Record<string, { queue_id: string; queue_name: string; created_on: string; consumers: Json[] }>;
  workflows: Record<string, { id: string; name: string; class_name: string; script_name: string; created_on: string; modified_on: string; version_id: string }>;
  routes: Record<string, { id: string; zone_id: string; pattern: string; script: string }>;
  domains: Record<string, { id: string; hostname: string; service: string; zone_id: string; zone_name: string; environment: string; cert_id: string }>;
  dns: Record<string, DnsRecord>;
  spectrum: Record<string, SpectrumApp>;
  tunnels: Record<string, Tunnel>;
}

const EMPTY: State = {
  version: 1,
  serial: 0,
  zones: {},
  scripts: {},
  kv: {},
  d1: {},
  r2: {},
  queues: {},
  workflows: {},
  routes: {},
  domains: {},
  dns: {},
  spectrum: {},
  tunnels: {},
};

export const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** Replaces `path` whole or not at all, also through a power cut. */
export function writeAtomic(path: string, data: string | Uint8Array): void {
  const draft = `${path}.${process.pid}.new`;
  const file = openSync(draft, "w", 0o600);
  try {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}

/** The deployed state and its blobs. Every change goes through {@link Store.change}; readers use {@link Store.now}. */
export class Store {
  readonly directory: string;
  #state: State;
  #listeners: ((state: State) => void)[] = [];

  constructor(home: string, zone: { id: string; name: string }) {
    this.directory = join(home, "edge");
    for (const part of ["", "scripts", "assets"]) mkdirSync(join(this.directory, part), { recursive: true });
    const path = join(this.directory, "state.json");
    this.#state = { ...structuredClone(EMPTY), ...(existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as State) : {}) };
    if (!this.#state.zones[zone.id]) this.#state.zones[zone.id] = zone;
  }

  get now(): Readonly<State> {
    return this.#state;
  }

  onChange(listener: (state: State) => void): void {
    this.#listeners.push(listener);
  }

  /** Applies `edit` to a copy of the named tables and writes the result before anybody sees it; an exception in `edit` changes nothing. */
  change<T>(edit: (draft: State) => T): T {
    const draft: State = { ...this.#state };
    for (const [table, rows] of Object.entries(this.#state)) if (typeof rows === "object") Object.assign(draft, { [table]: { ...rows } });
    const result = edit(draft);
    draft.serial = this.#state.serial + 1;
    writeAtomic(join(this.directory, "state.json"), JSON.stringify(draft));
    this.#state = draft;
    for (const listener of this.#listeners) listener(draft);
    return result;
  }

  blobPath(kind: "scripts" | "assets", digest: string): string {
    return join(this.directory, kind, digest);
  }

  putBlob(kind: "scripts" | "assets", digest: string, data: Uint8Array): void {
    if (!existsSync(this.blobPath(kind, digest))) writeAtomic(this.blobPath(kind, digest), data);
  }

  blob(kind: "scripts" | "assets", digest: string): Buffer {
    return readFileSync(this.blobPath(kind, digest));
  }

  hasBlob(kind: "scripts" | "assets", digest: string): boolean {
    return existsSync(this.blobPath(kind, digest));
  }
}
