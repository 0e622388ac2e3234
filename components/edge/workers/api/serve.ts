/** One request of one operation: checks in their order, the handler, the answer with its tag. */
import { ring } from "../shared/changes";
import { problem, ProblemError } from "../shared/problem";
import { held } from "../shared/scopes";
import { completed, faultsBy, faultsOf, type Fault } from "../shared/validate";
import { authenticate, authorise, ownerOf } from "./access";
import { json, plain } from "./body";
import type { ApiEnv } from "./env";
import { etagOf, names } from "./etags";
import { once } from "./idempotency";
import { BODY_BYTES, type Call, type Operation, PARAMETERS, type Reply } from "./operation";
import { pageOf } from "./pages";

const NOBODY = { iss: "", sub: "", exp: 0, scope: "" };

export async function serve(operation: Operation, env: ApiEnv, request: Request, params: Record<string, string>, later: (work: Promise<unknown>) => void): Promise<Response> {
  const claims = operation.scopes === "none" ? NOBODY : await authenticate(env, request);
  const scopes = held(claims.scope.split(" ").filter(Boolean));
  refuse(Object.entries(params).flatMap(([name, value]) => faultsBy(PARAMETERS[name] ?? {}, value).map(({ message }) => ({ path: name, message }))));
  authorise(operation, { claims, scopes, params });
  const url = new URL(request.url);
  const query = queryOf(operation, url);
  const page = operation.paged ? pageOf(operation.id, query) : { limit: 0, after: null, question: "" };
  const call: Call = { env, request, url, claims, scopes, params, query, page, later, body: await bodyOf(operation, request) };
  return once(operation, call, async () => {
    const reply = await operation.handle(call);
    // Nobody who follows changes is rung for what only reads, and none waits for it who has called.
    if (operation.method !== "GET" && !operation.quiet && operation.scopes !== "none") later(ring(env, ownerOf(operation, params)));
    return shown(request, reply);
  });
}

/** The query's parameters, each known and given once. Throws a 422 problem. */
function queryOf(operation: Operation, url: URL): Record<string, string> {
  const known = operation.query ?? {};
  const query: Record<string, string> = {};
  const faults: Fault[] = [];
  for (const [name, value] of url.searchParams) {
    if (operation.paged && (name === "limit" || name === "cursor")) {
      // pageOf looks at what they say.
    } else if (!Object.hasOwn(known, name)) faults.push({ path: name.slice(0, 80), message: "is not a parameter of this call" });
    else faults.push(...faultsBy(known[name] ?? {}, value).map(({ message }) => ({ path: name, message })));
    if (Object.hasOwn(query, name)) faults.push({ path: name, message: "is given twice" });
    query[name] = value;
  }
  refuse(faults);
  return query;
}

/** The document that the operation takes, complete. */
async function bodyOf(operation: Operation, request: Request): Promise<unknown> {
  const { body } = operation;
  if (!body) return undefined;
  if (body.media) {
    plain(request);
    return undefined;
  }
  const document = await json(request, operation.bodyBytes ?? BODY_BYTES);
  if (body.list) {
    refuse(faultsBy({ type: "array", items: { $ref: body.list } }, document));
    return (document as unknown[]).map((one) => completed(body.list ?? "", one));
  }
  refuse(faultsOf(body.model ?? "", document));
  return completed(body.model ?? "", document);
}

/** Throws a 422 problem with every fault. */
export function refuse(faults: Fault[]): void {
  if (faults.length > 0)
    throw new ProblemError(
      422,
      "invalid-request",
      "The request is not valid",
      faults
        .slice(0, 50)
        .map(({ path, message }) => `${path} ${message}`)
        .join("; "),
    );
}

async function shown(request: Request, reply: Reply): Promise<Response> {
  if (reply instanceof Response) return reply;
  const headers = new Headers(reply.headers);
  if (reply.document === undefined) {
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
    return new Response(null, { status: reply.status, headers });
  }
  const text = JSON.stringify(reply.document);
  headers.set("content-type", "application/json");
  if (reply.status !== 200) {
    headers.set("cache-control", "no-store");
    return new Response(text, { status: reply.status, headers });
  }
  const etag = await etagOf(text);
  headers.set("etag", etag);
  const reading = request.method === "GET" || request.method === "HEAD";
  if (!headers.has("cache-control")) headers.set("cache-control", reading ? "private, no-cache" : "no-store");
  headers.append("vary", "authorization");
  const none = request.headers.get("if-none-match");
  if (reading && none !== null && names(none, etag, true)) {
    headers.delete("content-type");
    return new Response(null, { status: 304, headers });
  }
  return new Response(text, { status: reply.status, headers });
}

/** What went wrong, as a problem document. */
export function failed(error: unknown): Response {
  if (error instanceof ProblemError) return error.response();
  console.error((error as Error).stack ?? String(error));
  return problem(500, "internal", "The API failed", "the Worker's log says more");
}
