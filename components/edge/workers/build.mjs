/** Bundles each Worker to dist/<name>.js with a manifest of digests; `npm run build`. The console is built beside them. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const { scripts } = JSON.parse(readFileSync(join(here, "bindings.json"), "utf8"));

mkdirSync(dist, { recursive: true });
await build({
  entryPoints: Object.fromEntries(Object.keys(scripts).map((name) => [name, join(here, name, "index.ts")])),
  outdir: dist,
  bundle: true,
  format: "esm",
  target: "es2023",
  platform: "neutral",
  mainFields: ["module", "main"],
  conditions: ["workerd", "worker", "import", "default"],
  external: ["cloudflare:*", "node:*"],
  loader: { ".json": "json" },
  logLevel: "warning",
});
const manifest = {};
for (const name of Object.keys(scripts)) {
  const file = join(dist, `${name}.js`);
  manifest[name] = { main: `${name}.js`, sha256: createHash("sha256").update(readFileSync(file)).digest("hex") };
}
writeFileSync(join(dist, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);

const consoleBuild = join(here, "..", "console", "build.mjs");
if (existsSync(consoleBuild)) await import(pathToFileURL(consoleBuild).href);
