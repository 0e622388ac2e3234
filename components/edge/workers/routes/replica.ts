/**
 * RouteReplica: a region's copy of every tenant's routes.
 *
 * It answers for a tenant only while it holds that tenant's lease; without one it asks the authority first, and throws where that can't be reached, so
 * that nobody is sent to a machine which may be gone. A newer version always wins, an older one never.
 */
import { DurableObject } from "cloudflare:workers";
import type { AuthorityStub, Known, ReplicaStub, Revocation, Route } from "../shared/route";
import type { RoutesEnv } from "./authority";

const RENEW_BEFORE_MS = 6_000;

interface Held {
  routes: Map<string, Route>;
  /** Subject to the end of its refusal, ms. */
  revoked: Map<string, number>;
  until: number;
  renewing: Promise<void> | null;
}

export class RouteReplica extends DurableObject<RoutesEnv> implements ReplicaStub {
  readonly #tenants = new Map<string, Held>();

  async lookup(label: string, fresh: boolean): Promise<Known> {
    const tenant = label.slice(label.lastIndexOf("-") + 1);
    const held = this.#held(tenant);
    const now = Date.now();
    if (fresh || now >= held.until) await this.#renew(tenant, held);
    else if (held.until - now < RENEW_BEFORE_MS) this.ctx.waitUntil(this.#renew(tenant, held).catch(() => undefined));
    for (const [subject, end] of held.revoked) if (end <= now) held.revoked.delete(subject);
    return { route: held.routes.get(label) ?? null, revoked: [...held.revoked.keys()] };
  }

  async apply(tenant: string, route: Route): Promise<number> {
    return take(this.#held(tenant), route);
  }

  async refuse(tenant: string, revoked: Revocation[]): Promise<number> {
    const held = this.#held(tenant);
    for (const { subject, until } of revoked) held.revoked.set(subject, until);
    return held.revoked.size;
  }

  #held(tenant: string): Held {
    let held = this.#tenants.get(tenant);
    if (!held) {
      held = { routes: new Map(), revoked: new Map(), until: 0, renewing: null };
      this.#tenants.set(tenant, held);
    }
    return held;
  }

  async #renew(tenant: string, held: Held): Promise<void> {
    held.renewing ??= this.#ask(tenant, held).finally(() => {
      held.renewing = null;
    });
    await held.renewing;
  }

  async #ask(tenant: string, held: Held): Promise<void> {
    const asked = Date.now();
    const authority = this.env.AUTHORITIES.get(this.env.AUTHORITIES.idFromName(tenant)) as unknown as AuthorityStub;
    const grant = await authority.grant(this.ctx.id.name ?? this.ctx.id.toString());
    for (const route of grant.routes) take(held, route);
    for (const { subject, until } of grant.revoked) held.revoked.set(subject, until);
    held.until = asked + grant.leaseSeconds * 1000;
  }
}

function take(held: Held, route: Route): number {
  const present = held.routes.get(route.label);
  if (!present || route.version > present.version) held.routes.set(route.label, route);
  return Math.max(route.version, present?.version ?? 0);
}
