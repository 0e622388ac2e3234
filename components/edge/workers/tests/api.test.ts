import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey, Ledger, LedgerHour, PriceBook, Problem, SpendAlert, SpendAlerts, Tenant, Workload, WorkloadEvent, WorkloadMonth } from "../shared/wire";
import { offer, quote, spec, tenant } from "./documents";
import { TestEdge } from "./edge";

let edge: TestEdge;
let reader: string;
let deployer: string;
let stranger: string;
beforeAll(async () => {
  edge = await TestEdge.start();
  await edge.call("PUT", "/tenants/other", tenant("other"));
  const token = async (owner: string, scope: string) => (await edge.exchange((await edge.call<ApiKey>("POST", `/tenants/${owner}/keys`, { scopes: [scope] })).key)).token;
  [reader, deployer, stranger] = await Promise.all([token("acme", "tenant:read"), token("acme", "tenant:deploy"), token("other", "tenant:admin")]);
});
afterAll(async () => {
  await edge.stop();
});

const status = async (token: string, method: string, path: string, body?: unknown): Promise<number> => (await edge.request(method, path, body, token)).status;

test("the edge is healthy once its database is migrated, and publishes its keys and nothing more", async () => {
  expect(await (await edge.fetch("api", "/healthz")).json()).toEqual({ status: "ok" });
  const published = (await (await edge.fetch("api", "/.well-known/jwks.json")).json()) as { keys: Record<string, string>[] };
  expect(Object.keys(published)).toEqual(["keys"]);
  expect(Object.keys(published.keys[0] ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
});

test("without a token, or with a key that isn't known, nothing is answered", async () => {
  expect([await status("", "GET", "/tenants"), (await edge.exchange("spk_unknown")).status]).toEqual([401, 401]);
});

test("a tenant reads its own things by scope; another tenant's don't exist for it", async () => {
  await edge.call("PUT", "/workloads/web-acme", spec());
  expect(await status(reader, "GET", "/workloads/web-acme")).toBe(200);
  expect(await status(reader, "PUT", "/workloads/web-acme", spec())).toBe(403);
  expect(await status(deployer, "PUT", "/workloads/web-acme", spec())).toBe(200);
  for (const path of ["/workloads/web-acme", "/workloads/web-acme/endpoint", "/workloads/web-acme/events", "/tenants/acme"]) expect(await status(stranger, "GET", path)).toBe(404);
  expect(((await (await edge.request("GET", "/workloads", undefined, stranger)).json()) as { items: Workload[] }).items).toEqual([]);
  expect(((await (await edge.request("GET", "/tenants", undefined, reader)).json()) as { items: Tenant[] }).items.map(({ id }) => id)).toEqual(["acme"]);
  expect([await status(stranger, "PUT", "/tenants/acme", tenant("acme")), await status(deployer, "PUT", "/prices", { marketNow: "2026-03-01T12:00:00Z", quotes: [] })]).toEqual([403, 403]);
});

test("a workload is an artifact with a command, or an image by its digest; a tag is refused with the reason", async () => {
  const image = `ghcr.io/acme/web@sha256:${"ab".repeat(32)}`;
  const told = async (changes: object) => (await edge.request("PUT", "/workloads/image-acme", { ...spec(), ...changes })).json() as Promise<Problem & Workload>;
  expect((await told({ image })).detail).toBe("(body) must have either artifact or image");
  expect((await told({ artifact: null })).detail).toBe("(body) must have either artifact or image");
  expect((await told({ command: [] })).detail).toBe("command is required with an artifact");
  expect((await told({ artifact: null, image: "ghcr.io/acme/web:1.2" })).detail).toMatch(/^image must be registry.example\/repository@sha256:<64 hex digits>, without a tag/);
  expect((await told({ artifact: null, image, command: [] })).spec).toMatchObject({ artifact: null, image, command: [] });
});

test("every fault of a document is named, with its field", async () => {
  const answer = await edge.request("PUT", "/workloads/bad-acme", { ...spec(), command: [], ports: { http: 99_999, tcp: null }, colour: "red" });
  const { type, detail } = (await answer.json()) as Problem;
  expect([answer.status, answer.headers.get("content-type"), type]).toEqual([422, "application/problem+json", "https://spotlane.dev/problems/invalid-request"]);
  expect(detail.split("; ").sort()).toEqual(["colour is not a field of this document", "ports.http must be at most 65535"]);
});

test("a workload's address is its own for life, and names no port where the scheme's is meant", async () => {
  await edge.call("PUT", "/workloads/data-acme", spec({ ports: { http: 8080, tcp: 5432 } }));
  expect(await edge.call("GET", "/workloads/data-acme/endpoint")).toEqual({
    workload: "data-acme",
    http: "http://data-acme.workloads.edge.test",
    websocket: "ws://data-acme.workloads.edge.test",
    tcpHost: "tcp-data-acme.workloads.edge.test",
    tcpPort: 5432,
  });
});

test("an artifact is kept under the digest of what it is; a placement may fetch its own", async () => {
  const content = "a gzipped tar";
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  const put = async (name: string) =>
    (await edge.fetch("api", `/v1/artifacts/${name}`, { method: "PUT", headers: { authorization: `Bearer ${deployer}`, "content-length": String(content.length) }, body: content })).status;
  expect([await put(digest), await put(`sha256:${"0".repeat(64)}`)]).toEqual([204, 422]);
  await edge.serving("own-acme", { artifact: { digest, sizeBytes: content.length } });
  const { accessToken } = await edge.call<{ accessToken: string }>("POST", "/placements/acme_own_1/credentials");
  const fetched = await edge.request("GET", `/artifacts/${digest}`, undefined, accessToken);
  expect([fetched.status, await fetched.text()]).toEqual([200, content]);
  expect(await status(accessToken, "GET", `/artifacts/sha256:${"1".repeat(64)}`)).toBe(403);
  expect(await status(accessToken, "GET", "/workloads/own-acme")).toBe(403);
});

test("a machine reports its own notice to the automation service; its token ends with it", async () => {
  await edge.serving("spot-acme");
  const { accessToken } = await edge.call<{ accessToken: string }>("POST", "/placements/acme_spot_1/credentials");
  const notice = { placement: "acme_spot_1", kind: "interruption", deadline: "2026-03-01T12:02:00Z", detail: "AWS will terminate the instance" };
  expect(await status(accessToken, "POST", "/incidents", notice)).toBe(202);
  expect(edge.automation.incidents).toEqual([notice]);
  expect(await status(accessToken, "POST", "/incidents", { ...notice, placement: "acme_own_1" })).toBe(403);
  await edge.call("DELETE", "/workloads/spot-acme");
  await edge.ended("acme_spot_2");
  expect(await status(accessToken, "POST", "/incidents", notice)).toBe(403);
});

test("the ledger adds each hour once and is exact to a millionth of a dollar", async () => {
  const hour: LedgerHour = {
    placement: "acme_web_1",
    workload: "web-acme",
    tenant: "acme",
    hour: "2026-03-01T11:00:00Z",
    seconds: 3600,
    paidUsd: "0.100001",
    onDemandUsd: "0.300000",
    stayedUsd: "0.200002",
    quote: quote(offer("aws"), 0.1),
    stayedOffer: offer("aws"),
    beforeUsd: null,
    beforeOffer: null,
    capacity: "spot",
  };
  const hours = Array.from({ length: 10 }, (_, at) => ({ ...hour, hour: `2026-03-01T${String(at).padStart(2, "0")}:00:00Z` }));
  await edge.call("PUT", "/ledger/hours", hours);
  await edge.call("PUT", "/ledger/hours", hours.slice(0, 3));
  const { totals } = await edge.call<Ledger>("GET", "/ledger?workload=web-acme");
  const savings = { savedUsd: "1.999990", savedStayedUsd: "1.000010" };
  expect(totals).toEqual({ paidUsd: "1.000010", onDemandUsd: "3.000000", stayedUsd: "2.000020", ...savings, hours: 10, unknownHours: 0 });
  expect(((await (await edge.request("GET", "/ledger", undefined, stranger)).json()) as Ledger).hours).toEqual([]);
});

test("an hour of unknown price is in the ledger as unknown: in no sum, in no saving, and other figures for it are refused", async () => {
  const hour = (at: number, workload: string, figures: Partial<LedgerHour>): LedgerHour => ({
    placement: `acme_${workload}_1`,
    workload: `${workload}-acme`,
    tenant: "acme",
    hour: `2026-12-31T${String(at).padStart(2, "0")}:00:00Z`,
    seconds: 1800,
    paidUsd: "0.100000",
    onDemandUsd: "0.300000",
    stayedUsd: "0.200000",
    quote: quote(offer("aws"), 0.1),
    stayedOffer: offer("aws"),
    beforeUsd: null,
    beforeOffer: null,
    capacity: "spot",
    ...figures,
  });
  const unknown = hour(23, "dim", { paidUsd: null });
  await edge.call("PUT", "/ledger/hours", [
    hour(21, "dim", {}),
    hour(22, "dim", { onDemandUsd: null, stayedUsd: null }),
    unknown,
    hour(22, "lit", {}),
    { ...hour(0, "lit", {}), hour: "2027-01-01T00:00:00Z" },
  ]);
  await edge.call("PUT", "/ledger/hours", [unknown]);
  const refused = await edge.request("PUT", "/ledger/hours", [{ ...unknown, paidUsd: "0.000000" }]);
  expect([refused.status, ((await refused.json()) as Problem).detail]).toEqual([
    409,
    "acme_dim_1 2026-12-31T23:00:00Z: 1800 s, paid unknown, on-demand 0.300000, stayed 0.200000 USD stands, 1800 s, paid 0.000000, on-demand 0.300000, stayed 0.200000 USD was sent",
  ]);
  const month = (page: string) => edge.call<{ items: WorkloadMonth[]; next: string | null }>("GET", `/ledger/months?month=2026-12&tenant=acme&limit=1${page}`);
  const first = await month("");
  const dim = { workload: "dim-acme", tenant: "acme", month: "2026-12", hours: 1.5, unknownHours: 0.5, paidUsd: "0.200000", onDemandUsd: "0.600000", stayedUsd: "0.400000" };
  expect(first.items).toEqual([{ ...dim, savedUsd: "0.200000", savedStayedUsd: "0.100000" }]);
  const second = await month(`&cursor=${first.next}`);
  expect([second.items.map(({ workload, hours }) => [workload, hours]), second.next]).toEqual([[["lit-acme", 0.5]], null]);
  const hours = await edge.call<{ items: LedgerHour[] }>("GET", "/ledger/hours?workload=lit-acme&month=2027-01");
  expect(hours.items.map((one) => one.hour)).toEqual(["2027-01-01T00:00:00Z"]);
  const all = await edge.call<{ items: WorkloadMonth[] }>("GET", "/ledger/months?workload=lit-acme");
  expect(all.items.map(({ month, hours }) => [month, hours])).toEqual([
    ["2026-12", 0.5],
    ["2027-01", 0.5],
  ]);
  expect((await edge.request("GET", "/ledger/months?month=2026-13")).status).toBe(422);
});

test("an alert is raised once a month for each owner and per cent, with an event of its workload; a tenant sees its own", async () => {
  await edge.call("PUT", "/workloads/cap-acme", spec());
  const alert = { owner: "cap-acme", tenant: "acme", workload: "cap-acme", month: "2026-03", percent: 50, capUsd: 20, paidUsd: 10.5, projectedUsd: 31, marketAt: "2026-03-09T00:00:00Z" };
  const raised = async (changes: object): Promise<number> => (await edge.call<SpendAlerts>("PUT", "/alerts", [{ ...alert, ...changes }])).items.length;
  const sent = [{}, {}, { paidUsd: 12 }, { percent: 80 }, { month: "2026-04" }, { owner: "acme", workload: null }, { owner: "acme", workload: null }];
  const counts: number[] = [];
  for (const changes of sent) counts.push(await raised(changes));
  expect(counts).toEqual([1, 0, 0, 1, 1, 1, 0]);
  const { items } = await edge.call<{ items: SpendAlert[] }>("GET", "/alerts?tenant=acme&month=2026-03");
  expect(items.map(({ owner, percent, paidUsd }) => [owner, percent, paidUsd]).sort()).toEqual([
    ["acme", 50, 10.5],
    ["cap-acme", 50, 10.5],
    ["cap-acme", 80, 10.5],
  ]);
  const reasons = (await edge.call<{ items: WorkloadEvent[] }>("GET", "/workloads/cap-acme/events")).items.map(({ reason }) => reason);
  const told = (percent: number, month: string) => `${percent} % of the cap of 20.00 USD is reached: 10.50 paid in ${month}, 31.00 projected`;
  expect(reasons.slice(1)).toEqual([told(50, "2026-03"), told(80, "2026-03"), told(50, "2026-04")]);
  expect(((await (await edge.request("GET", "/alerts", undefined, stranger)).json()) as { items: SpendAlert[] }).items).toEqual([]);
  expect((await edge.request("PUT", "/alerts", [alert], stranger)).status).toBe(403);
});

test("spend and what-if are answered by the automation service for the caller's own tenant; its refusals keep their words", async () => {
  await edge.call("GET", "/spend?tenant=acme");
  expect((await edge.request("GET", "/spend", undefined, stranger)).status).toBe(200);
  expect(edge.automation.asked.slice(-2)).toEqual(["/v1/spend?tenant=acme", "/v1/spend?tenant=other"]);
  const tried = (boundary: object, token?: string) => edge.request("POST", "/whatifs", { tenant: "acme", boundary }, token);
  expect((await tried({ name: "acme" }, reader)).status).toBe(200);
  expect((await tried({ name: "acme" }, stranger)).status).toBe(404);
  const refused = await tried({}, reader);
  expect([refused.status, ((await refused.json()) as Problem).detail]).toEqual([422, "name: is required"]);
  edge.automation.away = true;
  const away = [(await tried({ name: "acme" }, reader)).status, (await edge.request("GET", "/spend")).status];
  edge.automation.away = false;
  expect(away).toEqual([503, 503]);
});

test("the price book is read by cloud and region", async () => {
  const read = async (query: string) => (await edge.call<PriceBook>("GET", `/prices${query}`)).quotes.map((one) => one.offer.cloud);
  expect([await read(""), await read("?cloud=gcp"), await read("?cloud=gcp&region=europe-west4")]).toEqual([["azure", "gcp", "aws"], ["gcp"], []]);
});

test("a tenant with workloads stays; a revoked key is of no use", async () => {
  expect((await edge.request("DELETE", "/tenants/acme")).status).toBe(409);
  const made = await edge.call<ApiKey>("POST", "/tenants/other/keys", { scopes: ["tenant:read"] });
  expect((await edge.request("DELETE", `/tenants/other/keys/${made.id}`)).status).toBe(204);
  expect((await edge.exchange(made.key)).status).toBe(401);
  expect((await edge.request("DELETE", "/tenants/other")).status).toBe(204);
});

test("a boundary is checked by the automation service: its answer, its refusal and its absence are told", async () => {
  const ask = async (boundary: object) => {
    const answer = await edge.request("POST", "/boundaries", { boundary });
    return [answer.status, await answer.json()];
  };
  expect(await ask({ name: "eu" })).toEqual([200, expect.objectContaining({ regions: { aws: ["eu-west-1"] } })]);
  expect(await ask({})).toEqual([422, expect.objectContaining({ title: "The boundary is not valid", detail: "name: is required" })]);
  edge.automation.away = true;
  try {
    expect((await ask({ name: "eu" }))[0]).toBe(503);
  } finally {
    edge.automation.away = false;
  }
});

test("the console is served with deep links, and scripts from elsewhere are refused", async () => {
  const answer = await edge.fetch("console", "/workloads/web-acme");
  expect([answer.status, await answer.text()]).toEqual([200, "<!doctype html><title>Spotlane</title>"]);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
});
