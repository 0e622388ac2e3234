/** /artifacts: what machines run, by digest, in R2. */
import type { Claims } from "../shared/jwt";
import { ProblemError } from "../shared/problem";
import { missing } from "./access";
import type { ApiEnv } from "./env";
import { names } from "./etags";
import { keep, keyOf, lengthOf, ownerOf, WHOLE_BYTES } from "./objects";
import { type Call, done, type Operation, PARAMETERS } from "./operation";
import { tenantBy } from "./tenants";

/** How long after its token was issued a machine may fetch what it runs: it does so as soon as it boots. */
export const FETCH_SECONDS = 3600;

export const WHOSE = { tenant: PARAMETERS.tenant ?? {} };

export const artifacts: Operation[] = [
  {
    id: "putArtifact",
    method: "PUT",
    path: "/v1/artifacts/{digest}",
    tag: "artifacts",
    summary: `Stores an artifact of at most ${WHOLE_BYTES / 1024 ** 2} MiB under its digest; larger ones come in parts`,
    scopes: ["tenant:deploy"],
    query: WHOSE,
    body: { media: "application/gzip" },
    bodyBytes: WHOLE_BYTES,
    answers: { 204: null },
    problems: [404, 411],
    handle: async (call) => {
      const owner = ownerOf(call);
      const size = lengthOf(call.request, WHOLE_BYTES);
      await tenantBy(call.env.DB, owner);
      await keep(call.env, owner, call.params.digest ?? "", call.request.body ?? new Blob([]).stream(), size);
      return done();
    },
  },
  {
    id: "getArtifact",
    method: "GET",
    path: "/v1/artifacts/{digest}",
    tag: "artifacts",
    summary: "An artifact's bytes, whole or one range; a machine reads that of its own workload only, in the first hour of its token",
    scopes: ["placement", "tenant:deploy"],
    query: WHOSE,
    answers: { 200: { media: "application/gzip" }, 206: { media: "application/gzip" }, 304: null },
    problems: [404, 416],
    handle: get,
  },
];

async function get(call: Call): Promise<Response> {
  const { env, request, claims } = call;
  const digest = call.params.digest ?? "";
  const owner = ownerOf(call);
  if (claims.placement && !fetches(claims, Date.now()))
    throw new ProblemError(403, "fetch-time-over", "A machine may fetch its artifact in the first hour of its token", `${claims.placement} has had that hour`);
  if (claims.placement && !(await runs(env.DB, claims.placement, digest))) throw new ProblemError(403, "forbidden", "The token is of a placement that runs another artifact", claims.placement);
  const head = (await env.ARTIFACTS.head(keyOf(owner, digest))) ?? (claims.placement ? await env.ARTIFACTS.head(digest) : null);
  if (!head) throw missing(digest);
  const etag = `"${digest}"`;
  const headers: Record<string, string> = {
    "content-type": "application/gzip",
    "content-length": String(head.size),
    "accept-ranges": "bytes",
    // What a digest names never changes; who may read it can.
    "cache-control": "private, max-age=3600, immutable",
    "last-modified": head.uploaded.toUTCString(),
    etag,
  };
  const none = request.headers.get("if-none-match");
  if (none !== null && names(none, etag, true)) return new Response(null, { status: 304, headers: { etag, "cache-control": headers["cache-control"] ?? "" } });
  if (request.method === "HEAD") return new Response(null, { headers });
  const condition = request.headers.get("if-range");
  const range = condition === null || condition === etag ? rangeOf(request.headers.get("range"), head.size) : null;
  if (range) {
    headers["content-length"] = String(range.length);
    headers["content-range"] = `bytes ${range.offset}-${range.offset + range.length - 1}/${head.size}`;
  }
  const object = await env.ARTIFACTS.get(head.key, range ? { range } : {});
  if (!object) throw missing(digest);
  return new Response(object.body, { status: range ? 206 : 200, headers });
}

/** One range of bytes (RFC 9110, section 14.1.2); null for none, and for several, which may be answered whole. Throws a 416 problem. */
export function rangeOf(header: string | null, size: number): { offset: number; length: number } | null {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return null;
  const offset = first === "" ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== "" && last !== "" && Number(last) < offset) return null;
  if (offset >= size || end < offset) throw new ProblemError(416, "range-not-satisfiable", "There is no such range", `the artifact has ${size} bytes`, { "content-range": `bytes */${size}` });
  return { offset, length: end - offset + 1 };
}

/** Whether a machine's token still is one to fetch an artifact with, `now` in ms. One that doesn't say when it was issued is none. */
export function fetches({ iat }: Pick<Claims, "iat">, now: number): boolean {
  return iat !== undefined && now / 1000 <= iat + FETCH_SECONDS;
}

/** Whether the placement was made for this artifact, or its workload has it now. */
async function runs(db: D1Database, placement: string, digest: string): Promise<boolean> {
  const row = await db
    .prepare("select p.artifact, json_extract(w.spec, '$.artifact.digest') as declared from placements p join workloads w on w.id = p.workload where p.id = ?")
    .bind(placement)
    .first<{ artifact: string | null; declared: string }>();
  return row?.artifact === digest || row?.declared === digest;
}

/** Removes everything that a tenant has in R2. */
export async function forgetTenant(env: ApiEnv, tenant: string): Promise<void> {
  const uploads = await env.DB.prepare("select id, multipart from uploads where tenant = ?").bind(tenant).all<{ id: string; multipart: string }>();
  for (const { id, multipart } of uploads.results)
    await env.ARTIFACTS.resumeMultipartUpload(`${tenant}/uploads/${id}`, multipart)
      .abort()
      .catch(() => undefined);
  await env.DB.batch([
    env.DB.prepare("delete from upload_parts where upload in (select id from uploads where tenant = ?)").bind(tenant),
    env.DB.prepare("delete from uploads where tenant = ?").bind(tenant),
  ]);
  for (;;) {
    const { objects } = await env.ARTIFACTS.list({ prefix: `${tenant}/`, limit: 1000 });
    if (objects.length === 0) return;
    await env.ARTIFACTS.delete(objects.map(({ key }) => key));
  }
}
