/** Builds the console to dist/: one module, one style sheet, one page; nothing comes from elsewhere. Called by `npm run build`. */
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { countries, HEIGHT, NORTH, SOUTH, WIDTH } from "./land.mjs";

/** Of the script, gzipped: what a slow line carries in a second. */
const LIMIT_BYTES = 120 * 1024;
const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

/** `virtual:land`: the countries' outlines, drawn at build time. */
const land = {
  name: "land",
  setup(plugins) {
    plugins.onResolve({ filter: /^virtual:land$/ }, () => ({ path: "land", namespace: "land" }));
    plugins.onLoad({ filter: /.*/, namespace: "land" }, () => ({
      contents: `export const measures = ${JSON.stringify({ WIDTH, HEIGHT, NORTH, SOUTH })}; export default ${JSON.stringify(countries())}`,
      loader: "js",
    }));
  },
};

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
await build({
  entryPoints: { console: join(here, "src", "main.tsx") },
  outdir: dist,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
  plugins: [land],
});
for (const file of ["index.html", "console.css", "icon.svg"]) copyFileSync(join(here, "src", file), join(dist, file));
const size = gzipSync(readFileSync(join(dist, "console.js"))).length;
if (size > LIMIT_BYTES) throw new Error(`the console's script is ${size} bytes gzipped, more than ${LIMIT_BYTES}`);
