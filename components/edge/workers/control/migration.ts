/**
 * The migration saga: reserve → provision → verify → commit → drain → decommission → record.
 *
 * Before the commit a failure destroys the new machine and changes nothing that a user can see; after it the saga only goes forward. Every step may be
 * repeated: runs have keys, the lease and the route know their holder, D1 is written by id. A saga that begins anew after its commit goes on from there.
 */
import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep, type WorkflowStepConfig } from "cloudflare:workers";
import { placementBy } from "../shared/records";
import { HARD_MS } from "../shared/route";
import type { Placement, Run, RunEvent, RunRequest } from "../shared/wire";
import { Effects, type Subject } from "./effects";
import type { ControlEnv } from "./env";

/** A pause that stays short: a part that was away for minutes is found again within a second of its return. Twenty minutes in all. */
const QUICK: WorkflowStepConfig = { retries: { limit: 1_200, delay: 1_000, backoff: "constant" }, timeout: "1 minute" };
const LONG: WorkflowStepConfig = { retries: { limit: 60, delay: 500, backoff: "constant" }, timeout: "3 minutes" };
const VERIFY_MS = 60_000;
/** A deadline is met with this to spare: the commit and its acknowledgements. */
const COMMIT_RESERVE_MS = 3_000;
/** What an isolate may still believe after the last replica has acknowledged, and the requests then on their way. */
const BELIEF_MS = HARD_MS + 600;
/** How long a run's event is waited for before the run is asked after, and how often that is done. */
const WAIT_MS = 30_000;
const WAITS = 60;
const LEAST_WAIT_MS = 1_000;
const DESTROYS = 5;

class Failed extends Error {}

/** Whether the route was written isn't known: the saga must neither go on nor undo. */
class Uncertain extends Error {}

export class MigrationWorkflow extends WorkflowEntrypoint<ControlEnv, { id: string }> {
  override async run(event: Readonly<WorkflowEvent<{ id: string }>>, step: WorkflowStep): Promise<void> {
    const effects = new Effects(this.env);
    const subject = (await step.do("load", QUICK, () => effects.load(event.payload.id) as never)) as unknown as Subject;
    const saga = new Saga(this.env, subject, effects, step);
    await (subject.migration.kind === "terminate" ? saga.terminate() : saga.migrate());
    await step.do("next", QUICK, () => effects.next(subject));
  }
}

class Saga {
  #token = 0;
  /** The old machine has left rotation before a new one was there. */
  #withdrawn = false;
  readonly #forced: boolean;

  constructor(
    private readonly env: ControlEnv,
    private readonly subject: Subject,
    private readonly effects: Effects,
    private readonly step: WorkflowStep,
  ) {
    this.#forced = subject.migration.kind === "interruption" || subject.migration.kind === "unhealthy";
  }

  async migrate(): Promise<void> {
    const { subject, effects, step } = this;
    let version = subject.committed;
    if (version === null) {
      try {
        this.#token = await step.do("reserve", QUICK, () => effects.reserve(subject));
        await this.#provision();
        await this.#verify();
        version = await this.#commit();
      } catch (error) {
        // What can't be told from a commit that was written and not heard of is left to the reconciler, which begins anew and sees.
        if (error instanceof Uncertain) throw error;
        return this.#compensate((error as Error).message);
      }
    } else {
      this.#token = subject.migration.fencingToken ?? 0;
    }
    const written = version;
    await step.do("serve", QUICK, async () => {
      await effects.fence(subject, this.#token);
      await effects.serve(subject, written);
    });
    if (subject.serving) await this.#retired(subject.serving);
    await step.do("record", QUICK, async () => {
      if (await effects.over(subject)) return;
      await effects.fence(subject, this.#token);
      await effects.step(subject, "record");
      await effects.record(subject);
      await effects.end(subject, null, "RUNNING", subject.migration.decision.reason);
    });
  }

  async terminate(): Promise<void> {
    const { subject, effects, step } = this;
    this.#token = await step.do("reserve", QUICK, () => effects.reserve(subject));
    await step.do("withdraw", LONG, async () => {
      await effects.step(subject, "commit");
      return effects.commit(subject, null, this.#token);
    });
    const { serving } = subject;
    if (serving) {
      await step.do("retire", QUICK, () => effects.retire(serving));
      await this.#retired(serving);
    }
    if (subject.spec.ports.tcp !== null) await this.#destroyed("address", () => effects.addressRun(subject));
    await step.do("record", QUICK, async () => {
      if (await effects.over(subject)) return;
      await effects.fence(subject, this.#token);
      await effects.unplace(subject);
      await effects.end(subject, null, "TERMINATED", "removed by its owner");
    });
  }

  async #commit(): Promise<number> {
    const { subject, effects, step } = this;
    try {
      return await step.do("commit", LONG, async () => {
        await effects.step(subject, "commit");
        return effects.commit(subject, await placementBy(this.env.DB, subject.migration.id), this.#token);
      });
    } catch (error) {
      // A step's error crosses the engine as its name and text.
      if ((error as Error).name === "Fenced" || (error as Error).message.includes("no longer holds the lease")) throw error;
      throw new Uncertain((error as Error).message);
    }
  }

  /** The old machine drains and goes. */
  async #retired(serving: Placement): Promise<void> {
    const { subject, effects, step } = this;
    await step.do("drain", QUICK, () => effects.step(subject, "drain"));
    await step.sleep("grace", Math.max(subject.spec.drainSeconds * 1000, BELIEF_MS));
    await step.do("decommission", QUICK, () => effects.step(subject, "decommission"));
    const { id } = subject.migration;
    const key = (attempt: number): string => `${id}:decommission:${serving.id}${attempt === 1 ? "" : `:${attempt}`}`;
    if (await this.#destroyed("decommission", (attempt) => effects.placementRun(subject, serving.id, "decommission", key(attempt)))) {
      await step.do("gone", QUICK, () => effects.gone(serving.id, "DESTROYED"));
    }
  }

  async #provision(): Promise<void> {
    const { subject, effects, step } = this;
    const { migration, serving } = subject;
    const request = effects.placementRun(subject, migration.id, "provision", `${migration.id}:provision`);
    const run = await step.do("provision", QUICK, async () => {
      await effects.fence(subject, this.#token);
      await effects.step(subject, "provision");
      if (migration.kind === "interruption") await effects.state(subject, "INTERRUPTED", migration.decision.reason);
      else if (migration.kind === "unhealthy") await effects.state(subject, "UNHEALTHY", migration.decision.reason);
      else await effects.state(subject, serving ? "MIGRATING" : "PROVISIONING", migration.decision.reason);
      return (await effects.run(request)) as never;
    });
    const ended = await this.#ended(run as unknown as Run, request, "provision", this.#deadline());
    if (ended.status !== "succeeded") throw new Failed(`provisioning failed: ${ended.error ?? ended.status}`);
  }

  async #verify(): Promise<void> {
    const { subject, effects, step } = this;
    await step.do("verify", QUICK, () => effects.step(subject, "verify"));
    const deadline = this.#withdrawn ? null : this.#deadline();
    const left = deadline === null ? VERIFY_MS : deadline - Date.now() - COMMIT_RESERVE_MS;
    const healthy = await step.do("probe", LONG, () => effects.verify(subject, Math.min(Math.max(left, LEAST_WAIT_MS), VERIFY_MS)));
    if (healthy >= subject.spec.health.healthyCount || (this.#forced && healthy > 0)) return;
    if (!this.#forced || this.#withdrawn) throw new Failed(`the new machine gave ${healthy} of ${subject.spec.health.healthyCount} healthy answers in time`);
    await this.#withdraw();
    const late = await step.do("probe-late", LONG, () => effects.verify(subject, VERIFY_MS));
    if (late === 0) throw new Failed("the new machine never gave a healthy answer");
  }

  /** When the machine that serves will be gone, in ms of the wall clock; null where it isn't known to go. */
  #deadline(): number | null {
    const { deadline } = this.subject.migration.decision;
    return this.#forced && this.subject.serving && deadline ? Date.parse(deadline) : null;
  }

  /** The old machine leaves rotation: the router holds requests until a machine answers. */
  async #withdraw(): Promise<void> {
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
    const key = (attempt: number): string => `${migration.id}:compensate${attempt === 1 ? "" : `:${attempt}`}`;
    const destroyed = await this.#destroyed("compensate", (attempt) => effects.placementRun(subject, migration.id, "decommission", key(attempt)));
    await step.do("compensated", QUICK, async () => {
      if (await effects.over(subject)) return;
      if (destroyed) await effects.gone(migration.id, "FAILED");
      if (!serving) await effects.end(subject, error, "FAILED", error);
      else if (migration.kind === "interruption") await effects.end(subject, error, "INTERRUPTED", error);
      else if (migration.kind === "unhealthy") await effects.end(subject, error, "UNHEALTHY", error);
      else await effects.end(subject, error, "RUNNING", `it stays where it is: ${error}`);
    });
  }
}
