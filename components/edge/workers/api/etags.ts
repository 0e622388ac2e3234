/** Strong entity tags: of the very bytes of a document (RFC 9110, section 8.8.3). */
import { sha256 } from "../shared/digest";
import { ProblemError } from "../shared/problem";

export async function etagOf(text: string): Promise<string> {
  return `"${(await sha256(text)).slice(0, 32)}"`;
}

/** Whether a list of tags names this one; a weak tag is as good as a strong one for `If-None-Match` only. */
export function names(list: string, etag: string, weakly: boolean): boolean {
  if (list.trim() === "*") return true;
  return list.split(",").some((one) => (weakly ? one.trim().replace(/^W\//, "") : one.trim()) === etag);
}

/** Throws a 412 problem where the request's conditions don't hold for what stands now; null where nothing does. */
export async function conditions(request: Request, present: unknown): Promise<void> {
  const match = request.headers.get("if-match");
  const none = request.headers.get("if-none-match");
  if (match === null && none === null) return;
  const etag = present === null ? null : await etagOf(JSON.stringify(present));
  if (match !== null && (etag === null || !names(match, etag, false))) throw changed(etag);
  if (none !== null && etag !== null && names(none, etag, true)) throw changed(etag);
}

export function changed(etag: string | null): ProblemError {
  const headers: Record<string, string> = etag === null ? {} : { etag };
  return new ProblemError(412, "precondition-failed", "It is not as the request expects", etag === null ? "it doesn't exist" : "it has been changed; read it again", headers);
}
