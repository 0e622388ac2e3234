/**
 * Headers onward and back. Hop-by-hop ones stay here (RFC 9110, section 7.6.1; the runtime leaves out those of the connection itself); who asked, for which
 * host and by which scheme goes along, said by the edge alone; a credential that the edge has checked stays here, and the machine is told whose it was.
 *
 * A request's headers are read in one pass and changed where they must be: each call into the runtime's header list costs as much as all the rest here.
 */
import { ORIGIN_SIGNATURE } from "../shared/origin";
import type { Address } from "./address";
import type { Caller } from "./admission";

export const REQUEST_ID = "x-request-id";
/** How many workloads a request has passed through before: a service that sends on what it was sent takes this along with the signature. */
export const HOPS = "x-spotlane-hops";
/** Whose token or key it was: the subject, then its scopes, with spaces between them. */
const CALLER = "x-spotlane-caller";
/** A request with this header is told in its answer which placement gave it. Everyone else's answer goes back as it came. */
const TRACE = "x-spotlane-trace";
const OURS = "x-spotlane-";

const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
/** What a client might have a machine believe of where it comes from or what it wants. */
const CLAIMED = ["forwarded", "x-forwarded-port", "x-forwarded-server", "x-real-ip"];
/** `Expect` is answered by Cloudflare's network; a machine's own 100 before its answer is more than the runtime reads. */
const DROPPED = new Set([...HOP_BY_HOP, ...CLAIMED, "expect"]);
/** Names of the edge's own that a client could write with underscores: some servers can't tell `X_Forwarded_For` from `X-Forwarded-For`. */
const UNDERSCORED = new Set([...CLAIMED, "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", REQUEST_ID, "authorization", "x-api-key", "cf-connecting-ip"]);

const ADDRESSES = /^[0-9a-f.:, ]{1,512}$/i;
const ID = /^[A-Za-z0-9._:-]{1,128}$/;
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** What the router needs of a request's headers. */
export interface Asked {
  requestId: string;
  /** Whether the client gave a request id that may go on. */
  identified: boolean;
  authorization: string | null;
  apiKey: string | null;
  accept: string;
  webSocket: boolean;
  contentLength: number;
  client: string | null;
  forwardedFor: string | null;
  forwardedProto: string | null;
  /** How many workloads it says it has passed through. */
  hops: number;
  traced: boolean;
  /** Names that don't go on. */
  dropped: string[];
}

export function read(given: Headers): Asked {
  const asked: Asked = {
    requestId: "",
    identified: false,
    authorization: null,
    apiKey: null,
    accept: "",
    webSocket: false,
    contentLength: Number.NaN,
    client: null,
    forwardedFor: null,
    forwardedProto: null,
    hops: 0,
    traced: false,
    dropped: [],
  };
  given.forEach((value, name) => {
    switch (name) {
      case "accept":
        asked.accept = value;
        break;
      case "authorization":
        asked.authorization = value;
        break;
      case "x-api-key":
        asked.apiKey = value;
        break;
      case "cf-connecting-ip":
        asked.client = value;
        break;
      case "content-length":
        asked.contentLength = Number(value);
        break;
      case "x-forwarded-for":
        asked.forwardedFor = value;
        break;
      case "x-forwarded-proto":
        asked.forwardedProto = value;
        break;
      case REQUEST_ID:
        asked.requestId = value;
        break;
      case "upgrade":
        asked.webSocket = value.toLowerCase() === "websocket";
        asked.dropped.push(name);
        break;
      case "connection":
        asked.dropped.push(name, ...named(value));
        break;
      case TRACE:
        asked.traced = true;
        asked.dropped.push(name);
        break;
      case ORIGIN_SIGNATURE:
        asked.hops = Math.max(asked.hops, 1);
        asked.dropped.push(name);
        break;
      case HOPS:
        asked.hops = Math.max(asked.hops, /^[0-9]{1,3}$/.test(value) ? Number(value) + 1 : Number.POSITIVE_INFINITY);
        asked.dropped.push(name);
        break;
      default:
        if (isDropped(name)) asked.dropped.push(name);
    }
  });
  asked.identified = ID.test(asked.requestId);
  if (!asked.identified) asked.requestId = crypto.randomUUID();
  return asked;
}

/** Makes a copy of the client's headers what a machine is told; its signature is set for each machine. */
export function dress(headers: Headers, asked: Asked, address: Address, caller: Caller | null): Headers {
  for (const name of asked.dropped) headers.delete(name);
  if (caller) {
    if (asked.authorization !== null) headers.delete("authorization");
    if (asked.apiKey !== null) headers.delete("x-api-key");
    headers.set(CALLER, `${caller.subject} ${caller.scope}`);
  }
  headers.set("x-forwarded-host", address.authority);
  if (asked.forwardedProto !== address.scheme) headers.set("x-forwarded-proto", address.scheme);
  if (!asked.identified) headers.set(REQUEST_ID, asked.requestId);
  if (asked.hops > 0) headers.set(HOPS, String(asked.hops));
  const chain = forwardedFor(asked.forwardedFor, asked.client);
  if (chain === null && asked.forwardedFor !== null) headers.delete("x-forwarded-for");
  if (chain !== null && chain !== asked.forwardedFor) headers.set("x-forwarded-for", chain);
  return headers;
}

/** The same for a WebSocket's handshake, which needs its own hop-by-hop headers to reach the gateway. */
export function upgradeHeaders(given: Headers, asked: Asked, address: Address, caller: Caller | null): Headers {
  const headers = dress(new Headers(given), asked, address, caller);
  headers.set("connection", "upgrade");
  headers.set("upgrade", "websocket");
  return headers;
}

export function sign(headers: Headers, signature: string): void {
  headers.set(ORIGIN_SIGNATURE, signature);
}

/** An answer as it goes back. A redirect to the machine itself becomes one to the address that the client knows; `traced` names the placement whose answer it is. */
export function answered(answer: Response, body: BodyInit | null, traced: string | null, origin: string, address: Address): Response {
  if (traced === null && answer.ok && body === answer.body) return answer;
  const back = new Response(body, answer);
  if (traced !== null) back.headers.set("x-spotlane-placement", traced);
  if (answer.status < 200 || answer.status > 299) {
    back.headers.delete("proxy-authenticate");
    const location = back.headers.get("location");
    if (location?.startsWith(origin) && "/?#".includes(location.charAt(origin.length))) back.headers.set("location", `${address.scheme}://${address.authority}${location.slice(origin.length)}`);
  }
  return back;
}

/** Headers that `Connection` says are for this connection only. */
function named(connection: string): string[] {
  return connection
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => HEADER_NAME.test(name));
}

function isDropped(name: string): boolean {
  if (DROPPED.has(name) || name.startsWith(OURS)) return true;
  if (!name.includes("_")) return false;
  const dashed = name.replaceAll("_", "-");
  return dashed.startsWith(OURS) || UNDERSCORED.has(dashed);
}

/** The chain of addresses with the client's as its last: Cloudflare's network adds that itself, unless it was taken away on the way here. */
function forwardedFor(chain: string | null, client: string | null): string | null {
  if (chain === client) return chain;
  if (client === null) return chain !== null && ADDRESSES.test(chain) ? chain : null;
  if (chain === null || !ADDRESSES.test(chain)) return client;
  return chain.endsWith(` ${client}`) ? chain : `${chain}, ${client}`;
}
