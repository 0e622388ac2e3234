/** Which script answers a host and path: route patterns first, the most specific first, then custom domains. */
import type { State } from "./state.js";

interface Route {
  pattern: string;
  script: string;
  host: string;
  anyHost: boolean;
  path: string;
  anyPath: boolean;
}

/** A route pattern is not one of Cloudflare's forms (https://developers.cloudflare.com/workers/configuration/routing/routes/#matching-behavior). */
export class BadPattern extends Error {}

/** Takes a pattern apart: `[*]host[/path][*]`, scheme allowed. Throws {@link BadPattern}. */
export function parsePattern(pattern: string, script: string): Route {
  const bare = pattern.replace(/^(https?|\*):\/\//, "");
  const slash = bare.indexOf("/");
  const host = slash < 0 ? bare : bare.slice(0, slash);
  const path = slash < 0 ? "/" : bare.slice(slash);
  if (/[?#]/.test(bare)) throw new BadPattern(`${pattern}: a route has no query and no fragment`);
  if (host.slice(1).includes("*") || path.slice(0, -1).includes("*")) throw new BadPattern(`${pattern}: a wildcard stands only at the start of the host and the end of the path`);
  if (host === "") throw new BadPattern(`${pattern}: a route names a host`);
  const anyHost = host.startsWith("*");
  const anyPath = path.endsWith("*");
  return { pattern, script, host: anyHost ? host.slice(1) : host, anyHost, path: anyPath ? path.slice(0, -1) : path, anyPath };
}

function matches(route: Route, host: string, path: string): boolean {
  const hostFits = route.anyHost ? host.endsWith(route.host) && host.length > 0 : host === route.host;
  return hostFits && (route.anyPath ? path.startsWith(route.path) : path === route.path);
}

/** A host without its port, in lower case. */
export function bareHost(header: string | undefined): string {
  if (!header) return "";
  const colon = header.lastIndexOf(":");
  return (colon > 0 && !header.endsWith("]") ? header.slice(0, colon) : header).toLowerCase();
}

export class RouteTable {
  readonly #domains: Map<string, string>;
  readonly #routes: Route[];
  /** Answers of hosts whose path does not matter. */
  readonly #known = new Map<string, string | null>();

  constructor(state: Pick<State, "domains" | "routes">) {
    this.#domains = new Map(Object.values(state.domains).map(({ hostname, service }) => [hostname, service]));
    this.#routes = Object.values(state.routes)
      .map(({ pattern, script }) => parsePattern(pattern, script))
      .sort((one, other) => Number(one.anyHost) - Number(other.anyHost) || other.host.length - one.host.length || other.path.length - one.path.length || Number(one.anyPath) - Number(other.anyPath));
  }

  /** The script for a request, null where a route says "no script" or nothing matches. */
  script(host: string, path: string): string | null {
    const known = this.#known.get(host);
    if (known !== undefined) return known;
    const custom = this.#domains.get(host);
    const candidates = this.#routes.filter((route) => (route.anyHost ? host.endsWith(route.host) : host === route.host));
    const first = candidates.find((route) => matches(route, host, path));
    const found = first ? first.script || null : (custom ?? null);
    const pathMatters = candidates.some((route) => !(route.anyPath && route.path === "/"));
    if (!pathMatters && this.#known.size < 10_000) this.#known.set(host, found);
    return found;
  }
}
