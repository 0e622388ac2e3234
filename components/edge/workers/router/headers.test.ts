import { expect, test } from "vitest";
import { backHeaders, onwardHeaders } from "./headers";

const url = new URL("https://web-acme.workloads.edge.test/path");

test("hop-by-hop headers stay, also those that Connection names; who asked goes along", () => {
  const given = new Headers({ connection: "x-private", "x-private": "1", te: "trailers", "x-kept": "2", "cf-connecting-ip": "192.0.2.7", "x-forwarded-for": "198.51.100.1", "x-request-id": "r" });
  expect([...onwardHeaders({ headers: given } as Request, url)]).toEqual([
    ["cf-connecting-ip", "192.0.2.7"],
    ["x-forwarded-for", "198.51.100.1, 192.0.2.7"],
    ["x-forwarded-host", "web-acme.workloads.edge.test"],
    ["x-forwarded-proto", "https"],
    ["x-kept", "2"],
    ["x-request-id", "r"],
  ]);
});

test("a request without an id is given one", () => {
  expect(onwardHeaders({ headers: new Headers() } as Request, url).get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
});

test("an answer names its placement and keeps every cookie", () => {
  const given = new Headers([
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
    ["keep-alive", "timeout=5"],
  ]);
  const back = backHeaders(given, "acme_web_1");
  expect([back.get("set-cookie"), back.get("keep-alive"), back.get("x-spotlane-placement")]).toEqual(["a=1, b=2", null, "acme_web_1"]);
});
