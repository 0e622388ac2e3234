/**
 * RouteAuthority: the one writer of a tenant's routes.
 *
 * A write is acknowledged when no router acts by what stood before. A replica answers only while it holds a lease of this object, so one that doesn't take
 * the write is waited for until its lease has run out; then what isolates may still believe has to pass. See docs/adr/0010 and 0011.
 *
 * The database is the outbox: a replica lacks what was written after the revision that it is known to have, and the alarm goes on with the delivery and with
 * the fallback store where an eviction cut it off.
 */
import { DurableObject } from "cloudflare:workers";
import { type Answer, type AuthorityStub, type Change, type Committed, type Grant, type ReplicaStub, type Revocation, SETTLE_MS } from "../shared/route";
import { Delivery } from "./delivery";
import { Register } from "./register";

export interface RoutesEnv {
  AUTHORITIES: DurableObjectNamespace;
  REPLICAS: DurableObjectNamespace;
  ROUTES: KVNamespace;
}

/** How long after a write the alarm looks whether all of it was delivered. */
const OUTBOX_MS = 1_000;
/** Pauses between attempts at the fallback store: doubled from the first to the last. */
const PUBLISH_AGAIN_MS = 1_000;
const PUBLISH_AGAIN_AT_MOST_MS = 60_000;

export class RouteAuthority extends DurableObject<RoutesEnv> implements AuthorityStub {
  readonly #register: Register;
  readonly #deliveries = new Map<string, Delivery>();
  #alarmAt = 0;

  constructor(ctx: DurableObjectState, env: RoutesEnv) {
    super(ctx, env);
    this.#register = new Register(ctx.storage.sql, ctx.id.name);
  }

  async grant(replica: string, have: number): Promise<Grant> {
    const grant = this.#register.grant(replica, have, Date.now());
    this.#deliveries.get(replica)?.heard(have);
    return grant;
  }

  async lookup(label: string): Promise<Answer> {
    const now = Date.now();
    const revoked = this.#register.since(0, now).revoked.map(({ subject }) => subject);
    return { route: this.#register.held(label)?.route ?? null, revoked, revision: this.#register.revision, afterMs: 0 };
  }

  async commit(change: Change): Promise<Committed> {
    const written = this.#atomic((now) => this.#register.commit(change, now));
    if ("ok" in written) return written;
    if (!written.repeated) this.#wake(Date.now() + OUTBOX_MS);
    this.ctx.waitUntil(this.#publish());
    await this.#everywhere(written.revision, !written.first);
    return { ok: true, version: written.version };
  }

  async mark(label: string, placement: string, healthy: boolean): Promise<boolean> {
    const written = this.#atomic((now) => this.#register.mark(label, placement, healthy, now));
    if (!written) return false;
    if (!written.repeated) this.#wake(Date.now() + OUTBOX_MS);
    await this.#everywhere(written.revision, !written.repeated);
    return true;
  }

  async revoke(revoked: Revocation[]): Promise<void> {
    if (revoked.length === 0) return;
    const revision = this.#atomic((now) => this.#register.revoke(revoked, now));
    this.#wake(Date.now() + OUTBOX_MS);
    await this.#everywhere(revision, true);
  }

  /** Goes on with what an eviction or a failure has left undelivered. */
  override async alarm(): Promise<void> {
    this.#alarmAt = 0;
    await Promise.all([this.#everywhere(this.#register.revision, false), this.#publish()]);
    this.#register.sweep(Date.now());
    const due = this.#register.nextDue();
    if (due !== null) this.#wake(due);
  }

  /** Resolves once every replica that may be answering has the revision, and `settle`: once no isolate believes what they said before. */
  async #everywhere(revision: number, settle: boolean): Promise<void> {
    await Promise.all(this.#register.leases(Date.now()).map(({ replica, until, has }) => this.#delivery(replica, has).settled(revision, until)));
    if (settle) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }

  #delivery(replica: string, has: number): Delivery {
    let delivery = this.#deliveries.get(replica);
    if (!delivery) {
      const { tenant } = this.#register;
      delivery = new Delivery(
        has,
        (from) => this.#register.since(from, Date.now()),
        (delta) => (this.env.REPLICAS.get(this.env.REPLICAS.idFromName(replica)) as unknown as ReplicaStub).apply(tenant, delta),
      );
      this.#deliveries.set(replica, delivery);
    }
    return delivery;
  }

  /** Tells the fallback store which workloads there are; never throws. */
  async #publish(): Promise<void> {
    const now = Date.now();
    await Promise.all(
      this.#register.unpublished(now).map(async ({ label, attempts }) => {
        // Not due again while this attempt is under way.
        this.#register.postpone(label, now + Math.min(PUBLISH_AGAIN_MS * 2 ** attempts, PUBLISH_AGAIN_AT_MOST_MS));
        try {
          await this.env.ROUTES.put(knownKey(label), String(this.#register.held(label)?.route.version ?? 0));
          this.#register.published(label);
        } catch {
          this.#wake(this.#register.nextDue() ?? now + PUBLISH_AGAIN_MS);
        }
      }),
    );
  }

  #atomic<T>(write: (now: number) => T): T {
    return this.ctx.storage.transactionSync(() => write(Date.now()));
  }

  /** The alarm comes at `at` or earlier. In the same turn as the write, so that both are kept or neither. */
  #wake(at: number): void {
    if (this.#alarmAt !== 0 && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at));
  }
}

/** The key under which KV has the version of a workload's first route. */
export function knownKey(label: string): string {
  return `known:${label}`;
}
