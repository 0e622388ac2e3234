/** How much is under way in one direction: messages by sequence with their sizes. Pure. */
export class Window {
  #sizes: number[] = [];
  #head = 0;
  #bytes = 0;

  /** `first` is the sequence of the first message that will be added. */
  constructor(private first = 1) {}

  /** Messages that are not acknowledged. */
  get count(): number {
    return this.#sizes.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sequence of the last message that was added, or released where none is left. */
  get last(): number {
    return this.first + this.count - 1;
  }

  /** Highest sequence that is acknowledged. */
  get acknowledged(): number {
    return this.first - 1;
  }

  add(bytes: number): void {
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Takes an acknowledgement; false where it is of something that was never sent. One that comes late changes nothing. */
  release(upTo: number): boolean {
    if (upTo > this.last) return false;
    for (; this.first <= upTo; this.first += 1) {
      this.#bytes -= this.#sizes[this.#head] as number;
      this.#head += 1;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#sizes.length) {
      this.#sizes = this.#sizes.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }
}
