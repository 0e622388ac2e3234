/**
 * The migration saga: reserve → provision → verify → commit → drain → decommission → record.
 *
 * Before the commit a failure destroys the new machine and changes nothing that a user can see; after it the saga only goes forward. Every step may be
 * repeated: runs have keys, the lease and the route know their holder, D1 is written by id. A saga that begins anew after its commit goes on from there.
 *
 * A standby is made by the same steps, and its commit names it in the route as one that gets nothing while another machine serves. Where a standby takes
 * over there is nothing to provision: it is probed and committed; one that gives no good answer is destroyed, and what serves stays.
 *
 * Until its commit a saga may lose the lease to one that saves another machine, and undoes what it has begun; from the commit's beginning until it is known who
 * serves nobody takes the lease; what is left then, the old machine's end, needs none. Where two machines go at once, the second one's saga makes its machine
 * without the lease and takes it to commit (docs/adr/0072).
 */
import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep, type WorkflowStepConfig } from "cloudflare:workers";
import { AFTER_COMMIT } from "../shared/decisions";
import { ring } from "../shared/changes";
import { placementBy } from "../shared/records";
import type { Placement, Run, RunEvent, RunRequest } from "../shared/wire";
import { Effects, type Subject } from "./effects";
import type { ControlEnv } from "./env";

/** A pause that stays short: a part that was away for minutes is found again within a second of its return. Twenty minutes in all. */
const QUICK: WorkflowStepConfig = { retries: { limit: 1_200, delay: 1_000, backoff: "constant" }, timeout: "1 minute" };
const LONG: WorkflowStepConfig = { retries: { limit: 60, delay: 500, backoff: "constant" }, timeout: "3 minutes" };
/** A lease that another saga has until its commit, which may be as long as a machine takes to be made: asked for again twice a second, for half an hour. */
const TURN: WorkflowStepConfig = { retries: { limit: 3_600, delay: 500, backoff: "constant" }, timeout: "1 minute" };
const VERIFY_MS = 60_000;
/** A standby answers at once or is of no use: another machine must be looked for. */
const STANDBY_VERIFY_MS = 3_000;
/** A deadline is met with this to spare: the commit and its acknowledgements. */
const COMMIT_RESERVE_MS = 3_000;
/** A commit is acknowledged once no router sends by an older route (docs/adr/0011); this is for the requests then on their way, where the drain is shorter. */
const IN_FLIGHT_MS = 400;
/** How long a run's event is waited for before the run is asked after, and how often that is done. */
const WAIT_MS = 30_000;
const WAITS = 60;
const LEAST_WAIT_MS = 1_000;
const DESTROYS = 5;

class Failed extends Error {}

/** Whether another migration has the lease by now: a step's error crosses the engine as its text. */
const fenced = (error: unknown): boolean => (error as Error).message.includes("no longer holds the lease");

const told = (error: unknown): string => (fenced(error) ? "it gave way to what couldn't wait: a machine of the workload that goes or fails" : (error as Error).message);

/** Whether the route was written isn't known: the saga must neither go on nor undo. */
class Uncertain extends Error {}

export class MigrationWorkflow extends WorkflowEntrypoint<ControlEnv, { id: string }> {
  override async run(event: Readonly<WorkflowEvent<{ id: string }>>, step: WorkflowStep): Promise<void> {
    const effects = new Effects(this.env);
    const loaded = (await step.do("load", QUICK, () => effects.load(event.payload.id) as never)) as unknown as Subject;
    // A saga that was begun by an earlier release has kept less.
    const { migration, role = "serving" } = loaded;
    const subject: Subject = { ...loaded, arriving: loaded.arriving ?? migration.id, role, beside: loaded.beside ?? role === "standby", waits: loaded.waits ?? false };
    const saga = new Saga(
      this.env,
      subject,
      effects,
      ringing(step, () => ring(this.env, subject.migration.tenant)),
    );
    if (subject.migration.kind === "terminate") await saga.terminate();
    else await (subject.migration.kind === "retire" ? saga.retire() : saga.migrate());
    await step.do("next", QUICK, () => effects.next(subject));
  }
}

/** What the saga asks of the workflow's engine. */
interface Steps {
  do<T extends Rpc.Serializable<T>>(name: string, config: WorkflowStepConfig, work: () => Promise<T>): Promise<T>;
  sleep(name: string, ms: number): Promise<void>;
  waitForEvent<T extends Rpc.Serializable<T>>(name: string, options: { type: string; timeout: number }): Promise<{ payload: T }>;
}

/** A workflow's steps, after each of which who follows the tenant's changes is told to look. */
function ringing(step: WorkflowStep, tell: () => Promise<void>): Steps {
  return {
    do: (name, config, work) =>
      step.do(name, config, async () => {
        try {
          return await work();
        } finally {
          await tell();
        }
      }),
    sleep: (name, ms) => step.sleep(name, ms),
    waitForEvent: async (name, options) => ({ payload: (await step.waitForEvent<never>(name, options)).payload }),
  };
}

class Saga {
  #token = 0;
  /** The old machine has left rotation before a new one was there. */
  #withdrawn = false;
  /** The standby that was to take over gave no good answer. */
  #unfit = false;
  /** It has no lease yet: it makes its own machine, and writes nothing that others write, too. */
  #waits: boolean;
  readonly #forced: boolean;

  constructor(
    private readonly env: ControlEnv,
    private readonly subject: Subject,
    private readonly effects: Effects,
    private readonly step: Steps,
  ) {
    this.#waits = subject.waits;
    this.#forced = subject.role === "serving" && (subject.migration.kind === "interruption" || subject.migration.kind === "unhealthy");
  }

  async migrate(): Promise<void> {
    const { subject, effects, step } = this;
    if (!AFTER_COMMIT.has(subject.migration.step) && !(await this.#served())) return;
    if (subject.serving) await this.#retired(subject.serving);
    await step.do("record", QUICK, async () => {
      if (await effects.over(subject)) return;
      await effects.step(subject, "record");
      await effects.record(subject);
      await effects.end(subject, null, "RUNNING", subject.migration.decision.reason);
    });
  }

  /** Up to the new machine's service; false where what was begun had to be undone. */
  async #served(): Promise<boolean> {
    const { subject, effects, step } = this;
    let version = subject.committed;
    if (version === null) {
      try {
        if (!this.#waits) this.#token = await step.do("reserve", QUICK, () => effects.reserve(subject));
        if (subject.migration.decision.promote) await this.#standby();
        else {
          await this.#provision();
          await this.#verify();
        }
        if (this.#waits) await this.#turn();
        version = await this.#commit();
      } catch (error) {
        // What can't be told from a commit that was written and not heard of is left to the reconciler, which begins anew and sees.
        if (error instanceof Uncertain) throw error;
        await this.#compensate(told(error));
        return false;
      }
    } else {
      this.#token = subject.migration.fencingToken ?? 0;
    }
    const written = version;
    await step.do("serve", QUICK, async () => {
      await effects.fence(subject, this.#token);
      await effects.serve(subject, written);
      await this.#freed();
    });
    return true;
  }

  /** Nothing is written under the lease any more: a machine of the workload that goes needn't wait for the old one's end. */
  async #freed(): Promise<void> {
    await this.effects.step(this.subject, this.subject.serving ? "drain" : "record");
    await this.effects.unseal(this.subject, this.#token);
  }

  async terminate(): Promise<void> {
    const { subject, effects, step } = this;
    this.#token = await step.do("reserve", QUICK, () => effects.reserve(subject));
    await step.do("withdraw", LONG, async () => {
      await effects.step(subject, "commit");
      return effects.withdraw(subject, this.#token);
    });
    const beside = (await step.do("beside", QUICK, async () => (await effects.beside(subject)) as never)) as unknown as Placement[];
    for (const one of beside) await this.#left(one, `-${one.generation}`);
    if (subject.serving) await this.#left(subject.serving);
    if (subject.spec.ports.tcp !== null) await this.#destroyed("address", () => effects.addressRun(subject));
    await step.do("record", QUICK, async () => {
      if (await effects.over(subject)) return;
      await effects.fence(subject, this.#token);
      await effects.unplace(subject);
      await effects.end(subject, null, "TERMINATED", "removed by its owner");
    });
  }

  /** Gives up the machine that the decision names, and puts nothing in its place. */
  async retire(): Promise<void> {
    const { subject, effects, step } = this;
    if (!AFTER_COMMIT.has(subject.migration.step)) {
      try {
        this.#token = await step.do("reserve", QUICK, () => effects.reserve(subject));
        await step.do("withdraw", LONG, async () => {
          await effects.step(subject, "commit");
          await effects.seal(subject, this.#token);
          return effects.commit(subject, null, this.#token);
        });
      } catch (error) {
        if (!fenced(error)) throw error;
        // Nothing was made, and nothing written: the machine stays until it is given up again.
        await step.do("compensated", QUICK, () => effects.end(subject, told(error), "RUNNING", `it stays where it is: ${told(error)}`));
        return;
      }
      await step.do("retire", QUICK, async () => {
        await effects.succeed(subject);
        if (subject.serving) await effects.retire(subject.serving);
        await this.#freed();
      });
    }
    if (subject.serving) await this.#retired(subject.serving);
    await step.do("record", QUICK, async () => {
      if (!(await effects.over(subject))) await effects.end(subject, null, "RUNNING", subject.migration.decision.reason);
    });
  }

  /** The lease, once the saga that has it has told who serves, or has failed. */
  async #turn(): Promise<void> {
    this.#token = await this.step.do("turn", TURN, () => this.effects.take(this.subject));
    this.#waits = false;
  }

  async #fence(): Promise<void> {
    if (!this.#waits) await this.effects.fence(this.subject, this.#token);
  }

  async #commit(): Promise<number> {
    const { subject, effects, step } = this;
    try {
      return await step.do("commit", LONG, async () => {
        await effects.step(subject, "commit");
        await effects.seal(subject, this.#token);
        return effects.commit(subject, await placementBy(this.env.DB, subject.arriving), this.#token);
      });
    } catch (error) {
      if (fenced(error)) throw error;
      throw new Uncertain((error as Error).message);
    }
  }

  /** A machine that has left the route is no longer watched, drains and goes; `suffix` tells the steps of several apart. */
  async #left(placement: Placement, suffix = ""): Promise<void> {
    await this.step.do(`retire${suffix}`, QUICK, () => this.effects.retire(placement));
    await this.#retired(placement, suffix);
  }

  /** The old machine drains and goes. */
  async #retired(serving: Placement, suffix = ""): Promise<void> {
    const { subject, effects, step } = this;
    await step.do(`drain${suffix}`, QUICK, () => effects.step(subject, "drain"));
    await step.sleep(`grace${suffix}`, Math.max(subject.spec.drainSeconds * 1000, IN_FLIGHT_MS));
    await step.do(`decommission${suffix}`, QUICK, () => effects.step(subject, "decommission"));
    const { id } = subject.migration;
    const key = (attempt: number): string => `${id}:decommission:${serving.id}${attempt === 1 ? "" : `:${attempt}`}`;
    if (await this.#destroyed(`decommission${suffix}`, (attempt) => effects.placementRun(subject, serving.id, "decommission", key(attempt)))) {
      await step.do(`gone${suffix}`, QUICK, () => effects.gone(serving.id, "DESTROYED"));
    }
  }

  async #provision(): Promise<void> {
    const { subject, effects, step } = this;
    const { migration, serving } = subject;
    const request = effects.placementRun(subject, migration.id, "provision", `${migration.id}:provision`);
    const run = await step.do("provision", QUICK, async () => {
      await this.#fence();
      await effects.step(subject, "provision");
      if (migration.kind === "interruption") await effects.state(subject, "INTERRUPTED", migration.decision.reason);
      else if (migration.kind === "unhealthy") await effects.state(subject, "UNHEALTHY", migration.decision.reason);
      else await effects.state(subject, serving ? "MIGRATING" : "PROVISIONING", migration.decision.reason);
      return (await effects.run(request)) as never;
    });
    const ended = await this.#ended(run as unknown as Run, request, "provision", this.#deadline());
    if (ended.status !== "succeeded") throw new Failed(`provisioning failed: ${ended.error ?? ended.status}`);
  }

  /** The standby is ready: it is looked at once more, no longer than that helps. */
  async #standby(): Promise<void> {
    const { subject, effects, step } = this;
    const healthy = await step.do("probe", LONG, async () => {
      await effects.fence(subject, this.#token);
      await effects.step(subject, "verify");
      await effects.state(subject, "MIGRATING", subject.migration.decision.reason);
      return effects.verify(subject, STANDBY_VERIFY_MS);
    });
    if (healthy > 0) return;
    this.#unfit = true;
    throw new Failed(`the standby ${subject.arriving} gave no healthy answer`);
  }

  async #verify(): Promise<void> {
    const { subject, effects, step } = this;
    await step.do("verify", QUICK, async () => {
      await this.#fence();
      await effects.step(subject, "verify");
    });
    const deadline = this.#withdrawn ? null : this.#deadline();
    const left = deadline === null ? VERIFY_MS : deadline - Date.now() - COMMIT_RESERVE_MS;
    const healthy = await step.do("probe", LONG, () => effects.verify(subject, Math.min(Math.max(left, LEAST_WAIT_MS), VERIFY_MS)));
    if (healthy >= subject.spec.health.healthyCount || (this.#forced && healthy > 0)) return;
    if (!this.#forced || this.#withdrawn) throw new Failed(`the new machine gave ${healthy} of ${subject.spec.health.healthyCount} healthy answers in time`);
    await this.#withdraw();
    const late = await step.do("probe-late", LONG, () => effects.verify(subject, VERIFY_MS));
    if (late === 0) throw new Failed("the new machine never gave a healthy answer");
  }

  /** When the machine that serves will be gone, in ms of the wall clock; null where it isn't known to go, or isn't for this saga yet to take out of rotation. */
  #deadline(): number | null {
    const { deadline } = this.subject.migration.decision;
    return this.#forced && !this.#waits && this.subject.serving && deadline ? Date.parse(deadline) : null;
  }

  /** The old machine leaves rotation: the router holds requests until a machine answers. */
  async #withdraw(): Promise<void> {
    if (this.#waits) return;
    await this.step.do("withdraw", LONG, () => this.effects.commit(this.subject, null, this.#token));
    this.#withdrawn = true;
  }

  /** Whether a stack was destroyed in {@link DESTROYS} attempts; one that wasn't is an orphan now, and the reconciler's. */
  async #destroyed(name: string, request: (attempt: number) => RunRequest): Promise<boolean> {
    const { subject, effects, step } = this;
    let error = "";
    for (let attempt = 1; attempt <= DESTROYS; attempt += 1) {
      const asked = request(attempt);
      try {
        const run = await step.do(`${name}-${attempt}`, QUICK, async () => (await effects.run(asked)) as never);
        const ended = await this.#ended(run as unknown as Run, asked, `${name}-${attempt}`);
        if (ended.status === "succeeded") return true;
        error = ended.error ?? ended.status;
      } catch (failure) {
        error = (failure as Error).message;
      }
      if (attempt < DESTROYS) await step.sleep(`before-${name}-${attempt + 1}`, attempt * 2_000);
    }
    await step.do(`${name}-orphan`, QUICK, () => effects.orphan(subject, request(1), error));
    return false;
  }

  /** Waits for a run's end: by its event, or by asking again where the event got lost. Once `deadline` has passed, the old machine leaves rotation meanwhile. */
  async #ended(run: Run, request: RunRequest, name: string, deadline: number | null = null): Promise<Run> {
    let present = run;
    for (let wait = 1; wait <= WAITS; wait += 1) {
      if (present.status !== "queued" && present.status !== "running") return present;
      const left = deadline === null || this.#withdrawn ? WAIT_MS : Math.min(Math.max(deadline - Date.now(), LEAST_WAIT_MS), WAIT_MS);
      try {
        const event = await this.step.waitForEvent<never>(`${name}-event-${wait}`, { type: request.step ?? "provision", timeout: left });
        const { run: told } = event.payload as unknown as RunEvent;
        if (told.id === present.id) return told;
      } catch {
        // Timed out: the run may have ended while nobody listened.
        if (deadline !== null && !this.#withdrawn && Date.now() >= deadline) await this.#withdraw();
      }
      present = (await this.step.do(`${name}-ask-${wait}`, QUICK, async () => (await this.effects.present(this.subject, present.id, request, this.#token)) as never)) as unknown as Run;
    }
    throw new Failed(`run ${present.id} has not ended`);
  }

  async #compensate(error: string): Promise<void> {
    const { subject, effects, step } = this;
    const { migration, serving } = subject;
    // Whatever the old machine still answers is better than nothing.
    if (this.#withdrawn && serving) await step.do("restore", LONG, () => effects.commit(subject, serving, this.#token));
    if (this.#unfit) await step.do("dismiss", LONG, () => effects.dismiss(subject, this.#token));
    const key = (attempt: number): string => `${migration.id}:compensate${attempt === 1 ? "" : `:${attempt}`}`;
    // A standby that had no part in the failure stands by as before.
    const made = this.#unfit || !migration.decision.promote;
    const destroyed = made && (await this.#destroyed("compensate", (attempt) => effects.placementRun(subject, subject.arriving, "decommission", key(attempt))));
    await step.do("compensated", QUICK, async () => {
      if (await effects.over(subject)) return;
      if (destroyed) await effects.gone(subject.arriving, this.#unfit ? "DESTROYED" : "FAILED");
      if (!serving) await effects.end(subject, error, "FAILED", error);
      else if (migration.kind === "interruption") await effects.end(subject, error, "INTERRUPTED", error);
      else if (migration.kind === "unhealthy") await effects.end(subject, error, "UNHEALTHY", error);
      else await effects.end(subject, error, "RUNNING", `it stays where it is: ${error}`);
    });
  }
}
