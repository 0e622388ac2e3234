/** What the saga does to the world, each call safe to repeat: runs, routes, records. The order stands in migration.ts. */
import { prices, terminate } from "../shared/decisions";
import { generationOf, nameOf, tenantOf } from "../shared/ids";
import { endMigration, migrationOf, migrationRow, placementBy, setPlacement, setState, setStep, workloadRow } from "../shared/records";
import type { AuthorityStub, Change } from "../shared/route";
import { automation, type Watch } from "../shared/services";
import type { Migration, MigrationStep, Placement, Run, RunRequest, StackRef, WorkloadSpec } from "../shared/wire";
import type { ControlEnv } from "./env";
import type { PriceEngine, Reserved } from "./prices";

export interface Subject {
  migration: Migration;
  spec: WorkloadSpec;
  /** The placement that serves when the saga begins. */
  serving: Placement | null;
}

export class Effects {
  constructor(private readonly env: ControlEnv) {}

  async load(id: string): Promise<Subject> {
    const row = await migrationRow(this.env.DB, id);
    if (!row) throw new Error(`migration ${id} is not in D1`);
    const migration = migrationOf(row);
    const workload = await workloadRow(this.env.DB, migration.workload);
    if (!workload) throw new Error(`workload ${migration.workload} is not in D1`);
    return { migration, spec: JSON.parse(workload.spec) as WorkloadSpec, serving: await placementBy(this.env.DB, migration.fromPlacement ?? workload.placement) };
  }

  async reserve(subject: Subject): Promise<number> {
    const reserved: Reserved = await this.#prices().reserve(subject.migration.decision, subject.migration.id);
    if (!reserved.ok) throw new Error(`${reserved.word}: ${reserved.detail}`);
    await setStep(this.env.DB, subject.migration.id, "reserve", { fencingToken: reserved.token });
    return reserved.token;
  }

  async release(subject: Subject): Promise<void> {
    await this.#prices().release(subject.migration.workload, subject.migration.id);
  }

  async step(subject: Subject, step: MigrationStep): Promise<void> {
    await setStep(this.env.DB, subject.migration.id, step);
  }

  async state(subject: Subject, state: Parameters<typeof setState>[2], reason: string): Promise<void> {
    await setState(this.env.DB, subject.migration.workload, state, reason);
  }

  /** Asks for a run; the run as it stands. The same key is the same run. */
  async run(request: RunRequest): Promise<Run> {
    const answer = await automation(this.env.AUTH, this.env.AUTOMATION_URL, "POST", "/v1/runs", request);
    if (!answer.ok) throw new Error(`automation answered ${answer.status} for ${request.idempotencyKey}: ${(await answer.text()).slice(0, 300)}`);
    return (await answer.json()) as Run;
  }

  placementRun(subject: Subject, placement: string, step: "provision" | "decommission", key: string): RunRequest {
    const { workload, tenant } = subject.migration;
    const stack: StackRef = { kind: "placement", tenant, cloud: null, region: null, workload: nameOf(workload), generation: generationOf(placement) };
    const urgent = subject.migration.kind === "interruption" ? "interruption" : subject.migration.kind === "unhealthy" ? "health" : "price";
    return { idempotencyKey: key, stack, operation: step === "provision" ? "up" : "destroy", settings: null, migration: subject.migration.id, step, priority: urgent, deadline: null, allow: [] };
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
    };
  }

  watchOf(subject: Subject, placement: Placement): Watch {
    return { placement: placement.id, tenant: placement.tenant, origin: placement.origin, health: subject.spec.health };
  }

  /** Healthy answers in a row that the new machine gave. */
  async verify(subject: Subject, timeoutMs: number): Promise<number> {
    const placement = await setPlacement(this.env.DB, subject.migration.id, "VERIFYING");
    if (!placement) throw new Error(`placement ${subject.migration.id} is not in D1`);
    return this.env.HEALTH.verify(this.watchOf(subject, placement), timeoutMs);
  }

  /** Writes the route and waits until no replica answers by an older one; its version. */
  async commit(subject: Subject, placement: Placement | null, fencingToken: number): Promise<number> {
    const { workload } = subject.migration;
    const authority = this.env.AUTHORITIES.get(this.env.AUTHORITIES.idFromName(tenantOf(workload))) as unknown as AuthorityStub;
    const targets: Change["targets"] = placement ? [{ placement: placement.id, origin: placement.origin, tcpOrigin: placement.tcpOrigin, weight: 1 }] : [];
    const present = (await authority.lookup(workload)).route;
    const done = await authority.commit({ label: workload, targets, access: subject.spec.access, drainSeconds: subject.spec.drainSeconds, ifVersion: present?.version ?? 0, fencingToken });
    if (!done.ok) throw new Error(`the route of ${workload} was not written: ${done.reason} (it stands at ${done.version})`);
    return done.version;
  }

  /** After the commit: who serves now, in D1 and for the Health Monitor. */
  async serve(subject: Subject, version: number): Promise<void> {
    const { migration, serving } = subject;
    const marketNow = await this.#prices().marketNow();
    const known = await placementBy(this.env.DB, migration.id);
    const placement = await setPlacement(this.env.DB, migration.id, "SERVING", { marketServedFrom: known?.marketServedFrom ?? marketNow });
    await this.env.DB.prepare("update workloads set placement = ? where id = ?").bind(migration.id, migration.workload).run();
    await setStep(this.env.DB, migration.id, "commit", { routeVersion: version });
    if (placement) await this.env.HEALTH.watch(this.watchOf(subject, placement));
    if (serving) await this.retire(serving, marketNow);
  }

  async retire(serving: Placement, marketNow?: string): Promise<void> {
    await this.env.HEALTH.unwatch(serving.tenant, serving.id);
    const known = await placementBy(this.env.DB, serving.id);
    await setPlacement(this.env.DB, serving.id, "DRAINING", { marketServedUntil: known?.marketServedUntil ?? marketNow ?? (await this.#prices().marketNow()) });
  }

  async gone(placement: string, state: "DESTROYED" | "FAILED"): Promise<void> {
    await setPlacement(this.env.DB, placement, state);
  }

  async unplace(subject: Subject): Promise<void> {
    await this.env.DB.prepare("update workloads set placement = null where id = ?").bind(subject.migration.workload).run();
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

  async end(subject: Subject, error: string | null): Promise<void> {
    await endMigration(this.env.DB, subject.migration.id, subject.migration.workload, error === null, error);
  }

  /** How a run stands: as it was delivered, should the saga have missed its event, else as the automation service says. Keeps the lease alive. */
  async present(subject: Subject, id: Run["id"], request: RunRequest): Promise<Run> {
    await this.#prices().reserve(subject.migration.decision, subject.migration.id);
    const row = await this.env.DB.prepare("select document from run_events where run = ?").bind(id).first<{ document: string }>();
    return row ? (JSON.parse(row.document) as Run) : this.run(request);
  }

  /** A workload that was removed while it moved is taken down now. */
  async next(subject: Subject): Promise<void> {
    const row = await workloadRow(this.env.DB, subject.migration.workload);
    if (row?.state === "STOPPING") await terminate(this.env, row);
  }

  #prices(): PriceEngine {
    return prices(this.env);
  }
}
