/** Hashes in hex, and random secrets of keys and tokens. */

/** SHA-256 of a text in UTF-8, hex. */
export async function sha256(text: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}

/** Two digits a byte, lower case. */
export function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** 256 random bits behind a prefix that says what it is: a leaked one is found by scanners. */
export function secret(prefix: string): string {
  const text = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
  return prefix + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function identifier(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll("-", "").slice(0, 16);
}

/** Whether two hashes are the same, in a time that doesn't tell where they differ. */
export function sameHash(one: string, other: string): boolean {
  const [left, right] = [one, other].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  return left.byteLength === right.byteLength && crypto.subtle.timingSafeEqual(left, right);
}
