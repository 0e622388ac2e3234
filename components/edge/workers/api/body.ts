/** Bodies as they come in: bounded in bytes and in time, JSON in UTF-8. */
import { JsonFault, parse } from "../shared/json";
import { ProblemError } from "../shared/problem";

/** A JSON body has come whole by then, ms. */
export const JSON_MS = 20_000;
/** Between two chunks of an upload at most, ms. */
export const IDLE_MS = 30_000;

/** The JSON document of a request. Throws 400, 408, 413 and 415 problems. */
export async function json(request: Request, limit: number, within = JSON_MS): Promise<unknown> {
  plain(request);
  const [type = "", ...parameters] = (request.headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith("charset="));
  if (type.trim() !== "application/json" || (charset && !/^charset="?utf-8"?$/.test(charset)))
    throw new ProblemError(415, "unsupported-media-type", "The body has another media type", "send application/json in UTF-8");
  const bytes = await whole(request, limit, within);
  if (bytes.byteLength === 0) throw new ProblemError(400, "invalid-json", "The body is not valid JSON", "it is empty");
  try {
    return parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (error) {
    throw new ProblemError(400, "invalid-json", "The body is not valid JSON", error instanceof JsonFault ? error.message : "it is not UTF-8");
  }
}

/** Throws a 415 problem for a compressed body: its size would say nothing. */
export function plain(request: Request): void {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") throw new ProblemError(415, "unsupported-media-type", "The body is encoded", `send it without Content-Encoding ${encoding}`);
}

export function tooLarge(limit: number): ProblemError {
  return new ProblemError(413, "too-large", "The body is too large", `the limit is ${limit} bytes`);
}

export function tooSlow(): ProblemError {
  return new ProblemError(408, "too-slow", "The body came too slowly", "send it again", { connection: "close" });
}

async function whole(request: Request, limit: number, within: number): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) {
    await request.body?.cancel();
    throw tooLarge(limit);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const until = Date.now() + within;
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array();
  for (;;) {
    const { done, value } = await next(reader, until - Date.now());
    if (done) break;
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel().catch(() => undefined);
      throw tooLarge(limit);
    }
    chunks.push(value);
  }
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}

/** The next chunk, within `ms`. Throws a 408 problem. */
export async function next(reader: ReadableStreamDefaultReader<Uint8Array>, ms: number): Promise<ReadableStreamReadResult<Uint8Array>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow()), Math.max(ms, 0));
  });
  try {
    return await Promise.race([reader.read(), late]);
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
