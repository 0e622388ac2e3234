/** Where WebSocket frames end in a byte stream (RFC 6455 section 5.2), so that a close frame can be put between two of them. */

/** Close frame, unmasked, status 1012 "service restart". */
export const CLOSE_RESTART = Buffer.from([0x88, 0x02, 0x03, 0xf4]);

export class FrameBoundary {
  #header: number[] = [];
  #payload = 0n;

  /** Whether the stream so far ends with a whole frame. */
  get atBoundary(): boolean {
    return this.#payload === 0n && this.#header.length === 0;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload > 0n) {
        const left = BigInt(chunk.length - at);
        const taken = left < this.#payload ? left : this.#payload;
        this.#payload -= taken;
        at += Number(taken);
        continue;
      }
      this.#header.push(chunk[at] as number);
      at += 1;
      const length = headerLength(this.#header);
      if (length !== undefined && this.#header.length === length) {
        this.#payload = payloadLength(this.#header);
        this.#header = [];
      }
    }
  }
}

/** Bytes of the header that begins with `bytes`, or undefined while it can't be told. */
function headerLength(bytes: number[]): number | undefined {
  const second = bytes[1];
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  return 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
}

function payloadLength(header: number[]): bigint {
  const short = (header[1] as number) & 0x7f;
  if (short < 126) return BigInt(short);
  const view = Buffer.from(header);
  return short === 126 ? BigInt(view.readUInt16BE(2)) : view.readBigUInt64BE(2);
}
