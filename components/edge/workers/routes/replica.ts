/**
 * RouteReplica: a region's copy of tenants' routes.
 *
 * It answers for a tenant only while it holds that tenant's lease; without one it asks the authority first, and throws where that can't be reached, so
 * that nobody is sent to a machine which may be gone. No route is stored: one that begins anew holds no lease.
 *
 * An object may be replaced while one of its events is still running (Cloudflare promises uniqueness when an event starts). So what an event tells that has
 * waited for a grant holds for the moment at which the grant was asked for, whatever lease came with it.
 */
import { DurableObject } from "cloudflare:workers";
import { tenantOf } from "../shared/ids";
import type { Answer, AuthorityStub, Delta, ReplicaStub } from "../shared/route";
import type { RoutesEnv } from "./authority";
import { TenantCopy } from "./copy";

/** A lease is renewed beside a question when less than this is left, ms. */
const RENEW_BEFORE_MS = 6_000;
/** How long a question waits for a grant, ms. */
const GRANT_MS = 1_000;
/** Grants that may be overtaken by pushes in a row. */
const GRANTS = 4;
/** After a failed renewal questions are refused at once for this long, ms, and the alarm tries. */
const AGAIN_MS = 500;
/** A tenant that nobody has asked for in this time isn't renewed by the alarm, and one in the longer time is dropped. */
const WANTED_MS = 30_000;
const KEPT_MS = 600_000;

interface Held {
  copy: TenantCopy;
  wantedAt: number;
  failedAt: number;
  renewing: Promise<number> | null;
}

export class RouteReplica extends DurableObject<RoutesEnv> implements ReplicaStub {
  readonly #tenants = new Map<string, Held>();

  async lookup(label: string, fresh: boolean): Promise<Answer> {
    const arrived = Date.now();
    const tenant = tenantOf(label);
    const held = this.#held(tenant);
    held.wantedAt = arrived;
    const left = held.copy.left(arrived);
    if (left > 0 && !fresh) {
      if (left < RENEW_BEFORE_MS) this.ctx.waitUntil(this.#renewed(tenant, held).catch(() => undefined));
      return { ...held.copy.known(label, arrived), afterMs: 0 };
    }
    if (!held.renewing && arrived - held.failedAt < AGAIN_MS) throw new Error(`the authority of tenant ${tenant} was not reached; it is tried again within ${AGAIN_MS} ms`);
    const asked = await this.#renewed(tenant, held);
    return { ...held.copy.known(label, Date.now()), afterMs: asked - arrived };
  }

  async apply(tenant: string, delta: Delta): Promise<void> {
    this.#tenants.get(tenant)?.copy.take(delta);
  }

  /** Catches up after a partition without waiting to be asked; forgets who isn't asked for. */
  override async alarm(): Promise<void> {
    const now = Date.now();
    for (const [tenant, held] of this.#tenants) if (now - held.wantedAt > KEPT_MS && held.copy.left(now) === 0) this.#tenants.delete(tenant);
    const behind = [...this.#tenants].filter(([, held]) => held.copy.left(now) === 0 && now - held.wantedAt < WANTED_MS);
    await Promise.all(behind.map(([tenant, held]) => this.#renewed(tenant, held).catch(() => undefined)));
  }

  /** One that its alarm woke isn't told its name: it is kept with the alarm. */
  async #name(): Promise<string> {
    const name = this.ctx.id.name ?? (await this.ctx.storage.get<string>("name"));
    if (!name) throw new Error("a RouteReplica is addressed by its name");
    return name;
  }

  #held(tenant: string): Held {
    let held = this.#tenants.get(tenant);
    if (!held) {
      held = { copy: new TenantCopy(), wantedAt: 0, failedAt: 0, renewing: null };
      this.#tenants.set(tenant, held);
    }
    return held;
  }

  /** When the grant that was waited for was asked for. One renewal at a time; a failed one is made good by the alarm. */
  async #renewed(tenant: string, held: Held): Promise<number> {
    held.renewing ??= this.#bounded(tenant, held).finally(() => {
      held.renewing = null;
    });
    try {
      return await held.renewing;
    } catch (error) {
      held.failedAt = Date.now();
      if ((await this.ctx.storage.getAlarm()) === null) await Promise.all([this.ctx.storage.put("name", await this.#name()), this.ctx.storage.setAlarm(held.failedAt + AGAIN_MS)]);
      throw error;
    }
  }

  async #bounded(tenant: string, held: Held): Promise<number> {
    const asking = this.#ask(tenant, held);
    // An answer that comes after the time was up is still taken.
    this.ctx.waitUntil(asking.catch(() => undefined));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the authority of tenant ${tenant} did not answer within ${GRANT_MS} ms`)), GRANT_MS);
    });
    return Promise.race([asking, late]).finally(() => clearTimeout(timer));
  }

  async #ask(tenant: string, held: Held): Promise<number> {
    const authority = this.env.AUTHORITIES.get(this.env.AUTHORITIES.idFromName(tenant)) as unknown as AuthorityStub;
    const name = await this.#name();
    for (let attempt = 0; attempt < GRANTS; attempt += 1) {
      const asked = Date.now();
      const grant = await authority.grant(name, held.copy.revision);
      // Of a tenant without routes nothing is kept, so that names which somebody makes up fill no memory.
      if (grant.leaseSeconds === 0 && held.copy.revision === 0) this.#tenants.delete(tenant);
      if (held.copy.granted(grant, asked)) return asked;
    }
    throw new Error(`the authority of tenant ${tenant} grants less than it has pushed`);
  }
}
