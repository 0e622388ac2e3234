import { expect, test } from "vitest";
import { proxyHeader } from "./proxy-protocol";

const four = { source: { address: "127.0.0.1", port: 51000 }, destination: { address: "127.20.0.1", port: 5432 } };
const six = { source: { address: "2001:db8::7", port: 51000 }, destination: { address: "::ffff:127.0.0.1", port: 5432 } };
const SIGNATURE = "0d0a0d0a000d0a515549540a";

test.each([
  ["v1", four, "PROXY TCP4 127.0.0.1 127.20.0.1 51000 5432\r\n"],
  ["v1", six, "PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 51000 5432\r\n"],
  ["v1", { source: four.source, destination: six.destination }, "PROXY UNKNOWN\r\n"],
  ["off", four, ""],
] as const)("%s is one line, or nothing", (version, { source, destination }, expected) => {
  expect(proxyHeader(version, source, destination).toString("latin1")).toBe(expected);
});

test("v2 has the signature, the family, the length and both ends", () => {
  expect(proxyHeader("v2", four.source, four.destination).toString("hex")).toBe(`${SIGNATURE}2111000c7f0000017f140001c7381538`);
  expect(proxyHeader("v2", six.source, six.destination).toString("hex")).toBe(`${SIGNATURE}2121002420010db800000000000000000000000700000000000000000000ffff7f000001c7381538`);
  expect(proxyHeader("v2", four.source, six.destination).toString("hex")).toBe(`${SIGNATURE}20000000`);
});
