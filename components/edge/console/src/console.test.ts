/** What the pages are computed from. */
import { expect, test } from "vitest";
import type { Change, Evidence, LedgerHour, OfferRef, Placement, PriceBook, Quote, Workload } from "../../workers/shared/wire";
import { lines, stays } from "./chart";
import { costRows } from "./evidence";
import { exemptionsOf, holding } from "./exemptions";
import { besides, changesOf, costsOf, DASH, dollars, hourly, lasted, machinesOf, nearest, percent, savedNow } from "./figures";
import { eastward, next, pointsOf, said } from "./map/points";
import { beyond, cheapest, sites } from "./regions";
import { concerns, heard, merged } from "./stream";

const offer = (cloud: OfferRef["cloud"], region: string): OfferRef => ({ cloud, region, zone: "-", instanceType: "m" });
const quote = (of: OfferRef, spot: number | null): Quote => ({
  offer: of,
  spotUsdPerHour: spot,
  onDemandUsdPerHour: 0.4,
  interruptionsPerHour: 0,
  source: "test",
  observedAt: "2026-01-01T00:00:00Z",
  onDemandTold: null,
  interruptionsTold: null,
  placementScore: null,
});
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
  capacity: "spot",
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

const machine = (spot: number | null, changes: Partial<Placement> = {}) => ({ offer: IRELAND, capacity: "spot", state: "SERVING", quote: quote(IRELAND, spot), ...changes }) as Placement;

test("the saving isn't told while either price is unknown", () => {
  expect([savedNow([machine(0.1)]), savedNow([machine(null)]), savedNow([])]).toEqual([0.75, null, null]);
});

test("a workload costs what all its machines cost, one on demand its own price", () => {
  const bought = machine(0.1, { capacity: "on-demand" });
  const workload = { placement: machine(0.1), further: [machine(0.1), machine(0.1, { state: "STANDBY" }), bought] } as Workload;
  const { paying, onDemand } = costsOf(machinesOf(workload));
  expect([paying?.toFixed(2), onDemand?.toFixed(2)]).toEqual(["0.70", "1.60"]);
  expect(costsOf([...machinesOf(workload), machine(null)]).paying).toBeNull();
  expect(besides(workload)).toBe("2 more serve, 1 stands by");
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

test("a point of the map says who runs there, from what price, and whether a boundary keeps it out", () => {
  const points = pointsOf([standing("a", HOLLAND), standing("b", HOLLAND)], BOOK, { aws: [], gcp: ["europe-west4"] });
  expect(points.map(said)).toEqual(["AWS eu-west-1 (IE): from $0.1000 an hour; outside the boundary", "GCP europe-west4 (NL): not quoted now; a, b run here"]);
  expect(pointsOf([], null, null)).toEqual([]);
});

test("arrows lead from west to east and back, over regions of one place too, to the ends and not beyond", () => {
  const twins = [offer("aws", "eu-central-1"), offer("gcp", "europe-west3"), IRELAND].map((of) => quote(of, 0.1));
  const points = pointsOf([standing("a", HOLLAND)], { ...BOOK, quotes: twins }, null);
  const row = eastward(points).map(({ key }) => key);
  expect(row).toEqual(["aws/eu-west-1", "gcp/europe-west4", "aws/eu-central-1", "gcp/europe-west3"]);
  const lead = (from: string | null, key: string) => next(points, from, key)?.key ?? null;
  expect(row.map((from) => lead(from, "ArrowRight"))).toEqual([...row.slice(1), row[3]]);
  expect(row.map((from) => lead(from, "ArrowUp"))).toEqual([row[0], ...row.slice(0, 3)]);
  expect([lead(row[2] ?? "", "Home"), lead(row[1] ?? "", "End"), lead(row[0] ?? "", "PageDown"), lead(row[0] ?? "", "x")]).toEqual([row[0], row[3], row[3], null]);
  expect([lead(null, "ArrowRight"), lead("gone/away", "Home"), next([], null, "Home")]).toEqual(["gcp/europe-west4", "gcp/europe-west4", null]);
});

test("a run that works is measured until now, one that waits isn't", () => {
  const run = (startedAt: string | null, finishedAt: string | null) => lasted({ startedAt, finishedAt }, Date.parse("2026-01-01T00:03:00Z"));
  expect([run(null, null), run("2026-01-01T00:01:30Z", null), run("2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z"), run("2026-01-01T00:00:00Z", null)]).toEqual([DASH, "90 s", "7 s", "3 min"]);
});

test("what a run left as it was is no change", () => {
  expect([changesOf({ same: 12, create: 3, update: 1 }), changesOf({ same: 4 })]).toEqual(["3 create, 1 update", "no change"]);
});

test("an exemption holds until its day is over, for its own rule", () => {
  const found = exemptionsOf({ exemptions: [{ rule: "tags", expires: "2026-01-31", owner: "a", reason: "b" }] });
  const held = (rule: string, at: string) => holding(found, rule, Date.parse(at)).length;
  expect([held("tags", "2026-01-31T23:00:00Z"), held("tags", "2026-02-01T00:00:00Z"), held("spot", "2026-01-01T00:00:00Z")]).toEqual([1, 0, 0]);
});

const change = (kind: Change["kind"], workload: string | null = null): Change => ({ seq: 1, kind, subject: workload ?? "", tenant: null, workload, at: "2026-03-01T12:00:00Z" });

test("a stream is understood however it is cut into parts, and a number without data is kept", () => {
  const text = `retry: 1000\n\nid: 7\ndata: ${JSON.stringify(change("workload", "web-acme"))}\n\nid: 9\n\n`;
  for (let cut = 0; cut <= text.length; cut += 1) {
    const first = heard("", text.slice(0, cut));
    const second = heard(first.left, text.slice(cut));
    expect([...first.changes, ...second.changes]).toEqual([change("workload", "web-acme")]);
    expect([second.lastId ?? first.lastId, second.left]).toEqual(["9", ""]);
  }
});

test("a page asks again for what it is about: its own workload, what is no single one's, and everything", () => {
  const about = { kinds: ["event" as const, "ledger" as const], workload: "web-acme" };
  expect([change("event", "web-acme"), change("ledger"), change("everything")].map((one) => concerns(about, [one]))).toEqual([true, true, true]);
  expect(concerns(about, [change("event", "other-acme"), change("placement", "web-acme")])).toBe(false);
});

test("changed rows take the place of the old ones, new ones come at the end, and what is gone goes", () => {
  const rows = ["a", "b", "c"].map((id) => ({ id, turn: 1 }));
  const then = merged(rows, [
    ["b", { id: "b", turn: 2 }],
    ["c", null],
    ["d", { id: "d", turn: 2 }],
    ["e", null],
  ]);
  expect(then.map(({ id, turn }) => `${id}${turn}`)).toEqual(["a1", "b2", "d2"]);
});

const evidence: Evidence = {
  marketNow: "2026-01-01T00:00:00Z",
  quote: quote(IRELAND, 0.1),
  quoteAgeSeconds: 60,
  currentQuote: null,
  expectedUsdPerHour: 0.1234,
  currentUsdPerHour: null,
  moveCostUsd: 0,
  horizonHours: 720,
  netSavingUsd: null,
  netSavingShare: null,
  offersConsidered: 9,
  alternatives: [],
  parts: null,
  hurdle: null,
  caps: [],
  counts: {},
  asking: null,
};

test("a decision's cost says what its offer's refusals are expected to cost, where it reckoned with them", () => {
  expect(costRows(evidence)).toEqual([["Expected, all in", "$0.1234 an hour"]]);
  expect(costRows({ ...evidence, asking: { chance: 0.25, refused: 1, launched: 3, refusalUsd: 0.07, expectedUsd: 0.018 }, netSavingUsd: 12 })).toEqual([
    ["Expected, all in", "$0.1234 an hour"],
    ["Refusals to be expected", "$0.02, at 25 % a time"],
    ["Net saving", "$12.00 over 720 h"],
  ]);
});

test("what is less than half a cent isn't shown as nothing", () => {
  expect([dollars(0), dollars(0.0004), dollars(0.006), dollars(null)]).toEqual(["$0.00", "under $0.01", "$0.01", DASH]);
});
