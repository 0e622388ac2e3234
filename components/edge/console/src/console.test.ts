/** What the pages are computed from. */
import { expect, test } from "vitest";
import type { LedgerHour, OfferRef, PriceBook, Quote, Workload } from "../../workers/shared/wire";
import { lines, stays } from "./chart";
import { DASH, dollars, hourly, nearest, percent, savedNow } from "./figures";
import { beyond, cheapest, sites } from "./regions";

const offer = (cloud: OfferRef["cloud"], region: string): OfferRef => ({ cloud, region, zone: "-", instanceType: "m" });
const quote = (of: OfferRef, spot: number | null): Quote => ({ offer: of, spotUsdPerHour: spot, onDemandUsdPerHour: 0.4, interruptionsPerHour: 0, source: "test", observedAt: "2026-01-01T00:00:00Z" });
const hour = (at: string, of: OfferRef, paid: number | null, seconds = 3600): LedgerHour => ({
  placement: "p",
  workload: "w",
  tenant: "t",
  hour: at,
  seconds,
  paidUsd: paid,
  onDemandUsd: 0.4,
  stayedUsd: 0.3,
  quote: quote(of, paid),
  stayedOffer: of,
  beforeUsd: null,
  beforeOffer: null,
});
const IRELAND = offer("aws", "eu-west-1");
const HOLLAND = offer("gcp", "europe-west4");

test("an unknown figure is a dash, and nothing is 0 that isn't", () => {
  expect([hourly(null), dollars(undefined), percent(null), hourly(0), dollars("1234.5")]).toEqual([DASH, DASH, DASH, "$0.0000", "$1,234.50"]);
});

test("a part of an hour is shown by what it costs an hour, an unknown one is a gap", () => {
  const [, , paid] = lines([hour("2026-01-01T01:00:00Z", IRELAND, null), hour("2026-01-01T00:00:00Z", IRELAND, 0.05, 1800)]);
  expect(paid?.points.map(([, rate]) => rate)).toEqual([0.1, null]);
});

test("hours in one place are one stay", () => {
  const found = stays([hour("2026-01-01T02:00:00Z", HOLLAND, 0.1), hour("2026-01-01T00:00:00Z", IRELAND, 0.1), hour("2026-01-01T01:00:00Z", IRELAND, 0.1)]);
  expect(found.map(({ cloud, from, until }) => [cloud, (until - from) / 3_600_000])).toEqual([
    ["aws", 2],
    ["gcp", 1],
  ]);
});

test("a name that doesn't exist is answered with those that are like it", () => {
  expect(nearest("web-acmee", ["api-globex", "web-acme", "worker-acme"])).toEqual(["web-acme", "worker-acme"]);
  expect(nearest("zzz", ["api-globex"])).toEqual([]);
});

test("the saving isn't told while either price is unknown", () => {
  const workload = (spot: number | null) => ({ placement: { quote: quote(IRELAND, spot) } }) as unknown as Workload;
  expect([savedNow(workload(0.1)), savedNow(workload(null)), savedNow({ placement: null } as unknown as Workload)]).toEqual([0.75, null, null]);
});

test("what another boundary lets in beyond this one is named by cloud and region", () => {
  expect(beyond({ aws: ["eu-west-1"] }, { aws: ["eu-west-1", "us-east-1"], gcp: ["europe-west4"] })).toEqual(["aws us-east-1", "gcp europe-west4"]);
});

const BOOK: PriceBook = { marketNow: "2026-01-01T00:00:00Z", quotes: [quote(IRELAND, 0.2), quote(IRELAND, 0.1), quote(HOLLAND, null)] };
const standing = (id: string, of: OfferRef) => ({ id, placement: { offer: of } }) as unknown as Workload;

test("a region shows its least known price, and a site all that stand there", () => {
  expect([...cheapest(BOOK)]).toEqual([["aws/eu-west-1", 0.1]]);
  const found = sites([standing("a", IRELAND), standing("b", HOLLAND), standing("c", IRELAND), standing("d", offer("aws", "mars-1"))]);
  expect(found.map(({ place, workloads }) => [place.region, workloads.length])).toEqual([
    ["europe-west4", 1],
    ["eu-west-1", 2],
  ]);
});
