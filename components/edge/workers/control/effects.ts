/**
 * What the saga does to the world: runs, routes, records. The order stands in migration.ts.
 *
 * A step may be cut off after its effect and before it is known to be done, and then happens again: each call here is safe to repeat, and each that
 * changes something asks first whether its migration still holds the workload's lease.
 */
import { NonRetryableError } from "cloudflare:workflows";
import { mark, OF_PLATFORM } from "../shared/changes";
import { givesWay, outdatedBy, prices, roleOf, terminate } from "../shared/decisions";
import { generationOf, nameOf, tenantOf, workloadOf } from "../shared/ids";
import { endMigration, livePlacements, migrationOf, migrationRow, placementBy, setActive, setPlacement, setState, setStep, workloadRow } from "../shared/records";
import type { AuthorityStub, Change, Target } from "../shared/route";
import { automation, watchOf } from "../shared/services";
import type { Migration, MigrationStep, Placement, Run, RunRequest, StackRef, WorkloadSpec } from "../shared/wire";
import type { ControlEnv } from "./env";
import { adopt } from "./orphans";
import type { PriceEngine, Reserved } from "./prices";

export interface Subject {
  migration: Migration;
  spec: WorkloadSpec;
  /** The placement that the saga makes, or the standby that it has take over. */
  arriving: string;
  role: "serving" | "standby";
  /** The saga is about a machine beside the first one: what the user sees of the workload is not its affair. */
  beside: boolean;
  /** The placement that goes: the one that serves when the saga begins, or the standby that is replaced. */
  serving: Placement | null;
  /** The route's version that names the new placement, where an earlier attempt of this saga has committed it. */
  committed: number | null;
  /** The saga makes its machine without the lease, which another one has that saves another machine. */
  waits: boolean;
}

/** Shares of the traffic; a standby gets some only while nothing else is in rotation. */
const WEIGHTS = { serving: 1, standby: 0 } as const;

/** The lease has gone to another migration; nothing of this one may have an effect any more. */
export class Fenced extends NonRetryableError {
  constructor(migration: string, token: number) {
    // Without a name of its own: the engine knows by the class's whether a step is to be tried again.
    super(`${migration} no longer holds the lease (fencing token ${token})`);
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
    const arriving = migration.decision.promote ?? id;
    const role = roleOf(migration.decision);
    const there = (target: Target): boolean => target.placement === arriving && target.weight === WEIGHTS[role];
    return {
      migration,
      spec: JSON.parse(workload.spec) as WorkloadSpec,
      arriving,
      role,
      beside: role === "standby" || ![null, arriving, migration.fromPlacement].includes(workload.placement),
      serving: await placementBy(this.env.DB, migration.fromPlacement),
      committed: route?.targets.some(there) ? route.version : null,
      waits: migration.fencingToken === null,
    };
  }

  async reserve(subject: Subject): Promise<number> {
    const { id, workload, fencingToken } = subject.migration;
    // A saga that begins anew must not take up what another one has put an end to.
    if ((await workloadRow(this.env.DB, workload))?.active_migration !== id) throw new Fenced(id, fencingToken ?? 0);
    const reserved: Reserved = await this.#prices().reserve(subject.migration.decision, subject.migration.id);
    if (!reserved.ok) throw new NonRetryableError(`${reserved.word}: ${reserved.detail}`);
    await setStep(this.env.DB, id, "reserve", { fencingToken: reserved.token });
    return reserved.token;
  }

  /**
   * The lease, for a saga whose machine was made without it; throws, to be asked again, while another one has it. Throws {@link Fenced} or what can't be asked
   * again where there is nothing left to replace.
   */
  async take(subject: Subject): Promise<number> {
    const { id, workload, decision } = subject.migration;
    const row = await workloadRow(this.env.DB, workload);
    if (!row || row.state === "STOPPING" || row.state === "TERMINATED") throw new Fenced(id, 0);
    const outdated = outdatedBy(row, await livePlacements(this.env.DB, workload), decision);
    if (outdated !== null) throw new NonRetryableError(`stale-decision: ${outdated}`);
    const active = row.active_migration === id ? null : row.active_migration;
    const instead = await givesWay(this.env.DB, { ...row, active_migration: active }, decision);
    if (active !== null && instead === null) throw new Error(`${active} is at work on ${workload}`);
    const reserved = await this.#prices().reserve(decision, id, instead);
    if (!reserved.ok) throw new Error(`${reserved.word}: ${reserved.detail}`);
    await setActive(this.env.DB, id, workload, reserved.token);
    return reserved.token;
  }

  /** Throws {@link Fenced} where another migration has the lease by now. */
  async fence(subject: Subject, token: number): Promise<void> {
    if (!(await this.#prices().holds(subject.migration.workload, subject.migration.id, token))) throw new Fenced(subject.migration.id, token);
  }

  /** {@link fence}; and until {@link unseal} the lease stays with this migration, whatever happens to the workload's other machines. */
  async seal(subject: Subject, token: number): Promise<void> {
    if (!(await this.#prices().seal(subject.migration.workload, subject.migration.id, token))) throw new Fenced(subject.migration.id, token);
  }

  async unseal(subject: Subject, token: number): Promise<void> {
    await this.#prices().unseal(subject.migration.workload, token);
  }

  async step(subject: Subject, step: MigrationStep): Promise<void> {
    await setStep(this.env.DB, subject.migration.id, step);
  }

  /** Asks for a run; the run as it stands. The same key is the same run. */
  async run(request: RunRequest): Promise<Run> {
    const answer = await automation(this.env.AUTH, this.env.AUTOMATION_URL, "POST", "/v1/runs", request, request.migration);
    if (answer.ok) {
      const run = (await answer.json()) as Run;
      await mark(this.env.DB, [{ kind: "run", subject: run.id, tenant: request.stack.tenant ?? OF_PLATFORM, workload: request.migration && workloadOf(request.migration) }]);
      return run;
    }
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

  /** Good checks in a row of the new machine, or of the standby that is to take over. */
  async verify(subject: Subject, timeoutMs: number): Promise<number> {
    const { arriving, migration } = subject;
    const placement = migration.decision.promote ? await placementBy(this.env.DB, arriving) : await setPlacement(this.env.DB, arriving, "VERIFYING");
    if (!placement) throw new Error(`placement ${arriving} is not in D1`);
    return this.env.HEALTH.verify(watchOf(placement, subject.spec), timeoutMs);
  }

  /**
   * Writes the route and waits until no replica answers by an older one; its version. The authority refuses a stale token by itself. It names `placement`
   * (null: none) and what else is held of the workload, without the machine that goes.
   */
  async commit(subject: Subject, placement: Placement | null, fencingToken: number, role = subject.role): Promise<number> {
    const leaving = [subject.serving?.id, subject.arriving, placement?.id];
    const held = (await livePlacements(this.env.DB, subject.migration.workload)).filter(({ id }) => !leaving.includes(id));
    const targets = held.map((one) => targetOf(one, subject.spec, one.state === "STANDBY" ? "standby" : "serving"));
    return this.#write(subject, placement ? [targetOf(placement, subject.spec, role), ...targets] : targets, fencingToken);
  }

  /** No machine serves from now on. */
  async withdraw(subject: Subject, fencingToken: number): Promise<number> {
    return this.#write(subject, [], fencingToken);
  }

  /** A standby that gave no good answer leaves the route as one that goes; what serves stays. */
  async dismiss(subject: Subject, fencingToken: number): Promise<void> {
    const { serving } = subject;
    await this.commit(subject, serving, fencingToken);
    const standby = await placementBy(this.env.DB, subject.arriving);
    if (standby) await this.retire(standby);
  }

  async #write(subject: Subject, targets: Change["targets"], fencingToken: number): Promise<number> {
    const { workload } = subject.migration;
    const authority = this.#authority(workload);
    const present = (await authority.lookup(workload)).route;
    const done = await authority.commit({ label: workload, targets, access: subject.spec.access, drainSeconds: subject.spec.drainSeconds, ifVersion: present?.version ?? 0, fencingToken });
    if (done.ok) return done.version;
    if (done.reason === "fencing") throw new Fenced(subject.migration.id, fencingToken);
    throw new Error(`the route of ${workload} was not written: it stands at ${done.version} by now`);
  }

  /** After the commit: who serves now, in D1 and for the Health Monitor. */
  async serve(subject: Subject, version: number): Promise<void> {
    const { migration, arriving, role, serving, spec } = subject;
    const marketNow = await this.#prices().marketNow();
    const known = await placementBy(this.env.DB, arriving);
    const since: Partial<Placement> = role === "standby" ? { marketReadyFrom: known?.marketReadyFrom ?? marketNow } : { marketServedFrom: known?.marketServedFrom ?? marketNow };
    if (migration.decision.promote) Object.assign(since, { replaces: migration.fromPlacement, beside: false });
    const placement = await setPlacement(this.env.DB, arriving, role === "standby" ? "STANDBY" : "SERVING", since);
    // The first machine's place is taken; another one's stays beside it.
    const first = "update workloads set placement = ?1 where id = ?2 and active_migration = ?3 and (placement is null or placement = ?4)";
    if (role === "serving")
      await this.env.DB.prepare(first)
        .bind(arriving, migration.workload, migration.id, serving?.id ?? null)
        .run();
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

  /** Where the first machine is given up, the oldest of the others that serve is the first from now on. */
  async succeed({ migration }: Subject): Promise<void> {
    const others = "select id from placements where workload = ?1 and state = 'SERVING' and id <> ?2 order by generation limit 1";
    await this.env.DB.prepare(`update workloads set placement = (${others}) where id = ?1 and placement = ?2 and exists (${others})`).bind(migration.workload, migration.fromPlacement).run();
  }

  /** The placements beside the first one, which go with it. */
  async beside(subject: Subject): Promise<Placement[]> {
    return (await livePlacements(this.env.DB, subject.migration.workload)).filter(({ id }) => id !== subject.serving?.id);
  }

  async gone(placement: string, state: "DESTROYED" | "FAILED"): Promise<void> {
    await setPlacement(this.env.DB, placement, state);
  }

  /** What could not be destroyed is on record, shown, and tried again by the reconciler until it is gone. */
  async orphan(subject: Subject, request: RunRequest, error: string): Promise<void> {
    await adopt(this.env.DB, subject.migration.workload, request, error, Date.now());
  }

  /** What the user sees of it: nothing of what is done beside the machine that serves. */
  async state(subject: Subject, state: Parameters<typeof setState>[2], reason: string): Promise<void> {
    if (!subject.beside) await setState(this.env.DB, subject.migration.workload, state, reason);
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
    if (await this.#tells(subject)) await this.state(subject, state, reason);
    await endMigration(this.env.DB, id, workload, error === null, error);
    await this.#prices().release(workload, id);
  }

  /**
   * Whether what the user sees of the workload is this migration's to say. One that gave its lease away says so still where nobody else will: what is shown is
   * what it has said, and the one at work is about a machine beside the first, or has ended.
   */
  async #tells({ migration }: Subject): Promise<boolean> {
    const row = await workloadRow(this.env.DB, migration.workload);
    if (!row || row.active_migration === migration.id) return row !== null;
    const present = await migrationRow(this.env.DB, row.active_migration ?? "");
    return (row.state === "MIGRATING" || row.reason === migration.decision.reason) && present?.from_placement !== row.placement;
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

function targetOf({ id, origin, tcpOrigin }: Placement, spec: WorkloadSpec, role: Subject["role"]): Change["targets"][number] {
  return { placement: id, origin, tcpOrigin, weight: WEIGHTS[role], proxyProtocol: spec.ports.proxyProtocol ?? "off" };
}
