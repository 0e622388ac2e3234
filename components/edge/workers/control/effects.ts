/**
 * What the saga does to the world: runs, routes, records. The order stands in migration.ts.
 *
 * A step may be cut off after its effect and before it is known to be done, and then happens again: each call here is safe to repeat, and each that
 * changes something asks first whether its migration still holds the workload's lease.
 */
import { NonRetryableError } from "cloudflare:workflows";
import { prices, terminate } from "../shared/decisions";
import { generationOf, nameOf, tenantOf } from "../shared/ids";
import { endMigration, migrationOf, migrationRow, placementBy, setPlacement, setState, setStep, workloadRow } from "../shared/records";
import type { AuthorityStub, Change } from "../shared/route";
import { automation, watchOf } from "../shared/services";
import type { Migration, MigrationStep, Placement, Run, RunRequest, StackRef, WorkloadSpec } from "../shared/wire";
import type { ControlEnv } from "./env";
import { adopt } from "./orphans";
import type { PriceEngine, Reserved } from "./prices";

export interface Subject {
  migration: Migration;
  spec: WorkloadSpec;
  /** The placement that serves when the saga begins. */
  serving: Placement | null;
  /** The route's version that names the new placement, where an earlier attempt of this saga has committed it. */
  committed: number | null;
}

/** The lease has gone to another migration; nothing of this one may have an effect any more. */
export class Fenced extends NonRetryableError {
  constructor(migration: string, token: number) {
    super(`${migration} no longer holds the lease (fencing token ${token})`, "Fenced");
  }
}

export class Effects {
  constructor(private readonly env: ControlEnv) {}

  async load(id: string): Promise<Subject> {
    const row = await migrationRow(this.env.DB, id);
    if (!row) throw new Error(`migration ${id} is not in D1`);
    const migration = migrationOf(row);
    const workload = await workloadRow(this.env.DB, migration.workload);
    if (!workload) throw new Error(`workload ${migration.workload} is not in D1`);
    const route = (await this.#authority(migration.workload).lookup(migration.workload)).route;
    return {
      migration,
      spec: JSON.parse(workload.spec) as WorkloadSpec,
      serving: await placementBy(this.env.DB, migration.fromPlacement),
      committed: route?.targets.some(({ placement }) => placement === id) ? route.version : null,
    };
  }

  async reserve(subject: Subject): Promise<number> {
    const reserved: Reserved = await this.#prices().reserve(subject.migration.decision, subject.migration.id);
    if (!reserved.ok) throw new NonRetryableError(`${reserved.word}: ${reserved.detail}`);
    await setStep(this.env.DB, subject.migration.id, "reserve", { fencingToken: reserved.token });
    return reserved.token;
  }

  /** Throws {@link Fenced} where another migration has the lease by now. */
  async fence(subject: Subject, token: number): Promise<void> {
    if (!(await this.#prices().holds(subject.migration.workload, subject.migration.id, token))) throw new Fenced(subject.migration.id, token);
  }

  async step(subject: Subject, step: MigrationStep): Promise<void> {
    await setStep(this.env.DB, subject.migration.id, step);
  }

  async state(subject: Subject, state: Parameters<typeof setState>[2], reason: string): Promise<void> {
    await setState(this.env.DB, subject.migration.workload, state, reason);
  }

  /** Asks for a run; the run as it stands. The same key is the same run. */
  async run(request: RunRequest): Promise<Run> {
    const answer = await automation(this.env.AUTH, this.env.AUTOMATION_URL, "POST", "/v1/runs", request, request.migration);
    if (answer.ok) return (await answer.json()) as Run;
    const said = `automation answered ${answer.status} for ${request.idempotencyKey}: ${(await answer.text()).slice(0, 300)}`;
    throw answer.status === 422 ? new NonRetryableError(said) : new Error(said);
  }

  placementRun(subject: Subject, placement: string, step: "provision" | "decommission", key: string): RunRequest {
    const { workload, tenant } = subject.migration;
    const stack: StackRef = { kind: "placement", tenant, cloud: null, region: null, workload: nameOf(workload), generation: generationOf(placement) };
    const urgent = subject.migration.kind === "interruption" ? "interruption" : subject.migration.kind === "unhealthy" ? "health" : "price";
    return {
      idempotencyKey: key,
      stack,
      operation: step === "provision" ? "up" : "destroy",
      settings: null,
      migration: subject.migration.id,
      step,
      priority: urgent,
      deadline: null,
      allow: [],
      imports: [],
    };
  }

  addressRun(subject: Subject): RunRequest {
    const { workload, tenant } = subject.migration;
    const stack: StackRef = { kind: "address", tenant, cloud: null, region: null, workload: nameOf(workload), generation: null };
    return {
      idempotencyKey: `${subject.migration.id}:address`,
      stack,
      operation: "destroy",
      settings: null,
      migration: subject.migration.id,
      step: "decommission",
      priority: "price",
      deadline: null,
      allow: [],
      imports: [],
    };
  }

  /** Good checks in a row of the new machine. */
  async verify(subject: Subject, timeoutMs: number): Promise<number> {
    const placement = await setPlacement(this.env.DB, subject.migration.id, "VERIFYING");
    if (!placement) throw new Error(`placement ${subject.migration.id} is not in D1`);
    return this.env.HEALTH.verify(watchOf(placement, subject.spec), timeoutMs);
  }

  /** Writes the route and waits until no replica answers by an older one; its version. The authority refuses a stale token by itself. */
  async commit(subject: Subject, placement: Placement | null, fencingToken: number): Promise<number> {
    const { workload } = subject.migration;
    const authority = this.#authority(workload);
    const targets: Change["targets"] = placement
      ? [{ placement: placement.id, origin: placement.origin, tcpOrigin: placement.tcpOrigin, weight: 1, proxyProtocol: subject.spec.ports.proxyProtocol ?? "off" }]
      : [];
    const present = (await authority.lookup(workload)).route;
    const done = await authority.commit({ label: workload, targets, access: subject.spec.access, drainSeconds: subject.spec.drainSeconds, ifVersion: present?.version ?? 0, fencingToken });
    if (done.ok) return done.version;
    if (done.reason === "fencing") throw new Fenced(subject.migration.id, fencingToken);
    throw new Error(`the route of ${workload} was not written: it stands at ${done.version} by now`);
  }

  /** After the commit: who serves now, in D1 and for the Health Monitor. */
  async serve(subject: Subject, version: number): Promise<void> {
    const { migration, serving, spec } = subject;
    const marketNow = await this.#prices().marketNow();
    const known = await placementBy(this.env.DB, migration.id);
    const placement = await setPlacement(this.env.DB, migration.id, "SERVING", { marketServedFrom: known?.marketServedFrom ?? marketNow });
    await this.env.DB.prepare("update workloads set placement = ?1 where id = ?2 and active_migration = ?1").bind(migration.id, migration.workload).run();
    await setStep(this.env.DB, migration.id, "commit", { routeVersion: version });
    if (placement) await this.env.HEALTH.watch(watchOf(placement, spec));
    if (serving) await this.retire(serving, marketNow);
  }

  async retire(serving: Placement, marketNow?: string): Promise<void> {
    await this.env.HEALTH.unwatch(serving.tenant, serving.id);
    const known = await placementBy(this.env.DB, serving.id);
    if (known?.state === "DESTROYED" || known?.state === "ORPHANED") return;
    await setPlacement(this.env.DB, serving.id, "DRAINING", { marketServedUntil: known?.marketServedUntil ?? marketNow ?? (await this.#prices().marketNow()) });
  }

  async gone(placement: string, state: "DESTROYED" | "FAILED"): Promise<void> {
    await setPlacement(this.env.DB, placement, state);
  }

  /** What could not be destroyed is on record, shown, and tried again by the reconciler until it is gone. */
  async orphan(subject: Subject, request: RunRequest, error: string): Promise<void> {
    await adopt(this.env.DB, subject.migration.workload, request, error, Date.now());
  }

  async unplace(subject: Subject): Promise<void> {
    await this.env.DB.prepare("update workloads set placement = null where id = ? and active_migration = ?").bind(subject.migration.workload, subject.migration.id).run();
  }

  /** The move's entry in the ledger, frozen with the evidence acted on. */
  async record(subject: Subject): Promise<void> {
    const { migration, serving } = subject;
    const { offer, evidence } = migration.decision;
    if (!offer || !evidence) return;
    const move = {
      migration: migration.id,
      workload: migration.workload,
      tenant: migration.tenant,
      kind: migration.kind,
      fromOffer: serving?.offer ?? null,
      toOffer: offer,
      evidence,
      recordedAt: new Date().toISOString(),
    };
    await this.env.DB.prepare("insert or ignore into ledger_moves values (?, ?, ?, ?)").bind(migration.id, migration.workload, migration.tenant, JSON.stringify(move)).run();
  }

  /** Whether the migration has ended already: an earlier attempt of its last step got that far. */
  async over(subject: Subject): Promise<boolean> {
    return (await migrationRow(this.env.DB, subject.migration.id))?.status !== "running";
  }

  /**
   * The end: what the user sees, the migration's own row, the lease, in that order. The reconciler looks after migrations that are running by their
   * row, so that what is cut off before is done again; a lease whose migration has ended is taken from it.
   */
  async end(subject: Subject, error: string | null, state: Parameters<typeof setState>[2], reason: string): Promise<void> {
    const { workload, id } = subject.migration;
    if ((await workloadRow(this.env.DB, workload))?.active_migration === id) await setState(this.env.DB, workload, state, reason);
    await endMigration(this.env.DB, id, workload, error === null, error);
    await this.#prices().release(workload, id);
  }

  /** How a run stands: as it was delivered, should the saga have missed its event, else as the automation service says. Keeps the lease alive. */
  async present(subject: Subject, id: Run["id"], request: RunRequest, token: number): Promise<Run> {
    await this.#prices().holds(subject.migration.workload, subject.migration.id, token);
    const row = await this.env.DB.prepare("select document from run_events where run = ?").bind(id).first<{ document: string }>();
    return row ? (JSON.parse(row.document) as Run) : this.run(request);
  }

  /** A workload that was removed while it moved is taken down now. */
  async next(subject: Subject): Promise<void> {
    const row = await workloadRow(this.env.DB, subject.migration.workload);
    if (row?.state === "STOPPING") await terminate(this.env, row);
  }

  #authority(workload: string): AuthorityStub {
    return this.env.AUTHORITIES.get(this.env.AUTHORITIES.idFromName(tenantOf(workload))) as unknown as AuthorityStub;
  }

  #prices(): PriceEngine {
    return prices(this.env);
  }
}
