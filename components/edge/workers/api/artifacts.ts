/** /artifacts: what machines run, by digest, in R2. */
import { Hono } from "hono";
import { ProblemError } from "../shared/problem";
import { need } from "./access";
import type { App } from "./env";

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const LIMIT_BYTES = 90 * 1024 * 1024;

export const artifacts = new Hono<App>();

artifacts.put("/:digest", async (context) => {
  need(context, "tenant:deploy", "tenant:admin", "platform:admin");
  const digest = named(context.req.param("digest"));
  const content = await context.req.arrayBuffer();
  if (content.byteLength > LIMIT_BYTES) throw new ProblemError(413, "artifact-too-large", "The artifact is too large", `${content.byteLength} bytes; the limit is ${LIMIT_BYTES}`);
  const found = [...new Uint8Array(await crypto.subtle.digest("SHA-256", content))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (`sha256:${found}` !== digest) throw new ProblemError(422, "digest-mismatch", "The content has another digest", `sha256:${found}`);
  await context.env.ARTIFACTS.put(digest, content, { httpMetadata: { contentType: "application/gzip" } });
  return context.body(null, 204);
});

artifacts.get("/:digest", async (context) => {
  need(context, "placement", "tenant:deploy", "tenant:admin", "platform:admin");
  const digest = named(context.req.param("digest"));
  const claims = context.get("claims");
  if (claims.placement) {
    const row = await context.env.DB.prepare("select json_extract(w.spec, '$.artifact.digest') as digest from placements p join workloads w on w.id = p.workload where p.id = ?")
      .bind(claims.placement)
      .first<{ digest: string }>();
    if (row?.digest !== digest) throw new ProblemError(403, "forbidden", "The token is of a placement that runs another artifact");
  }
  const object = await context.env.ARTIFACTS.get(digest);
  if (!object) throw new ProblemError(404, "not-found", "No such artifact", digest);
  return new Response(object.body, { headers: { "content-type": "application/gzip", "content-length": String(object.size), etag: object.httpEtag } });
});

function named(digest: string): string {
  if (!DIGEST.test(digest)) throw new ProblemError(422, "invalid-request", "The request is not valid", "a digest has the form sha256:<64 hex digits>");
  return digest;
}
