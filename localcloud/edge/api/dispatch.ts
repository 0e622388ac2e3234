/** The REST API's frame: paths to handlers, Cloudflare's envelope, its errors. */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Fault {
  code: number;
  message: string;
}

/** An error as Cloudflare answers it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    message: string,
    readonly chain: Fault[] = [],
  ) {
    super(message);
  }
}

/** An answer that is not an envelope (script text, KV values). */
export class Raw {
  constructor(
    readonly body: Buffer | string,
    readonly type: string,
    readonly status = 200,
  ) {}
}

/** A page of a collection. */
export class Page {
  constructor(readonly rows: unknown[]) {}
}

/** A created thing, answered with 201. */
export class Created {
  constructor(readonly result: unknown) {}
}

export class Call {
  constructor(
    readonly params: Record<string, string>,
    readonly query: URLSearchParams,
    readonly headers: IncomingMessage["headers"],
    readonly body: Buffer,
  ) {}

  param(name: string): string {
    return this.params[name] as string;
  }

  /** The JSON body as an object. Throws the API's error for a malformed one. */
  json<T extends object = Record<string, unknown>>(): T {
    if (this.body.length === 0) return {} as T;
    try {
      return JSON.parse(this.body.toString("utf8")) as T;
    } catch {
      throw new ApiError(400, 10_026, "Could not parse request body as JSON");
    }
  }

  form(): Promise<FormData> {
    return new Response(new Uint8Array(this.body), { headers: { "content-type": String(this.headers["content-type"] ?? "") } }).formData();
  }
}

export type Handler = (call: Call) => unknown;

interface Entry {
  method: string;
  pattern: RegExp;
  handler: Handler;
}

const LARGEST_BODY = 100 * 1024 * 1024;

export class Api {
  #entries: Entry[] = [];

  /** `path` below `/client/v4`, with `{name}` for one segment. */
  on(method: string, path: string, handler: Handler): this {
    const pattern = new RegExp(`^/client/v4${path.replace(/\{([a-z_]+)\+\}/g, "(?<$1>.+)").replace(/\{([a-z_]+)\}/g, "(?<$1>[^/]+)")}/?$`);
    this.#entries.push({ method, pattern, handler });
    return this;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://api.cloudflare.com");
    try {
      authorize(request);
      const here = this.#entries.filter(({ pattern }) => pattern.test(url.pathname));
      const entry = here.find(({ method }) => method === request.method);
      if (!entry && here.length > 0) throw new ApiError(405, 10_405, `Method ${request.method} not allowed for ${url.pathname}`);
      if (!entry) throw new ApiError(404, 7003, `Could not route to ${url.pathname}, perhaps your object identifier is invalid?`, [{ code: 7000, message: "No route for that URI" }]);
      const groups = entry.pattern.exec(url.pathname)?.groups ?? {};
      const params = Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
      const result = await entry.handler(new Call(params, url.searchParams, request.headers, await readBody(request)));
      answer(response, result, url.searchParams);
    } catch (error) {
      fail(response, error);
    }
  }
}

function authorize(request: IncomingMessage): void {
  const header = request.headers.authorization;
  const keyed = request.headers["x-auth-key"] && request.headers["x-auth-email"];
  if (!header && !keyed) throw new ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers");
  if (header && !/^Bearer \S+$/.test(header)) throw new ApiError(400, 6003, "Invalid request headers", [{ code: 6111, message: "Invalid format for Authorization header" }]);
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > LARGEST_BODY) throw new ApiError(413, 10_027, `request body is larger than ${LARGEST_BODY} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, document: unknown): void {
  const text = JSON.stringify(document);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

function answer(response: ServerResponse, result: unknown, query: URLSearchParams): void {
  if (result instanceof Raw) {
    response.writeHead(result.status, { "content-type": result.type });
    response.end(result.body);
    return;
  }
  const envelope = { success: true, errors: [], messages: [] };
  if (result instanceof Page) {
    const size = Math.max(1, Number(query.get("per_page") ?? 1000));
    const page = Math.max(1, Number(query.get("page") ?? 1));
    const rows = result.rows.slice((page - 1) * size, page * size);
    const info = { page, per_page: size, count: rows.length, total_count: result.rows.length, total_pages: Math.ceil(result.rows.length / size) };
    return send(response, 200, { ...envelope, result: rows, result_info: info });
  }
  if (result instanceof Created) return send(response, 201, { ...envelope, result: result.result });
  send(response, 200, { ...envelope, result: result ?? null });
}

function fail(response: ServerResponse, error: unknown): void {
  if (!(error instanceof ApiError)) process.stderr.write(`edge: api: ${(error as Error)?.stack ?? error}\n`);
  const known = error instanceof ApiError ? error : new ApiError(500, 10_001, `internal error: ${(error as Error)?.message ?? error}`);
  const fault = { code: known.code, message: known.message, ...(known.chain.length > 0 ? { error_chain: known.chain } : {}) };
  send(response, known.status, { success: false, errors: [fault], messages: [], result: null });
}
