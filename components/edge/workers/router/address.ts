/** Which workload a request is for: the host of its address names it, and nothing else does. */
import { isLabel } from "../shared/ids";

export interface Address {
  scheme: string;
  /** Host with its port, in lower case. */
  authority: string;
  label: string;
  /** Path and query, from the slash on. */
  path: string;
}

/** What almost every URL is; others are brought into this form by the URL standard first (upper case, no path) or are refused (user names, other schemes). */
const PLAIN = /^(https?):\/\/(([a-z0-9.-]+)(?::[0-9]{1,5})?)(\/.*)$/s;

/** The parts of a request's URL; null where no workload of the zone can have it: another host, a dot at its end, a name in Unicode. */
export function addressOf(url: string, zone: string): Address | null {
  const parts = PLAIN.exec(url) ?? PLAIN.exec(canonical(url));
  if (!parts) return null;
  const [, scheme = "", authority = "", host = "", path = ""] = parts;
  const suffix = `.workloads.${zone}`;
  if (!host.endsWith(suffix)) return null;
  const label = host.slice(0, -suffix.length);
  return isLabel(label) ? { scheme, authority, label, path } : null;
}

function canonical(url: string): string {
  try {
    return new URL(url).href;
  } catch {
    return "";
  }
}
