/** Ties workerd to this process: a host that is killed takes workerd with it, so that no orphan keeps the ports and the databases. */
import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import workerd from "workerd";
import { writeAtomic } from "./state.js";

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function hasSetpriv(): boolean {
  try {
    execFileSync("setpriv", ["--pdeathsig", "KILL", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The start script: the kernel's own parent-death signal where `setpriv` knows it, else a shell that watches its parent each half second. */
export function leashScript(binary: string, kernel: boolean): string {
  if (kernel) return `#!/bin/sh\nexec setpriv --pdeathsig KILL ${quoted(binary)} "$@"\n`;
  return [
    "#!/bin/sh",
    "host=$PPID",
    `${quoted(binary)} "$@" <&0 &`,
    "child=$!",
    "trap 'kill -TERM $child' TERM INT",
    '(while kill -0 "$host" 2>/dev/null && kill -0 "$child" 2>/dev/null; do sleep 0.5; done; kill -KILL "$child" 2>/dev/null) </dev/null >/dev/null 2>&1 3>&- &',
    'wait "$child"',
    "",
  ].join("\n");
}

/** Has miniflare start workerd on the leash. */
export function leash(directory: string): void {
  const path = join(directory, "workerd.sh");
  writeAtomic(path, leashScript(workerd.default, hasSetpriv()));
  chmodSync(path, 0o700);
  process.env.MINIFLARE_WORKERD_PATH = path;
}
