/**
 * `Idempotency-Key`: a POST that is sent again within 24 h is done once, and answered as the first time.
 *
 * An answer may carry a secret that is shown once (an API key, a machine's token), so answers are kept sealed with a key that D1 doesn't hold.
 */
import { ProblemError } from "../shared/problem";
import type { Call, Operation } from "./operation";

export const KEPT_MS = 86_400_000;
/** Whoever began and hasn't ended by then has died: the request may be done by another. */
const DEAD_MS = 120_000;

interface Row {
  request: string;
  status: number | null;
  answer: string | null;
  started_at: number;
}

/** Does `work` once per key. Throws 409 while the first is at work, 422 for another request with the same key. */
export async function once(operation: Operation, call: Call, work: () => Promise<Response>): Promise<Response> {
  const given = call.request.headers.get("idempotency-key");
  if (!operation.idempotent || given === null) return work();
  if (!/^[\x21-\x7e]{1,255}$/.test(given)) throw new ProblemError(422, "invalid-request", "The request is not valid", "Idempotency-Key must be 1 to 255 visible ASCII characters");
  const { env } = call;
  const id = await hashed([call.claims.sub, call.claims.tenant ?? "", given]);
  const request = await hashed([operation.id, call.url.pathname, call.url.search, call.body ?? null]);
  const now = Date.now();
  const begun = await env.DB.prepare(
    `insert into idempotency (id, request, started_at) values (?1, ?2, ?3)
     on conflict (id) do update set request = ?2, started_at = ?3, status = null, answer = null where started_at <= ?4 or (status is null and request = ?2 and started_at <= ?5)`,
  )
    .bind(id, request, now, now - KEPT_MS, now - DEAD_MS)
    .run();
  if (begun.meta.changes === 0) return again(env, id, request);
  try {
    const answer = await work();
    if (answer.ok) await keep(env, id, now, answer.clone());
    else await forget(env, id, now);
    return answer;
  } catch (error) {
    await forget(env, id, now);
    throw error;
  }
}

async function again(env: Call["env"], id: string, request: string): Promise<Response> {
  const row = await env.DB.prepare("select request, status, answer, started_at from idempotency where id = ?").bind(id).first<Row>();
  if (row && row.request !== request) throw new ProblemError(422, "idempotency-key-reused", "The idempotency key was used for another request", "use a new key for a new request");
  if (!row || row.status === null || row.answer === null) throw new ProblemError(409, "idempotency-in-progress", "The same request is being done", "ask again for its answer", { "retry-after": "1" });
  const headers = { "content-type": "application/json", "idempotent-replayed": "true" };
  const text = await unsealed(env, row.answer);
  return new Response(text === "" ? null : text, { status: row.status, headers: text === "" ? { "idempotent-replayed": "true" } : headers });
}

async function keep(env: Call["env"], id: string, startedAt: number, answer: Response): Promise<void> {
  await env.DB.prepare("update idempotency set status = ?, answer = ? where id = ? and started_at = ?")
    .bind(answer.status, await sealed(env, await answer.text()), id, startedAt)
    .run();
}

async function forget(env: Call["env"], id: string, startedAt: number): Promise<void> {
  await env.DB.prepare("delete from idempotency where id = ? and started_at = ?").bind(id, startedAt).run();
}

async function hashed(parts: unknown[]): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(parts)));
  return base64(new Uint8Array(digest));
}

let sealing: Promise<CryptoKey> | null = null;

/** Auth's origin secret under a name that no placement has. */
function sealingKey(env: Call["env"]): Promise<CryptoKey> {
  sealing ??= env.AUTH.originKey("idempotency answers")
    .then((hex) => {
      const raw = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
      return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    })
    .catch((error) => {
      sealing = null;
      throw error;
    });
  return sealing;
}

async function sealed(env: Call["env"], text: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const secret = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await sealingKey(env), new TextEncoder().encode(text)));
  return `${base64(iv)}.${base64(secret)}`;
}

async function unsealed(env: Call["env"], text: string): Promise<string> {
  const [iv = "", secret = ""] = text.split(".");
  const bytes = (part: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
  return new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes(iv) }, await sealingKey(env), bytes(secret)));
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
