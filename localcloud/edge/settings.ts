/** Where the host keeps its state and listens: flags first, then `local.json` of the state directory. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

export interface Settings {
  home: string;
  edgePort: number;
  apiPort: number;
  /** Name of the zone that exists from the start. */
  zone: string;
  zoneId: string;
  accountId: string;
  /** Longest wait for open requests before a reload, in ms. */
  drainMs: number;
}

/** A flag or `local.json` is missing or wrong; the message says what to do. */
export class SettingsError extends Error {}

interface LocalDocument {
  zone?: string;
  endpoints?: Record<string, unknown>;
}

function localDocument(home: string): LocalDocument {
  const path = join(home, "local.json");
  try {
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as LocalDocument) : {};
  } catch (error) {
    throw new SettingsError(`${path}: cannot be read (${(error as Error).message}); remove it and start the local cloud again`);
  }
}

function endpoint(home: string, document: LocalDocument, name: string): number {
  const path = join(home, "local.json");
  if (!document.endpoints) throw new SettingsError(`${path}: names no endpoints; start the local cloud first or give --edge-port and --api-port`);
  const value = document.endpoints[name];
  const port = typeof value === "number" ? value : typeof value === "string" ? Number(new URL(value).port) : Number((value as { port?: number } | undefined)?.port);
  if (!Number.isInteger(port) || port <= 0) throw new SettingsError(`${path}: endpoints.${name} names no port`);
  return port;
}

/** The settings of this start. Throws {@link SettingsError}. */
export function readSettings(argv: string[], env: NodeJS.ProcessEnv): Settings {
  const { values } = parseArgs({
    args: argv,
    options: { home: { type: "string" }, "edge-port": { type: "string" }, "api-port": { type: "string" }, "drain-ms": { type: "string" } },
  });
  const home = values.home ?? env.SPOTLANE_HOME;
  if (!home) throw new SettingsError("SPOTLANE_HOME is not set; set it or give --home");
  const directory = resolve(home);
  const document = localDocument(directory);
  return {
    home: directory,
    edgePort: values["edge-port"] ? Number(values["edge-port"]) : endpoint(directory, document, "edge"),
    apiPort: values["api-port"] ? Number(values["api-port"]) : endpoint(directory, document, "cloudflare_api"),
    zone: env.SPOTLANE_ZONE ?? document.zone ?? "spotlane.localhost",
    zoneId: "1".repeat(32),
    accountId: "0".repeat(32),
    drainMs: Number(values["drain-ms"] ?? 2500),
  };
}
