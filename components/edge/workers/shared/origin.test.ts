import { expect, test } from "vitest";
import { OriginSigner, registered } from "./origin";

const KEY = "0b".repeat(32);
const NOW = 1_800_000_003_500;

test("the signature is that of the time and the placement under its key, as spotlane/origin.py checks it", async () => {
  const signer = new OriginSigner(async () => KEY);
  expect(await signer.header("acme_web_3", NOW)).toBe("t=1800000003,v1=f68db1a9a5a6cb1721fbe809b4178f9bb66fe275e91b7d0f9744d9f6513ba4cf");
});

test("a placement's key is asked for once; its signature is used for ten seconds, then made anew", async () => {
  const asked: string[] = [];
  const signer = new OriginSigner(async (placement) => {
    asked.push(placement);
    return KEY;
  });
  const first = await signer.header("acme_web_3", NOW);
  expect(signer.header("acme_web_3", NOW + 9_999)).toBe(first);
  const second = await signer.header("acme_web_3", NOW + 10_000);
  expect(second).not.toBe(first);
  expect(await signer.header("acme_web_4", NOW)).not.toBe(first);
  expect(asked).toEqual(["acme_web_3", "acme_web_4"]);
});

const target = (placement: string, origin: string) => ({ placement, origin, tcpOrigin: null, weight: 1, healthy: true });

test("a target is taken only with the very origin that its placement registers", () => {
  expect(registered(target("acme_web_3", "https://web-acme-3.origins.edge.test"), "web-acme", "edge.test")).toBe(true);
  for (const [placement, origin] of [
    ["acme_web_3", "https://web-acme-4.origins.edge.test"],
    ["other_web_3", "https://web-other-3.origins.edge.test"],
    ["acme_web_3", "https://web-other-3.origins.edge.test"],
    ["acme_web_3", "http://web-acme-3.origins.edge.test"],
    ["acme_web_3", "https://web-acme-3.origins.edge.test:8443"],
    ["acme_web_3", "https://web-acme-3.origins.edge.test/"],
    ["acme_web_3", "https://web-acme-3.origins.edge.test@169.254.169.254"],
    ["acme_web_3", "https://web-acme-3.origins.edge.test.evil.test"],
    ["acme_web_3", "http://169.254.169.254"],
    ["acme_web_", "https://web-acme-.origins.edge.test"],
    ["acme_web_3_4", "https://web-acme-3.origins.edge.test"],
    ["", ""],
  ] as const)
    expect(registered(target(placement, origin), "web-acme", "edge.test")).toBe(false);
});
