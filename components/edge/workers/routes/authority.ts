/**
 * RouteAuthority: the one writer of a tenant's routes.
 *
 * A commit is acknowledged when every replica that may be answering has it: a replica answers only while it holds a lease of this object, so one that
 * doesn't acknowledge is waited for until its lease has run out, {@link LEASE_SECONDS} at most. Versions only grow; KV follows as the last fallback.
 */
import { DurableObject } from "cloudflare:workers";
import { type AuthorityStub, type Change, type Committed, type Grant, type Known, LEASE_SECONDS, type ReplicaStub, type Revocation, type Route } from "../shared/route";

export interface RoutesEnv {
  AUTHORITIES: DurableObjectNamespace;
  REPLICAS: DurableObjectNamespace;
  ROUTES: KVNamespace;
}

const PUSH_TIMEOUT_MS = 2_000;
const RETRY_MS = 150;
const OUTBOX_MS = 5_000;

export class RouteAuthority extends DurableObject<RoutesEnv> implements AuthorityStub {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: RoutesEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      create table if not exists routes (label text primary key, version integer not null, fencing integer not null, document text not null);
      create table if not exists leases (replica text primary key, until integer not null);
      create table if not exists outbox (label text primary key, version integer not null);
      create table if not exists revoked (subject text primary key, until integer not null);
    `);
  }

  /** The routes, and the right to answer by them for a while. */
  async grant(replica: string): Promise<Grant> {
    this.#sql.exec("insert or replace into leases values (?, ?)", replica, Date.now() + LEASE_SECONDS * 1000);
    return { routes: this.#all(), revoked: this.#revoked(), leaseSeconds: LEASE_SECONDS };
  }

  async lookup(label: string): Promise<Known> {
    return { route: this.#one(label)?.route ?? null, revoked: this.#revoked().map(({ subject }) => subject) };
  }

  async mark(label: string, placement: string, healthy: boolean): Promise<boolean> {
    const held = this.#one(label);
    const target = held?.route.targets.find((one) => one.placement === placement);
    if (!held || !target) return false;
    if (target.healthy === healthy) return true;
    const targets = held.route.targets.map((one) => (one === target ? { ...one, healthy } : one));
    const route = { ...held.route, version: held.route.version + 1, targets, updatedAt: new Date().toISOString() };
    await this.#write(route, held.fencing);
    await this.#everywhere((stub) => stub.apply(route.tenant, route).then((version) => version >= route.version));
    return true;
  }

  async revoke(revoked: Revocation[]): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("delete from revoked where until <= ?", Date.now());
      for (const { subject, until } of revoked) this.#sql.exec("insert or replace into revoked values (?, ?)", subject, until);
    });
    const tenant = this.ctx.id.name ?? "";
    await this.#everywhere((stub) => stub.refuse(tenant, revoked).then((count) => count >= revoked.length));
  }

  /** Writes the next version of a route; resolves once no replica can answer by an older one. */
  async commit(change: Change): Promise<Committed> {
    const held = this.#one(change.label);
    const version = held?.route.version ?? 0;
    if (held && change.fencingToken < held.fencing) return { ok: false, reason: "fencing", version };
    const targets = change.targets.map((target) => ({ ...target, healthy: true }));
    const same = held && held.fencing === change.fencingToken && JSON.stringify(held.route.targets.map((target) => ({ ...target, healthy: true }))) === JSON.stringify(targets);
    if (!same && change.ifVersion !== null && change.ifVersion !== version) return { ok: false, reason: "version", version };
    const route: Route = same
      ? held.route
      : {
          label: change.label,
          tenant: change.label.slice(change.label.lastIndexOf("-") + 1),
          version: version + 1,
          targets,
          access: change.access,
          drainSeconds: change.drainSeconds,
          updatedAt: new Date().toISOString(),
        };
    if (!same) await this.#write(route, change.fencingToken);
    await this.#everywhere((stub) => stub.apply(route.tenant, route).then((applied) => applied >= route.version));
    return { ok: true, version: route.version };
  }

  async #write(route: Route, fencing: number): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("insert or replace into routes values (?, ?, ?, ?)", route.label, route.version, fencing, JSON.stringify(route));
      this.#sql.exec("insert or replace into outbox values (?, ?)", route.label, route.version);
    });
    await this.ctx.storage.setAlarm(Date.now() + OUTBOX_MS);
    this.ctx.waitUntil(this.#publish(route).catch(() => undefined));
  }

  /** Resolves once every replica that may be answering has taken what `tell` tells it. */
  async #everywhere(tell: (stub: ReplicaStub) => Promise<boolean>): Promise<void> {
    const replicas = [...this.#sql.exec<{ replica: string; until: number }>("select replica, until from leases")];
    await Promise.all(replicas.map(({ replica, until }) => this.#settled(replica, until, tell)));
  }

  /** Retries what the fallback hasn't got yet. */
  override async alarm(): Promise<void> {
    for (const { label } of [...this.#sql.exec<{ label: string }>("select label from outbox")]) {
      const held = this.#one(label);
      if (held) await this.#publish(held.route).catch(() => this.ctx.storage.setAlarm(Date.now() + OUTBOX_MS));
    }
  }

  /** Resolves when the replica has taken it, or its lease has run out without. */
  async #settled(replica: string, until: number, tell: (stub: ReplicaStub) => Promise<boolean>): Promise<void> {
    const stub = this.env.REPLICAS.get(this.env.REPLICAS.idFromName(replica)) as unknown as ReplicaStub;
    while (Date.now() < until) {
      const taken = await Promise.race([
        tell(stub).catch(() => false),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), Math.min(PUSH_TIMEOUT_MS, Math.max(until - Date.now(), 1)))),
      ]);
      if (taken) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    this.#sql.exec("delete from leases where replica = ? and until <= ?", replica, Date.now());
  }

  async #publish(route: Route): Promise<void> {
    await this.env.ROUTES.put(`route:${route.label}`, JSON.stringify(route));
    this.#sql.exec("delete from outbox where label = ? and version <= ?", route.label, route.version);
  }

  #all(): Route[] {
    return [...this.#sql.exec<{ document: string }>("select document from routes")].map(({ document }) => JSON.parse(document) as Route);
  }

  #revoked(): Revocation[] {
    return [...this.#sql.exec<{ subject: string; until: number }>("select subject, until from revoked where until > ?", Date.now())];
  }

  #one(label: string): { route: Route; fencing: number } | null {
    const row = [...this.#sql.exec<{ document: string; fencing: number }>("select document, fencing from routes where label = ?", label)][0];
    return row ? { route: JSON.parse(row.document) as Route, fencing: row.fencing } : null;
  }
}
