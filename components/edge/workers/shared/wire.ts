// Generated from spotlane/wire by tools/wire/generate.py; do not edit.

export interface Alternative {
  offer: OfferRef;
  usdPerHour: number | null;
  reason: string;
  detail: string;
}

export interface ApiKey {
  id: string;
  tenant: string | null;
  name: string;
  scopes: ("platform:admin" | "service:automation" | "tenant:admin" | "tenant:deploy" | "tenant:read")[];
  expiresAt: string | null;
  key: string;
}

export interface Artifact {
  digest: string;
  sizeBytes: number;
}

export interface Asking {
  chance: number;
  refused: number;
  launched: number;
  refusalUsd: number;
  expectedUsd: number;
}

export interface AuditHead {
  point: "plan" | "place" | "api";
  member: string;
  seq: number;
  hash: string;
  at: string;
}

export interface BoundaryCheck {
  digest: string;
  regions: Record<string, string[]>;
  rules: BoundaryRule[];
}

export interface BoundaryDocument {
  boundary: Record<string, unknown>;
}

export interface BoundaryRule {
  rule: string;
  asks: string | null;
  exemptible: boolean;
}

export interface Change {
  seq: number;
  kind: "everything" | "workload" | "placement" | "migration" | "event" | "run" | "ledger" | "alert" | "tenant" | "key" | "prices" | "audit";
  subject: string;
  tenant: string | null;
  workload: string | null;
  at: string;
}

export interface Check {
  part: string;
  name: string;
  status: "ok" | "warning" | "failed";
  detail: string;
  remedy: string;
}

export interface CostParts {
  spotUsdPerHour: number;
  egressUsdPerHour: number;
  riskUsdPerHour: number;
  carryUsd: number;
  overlapUsd: number;
}

export interface CourseCost {
  usd: number;
  machineUsd: number;
  egressUsd: number;
  movesUsd: number;
  usdPerHour: number | null;
  hours: number;
  unplacedHours: number;
  moves: number;
}

export interface Decision {
  id: string;
  workload: string;
  kind: "deploy" | "move" | "interruption" | "unhealthy" | "requested" | "redeploy" | "terminate" | "retire";
  offer: OfferRef | null;
  fromPlacement: string | null;
  boundaryDigest: string;
  evidence: Evidence | null;
  reason: string;
  deadline: string | null;
  role: "serving" | "standby";
  promote: string | null;
  capacity: "spot" | "on-demand";
  holding: Holding | null;
}

export interface Endpoint {
  workload: string;
  http: string | null;
  websocket: string | null;
  tcpHost: string | null;
  tcpPort: number | null;
}

export interface Evidence {
  marketNow: string;
  quote: Quote;
  quoteAgeSeconds: number;
  currentQuote: Quote | null;
  expectedUsdPerHour: number;
  currentUsdPerHour: number | null;
  moveCostUsd: number;
  horizonHours: number;
  netSavingUsd: number | null;
  netSavingShare: number | null;
  offersConsidered: number;
  alternatives: Alternative[];
  parts: CostParts | null;
  hurdle: Hurdle | null;
  caps: SpendCap[];
  counts: Record<string, number>;
  asking: Asking | null;
}

export interface FeedFault {
  region: string;
  reason: string;
  detail: string;
  firstAt: string;
  lastAt: string;
  times: number;
}

export interface FeedStatus {
  cloud: "aws" | "azure" | "gcp";
  observedAt: string | null;
  answeredAt: string | null;
  fresh: number;
  stale: number;
  doubtful: number;
  faults: FeedFault[];
}

export interface Feeds {
  marketNow: string | null;
  feeds: FeedStatus[];
  heldBack: HeldBack[];
  reference: ReferenceTold[];
}

export interface Health {
  protocol: "http" | "tcp" | null;
  path: string;
  intervalSeconds: number;
  timeoutSeconds: number;
  healthyCount: number;
  unhealthyCount: number;
}

export interface HeldBack {
  offer: string;
  reason: string;
  detail: string;
  firstAt: string;
  lastAt: string;
  times: number;
}

export interface Hold {
  tenant: string | null;
  workload: string | null;
  paused: boolean;
  only: string[];
  never: string[];
}

export interface Holding {
  availability: number;
  replicas: number;
  chosen: HoldingOption;
  others: HoldingOption[];
  zones: ZoneRate[];
  detail: string;
}

export interface HoldingOption {
  spot: number;
  onDemand: number;
  usdPerHour: number;
  riskUsdPerHour: number;
}

export interface Hurdle {
  gapUsdPerHour: number;
  leastGapUsdPerHour: number;
  regretUsd: number;
  leastRegretUsd: number;
  dwellLeftHours: number;
}

export interface ImportedResource {
  type: string;
  name: string;
  id: string;
  parent: string | null;
  provider: string | null;
}

export interface Incident {
  placement: string;
  kind: "interruption" | "rebalance" | "unhealthy";
  deadline: string | null;
  detail: string;
}

export interface KeyInfo {
  id: string;
  tenant: string | null;
  name: string;
  scopes: ("platform:admin" | "service:automation" | "tenant:admin" | "tenant:deploy" | "tenant:read")[];
  createdAt: string;
  createdBy: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
}

export interface KeyRequest {
  name: string;
  scopes: ("platform:admin" | "service:automation" | "tenant:admin" | "tenant:deploy" | "tenant:read")[];
  expiresAt: string | null;
}

export interface KeyRotation {
  revokeOld: boolean;
}

export interface Ledger {
  totals: LedgerTotals;
  hours: LedgerHour[];
  moves: LedgerMove[];
}

export interface LedgerHour {
  placement: string;
  workload: string;
  tenant: string;
  hour: string;
  seconds: number;
  paidUsd: number | string | null;
  onDemandUsd: number | string | null;
  stayedUsd: number | string | null;
  quote: Quote;
  stayedOffer: OfferRef;
  beforeUsd: number | string | null;
  beforeOffer: OfferRef | null;
  capacity: "spot" | "on-demand";
}

export interface LedgerMove {
  migration: string;
  workload: string;
  tenant: string;
  kind: string;
  fromOffer: OfferRef | null;
  toOffer: OfferRef;
  evidence: Evidence;
  recordedAt: string;
}

export interface LedgerTotals {
  paidUsd: number | string;
  onDemandUsd: number | string;
  stayedUsd: number | string;
  savedUsd: number | string;
  savedStayedUsd: number | string;
  hours: number;
  unknownHours: number;
}

export interface LogBatch {
  placement: string;
  first: number;
  lines: LogEntry[];
}

export interface LogEntry {
  at: string;
  unit: "workload" | "agent" | "tunnel";
  message: string;
}

export interface LogLine {
  placement: string;
  number: number;
  at: string;
  unit: "workload" | "agent" | "tunnel";
  message: string;
}

export interface LogTaken {
  next: number;
}

export interface MachineLogs {
  lines: LogLine[];
  placement: string | null;
  next: number;
  lost: number;
  told: boolean;
}

export interface Migration {
  id: string;
  workload: string;
  tenant: string;
  generation: number;
  kind: string;
  step: MigrationStep;
  status: "running" | "succeeded" | "failed";
  fencingToken: number | null;
  fromPlacement: string | null;
  decision: Decision;
  routeVersion: number | null;
  error: string | null;
  startedAt: string;
  finishedAt: string | null;
}

export type MigrationStep = "reserve" | "provision" | "verify" | "commit" | "drain" | "decommission" | "record" | "done" | "compensated";

export interface MoveRequest {
  workload: string;
  offer: OfferRef | null;
}

export interface OfferRef {
  cloud: "aws" | "azure" | "gcp";
  region: string;
  zone: string;
  instanceType: string;
}

export interface Orphan {
  tenant: string;
  cloud: "aws" | "azure" | "gcp";
  account: string;
  region: string;
  kind: string;
  id: string;
  stack: string;
  reason: "no-stack" | "not-in-state";
  detail: string;
  outcome: "found" | "removed" | "failed";
}

export interface Place {
  offer: OfferRef | null;
  usdPerHour: number | null;
}

export interface Placement {
  id: string;
  workload: string;
  tenant: string;
  generation: number;
  state: PlacementState;
  offer: OfferRef;
  origin: string;
  tcpOrigin: string | null;
  quote: Quote;
  createdAt: string;
  marketCreatedAt: string;
  marketServedFrom: string | null;
  marketServedUntil: string | null;
  fingerprint: string | null;
  marketReadyFrom: string | null;
  replaces: string | null;
  beside: boolean;
  capacity: "spot" | "on-demand";
}

export interface PlacementCredentials {
  accessToken: string;
  tokenType: "Bearer";
  expiresIn: number;
  scopes: string[];
  originKey: string;
}

export interface PlacementRules {
  clouds: ("aws" | "azure" | "gcp")[] | null;
  regions: string[] | null;
  maxUsdPerHour: number | null;
  maxUsdPerMonth: number | null;
  threshold: number | null;
  dwellHours: number | null;
  movesPer30Days: number;
  egressGibPerHour: number;
  stateGib: number;
  dataClass: string | null;
  replicas: number;
  warmStandby: boolean;
  fallback: "none" | "on-demand";
  availability: number | null;
}

export interface PlacementScore {
  grade: "high" | "medium" | "low";
  says: string;
  source: string;
  observedAt: string;
}

export type PlacementState = "PROVISIONING" | "VERIFYING" | "SERVING" | "STANDBY" | "DRAINING" | "DESTROYED" | "FAILED" | "ORPHANED";

export interface Plan {
  marketNow: string;
  items: PlanItem[];
  savingUsdPer30Days: number;
}

export interface PlanItem {
  workload: string;
  verdict: "deploy" | "move" | "stay" | "no_offer" | "retire";
  reason: string;
  decision: Decision | null;
  evidence: Evidence | null;
  alternatives: Alternative[];
  counts: Record<string, number>;
  role: "serving" | "standby";
  placement: string | null;
  holding: Holding | null;
}

export interface PolicyFinding {
  rule: string;
  severity: "low" | "medium" | "high" | "critical";
  enforcement: "mandatory" | "advisory";
  resource: string;
  message: string;
}

export interface Ports {
  http: number | null;
  tcp: number | null;
  proxyProtocol: "off" | "v1" | "v2";
}

export interface Preflight {
  ready: boolean;
  checks: Check[];
}

export interface PriceBook {
  marketNow: string;
  quotes: Quote[];
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  findings: PolicyFinding[] | null;
  [extension: string]: unknown;
}

export interface Quote {
  offer: OfferRef;
  spotUsdPerHour: number | null;
  onDemandUsdPerHour: number | null;
  interruptionsPerHour: number | null;
  source: string;
  observedAt: string;
  onDemandTold: Told | null;
  interruptionsTold: Told | null;
  placementScore: PlacementScore | null;
}

export interface ReferenceTold {
  cloud: "aws" | "azure" | "gcp";
  what: "shapes" | "types" | "egress" | "scores";
  source: string;
  observedAt: string;
  entries: number;
}

export interface RefreshRequest {
  refreshToken: string;
}

export interface Resources {
  vcpu: number;
  memoryGib: number;
  arch: "x86_64" | "arm64";
  gpu: number;
  gpuType: string | null;
}

export interface Revocation {
  subject: string | null;
  jti: string | null;
}

export interface Revoked {
  tenant: string | null;
  subject: string;
  until: string;
}

export interface Run {
  id: string;
  stack: string;
  operation: string;
  status: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  error: string | null;
  changes: Record<string, number>;
  findings: PolicyFinding[];
  outputs: Record<string, unknown>;
  acceptedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
}

export interface RunEvent {
  run: Run;
  step: "provision" | "decommission";
}

export interface RunRequest {
  idempotencyKey: string;
  stack: StackRef;
  operation: "preview" | "up" | "refresh" | "drift" | "destroy" | "import";
  settings: Record<string, unknown> | null;
  migration: string | null;
  step: "provision" | "decommission" | null;
  priority: "interruption" | "health" | "price" | "drift";
  deadline: string | null;
  allow: ("delete" | "replace")[];
  imports: ImportedResource[];
}

export interface SigningKey {
  kid: string;
  createdAt: string;
  signsFrom: string;
  retiresAt: string | null;
}

export interface SigningKeys {
  keys: SigningKey[];
}

export interface Spend {
  marketNow: string;
  items: SpendCap[];
}

export interface SpendAlert {
  owner: string;
  tenant: string;
  workload: string | null;
  month: string;
  percent: number;
  capUsd: number;
  paidUsd: number;
  projectedUsd: number;
  marketAt: string;
  raisedAt: string | null;
}

export interface SpendAlerts {
  items: SpendAlert[];
}

export interface SpendCap {
  owner: string;
  month: string;
  capUsd: number;
  paidUsd: number;
  usdPerHour: number;
  projectedUsd: number;
  hoursLeft: number;
  standing: "within" | "headed-over" | "over";
  unknownHours: number;
}

export interface StackRef {
  kind: "edge" | "tenant" | "region" | "address" | "placement" | "relay";
  tenant: string | null;
  cloud: "aws" | "azure" | "gcp" | null;
  region: string | null;
  workload: string | null;
  generation: number | null;
}

export interface Sweep {
  orphans: Orphan[];
  accounts: number;
  errors: string[];
}

export interface SweepRequest {
  tenant: string | null;
  remove: boolean;
}

export interface Tenant {
  id: string;
  displayName: string;
  boundary: Record<string, unknown>;
  boundaryDigest: string;
  clouds: ("aws" | "azure" | "gcp")[];
  budgetUsdPerMonth: number | null;
}

export interface TickReport {
  marketNow: string;
  quotes: number;
  quarantined: number;
  plan: Plan;
  started: Migration[];
  errors: string[];
}

export interface Token {
  accessToken: string;
  tokenType: "Bearer";
  expiresIn: number;
  scopes: string[];
  refreshToken: string | null;
}

export interface TokenRequest {
  apiKey: string;
  refresh: boolean;
}

export interface TokenRevocation {
  token: string;
}

export interface Told {
  source: string;
  observedAt: string;
}

export interface Upload {
  id: string;
  digest: string;
  sizeBytes: number;
  partSizeBytes: number;
  parts: UploadPart[];
  expiresAt: string;
}

export interface UploadPart {
  number: number;
  sizeBytes: number;
}

export interface UploadRequest {
  sizeBytes: number;
}

export interface WhatIf {
  marketNow: string;
  begin: string;
  end: string;
  stepHours: number;
  presentDigest: string;
  changedDigest: string;
  items: WhatIfItem[];
}

export interface WhatIfItem {
  workload: string;
  leaves: boolean;
  nowFree: Place;
  nowPresent: Place;
  nowChanged: Place;
  free: CourseCost;
  present: CourseCost;
  changed: CourseCost;
}

export interface WhatIfRequest {
  tenant: string;
  boundary: Record<string, unknown>;
  workload: string | null;
  days: number;
}

export interface Workload {
  id: string;
  tenant: string;
  name: string;
  state: WorkloadState;
  reason: string;
  spec: WorkloadSpec;
  placement: Placement | null;
  activeMigration: string | null;
  generation: number;
  fingerprint: string | null;
  further: Placement[];
  createdAt: string;
  updatedAt: string;
}

export interface WorkloadEvent {
  seq: number;
  workload: string;
  state: WorkloadState;
  reason: string;
  at: string;
}

export interface WorkloadMonth {
  workload: string;
  tenant: string;
  month: string;
  hours: number;
  unknownHours: number;
  paidUsd: number | string;
  onDemandUsd: number | string;
  stayedUsd: number | string;
  savedUsd: number | string;
  savedStayedUsd: number | string;
}

export interface WorkloadSpec {
  artifact: Artifact | null;
  image: string | null;
  command: string[];
  env: Record<string, string>;
  ports: Ports;
  health: Health;
  resources: Resources;
  placement: PlacementRules;
  drainSeconds: number;
  access: "anonymous" | "token";
  cloudIdentity: boolean;
  logs: boolean;
}

export type WorkloadState = "PENDING" | "PROVISIONING" | "RUNNING" | "MIGRATING" | "INTERRUPTED" | "UNHEALTHY" | "STOPPING" | "TERMINATED" | "FAILED";

export interface ZoneRate {
  cloud: "aws" | "azure" | "gcp";
  region: string;
  zone: string;
  held: number;
  lossesPerHour: number;
}
