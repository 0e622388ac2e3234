#!/usr/bin/env node
/**
 * Starts the edge host: `node localcloud/edge/host.mjs [--home DIR] [--edge-port N] [--api-port N]`.
 *
 * The host is TypeScript; esbuild (a few tens of ms) makes one module of it under `node_modules/.cache`, where bare imports resolve.
 */
import { createHash } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

async function bundled() {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [join(here, "main.ts")],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    packages: "external",
    loader: { ".worker.js": "text" },
    sourcemap: "inline",
    write: false,
    logLevel: "error",
  });
  const text = outputFiles[0].contents;
  const cache = join(here, "..", "..", "node_modules", ".cache", "spotlane");
  mkdirSync(cache, { recursive: true });
  const path = join(cache, `edge-host-${createHash("sha256").update(text).digest("hex").slice(0, 16)}.mjs`);
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

process.setSourceMapsEnabled(true);
let path;
try {
  path = await bundled();
} catch (error) {
  if (error?.code === "ERR_MODULE_NOT_FOUND") {
    process.stderr.write("edge: the node packages are missing; run `npm ci` (or `make setup`) in the project's directory\n");
    process.exit(2);
  }
  throw error;
}
const { main } = await import(pathToFileURL(path).href);
await main(process.argv.slice(2));
