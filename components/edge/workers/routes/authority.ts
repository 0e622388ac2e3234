/**
 * RouteAuthority: the one writer of a tenant's routes.
 *
 * A commit is acknowledged when every replica that may be answering has it: a replica answers only while it holds a lease of this object, so one that
 * doesn't acknowledge is waited for until its lease has run out, {@link LEASE_SECONDS} at most. Versions only grow; KV follows as the last fallback.
 */
import { DurableObject } from "cloudflare:workers";
import { type AuthorityStub, type Change, type Committed, type Grant, LEASE_SECONDS, type ReplicaStub, type Route } from "../shared/route";

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
    `);
  }

  /** The routes, and the right to answer by them for a while. */
  async grant(replica: string): Promise<Grant> {
    this.#sql.exec("insert or replace into leases values (?, ?)", replica, Date.now() + LEASE_SECONDS * 1000);
    return { routes: this.#all(), leaseSeconds: LEASE_SECONDS };
  }

  async lookup(label: string): Promise<Route | null> {
    return this.#one(label)?.route ?? null;
  }

  /** Writes the next version of a route; resolves once no replica can answer by an older one. */
  async commit(change: Change): Promise<Committed> {
    const held = this.#one(change.label);
    const version = held?.route.version ?? 0;
    if (held && change.fencingToken < held.fencing) return { ok: false, reason: "fencing", version };
    const same = held && held.fencing === change.fencingToken && JSON.stringify(held.route.targets) === JSON.stringify(change.targets);
    if (!same && change.ifVersion !== null && change.ifVersion !== version) return { ok: false, reason: "version", version };
    const route: Route = same
      ? held.route
      : {
          label: change.label,
          tenant: change.label.slice(change.label.lastIndexOf("-") + 1),
          version: version + 1,
          targets: change.targets,
          access: change.access,
          drainSeconds: change.drainSeconds,
          updatedAt: new Date().toISOString(),
        };
    if (!same) {
      this.ctx.storage.transactionSync(() => {
        this.#sql.exec("insert or replace into routes values (?, ?, ?, ?)", route.label, route.version, change.fencingToken, JSON.stringify(route));
        this.#sql.exec("insert or replace into outbox values (?, ?)", route.label, route.version);
      });
      await this.ctx.storage.setAlarm(Date.now() + OUTBOX_MS);
      this.ctx.waitUntil(this.#publish(route).catch(() => undefined));
    }
    const replicas = [...this.#sql.exec<{ replica: string; until: number }>("select replica, until from leases")];
    await Promise.all(replicas.map(({ replica, until }) => this.#settled(replica, until, route)));
    return { ok: true, version: route.version };
  }

  /** Retries what the fallback hasn't got yet. */
  override async alarm(): Promise<void> {
    for (const { label } of [...this.#sql.exec<{ label: string }>("select label from outbox")]) {
      const held = this.#one(label);
      if (held) await this.#publish(held.route).catch(() => this.ctx.storage.setAlarm(Date.now() + OUTBOX_MS));
    }
  }

  /** Resolves when the replica has the version, or its lease has run out without it. */
  async #settled(replica: string, until: number, route: Route): Promise<void> {
    const stub = this.env.REPLICAS.get(this.env.REPLICAS.idFromName(replica)) as unknown as ReplicaStub;
    while (Date.now() < until) {
      const applied = await Promise.race([
        stub.apply(route.tenant, route).catch(() => 0),
        new Promise<number>((resolve) => setTimeout(() => resolve(0), Math.min(PUSH_TIMEOUT_MS, Math.max(until - Date.now(), 1)))),
      ]);
      if (applied >= route.version) return;
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

  #one(label: string): { route: Route; fencing: number } | null {
    const row = [...this.#sql.exec<{ document: string; fencing: number }>("select document, fencing from routes where label = ?", label)][0];
    return row ? { route: JSON.parse(row.document) as Route, fencing: row.fencing } : null;
  }
}
