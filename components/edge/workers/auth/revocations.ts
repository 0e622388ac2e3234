/**
 * Who is refused: kept here, and carried to the tenant's RouteAuthority, which has every router refuse it.
 *
 * A revocation and its entry in the outbox are one write with the alarm that delivers it again: an end of the process between the two loses nothing.
 */
import type { AuthorityStub, Revocation } from "../shared/route";

export interface Revoked extends Revocation {
  /** Empty for the platform's own, which no workload takes and so no router needs to know. */
  tenant: string;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

export class Revocations {
  constructor(
    private readonly storage: DurableObjectStorage,
    private readonly authorities: DurableObjectNamespace,
  ) {}

  /** Writes them down, to be called in the transaction that has the reason. The alarm must be set in the same turn: {@link retryAt}. */
  add(revoked: Revoked[], now: number): void {
    this.storage.sql.exec("delete from revocations where until <= ?", now);
    for (const { tenant, subject, until } of revoked) {
      this.storage.sql.exec("insert into revocations values (?1, ?2, ?3) on conflict (tenant, subject) do update set until = max(until, ?3)", tenant, subject, until);
      if (tenant) this.storage.sql.exec("insert or replace into outbox values (?, ?, ?, 0)", tenant, subject, until);
    }
  }

  all(now: number): Revoked[] {
    return [...this.storage.sql.exec<{ tenant: string; subject: string; until: number }>("select * from revocations where until > ?", now)];
  }

  /** When what is undelivered is tried again, ms; null where nothing is. */
  retryAt(now: number): number | null {
    const { attempts } = this.storage.sql.exec<{ attempts: number | null }>("select min(attempts) as attempts from outbox").one();
    return attempts === null ? null : now + Math.min(FIRST_RETRY_MS * 2 ** attempts, LAST_RETRY_MS);
  }

  /** Tells every authority that waits; whether all have taken it. */
  async deliver(only?: string): Promise<boolean> {
    const waiting = [...this.storage.sql.exec<{ tenant: string; subject: string; until: number }>("select tenant, subject, until from outbox where ?1 is null or tenant = ?1", only ?? null)];
    const tenants = [...new Set(waiting.map(({ tenant }) => tenant))];
    const told = await Promise.all(
      tenants.map((tenant) =>
        this.#tell(
          tenant,
          waiting.filter((one) => one.tenant === tenant),
        ),
      ),
    );
    return told.every(Boolean);
  }

  async #tell(tenant: string, revoked: Revoked[]): Promise<boolean> {
    try {
      const authority = this.authorities.get(this.authorities.idFromName(tenant)) as unknown as AuthorityStub;
      await authority.revoke(revoked.map(({ subject, until }) => ({ subject, until })));
    } catch (error) {
      console.warn(`revocations of ${tenant} wait: ${(error as Error).message}`);
      for (const { subject } of revoked) this.storage.sql.exec("update outbox set attempts = attempts + 1 where tenant = ? and subject = ?", tenant, subject);
      return false;
    }
    for (const { subject, until } of revoked) this.storage.sql.exec("delete from outbox where tenant = ? and subject = ? and until <= ?", tenant, subject, until);
    return true;
  }
}
