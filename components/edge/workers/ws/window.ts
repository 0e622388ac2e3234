/** What one side has said and the other has not acknowledged: messages by sequence with their bytes. Pure. */
export interface Numbered {
  sequence: number;
  text: boolean;
  body: Uint8Array;
}

export class Window {
  #messages: Numbered[] = [];
  #head = 0;
  #bytes = 0;

  /** `first` is the sequence of the first message that will be added. */
  constructor(private first = 1) {}

  /** Messages that are not acknowledged. */
  get count(): number {
    return this.#messages.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sequence of the last message that was added, or acknowledged where none is left. */
  get last(): number {
    return this.first + this.count - 1;
  }

  /** Highest sequence that is acknowledged. */
  get acknowledged(): number {
    return this.first - 1;
  }

  /** Takes a message as the next in order. */
  add(text: boolean, body: Uint8Array): Numbered {
    const message = { sequence: this.last + 1, text, body };
    this.#messages.push(message);
    this.#bytes += body.length;
    return message;
  }

  /** Messages after `sequence`, in order. */
  *after(sequence: number): Generator<Numbered> {
    for (let at = this.#head + Math.max(0, sequence + 1 - this.first); at < this.#messages.length; at += 1) yield this.#messages[at] as Numbered;
  }

  /** Takes an acknowledgement; false where it is of something that was never sent. One that comes late changes nothing. */
  release(upTo: number): boolean {
    if (upTo > this.last) return false;
    for (; this.first <= upTo; this.first += 1) {
      this.#bytes -= (this.#messages[this.#head] as Numbered).body.length;
      this.#head += 1;
    }
    if (this.#head > 1024 || this.#head === this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }
}
