/** Documents of the wire, complete and valid; a test changes the one field that it is about. */
import type { Decision, Evidence, Health, OfferRef, Ports, PriceBook, Quote, Tenant, WorkloadSpec } from "../shared/wire";

export const MARKET_NOW = "2026-03-01T12:00:00Z";
const DIGEST = `sha256:${"ab".repeat(32)}`;
const OFFERS: Record<OfferRef["cloud"], OfferRef> = {
  aws: { cloud: "aws", region: "eu-west-1", zone: "eu-west-1a", instanceType: "m5.large" },
  azure: { cloud: "azure", region: "westeurope", zone: "-", instanceType: "Standard_D2s_v5" },
  gcp: { cloud: "gcp", region: "europe-west1", zone: "europe-west1-b", instanceType: "n2-standard-2" },
};

export const offer = (cloud: OfferRef["cloud"]): OfferRef => OFFERS[cloud];

export const tenant = (id: string): Tenant => ({ id, displayName: id, boundary: {}, boundaryDigest: DIGEST, clouds: ["aws", "azure", "gcp"], budgetUsdPerMonth: null });

export const quote = (of: OfferRef, spotUsdPerHour: number, observedAt = MARKET_NOW): Quote => ({
  offer: of,
  spotUsdPerHour,
  onDemandUsdPerHour: 0.1,
  interruptionsPerHour: null,
  onDemandTold: null,
  interruptionsTold: null,
  placementScore: null,
  source: "test",
  observedAt,
});

export const book = (marketNow: string, quotes: Quote[]): PriceBook => ({ marketNow, quotes });

/** Fields of a spec that differ; of `ports` and `health` only those given. */
export type Changes = Partial<Omit<WorkloadSpec, "ports" | "health">> & { ports?: Partial<Ports>; health?: Partial<Health> };

export const spec = ({ ports, health, ...changes }: Changes = {}): WorkloadSpec => ({
  artifact: { digest: DIGEST, sizeBytes: 1 },
  image: null,
  command: ["./serve"],
  env: {},
  ports: { http: 8080, tcp: null, proxyProtocol: "off", ...ports },
  health: { protocol: null, path: "/healthz", intervalSeconds: 0.5, timeoutSeconds: 1, healthyCount: 2, unhealthyCount: 2, ...health },
  resources: { vcpu: 2, memoryGib: 4, arch: "x86_64", gpu: 0, gpuType: null },
  placement: {
    clouds: null,
    regions: null,
    maxUsdPerHour: null,
    maxUsdPerMonth: null,
    threshold: null,
    dwellHours: null,
    movesPer30Days: 12,
    egressGibPerHour: 0,
    stateGib: 0,
    dataClass: null,
    replicas: 1,
    warmStandby: false,
    fallback: "none",
    availability: null,
  },
  drainSeconds: 0,
  access: "anonymous",
  cloudIdentity: false,
  logs: false,
  ...changes,
});

const evidence = (of: OfferRef, usdPerHour: number): Evidence => ({
  marketNow: MARKET_NOW,
  quote: quote(of, usdPerHour),
  quoteAgeSeconds: 0,
  currentQuote: null,
  expectedUsdPerHour: usdPerHour,
  currentUsdPerHour: null,
  asking: null,
  moveCostUsd: 0,
  horizonHours: 24,
  netSavingUsd: null,
  netSavingShare: null,
  offersConsidered: 3,
  parts: null,
  hurdle: null,
  caps: [],
  counts: {},
  alternatives: [],
});

let decided = 0;

export function decision(workload: string, kind: Decision["kind"], of: OfferRef, usdPerHour: number): Decision {
  decided += 1;
  return {
    id: `decision-${decided}`,
    workload,
    kind,
    offer: of,
    fromPlacement: null,
    boundaryDigest: DIGEST,
    evidence: evidence(of, usdPerHour),
    reason: `${kind} to ${of.cloud}`,
    deadline: null,
    role: "serving",
    promote: null,
    capacity: "spot",
    holding: null,
  };
}
