import { expect, test } from "vitest";
import { tenantOf } from "../shared/ids";
import { seeded } from "../tests/seeded";
import { addressOf } from "./address";

const ZONE = "edge.test";

test.each([
  ["https://web-acme.workloads.edge.test/", { scheme: "https", authority: "web-acme.workloads.edge.test", label: "web-acme", path: "/" }],
  ["http://web-acme.workloads.edge.test:7700/a?b=c#d", { scheme: "http", authority: "web-acme.workloads.edge.test:7700", label: "web-acme", path: "/a?b=c#d" }],
  ["https://WEB-Acme.Workloads.EDGE.test/A", { scheme: "https", authority: "web-acme.workloads.edge.test", label: "web-acme", path: "/A" }],
  ["https://web-acme.workloads.edge.test", { scheme: "https", authority: "web-acme.workloads.edge.test", label: "web-acme", path: "/" }],
  ["https://web-acme.workloads.edge.test//evil.test/x", { scheme: "https", authority: "web-acme.workloads.edge.test", label: "web-acme", path: "//evil.test/x" }],
  ["https://web-acme.workloads.edge.test/@evil.test", { scheme: "https", authority: "web-acme.workloads.edge.test", label: "web-acme", path: "/@evil.test" }],
])("%s is a workload's", (url, address) => {
  expect(addressOf(url, ZONE)).toEqual(address);
});

test.each([
  "https://web-acme.workloads.edge.test./",
  "https://web-acme.workloads.edge.test.evil.test/",
  "https://evil.test/https://web-acme.workloads.edge.test/",
  "https://evil.test#.workloads.edge.test/",
  "https://evil.test?.workloads.edge.test/",
  "https://evil.test\\.workloads.edge.test/",
  "https://web-acme.workloads.edge.test@evil.test/",
  "https://user:secret@web-acme.workloads.edge.test/",
  "https://.workloads.edge.test/",
  "https://workloads.edge.test/",
  "https://a.web-acme.workloads.edge.test/",
  "https://web--acme.workloads.edge.test/",
  "https://wéb-acme.workloads.edge.test/",
  "https://xn--wb-acme-bya.workloads.edge.test/",
  "https://web-acme-1.origins.edge.test/",
  "https://api.edge.test/",
  "https://web-acmeworkloads.edge.test/",
  "https://web_acme.workloads.edge.test/",
  "https://web-acme%2eworkloads.edge.test.evil/",
  "ftp://web-acme.workloads.edge.test/",
  "javascript://web-acme.workloads.edge.test/",
  "web-acme.workloads.edge.test",
  "//web-acme.workloads.edge.test/",
  "",
])("%s is nobody's", (url) => {
  expect(addressOf(url, ZONE)).toBeNull();
});

test("whatever a URL is made of, its label is what the URL standard says that its host is, and so is its tenant", () => {
  const parts = [
    "web-acme",
    "web-other",
    ".workloads.edge.test",
    ".origins.edge.test",
    "evil.test",
    "https://",
    "http:",
    "/",
    "\\",
    "@",
    ":",
    "#",
    "?",
    ".",
    "%2e",
    "%2F",
    "-",
    " ",
    "\t",
    "é",
    "A",
    "7",
    "..",
    "\0",
  ];
  const random = seeded(20_260_301);
  let taken = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const start = random() < 0.7 ? `https://${random() < 0.6 ? "web-acme.workloads.edge.test" : ""}` : "";
    const url = start + Array.from({ length: Math.floor(random() * 6) }, () => parts[Math.floor(random() * parts.length)]).join("");
    const address = addressOf(url, ZONE);
    if (!address) continue;
    taken += 1;
    const { hostname } = new URL(url);
    expect(`${address.label}.workloads.${ZONE}`, url).toBe(hostname);
    expect(hostname.endsWith(`-${tenantOf(address.label)}.workloads.${ZONE}`), url).toBe(true);
    const target = new URL(`https://${address.label}-1.origins.${ZONE}${address.path}`);
    expect(target.host, url).toBe(`${address.label}-1.origins.${ZONE}`);
  }
  expect(taken).toBeGreaterThan(1_000);
});
