/**
 * A WebSocket that outlives its connection: the client of `spotlane.resume.v1` (docs/websocket-resume.md). One ES module without a dependency, for browsers
 * and for Node ≥ 22 (older ones give a `WebSocket`, as of the package `ws`, in the options).
 *
 *     const socket = new ResumableWebSocket("wss://chat-acme.workloads.example.com/chat");
 *     socket.addEventListener("message", ({ data }) => show(data));
 *     await socket.send("hello");        // waits while the window is full
 *     await socket.close();              // after all that was sent has reached the machine
 */
export const RESUME = "spotlane.resume.v1";

const HEADER_BYTES = 17;
const TEXT = 1;
const BINARY = 2;
const PING = '{"type":"ping"}';

const ACK_MESSAGES = 32;
const ACK_BYTES = 256 * 1024;
const ACK_MS = 50;
/** Delay before the n-th attempt to come back: random below `FIRST_DELAY_MS * 2^n`, at most `LONGEST_DELAY_MS`. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
const CONNECT_MS = 20_000;
/** How long `close` waits for what was sent to be settled. */
const CLOSE_MS = 10_000;

const GOING_AWAY = 1001;
const BROKEN = 1006;
const REPLACED = 4900;
const NOT_RESUMABLE = 4901;
const PROTOCOL_FAULT = 4902;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class DataEvent extends Event {
  constructor(type, fields) {
    super(type);
    Object.assign(this, fields);
  }
}

/**
 * Events: `open`; `message` ({data}: string or ArrayBuffer); `disconnect` ({code, reason}) and `resume` around a break that is being mended; `interrupted` ({sent}) where the
 * machine's connection broke, so that up to `sent` messages may stay without an answer; `close` ({code, reason, wasClean}) at the end.
 */
export class ResumableWebSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;

  /** `OPEN` also while a broken connection is being mended. */
  readyState = ResumableWebSocket.CONNECTING;
  /** The machine's choice among `protocols`. */
  protocol = "";

  #url;
  #protocols;
  #options;
  #socket = null;
  #token = null;
  /** Until the first welcome nothing may be sent. */
  #limits = { messageBytes: 0, windowMessages: 0, windowBytes: 0, resumeSeconds: 0, pingSeconds: 20 };
  #received = 0;
  #owed = { messages: 0, bytes: 0, timer: null };
  /** Messages that are not settled, by ascending sequence: {sequence, text, body}. */
  #unsettled = [];
  #unsettledBytes = 0;
  #next = 1;
  /** Sequence of the last message that went out over the present connection; null before its welcome. */
  #out = null;
  /** Calls of `send` that wait for room: {text, body, resolve, reject}. */
  #waiting = [];
  #waitingBytes = 0;
  #flushes = [];
  #attempt = 0;
  #brokenAt = null;
  #timers = { reconnect: null, connect: null, ping: null };
  #heardAt = 0;
  #ended = null;

  /**
   * @param {string | URL} url
   * @param {string | string[]} [protocols] offered to the machine
   * @param {{ WebSocket?: any, random?: () => number }} [options]
   */
  constructor(url, protocols = [], options = {}) {
    super();
    this.#url = String(url);
    this.#protocols = [protocols].flat();
    this.#options = { WebSocket: options.WebSocket ?? globalThis.WebSocket, random: options.random ?? Math.random };
    this.#connect();
  }

  /** Bytes that were given to `send` and are not settled. */
  get bufferedAmount() {
    return this.#unsettledBytes + this.#waitingBytes;
  }

  /**
   * Sends a message in order. Resolves when the window has taken it: who awaits it can't run ahead of the machine's side.
   * @param {string | ArrayBuffer | ArrayBufferView} data
   * @returns {Promise<void>}
   */
  async send(data) {
    if (this.readyState >= ResumableWebSocket.CLOSING) throw new Error("the session is closed");
    const text = typeof data === "string";
    const body = text ? encoder.encode(data) : bytes(data);
    if (this.#limits.messageBytes > 0 && body.length > this.#limits.messageBytes) throw new RangeError(`a message of ${body.length} bytes is larger than ${this.#limits.messageBytes}`);
    await new Promise((resolve, reject) => {
      this.#waiting.push({ text, body, resolve, reject });
      this.#waitingBytes += body.length;
      this.#write();
    });
  }

  /** Resolves when everything that was sent is settled: handed to a machine, never to be sent again. */
  async flush() {
    if (this.#waiting.length + this.#unsettled.length === 0) return;
    await new Promise((resolve, reject) => this.#flushes.push({ resolve, reject }));
  }

  /** Ends the session after what was sent is settled, or after 10 s. */
  async close(code = 1000, reason = "") {
    if (this.readyState >= ResumableWebSocket.CLOSING) return;
    this.readyState = ResumableWebSocket.CLOSING;
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.flush().catch(() => undefined), late]);
    clearTimeout(timer);
    if (this.readyState === ResumableWebSocket.CLOSED) return;
    this.#acknowledge();
    this.#socket?.close(code, reason);
    this.#finish(code, reason, true);
  }

  #connect() {
    const ours = this.#token === null ? [RESUME] : [RESUME, `${RESUME}.${this.#token}.${this.#received}`];
    const socket = new this.#options.WebSocket(this.#url, [...ours, ...this.#protocols]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#out = null;
    const present = (work) => (event) => {
      if (this.#socket === socket) work(event);
    };
    socket.addEventListener(
      "message",
      present(({ data }) => this.#heard(data)),
    );
    socket.addEventListener(
      "close",
      present(({ code, reason }) => this.#broken(code, reason)),
    );
    // A close event follows each error.
    socket.addEventListener("error", () => undefined);
    this.#timers.connect = setTimeout(() => this.#giveUp("no welcome"), CONNECT_MS);
  }

  /** Lets go of a connection that may be half open: its close event can be long in coming. */
  #giveUp(reason) {
    const socket = this.#socket;
    this.#broken(BROKEN, reason);
    socket?.close();
  }

  #heard(frame) {
    this.#heardAt = Date.now();
    try {
      if (typeof frame === "string") this.#control(JSON.parse(frame));
      else this.#data(frame);
    } catch (error) {
      this.#giveUp(String(error));
    }
  }

  #control(frame) {
    if (frame.type === "welcome") this.#welcome(frame);
    else if (frame.type === "ack") this.#settle(frame.received);
    else if (frame.type === "interrupted") this.dispatchEvent(new DataEvent("interrupted", { sent: frame.sent }));
    else if (frame.type === "end") this.#ended = { code: frame.code, reason: frame.reason };
  }

  #welcome({ token, received, protocol, limits }) {
    clearTimeout(this.#timers.connect);
    if (token) this.#token = token;
    this.#limits = limits;
    this.protocol = protocol ?? "";
    this.#settle(received);
    this.#out = received;
    const mended = this.#brokenAt !== null;
    this.#brokenAt = null;
    this.#attempt = 0;
    clearInterval(this.#timers.ping);
    this.#timers.ping = setInterval(() => this.#ping(), limits.pingSeconds * 1000);
    if (this.readyState === ResumableWebSocket.CONNECTING) {
      this.readyState = ResumableWebSocket.OPEN;
      this.dispatchEvent(new Event("open"));
    } else if (mended) this.dispatchEvent(new Event("resume"));
    this.#write();
  }

  #ping() {
    if (Date.now() - this.#heardAt > this.#limits.pingSeconds * 2000) return this.#giveUp("no pong");
    this.#socket?.send(PING);
  }

  #data(frame) {
    const view = new DataView(frame);
    const sequence = Number(view.getBigUint64(1));
    this.#settle(Number(view.getBigUint64(9)));
    if (sequence > this.#received + 1) throw new Error(`message ${sequence} came after ${this.#received}`);
    if (sequence === this.#received + 1) {
      const body = frame.slice(HEADER_BYTES);
      const data = view.getUint8(0) === TEXT ? decoder.decode(body) : body;
      this.#received = sequence;
      this.dispatchEvent(new DataEvent("message", { data }));
    }
    this.#owed.messages += 1;
    this.#owed.bytes += frame.byteLength - HEADER_BYTES;
    if (this.#owed.messages >= ACK_MESSAGES || this.#owed.bytes >= ACK_BYTES) this.#acknowledge();
    else this.#owed.timer ??= setTimeout(() => this.#acknowledge(), ACK_MS);
  }

  #acknowledge() {
    const due = this.#owed.messages > 0;
    this.#owe();
    if (due && this.#out !== null) this.#socket?.send(JSON.stringify({ type: "ack", received: this.#received }));
  }

  #owe() {
    clearTimeout(this.#owed.timer);
    this.#owed = { messages: 0, bytes: 0, timer: null };
  }

  #settle(upTo) {
    while (this.#unsettled.length > 0 && this.#unsettled[0].sequence <= upTo) this.#unsettledBytes -= this.#unsettled.shift().body.length;
    this.#write();
    if (this.#waiting.length + this.#unsettled.length === 0) for (const { resolve } of this.#flushes.splice(0)) resolve();
  }

  /** Takes what waits as far as the window goes, and sends what the present connection has not carried. */
  #write() {
    const { windowMessages, windowBytes, messageBytes } = this.#limits;
    while (this.#waiting.length > 0 && this.#unsettled.length < windowMessages && this.#unsettledBytes < windowBytes) {
      const { text, body, resolve, reject } = this.#waiting.shift();
      this.#waitingBytes -= body.length;
      if (body.length > messageBytes) {
        reject(new RangeError(`a message of ${body.length} bytes is larger than ${messageBytes}`));
        continue;
      }
      this.#unsettled.push({ sequence: this.#next, text, body });
      this.#unsettledBytes += body.length;
      this.#next += 1;
      resolve();
    }
    if (this.#out === null || this.#socket?.readyState !== 1 || this.#unsettled.length === 0) return;
    const first = this.#unsettled[0].sequence;
    for (const one of this.#unsettled.slice(Math.max(0, this.#out + 1 - first))) {
      this.#out = one.sequence;
      this.#socket.send(encode(one, this.#received));
      this.#owe();
    }
  }

  #broken(code, reason) {
    this.#socket = null;
    this.#out = null;
    clearTimeout(this.#timers.connect);
    clearInterval(this.#timers.ping);
    this.#owe();
    if (this.#ended) return this.#finish(this.#ended.code, this.#ended.reason, true);
    if (this.#token === null || [REPLACED, NOT_RESUMABLE, PROTOCOL_FAULT].includes(code)) return this.#finish(code, reason, false);
    if (this.#brokenAt === null) {
      this.#brokenAt = Date.now();
      this.dispatchEvent(new DataEvent("disconnect", { code, reason }));
    }
    if (Date.now() - this.#brokenAt > this.#limits.resumeSeconds * 1000) return this.#finish(GOING_AWAY, "the session could not be resumed in time", false);
    const delay = this.#options.random() * Math.min(FIRST_DELAY_MS * 2 ** this.#attempt, LONGEST_DELAY_MS);
    this.#attempt += 1;
    this.#timers.reconnect = setTimeout(() => this.#connect(), delay);
  }

  #finish(code, reason, wasClean) {
    if (this.readyState === ResumableWebSocket.CLOSED) return;
    this.readyState = ResumableWebSocket.CLOSED;
    this.#socket = null;
    clearTimeout(this.#timers.reconnect);
    clearTimeout(this.#timers.connect);
    clearInterval(this.#timers.ping);
    this.#owe();
    const lost = new Error(`the session ended with ${code}${reason ? `: ${reason}` : ""}`);
    for (const { reject } of [...this.#waiting.splice(0), ...this.#flushes.splice(0)]) reject(lost);
    this.dispatchEvent(new DataEvent("close", { code, reason, wasClean }));
  }
}

function encode({ sequence, text, body }, received) {
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, text ? TEXT : BINARY);
  view.setBigUint64(1, BigInt(sequence));
  view.setBigUint64(9, BigInt(received));
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** A copy: what the caller does with its buffer afterwards doesn't change a message that is sent again. */
function bytes(data) {
  return data instanceof ArrayBuffer ? new Uint8Array(data.slice(0)) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
}
