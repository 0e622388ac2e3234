/**
 * What a RouteAuthority has written down: a tenant's routes and revocations by revision, the leases that it granted, and what the fallback store lacks.
 *
 * No I/O but the object's own database, no clock: `now` is passed in, ms.
 */
import { tenantOf } from "../shared/ids";
import { type Change, type Committed, type Delta, type Grant, LEASE_SECONDS, type Revocation, type Route, type Target } from "../shared/route";

export interface Lease {
  replica: string;
  /** When the authority may be sure that the replica has stopped answering by it. */
  until: number;
  /** The revision that the replica said it held when it asked. */
  has: number;
}

/** A write as it stands in the database. */
export interface Written {
  revision: number;
  version: number;
  /** The write stood there already: it is a repetition. */
  repeated: boolean;
  /** The workload had no route before, by which somebody could have been sent to a machine. */
  first: boolean;
}

export interface Unpublished {
  label: string;
  attempts: number;
}

interface Held {
  route: Route;
  fencing: number;
  revision: number;
}

export class Register {
  #founded: boolean;

  /** `name`: the object's, where it is known; one that an alarm woke isn't told. */
  constructor(
    private readonly sql: SqlStorage,
    private readonly name: string | undefined,
  ) {
    this.#founded = this.#has("routes");
    if (this.#founded) this.#found();
  }

  /** Whether the tenant has ever had a route. One that hasn't costs no storage, however often somebody asks for it. */
  get founded(): boolean {
    return this.#founded;
  }

  /** The tenant's id. */
  get tenant(): string {
    const kept = this.#founded ? [...this.sql.exec<{ name: string }>("select name from tenant")][0]?.name : undefined;
    const tenant = this.name ?? kept;
    if (!tenant) throw new Error("a RouteAuthority is addressed by its tenant's name");
    return tenant;
  }

  get revision(): number {
    return this.#founded ? this.sql.exec<{ value: number }>("select value from revision").one().value : 0;
  }

  /** Decides on a change and writes it. Compare-and-set on the version; a fencing token never goes back; the same change again is the same version. */
  commit(change: Change, now: number): Written | Extract<Committed, { ok: false }> {
    const held = this.held(change.label);
    const version = held?.route.version ?? 0;
    if (held && change.fencingToken < held.fencing) return { ok: false, reason: "fencing", version };
    if (held && held.fencing === change.fencingToken && sameAs(held.route, change)) return { revision: held.revision, version, repeated: true, first: false };
    if (change.ifVersion !== null && change.ifVersion !== version) return { ok: false, reason: "version", version };
    const route: Route = {
      label: change.label,
      tenant: tenantOf(change.label),
      version: version + 1,
      // One that is out of rotation stays so: a change of its peers says nothing about it.
      targets: change.targets.map((target) => ({ ...target, healthy: held?.route.targets.find(({ placement }) => placement === target.placement)?.healthy ?? true })),
      access: change.access,
      drainSeconds: change.drainSeconds,
      updatedAt: new Date(now).toISOString(),
    };
    const revision = this.#write(route, change.fencingToken);
    if (!held) this.sql.exec("insert or replace into outbox (label, version, attempts, due) values (?, ?, 0, ?)", route.label, route.version, now);
    return { revision, version: route.version, repeated: false, first: !held };
  }

  /** Null where the route has no such target. */
  mark(label: string, placement: string, healthy: boolean, now: number): Written | null {
    const held = this.held(label);
    const target = held?.route.targets.find((one) => one.placement === placement);
    if (!held || !target) return null;
    if (target.healthy === healthy) return { revision: held.revision, version: held.route.version, repeated: true, first: false };
    const targets = held.route.targets.map((one): Target => (one === target ? { ...one, healthy } : one));
    const route = { ...held.route, version: held.route.version + 1, targets, updatedAt: new Date(now).toISOString() };
    return { revision: this.#write(route, held.fencing), version: route.version, repeated: false, first: false };
  }

  /** The revision with the refusals. A later end wins over an earlier one. */
  revoke(revoked: Revocation[], now: number): number {
    this.#found();
    this.sql.exec("delete from revoked where until <= ?", now);
    const revision = this.#next();
    for (const { subject, until } of revoked)
      this.sql.exec(
        "insert into revoked (subject, until, revision) values (?, ?, ?) on conflict (subject) do update set until = max(until, excluded.until), revision = excluded.revision",
        subject,
        until,
        revision,
      );
    return revision;
  }

  held(label: string): Held | null {
    if (!this.#founded) return null;
    const row = [...this.sql.exec<{ document: string; fencing: number; revision: number }>("select document, fencing, revision from routes where label = ?", label)][0];
    return row ? { route: JSON.parse(row.document) as Route, fencing: row.fencing, revision: row.revision } : null;
  }

  since(from: number, now: number): Delta {
    if (!this.#founded) return { from: 0, revision: 0, routes: [], revoked: [] };
    const routes = [...this.sql.exec<{ document: string }>("select document from routes where revision > ?", from)].map(({ document }) => JSON.parse(document) as Route);
    const revoked = [...this.sql.exec<{ subject: string; until: number }>("select subject, until from revoked where until > ? and revision > ?", now, from)];
    return { from, revision: this.revision, routes, revoked };
  }

  /** Writes the lease down before the replica has it. */
  grant(replica: string, have: number, now: number): Grant {
    if (!this.#founded) return { ...this.since(0, now), leaseSeconds: 0 };
    this.sql.exec("insert or replace into leases (replica, until, has) values (?, ?, ?)", replica, now + LEASE_SECONDS * 1000, have);
    return { ...this.since(have <= this.revision ? have : 0, now), leaseSeconds: LEASE_SECONDS };
  }

  leases(now: number): Lease[] {
    return this.#founded ? [...this.sql.exec<{ replica: string; until: number; has: number }>("select replica, until, has from leases where until > ?", now)] : [];
  }

  /** Drops leases that have run out. */
  sweep(now: number): void {
    if (this.#founded) this.sql.exec("delete from leases where until <= ?", now);
  }

  /** What the fallback store lacks and is due. */
  unpublished(now: number): Unpublished[] {
    return this.#founded ? [...this.sql.exec<{ label: string; attempts: number }>("select label, attempts from outbox where due <= ?", now)] : [];
  }

  published(label: string): void {
    this.sql.exec("delete from outbox where label = ?", label);
  }

  postpone(label: string, due: number): void {
    this.sql.exec("update outbox set attempts = attempts + 1, due = ? where label = ?", due, label);
  }

  /** When the next of the outbox is due; null for an empty one. */
  nextDue(): number | null {
    return this.#founded ? this.sql.exec<{ due: number | null }>("select min(due) as due from outbox").one().due : null;
  }

  #write(route: Route, fencing: number): number {
    this.#found();
    const revision = this.#next();
    this.sql.exec("insert or replace into routes (label, version, fencing, document, revision) values (?, ?, ?, ?, ?)", route.label, route.version, fencing, JSON.stringify(route), revision);
    return revision;
  }

  #next(): number {
    return this.sql.exec<{ value: number }>("update revision set value = value + 1 returning value").one().value;
  }

  /** Tables as of now, from none or from those of an earlier release. */
  #found(): void {
    this.sql.exec(`
      create table if not exists routes (label text primary key, version integer not null, fencing integer not null, document text not null);
      create table if not exists leases (replica text primary key, until integer not null);
      create table if not exists outbox (label text primary key, version integer not null);
      create table if not exists revoked (subject text primary key, until integer not null);
      create table if not exists revision (id integer primary key check (id = 1), value integer not null);
      create table if not exists tenant (id integer primary key check (id = 1), name text not null);
    `);
    if (this.name) this.sql.exec("insert or ignore into tenant values (1, ?)", this.name);
    for (const [table, column] of [
      ["routes", "revision"],
      ["revoked", "revision"],
      ["leases", "has"],
      ["outbox", "attempts"],
      ["outbox", "due"],
    ] as const)
      if (![...this.sql.exec("select 1 from pragma_table_info(?) where name = ?", table, column)].length) this.sql.exec(`alter table ${table} add column ${column} integer not null default 0`);
    // Rows of before count as revision 1, so that a replica which begins at 0 gets them.
    this.sql.exec("update routes set revision = 1 where revision = 0; update revoked set revision = 1 where revision = 0; insert or ignore into revision values (1, 1);");
    this.#founded = true;
  }

  #has(table: string): boolean {
    return [...this.sql.exec("select 1 from sqlite_master where type = 'table' and name = ?", table)].length > 0;
  }
}

/** Whether a change asks for what a route says; whether its targets are in rotation is the Health Monitor's affair. */
function sameAs(route: Route, change: Change): boolean {
  const bare = ({ placement, origin, tcpOrigin, weight }: Change["targets"][number]): unknown[] => [placement, origin, tcpOrigin, weight];
  return route.access === change.access && route.drainSeconds === change.drainSeconds && JSON.stringify(route.targets.map(bare)) === JSON.stringify(change.targets.map(bare));
}
