/** What of a session must outlive its object's memory, in the object's SQLite. */
import type { Handshake } from "./upstream";
import type { Numbered } from "./window";

export interface SessionRow {
  label: string;
  /** SHA-256 of the token's secret, hex. */
  secretHash: string;
  /** Who was admitted where the workload asks for a token; null where anyone is. */
  subject: string | null;
  protocol: string | null;
  handshake: Handshake;
  /** Highest sequence of the client's that was handed to a machine: written before it is, so that none is handed over twice. */
  sent: number;
  /** Sequence of the last message that a machine said. */
  last: number;
  /** Counts the client's connections; only the newest speaks. */
  connection: number;
  /** ms of the wall clock since when there is no client; null while there is one. */
  awaySince: number | null;
  /** How the machine ended it, once it has. */
  ended: { code: number; reason: string } | null;
}

export class SessionStore {
  constructor(private readonly storage: DurableObjectStorage) {}

  /** Null where no session has begun here, or it is over. */
  load(): SessionRow | null {
    if (this.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'session'").toArray().length === 0) return null;
    const [row] = this.storage.sql.exec("SELECT * FROM session").toArray();
    if (!row) return null;
    return {
      label: String(row.label),
      secretHash: String(row.secret_hash),
      subject: row.subject as string | null,
      protocol: row.protocol as string | null,
      handshake: JSON.parse(String(row.handshake)) as Handshake,
      sent: Number(row.sent),
      last: Number(row.last),
      connection: Number(row.connection),
      awaySince: row.away_since as number | null,
      ended: row.ended === null ? null : (JSON.parse(String(row.ended)) as SessionRow["ended"]),
    };
  }

  begin(row: SessionRow): void {
    this.storage.sql.exec(
      `CREATE TABLE session (
         label TEXT NOT NULL, secret_hash TEXT NOT NULL, subject TEXT, protocol TEXT, handshake TEXT NOT NULL,
         sent INTEGER NOT NULL, last INTEGER NOT NULL, connection INTEGER NOT NULL, away_since INTEGER, ended TEXT
       );
       CREATE TABLE kept (sequence INTEGER PRIMARY KEY, text INTEGER NOT NULL, body BLOB NOT NULL);`,
    );
    this.storage.sql.exec(
      "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      row.label,
      row.secretHash,
      row.subject,
      row.protocol,
      JSON.stringify(row.handshake),
      row.sent,
      row.last,
      row.connection,
      row.awaySince,
      null,
    );
  }

  /** A new connection of the client, with the headers that the next machine is to see. */
  connected(connection: number, handshake: Handshake): void {
    this.storage.sql.exec("UPDATE session SET connection = ?, handshake = ?, away_since = NULL", connection, JSON.stringify(handshake));
  }

  away(since: number): void {
    this.storage.sql.exec("UPDATE session SET away_since = ?", since);
  }

  /** To be called before messages up to this one are handed to a machine: nothing leaves the object before its writes are durable (output gate). */
  sent(sequence: number): void {
    this.storage.sql.exec("UPDATE session SET sent = ?", sequence);
  }

  /** What the client doesn't have of the machine's messages, as it stands: `last` was the last of them all, those up to `acknowledged` are no longer needed. */
  keep(messages: Numbered[], last: number, acknowledged: number): void {
    this.storage.sql.exec("UPDATE session SET last = ?", last);
    this.storage.sql.exec("DELETE FROM kept WHERE sequence <= ?", acknowledged);
    for (const { sequence, text, body } of messages) this.storage.sql.exec("INSERT INTO kept VALUES (?, ?, ?)", sequence, text ? 1 : 0, body.slice().buffer);
  }

  kept(): Numbered[] {
    return this.storage.sql
      .exec("SELECT sequence, text, body FROM kept ORDER BY sequence")
      .toArray()
      .map((row) => ({ sequence: Number(row.sequence), text: row.text === 1, body: new Uint8Array(row.body as ArrayBuffer) }));
  }

  end(code: number, reason: string): void {
    this.storage.sql.exec("UPDATE session SET ended = ?", JSON.stringify({ code, reason }));
  }

  async erase(): Promise<void> {
    await this.storage.deleteAlarm();
    await this.storage.deleteAll();
  }
}
