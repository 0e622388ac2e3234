/** AuthKeys' own tables, step by step. A step is never changed once it has landed; a new one is added. */

const STEPS = [
  `create table if not exists signing (kid text primary key, document text not null, created_at integer not null);
   create table if not exists api_keys (hash text primary key, id text not null unique, tenant text, scopes text not null, created_at integer not null);
   create table if not exists origin_secret (id integer primary key check (id = 1), secret text not null);
   create table if not exists revoked (subject text primary key, until integer not null);`,
  `alter table signing add column signs_from integer not null default 0;
   alter table signing add column retires_at integer;
   update signing set retires_at = created_at + 62 * 86400000 where created_at < (select max(created_at) from signing);
   alter table api_keys add column name text not null default '';
   alter table api_keys add column created_by text not null default 'platform';
   alter table api_keys add column expires_at integer;
   alter table api_keys add column last_used_at integer;
   create index api_keys_by_tenant on api_keys (tenant, id);
   create table revocations (tenant text not null, subject text not null, until integer not null, primary key (tenant, subject)) without rowid;
   insert into revocations select '', subject, until from revoked;
   drop table revoked;
   create table outbox (tenant text not null, subject text not null, until integer not null, attempts integer not null default 0, primary key (tenant, subject)) without rowid;
   create table refresh_families (id text primary key, subject text not null, tenant text, scopes text not null, expires_at integer not null);
   create index refresh_families_by_subject on refresh_families (subject);
   create table refresh_tokens (hash text primary key, family text not null, used integer not null default 0, jti text not null, access_until integer not null) without rowid;
   create index refresh_tokens_by_family on refresh_tokens (family);`,
];

/** Applies the steps that are missing, each whole or not at all. */
export function migrate(storage: DurableObjectStorage): void {
  storage.sql.exec("create table if not exists schema_steps (step integer primary key)");
  for (const [index, statements] of STEPS.entries()) {
    storage.transactionSync(() => {
      if ([...storage.sql.exec("select 1 from schema_steps where step = ?", index + 1)].length > 0) return;
      storage.sql.exec(statements);
      storage.sql.exec("insert into schema_steps values (?)", index + 1);
    });
  }
}
