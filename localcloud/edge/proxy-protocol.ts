/** The PROXY protocol's header, versions 1 and 2, as Spectrum sends it before a connection's first byte (haproxy.org, proxy-protocol.txt, section 2). */
import net from "node:net";

export type ProxyProtocol = "off" | "v1" | "v2";

export interface End {
  address: string;
  port: number;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** The header that names a connection's ends; empty for `off`. Ends of two families are told as unknown. */
export function proxyHeader(version: ProxyProtocol, source: End, destination: End): Buffer {
  if (version === "off") return Buffer.alloc(0);
  const family = net.isIP(source.address);
  const known = family !== 0 && family === net.isIP(destination.address);
  if (version === "v1") return Buffer.from(known ? `PROXY TCP${family} ${source.address} ${destination.address} ${source.port} ${destination.port}\r\n` : "PROXY UNKNOWN\r\n", "latin1");
  if (!known) return Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const block = Buffer.concat([packed(source.address), packed(destination.address), ports]);
  return Buffer.concat([SIGNATURE, Buffer.from([0x21, family === 4 ? 0x11 : 0x21, block.length >> 8, block.length & 0xff]), block]);
}

function packed(address: string): Buffer {
  if (net.isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = dotted(address).split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const middle = tail === undefined ? [] : Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0");
  const words = [...groups(head), ...middle, ...groups(tail ?? "")];
  return Buffer.from(words.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff]));
}

/** An IPv6 address whose last 32 bits stand as IPv4 (`::ffff:127.0.0.1`), in groups. */
function dotted(address: string): string {
  const last = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (!last) return address;
  const [a = 0, b = 0, c = 0, d = 0] = last.slice(1).map(Number);
  return `${address.slice(0, last.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
