/**
 * Frames of `spotlane.resume.v1` (docs/websocket-resume.md): a binary WebSocket message is a data frame, a text one is a control frame in JSON.
 * Pure: what is malformed throws {@link BadFrame}.
 */
export const RESUME = "spotlane.resume.v1";
export const PING = '{"type":"ping"}';
export const PONG = '{"type":"pong"}';

/** Kind (1 byte), sequence and acknowledgement (8 bytes each, big-endian). */
export const HEADER_BYTES = 17;
const TEXT = 1;
const BINARY = 2;

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class BadFrame extends Error {}

export interface Data {
  /** From 1, without a gap, per direction. */
  sequence: number;
  /** Highest sequence of the other direction up to which everything was received. */
  acknowledged: number;
  text: boolean;
  body: Uint8Array;
}

export interface Welcome {
  type: "welcome";
  token: string;
  /** False where the session begins with this connection. */
  resumed: boolean;
  /** Highest sequence of the client's that is settled; it sends again what follows. */
  received: number;
  /** The machine's choice among the subprotocols that were offered for it. */
  protocol: string | null;
  limits: { messageBytes: number; windowMessages: number; windowBytes: number; resumeSeconds: number; pingSeconds: number };
}

export type ToClient =
  | Welcome
  | { type: "ack"; received: number }
  /** The machine's connection broke: messages up to `sent` went to it and may stay without an answer. */
  | { type: "interrupted"; sent: number }
  /** The session is over for good; the close frame that follows has the same code. */
  | { type: "end"; code: number; reason: string }
  | { type: "pong" };

export type FromClient = { type: "ack"; received: number } | { type: "ping" };

export function encode({ sequence, acknowledged, text, body }: Data): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, text ? TEXT : BINARY);
  view.setBigUint64(1, BigInt(sequence));
  view.setBigUint64(9, BigInt(acknowledged));
  frame.set(body, HEADER_BYTES);
  return frame;
}

export function decode(frame: ArrayBuffer): Data {
  if (frame.byteLength < HEADER_BYTES) throw new BadFrame("a data frame is shorter than its header");
  const view = new DataView(frame);
  const kind = view.getUint8(0);
  if (kind !== TEXT && kind !== BINARY) throw new BadFrame(`kind ${kind} of a data frame is not known`);
  const sequence = counter(view.getBigUint64(1));
  if (sequence === 0) throw new BadFrame("a sequence begins with 1");
  return { sequence, acknowledged: counter(view.getBigUint64(9)), text: kind === TEXT, body: new Uint8Array(frame, HEADER_BYTES) };
}

function counter(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new BadFrame("a sequence number is beyond 2^53");
  return Number(value);
}

export function control(frame: ToClient): string {
  return JSON.stringify(frame);
}

export function fromClient(frame: string): FromClient {
  let given: { type?: unknown; received?: unknown };
  try {
    given = JSON.parse(frame);
  } catch {
    throw new BadFrame("a control frame is not JSON");
  }
  if (given?.type === "ping") return { type: "ping" };
  if (given?.type === "ack" && Number.isSafeInteger(given.received) && (given.received as number) >= 0) return { type: "ack", received: given.received as number };
  throw new BadFrame("a control frame is not known");
}

export function bodyOf(message: string | ArrayBuffer): Uint8Array {
  return typeof message === "string" ? utf8.encode(message) : new Uint8Array(message);
}

/** What the machine is sent for a data frame. Throws {@link BadFrame} for text that is not UTF-8. */
export function messageOf(text: boolean, body: Uint8Array): string | Uint8Array {
  if (!text) return body;
  try {
    return strict.decode(body);
  } catch {
    throw new BadFrame("a text message is not UTF-8");
  }
}

/** What a client offers in `Sec-WebSocket-Protocol`. */
export interface Offer {
  resumes: boolean;
  /** With which session and up to which of the gateway's messages it goes on; null for a new one, `malformed` where it can't be read. */
  resumption: Resumption | "malformed" | null;
  /** The machine's: all that isn't ours. */
  protocols: string[];
}

export interface Resumption {
  session: string;
  secret: string;
  received: number;
}

const RESUMPTION = /^([0-9a-f]{64})\.([0-9a-f]{64})\.([0-9]{1,16})$/;

/** Reads `spotlane.resume.v1, spotlane.resume.v1.<session>.<secret>.<received>, chat`. */
export function offerOf(header: string | null): Offer {
  const offered = (header ?? "")
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
  const ours = offered.find((one) => one.startsWith(`${RESUME}.`));
  const parts = ours === undefined ? null : RESUMPTION.exec(ours.slice(RESUME.length + 1));
  const received = Number(parts?.[3]);
  return {
    resumes: offered.includes(RESUME),
    resumption: ours === undefined ? null : parts && Number.isSafeInteger(received) ? { session: parts[1] as string, secret: parts[2] as string, received } : "malformed",
    protocols: offered.filter((one) => one !== RESUME && !one.startsWith(`${RESUME}.`)),
  };
}

/** The token as the client is told it. */
export function tokenOf(session: string, secret: string): string {
  return `${session}.${secret}`;
}
