/**
 * Artifacts in R2: `<tenant>/sha256/<hex>`, parts of one on its way at `<tenant>/uploads/<upload>`.
 *
 * Whatever is stored streams through, is hashed on the way, and is there only if its digest is the one that names it: R2 refuses it otherwise.
 */
import { hex } from "../shared/digest";
import { tenantOf, workloadOf } from "../shared/ids";
import { ProblemError } from "../shared/problem";
import { everyTenant } from "../shared/scopes";
import { missing } from "./access";
import { IDLE_MS, next, tooLarge } from "./body";
import type { ApiEnv } from "./env";
import type { Call } from "./operation";
import { refuse } from "./serve";

/** Most bytes in one request: below Cloudflare's own limit of 100 MB. */
export const WHOLE_BYTES = 90 * 1024 * 1024;

export function keyOf(tenant: string, digest: string): string {
  return `${tenant}/sha256/${digest.slice("sha256:".length)}`;
}

export function stagingOf(tenant: string, upload: string): string {
  return `${tenant}/uploads/${upload}`;
}

/** Whose artifacts the caller means: its own; with a scope for every tenant, those of `?tenant=`. */
export function ownerOf(call: Call): string {
  const { claims, query, scopes } = call;
  if (everyTenant([...scopes])) {
    if (!query.tenant) refuse([{ path: "tenant", message: "is required: artifacts are a tenant's, and this token is of none" }]);
    return query.tenant ?? "";
  }
  const own = claims.placement ? tenantOf(workloadOf(claims.placement)) : claims.tenant;
  if (!own || (query.tenant && query.tenant !== own)) throw missing(call.params.digest ?? "");
  return own;
}

/** The length that the request declares. Throws 411 and 413 problems. */
export function lengthOf(request: Request, limit: number): number {
  const given = request.headers.get("content-length");
  if (given === null || !/^\d{1,15}$/.test(given)) throw new ProblemError(411, "length-required", "The length must be known", "send Content-Length");
  if (Number(given) > limit) throw tooLarge(limit);
  return Number(given);
}

/** Streams `size` bytes into `store`, hashing them; what was stored and its SHA-256 (hex). `stored` rejects where the store refused. */
export async function pour<T>(source: ReadableStream<Uint8Array>, size: number, store: (stream: ReadableStream) => Promise<T>): Promise<{ sha256: string; stored: Promise<T> }> {
  const { readable, writable } = new FixedLengthStream(size);
  const hash = new crypto.DigestStream("SHA-256");
  const hasher = hash.getWriter();
  const writer = writable.getWriter();
  const stored = store(readable);
  // Looked at by whoever called, once the bytes are through.
  stored.catch(() => undefined);
  const reader = source.getReader();
  let count = 0;
  try {
    for (;;) {
      const { done, value } = await next(reader, IDLE_MS);
      if (done) break;
      count += value.byteLength;
      if (count > size) throw tooLarge(size);
      await Promise.all([hasher.write(value), writer.write(value)]);
    }
    if (count < size) throw new ProblemError(400, "body-incomplete", "The body ended early", `${count} of ${size} bytes came`);
    await hasher.close();
  } catch (error) {
    await writer.abort(error).catch(() => undefined);
    await hasher.abort(error).catch(() => undefined);
    hash.digest.catch(() => undefined);
    throw error;
  }
  // A store that refuses by its checksum fails the stream's end, too; the caller hears it from `stored`.
  await writer.close().catch(() => undefined);
  return { sha256: hex(new Uint8Array(await hash.digest)), stored };
}

/** Stores bytes under their digest. Throws a 422 problem for bytes of another one, which are not kept. */
export async function keep(env: ApiEnv, tenant: string, digest: string, source: ReadableStream<Uint8Array>, size: number): Promise<void> {
  const expected = digest.slice("sha256:".length);
  const put = (stream: ReadableStream) => env.ARTIFACTS.put(keyOf(tenant, digest), stream, { sha256: expected, httpMetadata: { contentType: "application/gzip" } });
  const { sha256, stored } = await pour(source, size, put);
  if (sha256 !== expected) {
    await stored.catch(() => undefined);
    throw new ProblemError(422, "digest-mismatch", "The content has another digest", `sha256:${sha256}`);
  }
  await stored;
}
