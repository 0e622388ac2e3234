/** /artifacts/{digest}/uploads: an artifact that comes in parts, of which each can be sent again. It is there once its digest is proven. */
import { identifier } from "../shared/digest";
import { ProblemError } from "../shared/problem";
import type { Upload, UploadPart, UploadRequest } from "../shared/wire";
import { missing } from "./access";
import { WHOSE } from "./artifacts";
import { keep, lengthOf, ownerOf, pour, stagingOf } from "./objects";
import { type Call, done, DEPLOY, ok, type Operation } from "./operation";
import { tenantBy } from "./tenants";

/** R2 wants parts of one size, 5 MiB at least, but for the last one. */
export const PART_BYTES = 8 * 1024 * 1024;
export const UPLOAD_MS = 86_400_000;
const MOST_UPLOADS = 20;

interface Row {
  id: string;
  tenant: string;
  digest: string;
  size_bytes: number;
  multipart: string;
  joined: number;
  created_at: number;
}

const COMMON = { tag: "artifacts", scopes: DEPLOY, query: WHOSE } as const;

export const uploads: Operation[] = [
  {
    ...COMMON,
    id: "beginUpload",
    method: "POST",
    path: "/v1/artifacts/{digest}/uploads",
    summary: `Begins an artifact of at most 4 GiB that comes in parts of ${PART_BYTES / 1024 ** 2} MiB`,
    body: { model: "UploadRequest" },
    answers: { 201: { model: "Upload" } },
    problems: [404, 409],
    idempotent: true,
    handle: begin,
  },
  {
    ...COMMON,
    id: "getUpload",
    method: "GET",
    path: "/v1/artifacts/{digest}/uploads/{upload}",
    summary: "An upload with the parts that have arrived",
    answers: { 200: { model: "Upload" } },
    problems: [404],
    handle: async (call) => ok(await shown(call, await one(call))),
  },
  {
    ...COMMON,
    id: "putPart",
    method: "PUT",
    path: "/v1/artifacts/{digest}/uploads/{upload}/parts/{part}",
    summary: "Stores a part, from 1; the same number again replaces it",
    body: { media: "application/octet-stream" },
    bodyBytes: PART_BYTES,
    answers: { 200: { model: "UploadPart" } },
    problems: [404, 411],
    handle: part,
  },
  {
    ...COMMON,
    id: "completeUpload",
    method: "POST",
    path: "/v1/artifacts/{digest}/uploads/{upload}/complete",
    summary: "Joins the parts and proves the digest; then the artifact is there. Other content is thrown away",
    answers: { 204: null },
    problems: [404, 409],
    handle: complete,
  },
  {
    ...COMMON,
    id: "abortUpload",
    method: "DELETE",
    path: "/v1/artifacts/{digest}/uploads/{upload}",
    summary: "Gives an upload up",
    answers: { 204: null },
    problems: [404],
    handle: async (call) => {
      await forget(call.env, await one(call));
      return done();
    },
  },
];

async function begin(call: Call): ReturnType<Operation["handle"]> {
  const tenant = ownerOf(call);
  await tenantBy(call.env.DB, tenant);
  const digest = call.params.digest ?? "";
  const { sizeBytes } = call.body as UploadRequest;
  const { open } = (await call.env.DB.prepare("select count(*) as open from uploads where tenant = ?").bind(tenant).first<{ open: number }>()) ?? { open: 0 };
  if (open >= MOST_UPLOADS) throw new ProblemError(409, "too-many-uploads", "Too many uploads are open", `complete or delete one of the tenant's ${open}`);
  const id = identifier("up_");
  const multipart = await call.env.ARTIFACTS.createMultipartUpload(stagingOf(tenant, id));
  const row = { id, tenant, digest, size_bytes: sizeBytes, multipart: multipart.uploadId, joined: 0, created_at: Date.now() };
  await call.env.DB.prepare("insert into uploads (id, tenant, digest, size_bytes, multipart, created_at) values (?, ?, ?, ?, ?, ?)")
    .bind(id, tenant, digest, sizeBytes, multipart.uploadId, row.created_at)
    .run();
  return ok(await shown(call, row), 201);
}

async function part(call: Call): ReturnType<Operation["handle"]> {
  const row = await one(call);
  const number = Number(call.params.part);
  const count = partsOf(row);
  const expected = number < count ? PART_BYTES : row.size_bytes - (count - 1) * PART_BYTES;
  const size = lengthOf(call.request, PART_BYTES);
  if (number > count || size !== expected)
    throw new ProblemError(422, "part-size", "The part doesn't fit", number > count ? `there are ${count} parts` : `part ${number} of ${count} has ${expected} bytes, not ${size}`);
  const multipart = call.env.ARTIFACTS.resumeMultipartUpload(stagingOf(row.tenant, row.id), row.multipart);
  const { stored } = await pour(call.request.body ?? new Blob([]).stream(), size, (stream) => multipart.uploadPart(number, stream));
  const { etag } = await stored;
  await call.env.DB.prepare("insert into upload_parts values (?1, ?2, ?3, ?4) on conflict (upload, number) do update set etag = ?3, size_bytes = ?4").bind(row.id, number, etag, size).run();
  return ok({ number, sizeBytes: size } satisfies UploadPart);
}

async function complete(call: Call): ReturnType<Operation["handle"]> {
  const { env } = call;
  const row = await one(call);
  const staging = stagingOf(row.tenant, row.id);
  const { results: parts } = await env.DB.prepare("select number, etag from upload_parts where upload = ? order by number").bind(row.id).all<{ number: number; etag: string }>();
  if (parts.length < partsOf(row)) throw new ProblemError(409, "upload-incomplete", "Parts are missing", `${parts.length} of ${partsOf(row)} have arrived`);
  // An end between the joining and its entry leaves the joined object: then there is nothing more to join.
  if (!row.joined && !(await env.ARTIFACTS.head(staging))) {
    await env.ARTIFACTS.resumeMultipartUpload(staging, row.multipart).complete(parts.map(({ number, etag }) => ({ partNumber: number, etag })));
    await env.DB.prepare("update uploads set joined = 1 where id = ?").bind(row.id).run();
  }
  const joined = await env.ARTIFACTS.get(staging);
  if (!joined) throw missing(row.id);
  try {
    await keep(env, row.tenant, row.digest, joined.body, joined.size);
  } catch (error) {
    if (error instanceof ProblemError && error.word === "digest-mismatch") await forget(env, { ...row, joined: 1 });
    throw error;
  }
  await forget(env, { ...row, joined: 1 });
  return done();
}

function partsOf({ size_bytes }: Row): number {
  return Math.ceil(size_bytes / PART_BYTES);
}

/** The upload of the path, if it is the caller's and of this artifact. */
async function one(call: Call): Promise<Row> {
  const { upload = "", digest = "" } = call.params;
  const row = await call.env.DB.prepare("select * from uploads where id = ? and digest = ? and tenant = ?").bind(upload, digest, ownerOf(call)).first<Row>();
  if (!row || row.created_at + UPLOAD_MS <= Date.now()) throw missing(upload);
  return row;
}

/** Forgets an upload with what has arrived of it. */
export async function forget(env: Call["env"], row: Pick<Row, "id" | "tenant" | "multipart" | "joined">): Promise<void> {
  const staging = stagingOf(row.tenant, row.id);
  if (!row.joined)
    await env.ARTIFACTS.resumeMultipartUpload(staging, row.multipart)
      .abort()
      .catch((error: Error) => console.warn(`${staging}: ${error.message}`));
  await env.ARTIFACTS.delete(staging);
  await env.DB.batch([env.DB.prepare("delete from upload_parts where upload = ?").bind(row.id), env.DB.prepare("delete from uploads where id = ?").bind(row.id)]);
}

async function shown(call: Call, row: Row): Promise<Upload> {
  const { results } = await call.env.DB.prepare("select number, size_bytes as sizeBytes from upload_parts where upload = ? order by number").bind(row.id).all<UploadPart>();
  return { id: row.id, digest: row.digest, sizeBytes: row.size_bytes, partSizeBytes: PART_BYTES, parts: results, expiresAt: new Date(row.created_at + UPLOAD_MS).toISOString() };
}
