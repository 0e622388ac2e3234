/**
 * Starts one side of the router benchmark: `node benchmarks/edge/start.mjs passthrough|router ORIGIN_PORT TOKENS`.
 *
 * Prints one JSON line, `{"port", "workerd", "host", "tokens"}`, and serves until its standard input ends. `sides.ts` is made one module by esbuild.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const project = join(here, "..", "..");
const { outputFiles } = await build({
  entryPoints: [join(here, "sides.ts")],
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  packages: "external",
  // The declared bindings are read from beside their own source.
  define: { "import.meta.dirname": JSON.stringify(join(project, "components/edge/workers/tests")) },
  write: false,
  logLevel: "error",
});
// Below node_modules, where bare imports resolve.
const cache = join(project, "node_modules", ".cache", "spotlane");
mkdirSync(cache, { recursive: true });
const path = join(cache, `benchmark-router-${process.pid}.mjs`);
writeFileSync(`${path}.new`, outputFiles[0].contents);
renameSync(`${path}.new`, path);
const { start } = await import(pathToFileURL(path).href);
await start(process.argv[2], Number(process.argv[3]), Number(process.argv[4]));
