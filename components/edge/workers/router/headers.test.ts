import { expect, test } from "vitest";
import { answered, dress, read, upgradeHeaders } from "./headers";

const address = { scheme: "https", authority: "web-acme.workloads.edge.test", label: "web-acme", path: "/" };
const onward = (given: Record<string, string>, caller: { subject: string; scope: string } | null = null): Record<string, string> => {
  const headers = new Headers({ "x-request-id": "r", ...given });
  const { "x-forwarded-host": host, "x-forwarded-proto": scheme, ...rest } = Object.fromEntries(dress(new Headers(headers), read(headers), address, caller));
  expect([host, scheme]).toEqual([address.authority, address.scheme]);
  return rest;
};

test("hop-by-hop headers stay, also those that Connection names", () => {
  const given = {
    connection: "x-private, Keep-Alive",
    "x-private": "1",
    te: "trailers",
    trailer: "x-sum",
    "keep-alive": "timeout=5",
    "proxy-authorization": "Basic eA==",
    "proxy-connection": "close",
    upgrade: "h2c",
    expect: "100-continue",
    "x-kept": "2",
  };
  expect(onward(given)).toEqual({ "x-kept": "2", "x-request-id": "r" });
});

test.each([
  [{ "x-spotlane-caller": "root platform:admin" }],
  [{ "x-spotlane-label": "web-other" }],
  [{ "x-spotlane-anything": "1" }],
  [{ "x-spotlane-trace": "1" }],
  [{ x_spotlane_caller: "root" }],
  [{ "x_spotlane-caller": "root platform:admin" }],
  [{ x_forwarded_for: "203.0.113.9" }],
  [{ x_request_id: "other" }],
  [{ forwarded: "for=203.0.113.9" }],
  [{ "x-real-ip": "203.0.113.9" }],
  [{ "x-forwarded-port": "22" }],
  [{ "x-forwarded-host": "evil.test" }],
  [{ "x-forwarded-proto": "gopher" }],
])("what only the edge may say doesn't come from a client: %o", (given) => {
  expect(onward(given as Record<string, string>)).toEqual({ "x-request-id": "r" });
});

test("a client's own headers go on, with underscores too", () => {
  expect(onward({ my_header: "1", cookie: "a=1", "accept-language": "de" })).toEqual({ my_header: "1", cookie: "a=1", "accept-language": "de", "x-request-id": "r" });
});

test("a credential that the edge has checked stays here and its owner goes along; an anonymous workload gets its own", () => {
  const given = { authorization: "Bearer secret", "x-api-key": "spk_secret" };
  expect(onward(given, { subject: "key_1", scope: "tenant:read" })).toEqual({ "x-spotlane-caller": "key_1 tenant:read", "x-request-id": "r" });
  expect(onward(given)).toEqual({ ...given, "x-request-id": "r" });
});

test.each([
  [undefined, "192.0.2.7", "192.0.2.7"],
  ["198.51.100.1", "192.0.2.7", "198.51.100.1, 192.0.2.7"],
  ["198.51.100.1, 192.0.2.7", "192.0.2.7", "198.51.100.1, 192.0.2.7"],
  ["192.0.2.7", "192.0.2.7", "192.0.2.7"],
  ["2001:db8::1", "2001:db8::2", "2001:db8::1, 2001:db8::2"],
  ["<script>", "192.0.2.7", "192.0.2.7"],
  ["1".repeat(600), "192.0.2.7", "192.0.2.7"],
  ["unknown, _hidden", undefined, undefined],
])("the chain of addresses %s of client %s goes on as %s", (chain, client, expected) => {
  const given = { ...(chain ? { "x-forwarded-for": chain } : {}), ...(client ? { "cf-connecting-ip": client } : {}) };
  expect(onward(given as Record<string, string>)["x-forwarded-for"]).toBe(expected);
});

test.each(["", "a b", "<script>", "é", "x".repeat(129), 'a"b'])("a malformed request id is replaced: %s", (id) => {
  expect(onward({ "x-request-id": id })["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
});

test.each([
  [{}, 0],
  [{ "x-spotlane-signature": "t=1,v1=a" }, 1],
  [{ "x-spotlane-signature": "t=1,v1=a", "x-spotlane-hops": "1" }, 2],
  [{ "x-spotlane-hops": "-1" }, Number.POSITIVE_INFINITY],
  [{ "x-spotlane-hops": "1e9" }, Number.POSITIVE_INFINITY],
])("a request that has passed through workloads is counted: %o", (given, hops) => {
  const headers = new Headers(given as Record<string, string>);
  expect(read(headers).hops).toBe(hops);
  if (Number.isFinite(hops)) expect(onward(given as Record<string, string>)["x-spotlane-hops"]).toBe(hops === 0 ? undefined : String(hops));
});

test("a handshake keeps what it needs to reach the gateway", () => {
  const given = new Headers({ upgrade: "websocket", connection: "Upgrade", "sec-websocket-key": "k", "x-spotlane-label": "web-other" });
  const headers = upgradeHeaders(given, read(given), address, null);
  expect([headers.get("upgrade"), headers.get("sec-websocket-key"), headers.get("x-spotlane-label")]).toEqual(["websocket", "k", null]);
});

test("an answer goes back as it came, unless its client asks who gave it", () => {
  const given = new Response("made", { headers: { "x-own": "1" } });
  expect(answered(given, given.body, null, "https://web-acme-1.origins.edge.test", address)).toBe(given);
  expect([read(new Headers({ "x-spotlane-trace": "1" })).traced, read(new Headers()).traced]).toEqual([true, false]);
});

test("an answer that names its placement keeps every cookie", () => {
  const given = new Response("made", {
    status: 201,
    headers: [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-own", "1"],
    ],
  });
  const back = answered(given, given.body, "acme_web_1", "https://web-acme-1.origins.edge.test", address);
  expect([back.status, back.headers.getAll("set-cookie"), back.headers.get("x-own"), back.headers.get("x-spotlane-placement")]).toEqual([201, ["a=1", "b=2"], "1", "acme_web_1"]);
});

test.each([
  ["https://web-acme-1.origins.edge.test/next?a=b", "https://web-acme.workloads.edge.test/next?a=b"],
  ["https://web-acme-1.origins.edge.test", "https://web-acme.workloads.edge.test"],
  ["https://web-acme-1.origins.edge.test.evil.test/", "https://web-acme-1.origins.edge.test.evil.test/"],
  ["https://web-acme-1.origins.edge.test@evil.test/", "https://web-acme-1.origins.edge.test@evil.test/"],
  ["/relative", "/relative"],
  ["https://elsewhere.test/", "https://elsewhere.test/"],
])("a redirect to %s leads to %s", (location, expected) => {
  const given = new Response(null, { status: 302, headers: { location } });
  expect(answered(given, null, "acme_web_1", "https://web-acme-1.origins.edge.test", address).headers.get("location")).toBe(expected);
});
