import { expect, test } from "vitest";
import { BadFrame, decode, encode, fromClient, HEADER_BYTES, messageOf, offerOf, RESUME } from "./frames";

const utf8 = new TextEncoder();

test("a data frame is its kind, two counters of eight bytes and the payload", () => {
  const frame = encode({ sequence: 258, acknowledged: 3, text: true, body: utf8.encode("hi") });
  expect([...frame]).toEqual([1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 104, 105]);
  expect(decode(frame.buffer)).toEqual({ sequence: 258, acknowledged: 3, text: true, body: utf8.encode("hi") });
});

test("an empty binary message is a message", () => {
  const frame = encode({ sequence: 1, acknowledged: 0, text: false, body: new Uint8Array() });
  expect(decode(frame.buffer)).toEqual({ sequence: 1, acknowledged: 0, text: false, body: new Uint8Array() });
});

const changed = (change: (frame: Uint8Array) => void): ArrayBuffer => {
  const frame = encode({ sequence: 1, acknowledged: 0, text: true, body: utf8.encode("x") });
  change(frame);
  return frame.buffer;
};

test.each<[string, ArrayBuffer]>([
  ["a frame without a whole header", new ArrayBuffer(HEADER_BYTES - 1)],
  ["a kind that isn't known", changed((frame) => frame.fill(7, 0, 1))],
  ["sequence 0", changed((frame) => frame.fill(0, 1, 9))],
  ["a sequence beyond 2^53", changed((frame) => frame.fill(255, 1, 9))],
  ["an acknowledgement beyond 2^53", changed((frame) => frame.fill(255, 9, 17))],
])("%s is refused", (_what, frame) => {
  expect(() => decode(frame)).toThrow(BadFrame);
});

test("text is passed on as text and binary as bytes; text that is not UTF-8 is refused", () => {
  expect(messageOf(true, utf8.encode("\ufeffé"))).toBe("\ufeffé");
  expect(messageOf(false, new Uint8Array([255]))).toEqual(new Uint8Array([255]));
  expect(() => messageOf(true, new Uint8Array([255]))).toThrow(BadFrame);
});

test.each(["", "null", "[]", "{}", '{"type":"welcome"}', '{"type":"ack"}', '{"type":"ack","received":-1}', '{"type":"ack","received":1.5}', '{"type":"ack","received":"1"}'])(
  "the control frame %j is refused",
  (frame) => {
    expect(() => fromClient(frame)).toThrow(BadFrame);
  },
);

test("acknowledgements and pings are read", () => {
  expect([fromClient('{"type":"ack","received":7}'), fromClient('{"type":"ping"}')]).toEqual([{ type: "ack", received: 7 }, { type: "ping" }]);
});

const SESSION = "ab".repeat(32);
const SECRET = "cd".repeat(32);

test("an offer is taken apart: what is ours stays here, the rest is the machine's", () => {
  expect(offerOf(`chat.v2, ${RESUME}, ${RESUME}.${SESSION}.${SECRET}.12 ,mqtt`)).toEqual({
    resumes: true,
    resumption: { session: SESSION, secret: SECRET, received: 12 },
    protocols: ["chat.v2", "mqtt"],
  });
  expect(offerOf("chat")).toEqual({ resumes: false, resumption: null, protocols: ["chat"] });
  expect(offerOf(null)).toEqual({ resumes: false, resumption: null, protocols: [] });
});

test.each([`${SESSION}.${SECRET}`, `${SESSION}.${SECRET}.-1`, `${SESSION}.${SECRET}.9999999999999999`, `${SESSION.slice(1)}.${SECRET}.0`, `${SESSION}.../x.0`, ""])(
  "the resumption %j is malformed",
  (text) => {
    expect(offerOf(`${RESUME}, ${RESUME}.${text}`).resumption).toBe("malformed");
  },
);
