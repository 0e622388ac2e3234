/** Which spec a machine was made for: what can only take effect with a new one. */
import type { WorkloadSpec } from "./wire";

const PRIME = 0x100000001b3n;
const BASIS = 0xcbf29ce484222325n;

/**
 * FNV-1a, 64 bits, hex, of those parts of a spec that a new generation is needed for. It tells specs apart; it protects nothing. Resources and placement
 * rules aren't among them: placement itself moves what runs on too small a machine or in the wrong place.
 */
export function fingerprintOf(spec: WorkloadSpec): string {
  const { artifact, image, command, env, ports, drainSeconds, access, cloudIdentity, logs } = spec;
  const sorted = Object.entries(env ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  const parts = [image ?? artifact?.digest, command, sorted, ports.http, ports.tcp, ports.proxyProtocol ?? "off", drainSeconds, access];
  // Only where they are asked for: what ran before they could be keeps its fingerprint.
  if (cloudIdentity) parts.push("cloudIdentity");
  if (logs) parts.push("logs");
  let hash = BASIS;
  for (const byte of new TextEncoder().encode(JSON.stringify(parts))) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * PRIME);
  return hash.toString(16).padStart(16, "0");
}
