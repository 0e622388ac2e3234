import { env, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import type { Decision } from "../shared/wire";
import { book, decision, MARKET_NOW, offer, quote } from "../tests/documents";

let number = 0;
beforeEach(() => {
  number += 1;
});
const engine = () => env.PRICES.get(env.PRICES.idFromName(`market-${number}`));
const later = (hours: number) => new Date(Date.parse(MARKET_NOW) + hours * 3_600_000).toISOString();
const move = (changes: Partial<Decision> = {}): Decision => ({ ...decision("web-acme", "move", offer("azure"), 0.03), ...changes });
const opened = async () => {
  await engine().put(book(MARKET_NOW, [quote(offer("azure"), 0.03)]));
  return engine();
};

test("one migration holds a workload's lease; it is given on with a higher token", async () => {
  const prices = await opened();
  expect(await prices.reserve(move(), "acme_web_2")).toEqual({ ok: true, token: 1 });
  expect(await prices.reserve(move(), "acme_web_2")).toEqual({ ok: true, token: 1 });
  expect(await prices.reserve(move(), "acme_web_3")).toMatchObject({ ok: false, word: "lease-held" });
  expect(await prices.reserve(move({ workload: "shop-acme" }), "acme_shop_2")).toEqual({ ok: true, token: 1 });
  await prices.release("web-acme", "acme_web_2");
  expect(await prices.reserve(move(), "acme_web_3")).toEqual({ ok: true, token: 2 });
});

test("who gives way does so unless the route is being written under its lease, and again once that is known", async () => {
  const prices = await opened();
  const urgent = move({ kind: "interruption" });
  await prices.reserve(move(), "acme_web_2");
  expect(await prices.seal("web-acme", "acme_web_2", 2)).toBe(false);
  expect(await prices.seal("web-acme", "acme_web_2", 1)).toBe(true);
  expect(await prices.reserve(urgent, "acme_web_3", "acme_web_2")).toMatchObject({ ok: false, word: "lease-held" });
  await prices.unseal("web-acme", 1);
  expect(await prices.reserve(urgent, "acme_web_3", "acme_web_2")).toEqual({ ok: true, token: 2 });
  expect(await prices.seal("web-acme", "acme_web_2", 1)).toBe(false);
});

test("a release by who doesn't hold the lease changes nothing", async () => {
  const prices = await opened();
  await prices.reserve(move(), "acme_web_2");
  await prices.release("web-acme", "acme_web_1");
  expect(await prices.reserve(move(), "acme_web_3")).toMatchObject({ ok: false, word: "lease-held" });
});

test("a decision on a price that has risen, is unknown or too old is refused", async () => {
  const prices = await opened();
  await prices.put(book(MARKET_NOW, [quote(offer("azure"), 0.0307)]));
  expect(await prices.reserve(move(), "acme_web_2")).toMatchObject({ ok: false, word: "price-moved" });
  expect(await prices.reserve(move({ offer: offer("gcp") }), "acme_web_2")).toMatchObject({ ok: false, word: "stale-decision" });
  await prices.put(book(later(7), []));
  expect(await prices.reserve(move(), "acme_web_2")).toMatchObject({ ok: false, word: "stale-decision" });
});

test("an interruption moves on prices of any age", async () => {
  const prices = await opened();
  await prices.put(book(later(30), []));
  expect(await prices.reserve(move({ kind: "interruption" }), "acme_web_2")).toEqual({ ok: true, token: 1 });
});

test("an older quote never replaces a newer one, and the market's clock never goes back", async () => {
  const prices = await opened();
  await prices.put(book(later(1), [quote(offer("azure"), 0.05, later(1))]));
  await prices.put(book(MARKET_NOW, [quote(offer("azure"), 0.01)]));
  expect((await prices.quote(offer("azure")))?.spotUsdPerHour).toBe(0.05);
  expect(await prices.marketNow()).toBe(later(1));
});

test("a lease whose holder was never written down is found and may be released", async () => {
  const prices = await opened();
  await prices.reserve(move(), "acme_web_2");
  expect(await prices.holders(60_000)).toEqual([]);
  await runInDurableObject(prices, (_, state) => void state.storage.sql.exec("update leases set until = until - 61000"));
  expect(await prices.holders(60_000)).toEqual([{ workload: "web-acme", holder: "acme_web_2" }]);
});
