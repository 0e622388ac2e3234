/**
 * The migration saga: reserve → provision → verify → commit → drain → decommission → record.
 *
 * Before the commit a failure destroys the new machine and changes nothing that a user can see; after it the saga only goes forward. Every step may be
 * repeated: runs have keys, the lease and the route know their holder, D1 is written by id.
 */
import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep, type WorkflowStepConfig } from "cloudflare:workers";
import { HARD_MS } from "../shared/route";
import type { Run, RunEvent, RunRequest } from "../shared/wire";
import { Effects, type Subject } from "./effects";
import type { ControlEnv } from "./env";
import { placementBy } from "../shared/records";

const QUICK: WorkflowStepConfig = { retries: { limit: 12, delay: 300, backoff: "exponential" }, timeout: "1 minute" };
const LONG: WorkflowStepConfig = { retries: { limit: 3, delay: 500, backoff: "constant" }, timeout: "3 minutes" };
const VERIFY_MS = 60_000;
/** A deadline is met with this to spare: the commit and its acknowledgements. */
const COMMIT_RESERVE_MS = 3_000;
/** What an isolate may still believe after the last replica has acknowledged, and the requests then on their way. */
const BELIEF_MS = HARD_MS + 600;
const WAIT = "1 minute";
const WAITS = 20;
const DESTROYS = 5;

class Failed extends Error {}

export class MigrationWorkflow extends WorkflowEntrypoint<ControlEnv, { id: string }> {
  override async run(event: Readonly<WorkflowEvent<{ id: string }>>, step: WorkflowStep): Promise<void> {
    const effects = new Effects(this.env);
    const subject = (await step.do("load", QUICK, () => effects.load(event.payload.id) as never)) as unknown as Subject;
    if (subject.migration.kind === "terminate") return this.#terminate(subject, step, effects);
    let token: number;
    try {
      token = await step.do("reserve", QUICK, () => effects.reserve(subject));
      await this.#provision(subject, step, effects);
      await this.#verify(subject, step, effects, token);
    } catch (error) {
      return this.#compensate(subject, step, effects, (error as Error).message);
    }
    const version = await step.do("commit", LONG, async () => {
      await effects.step(subject, "commit");
      return effects.commit(subject, await placementBy(this.env.DB, subject.migration.id), token);
    });
    await step.do("serve", QUICK, () => effects.serve(subject, version));
    if (subject.serving) {
      await step.do("drain", QUICK, () => effects.step(subject, "drain"));
      await step.sleep("grace", Math.max(subject.spec.drainSeconds * 1000, BELIEF_MS));
      await this.#decommission(subject, step, effects, subject.serving.id);
    }
    await step.do("record", QUICK, async () => {
      await effects.step(subject, "record");
      await effects.record(subject);
      await effects.end(subject, null);
      await effects.state(subject, "RUNNING", subject.migration.decision.reason);
      await effects.release(subject);
    });
  }

  async #provision(subject: Subject, step: WorkflowStep, effects: Effects): Promise<void> {
    const { migration, serving } = subject;
    const request = effects.placementRun(subject, migration.id, "provision", `${migration.id}:provision`);
    const run = await step.do("provision", QUICK, async () => {
      await effects.step(subject, "provision");
      if (migration.kind === "interruption") await effects.state(subject, "INTERRUPTED", migration.decision.reason);
      else if (migration.kind === "unhealthy") await effects.state(subject, "UNHEALTHY", migration.decision.reason);
      else await effects.state(subject, serving ? "MIGRATING" : "PROVISIONING", migration.decision.reason);
      return (await effects.run(request)) as never;
    });
    const ended = await this.#ended(run as unknown as Run, request, "provision", step, effects);
    if (ended.status !== "succeeded") throw new Failed(`provisioning failed: ${ended.error ?? ended.status}`);
  }

  async #verify(subject: Subject, step: WorkflowStep, effects: Effects, token: number): Promise<void> {
    const { migration, spec } = subject;
    const forced = migration.kind === "interruption" || migration.kind === "unhealthy";
    await step.do("verify", QUICK, () => effects.step(subject, "verify"));
    const left = migration.decision.deadline ? Date.parse(migration.decision.deadline) - Date.now() - COMMIT_RESERVE_MS : VERIFY_MS;
    const healthy = await step.do("probe", LONG, () => effects.verify(subject, Math.min(Math.max(left, 1_000), VERIFY_MS)));
    if (healthy >= spec.health.healthyCount || (forced && healthy > 0)) return;
    if (!forced) throw new Failed(`the new machine gave ${healthy} of ${spec.health.healthyCount} healthy answers in time`);
    // The old machine is going: it leaves rotation, and requests are held by the router until a machine answers.
    await step.do("withdraw", LONG, () => effects.commit(subject, null, token));
    const late = await step.do("probe-late", LONG, () => effects.verify(subject, VERIFY_MS));
    if (late === 0) throw new Failed("the new machine never gave a healthy answer");
  }

  async #decommission(subject: Subject, step: WorkflowStep, effects: Effects, placement: string): Promise<void> {
    for (let attempt = 1; attempt <= DESTROYS; attempt += 1) {
      const request = effects.placementRun(subject, placement, "decommission", `${subject.migration.id}:decommission:${placement}:${attempt}`);
      const run = await step.do(`decommission-${attempt}`, QUICK, async () => {
        if (subject.migration.kind !== "terminate") await effects.step(subject, "decommission");
        return (await effects.run(request)) as never;
      });
      const ended = await this.#ended(run as unknown as Run, request, `decommission-${attempt}`, step, effects);
      if (ended.status === "succeeded") {
        await step.do(`gone-${attempt}`, QUICK, () => effects.gone(placement, "DESTROYED"));
        return;
      }
      await step.sleep(`before-decommission-${attempt + 1}`, attempt * 2_000);
    }
    // What could not be destroyed is found by the orphan sweep; the move itself is done.
  }

  /** Waits for a run's end: by its event, or by asking again where the event got lost. */
  async #ended(run: Run, request: RunRequest, name: string, step: WorkflowStep, effects: Effects): Promise<Run> {
    let present = run;
    for (let wait = 1; wait <= WAITS; wait += 1) {
      if (present.status !== "queued" && present.status !== "running") return present;
      try {
        const event = await step.waitForEvent<never>(`${name}-event-${wait}`, { type: request.step ?? "provision", timeout: WAIT });
        const { run: told } = event.payload as unknown as RunEvent;
        if (told.id === present.id) return told;
      } catch {
        // Timed out: the run may have ended while nobody listened.
      }
      present = (await step.do(`${name}-ask-${wait}`, QUICK, async () => ((await effects.delivered(present.id)) ?? (await effects.run(request))) as never)) as unknown as Run;
    }
    throw new Failed(`run ${present.id} has not ended`);
  }

  async #compensate(subject: Subject, step: WorkflowStep, effects: Effects, error: string): Promise<void> {
    const { migration, serving } = subject;
    const request = effects.placementRun(subject, migration.id, "decommission", `${migration.id}:compensate`);
    try {
      const run = await step.do("compensate", QUICK, async () => (await effects.run(request)) as never);
      await this.#ended(run as unknown as Run, request, "compensate", step, effects);
    } catch {
      // The automation service is away for long: the generation's stack is left to the orphan sweep, its number is never used again.
    }
    await step.do("compensated", QUICK, async () => {
      await effects.gone(migration.id, "FAILED");
      await effects.end(subject, error);
      if (!serving) await effects.state(subject, "PENDING", error);
      else if (migration.kind === "interruption") await effects.state(subject, "INTERRUPTED", error);
      else if (migration.kind === "unhealthy") await effects.state(subject, "UNHEALTHY", error);
      else await effects.state(subject, "RUNNING", `it stays where it is: ${error}`);
      await effects.release(subject);
    });
  }

  async #terminate(subject: Subject, step: WorkflowStep, effects: Effects): Promise<void> {
    const token = await step.do("reserve", QUICK, () => effects.reserve(subject));
    await step.do("withdraw", LONG, async () => {
      await effects.step(subject, "commit");
      return effects.commit(subject, null, token);
    });
    const { serving } = subject;
    if (serving) {
      await step.do("retire", QUICK, () => effects.retire(serving));
      await step.do("drain", QUICK, () => effects.step(subject, "drain"));
      await step.sleep("grace", Math.max(subject.spec.drainSeconds * 1000, BELIEF_MS));
      await step.do("decommission", QUICK, () => effects.step(subject, "decommission"));
      await this.#decommission(subject, step, effects, serving.id);
    }
    if (subject.spec.ports.tcp !== null) {
      const request = effects.addressRun(subject);
      const run = await step.do("address", QUICK, async () => (await effects.run(request)) as never);
      await this.#ended(run as unknown as Run, request, "address", step, effects);
    }
    await step.do("record", QUICK, async () => {
      await effects.unplace(subject);
      await effects.end(subject, null);
      await effects.state(subject, "TERMINATED", "removed by its owner");
      await effects.release(subject);
    });
  }
}
