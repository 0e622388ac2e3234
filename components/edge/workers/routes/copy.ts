/** What a RouteReplica holds of one tenant, and for how long it may answer by it. No I/O, no clock: `now` is passed in, ms. */
import { type Answer, type Delta, type Grant, LEASE_MARGIN_MS, type Route } from "../shared/route";

export class TenantCopy {
  /** Complete up to this revision. */
  revision = 0;
  readonly #routes = new Map<string, Route>();
  /** Subject to the end of its refusal. */
  readonly #revoked = new Map<string, number>();
  /** The highest revision heard of: with less than that nothing is answered. */
  #seen = 0;
  #leasedFrom = 0;
  #leasedUntil = 0;

  /** ms for which it may still answer; 0 without a lease, or where the clock was set back to before it. */
  left(now: number): number {
    return now >= this.#leasedFrom ? Math.max(this.#leasedUntil - now, 0) : 0;
  }

  /** Takes what the authority pushes; from then on nothing below `delta.revision` is answered. After a gap (this object has begun anew since) the lease is gone: what was missed comes with the next one. */
  take(delta: Delta): void {
    this.#merge(delta);
    if (delta.from <= this.revision) this.revision = Math.max(this.revision, delta.revision);
    else this.#leasedUntil = 0;
    this.#seen = Math.max(this.#seen, delta.revision);
  }

  /** Takes a grant that was asked for at `asked`; false where it is older than what was heard meanwhile, so that it is no lease. */
  granted(grant: Grant, asked: number): boolean {
    if (grant.from > this.revision) return false;
    this.#merge(grant);
    this.revision = Math.max(this.revision, grant.revision);
    if (this.revision < this.#seen) return false;
    const until = asked + grant.leaseSeconds * 1000 - LEASE_MARGIN_MS;
    if (until > this.#leasedUntil) [this.#leasedFrom, this.#leasedUntil] = [asked, until];
    return true;
  }

  known(label: string, now: number): Omit<Answer, "afterMs"> {
    for (const [subject, end] of this.#revoked) if (end <= now) this.#revoked.delete(subject);
    return { route: this.#routes.get(label) ?? null, revoked: [...this.#revoked.keys()], revision: this.revision };
  }

  /** A newer version always wins, an older one never. */
  #merge({ routes, revoked }: Delta): void {
    for (const route of routes) if (route.version > (this.#routes.get(route.label)?.version ?? 0)) this.#routes.set(route.label, route);
    for (const { subject, until } of revoked) this.#revoked.set(subject, Math.max(until, this.#revoked.get(subject) ?? 0));
  }
}
