#!/usr/bin/env node
/** Bundles the benchmark's Workers and its program, and runs it: `node benchmarks/routes/run.mjs SAMPLES`. Progress on stderr, one JSON object on stdout. */
import { createHash } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));

async function text(name, options) {
  const { outputFiles } = await build({ entryPoints: [join(here, name)], bundle: true, format: "esm", write: false, logLevel: "error", loader: { ".json": "json" }, ...options });
  return outputFiles[0].text;
}

const worker = { platform: "neutral", target: "es2023", mainFields: ["module", "main"], conditions: ["workerd", "worker", "import", "default"], external: ["cloudflare:*", "node:*"] };
const names = ["authority", "replica", "router", "origins"];
const workers = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await text(`${name}.worker.ts`, worker)])));
const program = await text("main.ts", { platform: "node", target: "node20", packages: "external", define: { WORKERS: JSON.stringify(workers) } });

// Where bare imports resolve.
const cache = join(here, "..", "..", "node_modules", ".cache", "spotlane");
mkdirSync(cache, { recursive: true });
const path = join(cache, `propagation-${createHash("sha256").update(program).digest("hex").slice(0, 16)}.mjs`);
writeFileSync(`${path}.${process.pid}`, program);
renameSync(`${path}.${process.pid}`, path);
const { main } = await import(pathToFileURL(path).href);
await main(path, process.argv.slice(2));
