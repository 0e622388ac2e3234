/**
 * Headers onward and back. Hop-by-hop ones stay here (RFC 9110, section 7.6.1); who asked, for which host and by which scheme goes along, said by the edge
 * alone; a credential that the edge has checked stays here, and the machine is told whose it was.
 */
import { ORIGIN_SIGNATURE } from "../shared/origin";
import type { Address } from "./address";
import type { Caller } from "./admission";

export const REQUEST_ID = "x-request-id";
/** How many workloads a request has passed through: a service that sends on what it got takes it along. */
export const HOPS = "x-spotlane-hops";
const OURS = "x-spotlane-";

const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
/** What a client might have a machine believe of where it comes from or what it wants. */
const CLAIMED = ["forwarded", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-server", "x-real-ip"];
const DROPPED = new Set([...HOP_BY_HOP, ...CLAIMED]);
/** Names of the edge's own that a client could write with underscores: some servers can't tell `X_Forwarded_For` from `X-Forwarded-For`. */
const UNDERSCORED = new Set([...CLAIMED, "x-forwarded-for", REQUEST_ID, "authorization", "x-api-key", "cf-connecting-ip"]);
const CREDENTIALS = ["authorization", "x-api-key"];

const ADDRESSES = /^[0-9a-f.:, ]{1,512}$/i;
const ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The client's request id where it is a plain one, else a new one. */
export function requestIdOf(given: Headers): string {
  const id = given.get(REQUEST_ID);
  return id !== null && ID.test(id) ? id : crypto.randomUUID();
}

/** How many workloads the request says it has passed through already. */
export function hopsOf(given: Headers): number {
  const hops = given.get(HOPS);
  return hops === null ? 0 : /^[0-9]{1,3}$/.test(hops) ? Number(hops) : Number.POSITIVE_INFINITY;
}

/** What a machine is told, the same for each try; its signature is set for each machine. */
export function onwardHeaders(given: Headers, address: Address, caller: Caller | null, requestId: string, hops: number): Headers {
  const headers = new Headers(given);
  const named = given.get("connection");
  if (named !== null) for (const name of named.split(",")) if (ID.test(name.trim())) headers.delete(name.trim());
  for (const name of given.keys()) if (dropped(name)) headers.delete(name);
  if (caller) {
    for (const name of CREDENTIALS) headers.delete(name);
    headers.set("x-spotlane-subject", caller.subject);
    headers.set("x-spotlane-scopes", caller.scope);
  }
  headers.set("x-forwarded-host", address.authority);
  headers.set("x-forwarded-proto", address.scheme);
  headers.set(REQUEST_ID, requestId);
  headers.set(HOPS, String(hops + 1));
  const client = given.get("cf-connecting-ip");
  const chain = forwardedFor(given.get("x-forwarded-for"), client);
  if (chain) headers.set("x-forwarded-for", chain);
  else headers.delete("x-forwarded-for");
  return headers;
}

/** The same for a WebSocket's handshake, which needs its own hop-by-hop headers to reach the gateway. */
export function upgradeHeaders(given: Headers, address: Address, caller: Caller | null, requestId: string, hops: number): Headers {
  const headers = onwardHeaders(given, address, caller, requestId, hops);
  headers.set("connection", "upgrade");
  headers.set("upgrade", "websocket");
  return headers;
}

export function sign(headers: Headers, signature: string): void {
  headers.set(ORIGIN_SIGNATURE, signature);
}

/** An answer as it goes back, with whose it is. A redirect to the machine itself becomes one to the address that the client knows. */
export function answered(answer: Response, body: BodyInit | null, placement: string, origin: string, address: Address, requestId: string): Response {
  const back = new Response(body, answer);
  const { headers } = back;
  for (const name of HOP_BY_HOP) headers.delete(name);
  headers.set("x-spotlane-placement", placement);
  if (!headers.has(REQUEST_ID)) headers.set(REQUEST_ID, requestId);
  const location = headers.get("location");
  if (location?.startsWith(origin) && "/?#".includes(location.charAt(origin.length))) headers.set("location", `${address.scheme}://${address.authority}${location.slice(origin.length)}`);
  return back;
}

function dropped(name: string): boolean {
  if (name.startsWith(OURS) || DROPPED.has(name)) return true;
  if (!name.includes("_")) return false;
  const dashed = name.replaceAll("_", "-");
  return dashed.startsWith(OURS) || UNDERSCORED.has(dashed);
}

/** The chain of addresses with the client's as its last: Cloudflare's network adds that itself, unless it was taken away on the way here. */
function forwardedFor(chain: string | null, client: string | null): string | null {
  if (client === null) return chain !== null && ADDRESSES.test(chain) ? chain : null;
  if (chain === null || chain === client || !ADDRESSES.test(chain)) return client;
  return chain.endsWith(` ${client}`) ? chain : `${chain}, ${client}`;
}
