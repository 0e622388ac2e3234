/** One request to one machine, and what its answer means: the machine's own, or Cloudflare's word that it wasn't reached. */
import type { Target } from "../shared/route";
import type { Failure } from "./retry";

/** Bodies up to this many bytes are kept, so that a request can be sent again. */
export const KEPT_BYTES = 64 * 1024;

/** Answers of Cloudflare's network, each with its short text; a machine's own answer with such a status has another body. */
const UNDELIVERED = new Set([521, 522, 523, 525, 526, 530]);
const UNCERTAIN = new Set([502, 504, 520]);
/** The machine has not begun to answer within the network's Proxy Read Timeout, 100 s. A timer of our own costs each request a twentieth of its time. */
const LATE = 524;
const NETWORK_SAYS = "error code: ";
const NETWORK_SAYS_BYTES = 64;

/** What is sent: null for no body, undefined for one that is streamed from the client and can't be sent twice. */
export type Kept = ArrayBuffer | null | undefined;

/** A machine's answer, whose body may have been looked at. */
export interface Arrived {
  answer: Response;
  body: ReadableStream | string | null;
}

export type Outcome = Arrived | Failure | "late";

/** Sends a request; what the runtime's `fetch` does, or the mTLS binding's. */
export type Send = (request: Request) => Promise<Response>;

/** The body where it is small enough to be sent twice. */
export async function keep(request: Request, contentLength: number): Promise<Kept> {
  return contentLength <= KEPT_BYTES ? request.arrayBuffer() : undefined;
}

/** A client's request as it is addressed to a machine, with its own copy of the headers. `path` begins with a slash, so that the host is the target's whatever follows it. */
export function addressed(target: Target, path: string, request: Request, kept: Kept): Request {
  const url = target.origin + path;
  // The runtime follows no redirect of a request that came in: `redirect` is `manual` there.
  return kept ? new Request(url, { method: request.method, headers: request.headers, body: kept, redirect: "manual" }) : new Request(url, request);
}

/** Sends to a machine. */
export async function reach(send: Send, onward: Request): Promise<Outcome> {
  try {
    const answer = await send(onward);
    const { status } = answer;
    return UNDELIVERED.has(status) || UNCERTAIN.has(status) || status === LATE ? await understood(answer) : { answer, body: answer.body };
  } catch {
    return "broken";
  }
}

/** Whose word an answer is that may be the network's. */
async function understood(answer: Response): Promise<Outcome> {
  const { status } = answer;
  if (!answer.body || !answer.headers.get("content-type")?.startsWith("text/plain") || Number(answer.headers.get("content-length")) > NETWORK_SAYS_BYTES) return { answer, body: answer.body };
  const [glance, body] = answer.body.tee();
  const reader = glance.getReader();
  const { value } = await reader.read();
  const said = new TextDecoder().decode((value as Uint8Array | undefined)?.subarray(0, NETWORK_SAYS.length));
  // Not waited for: of two halves of a stream neither ends before the other.
  void reader.cancel();
  if (said !== NETWORK_SAYS) return { answer, body };
  void body.cancel();
  return status === LATE ? "late" : UNDELIVERED.has(status) ? "undelivered" : "broken";
}
