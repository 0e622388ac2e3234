/** The API's OpenAPI 3.1 document, from the operations and the schemas that validate. */
import { definitions, type Schema } from "../shared/validate";
import { BODY_BYTES, type Content, type Operation, PARAMETERS } from "./operation";
import { LARGEST, LIMIT } from "./pages";

type Json = Record<string, unknown>;

const TEXT: Record<number, string> = {
  200: "Done",
  201: "Made",
  202: "Accepted; it goes on",
  204: "Done",
  206: "The range",
  304: "As the caller has it",
  400: "The body is not JSON, or the cursor is of another listing",
  401: "The token, key or refresh token is not good",
  403: "The token's scopes don't allow this",
  404: "No such thing, or another tenant's",
  408: "The body came too slowly",
  409: "It can't be done as things stand",
  411: "The length must be declared",
  412: "It is not as If-Match or If-None-Match expects",
  413: "The body is too large",
  415: "The body has another media type",
  416: "There is no such range",
  422: "The request is not valid; the detail names every fault",
  429: "Too many; Retry-After says when again",
  500: "The API failed",
  503: "A part is away; Retry-After says when again",
};

export function document(operations: Operation[], zone: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: described(operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Spotlane edge API",
      version: "1",
      description:
        "Scopes: tenant:admin holds tenant:deploy, that holds tenant:read; platform:admin holds them for every tenant. What is another tenant's is answered like what doesn't exist. Errors are problem documents (RFC 9457).",
    },
    servers: [{ url: `https://api.${zone}` }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, pointed(schema)])),
      responses: { Problem: { description: "What is wrong", content: { "application/problem+json": { schema: reference("Problem") } } } },
      securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "A token of POST /v1/tokens" } },
    },
  };
}

function described(operation: Operation): Json {
  const { id, tag, summary, scopes, body } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(scopes === "none" ? { security: [] } : { security: [{ token: [] }], "x-scopes": scopes }),
    parameters: parametersOf(operation),
    ...(body ? { requestBody: { required: true, content: contentOf(body), "x-limit-bytes": operation.bodyBytes ?? BODY_BYTES } } : {}),
    responses: responsesOf(operation),
  };
}

function parametersOf(operation: Operation): Json[] {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const header = (name: string, description: string, schema: Schema = { type: "string" }): Json => ({ name, in: "header", required: false, description, schema });
  return [
    ...names.map((name) => ({ name, in: "path", required: true, schema: PARAMETERS[name] })),
    ...Object.entries(operation.query ?? {}).map(([name, schema]) => ({ name, in: "query", required: false, schema: pointed(schema) })),
    ...(operation.paged
      ? [
          { name: "limit", in: "query", required: false, schema: { type: "integer", minimum: 1, maximum: LARGEST, default: LIMIT } },
          { name: "cursor", in: "query", required: false, description: "`next` of the page before", schema: { type: "string" } },
        ]
      : []),
    ...(operation.idempotent ? [header("Idempotency-Key", "The same key and request within 24 hours is done once and answered alike", { type: "string", minLength: 1, maxLength: 255 })] : []),
    ...(operation.conditional ? [header("If-Match", "Only if it is still as this tag says"), header("If-None-Match", "`*`: only if there is none yet")] : []),
    ...(tagged(operation) ? [header("If-None-Match", "304 where it is still as this tag says")] : []),
  ];
}

/** Whether its answer has an entity tag. */
export function tagged({ method, answers }: Operation): boolean {
  return method === "GET" && answers[200] !== undefined && answers[200]?.media === undefined;
}

export function problemsOf(operation: Operation): number[] {
  const statuses = new Set([500, ...(operation.problems ?? [])]);
  const add = (...more: number[]): void => more.forEach((status) => void statuses.add(status));
  if (operation.path.includes("{") || operation.query || operation.paged) add(422);
  if (operation.paged) add(400);
  if (operation.scopes !== "none") add(401, 403, 503);
  if (operation.of || operation.query?.tenant) add(404);
  if (operation.body) add(400, 408, 413, 415, 422);
  if (operation.idempotent) add(409, 422);
  if (operation.conditional) add(412);
  return [...statuses].sort();
}

function responsesOf(operation: Operation): Json {
  const responses: Record<string, Json> = {};
  for (const [status, content] of Object.entries(operation.answers)) responses[status] = { description: TEXT[Number(status)], ...(content ? { content: contentOf(content) } : {}) };
  if (tagged(operation)) responses["304"] = { description: TEXT[304] };
  for (const status of problemsOf(operation)) responses[status] = { description: TEXT[status], content: { "application/problem+json": { schema: reference("Problem") } } };
  return responses;
}

function contentOf(content: Content): Json {
  if (content.media) return { [content.media]: { schema: { type: "string", contentMediaType: content.media } } };
  return { "application/json": { schema: schemaOf(content) } };
}

function schemaOf({ model, list, items, schema }: Content): Json {
  if (schema) return pointed(schema);
  if (model) return reference(model);
  if (list) return { type: "array", items: reference(list) };
  const properties = { items: { type: "array", items: reference(items ?? "") }, next: { anyOf: [{ type: "string" }, { type: "null" }] } };
  return { type: "object", properties, required: ["items", "next"], additionalProperties: false };
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** A schema whose references lead into the document. */
function pointed(node: unknown): Json {
  return JSON.parse(JSON.stringify(node).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
}
