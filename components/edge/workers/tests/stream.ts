/** A client of the changes' stream, as the console and the SDK are. */
import type { Change } from "../shared/wire";
import type { TestEdge } from "./edge";

export class Follower {
  readonly seen: Change[] = [];
  /** The number that a client would come again with. */
  lastId = "";
  ended = false;
  #left = "";

  private constructor(private readonly reader: ReadableStreamDefaultReader<Uint8Array>) {
    void this.#read();
  }

  static async open(edge: TestEdge, { token = edge.token, query = "", lastId }: { token?: string; query?: string; lastId?: string } = {}): Promise<Follower> {
    const headers = { authorization: `Bearer ${token}`, ...(lastId === undefined ? {} : { "last-event-id": lastId }) };
    const answer = await edge.fetch("api", `/v1/changes${query}`, { headers });
    if (answer.status !== 200 || !answer.body) throw new Error(`${answer.status}: ${await answer.text()}`);
    return new Follower(answer.body.getReader() as ReadableStreamDefaultReader<Uint8Array>);
  }

  /** Waits until a change fits; what was seen before it counts. Throws after `ms`. */
  async sees(fits: (change: Change) => boolean, ms = 5_000): Promise<Change> {
    for (const limit = Date.now() + ms; Date.now() < limit; await new Promise((resolve) => setTimeout(resolve, 10))) {
      const found = this.seen.find(fits);
      if (found) return found;
    }
    throw new Error(`not seen among ${JSON.stringify(this.seen)}`);
  }

  /** Waits for the stream's end; ms that it took. */
  async end(ms = 5_000): Promise<number> {
    const begun = Date.now();
    while (!this.ended && Date.now() - begun < ms) await new Promise((resolve) => setTimeout(resolve, 10));
    if (!this.ended) throw new Error("it goes on");
    return Date.now() - begun;
  }

  async close(): Promise<void> {
    await this.reader.cancel();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (let part = await this.reader.read(); !part.done; part = await this.reader.read()) {
        const blocks = (this.#left + decoder.decode(part.value, { stream: true })).split("\n\n");
        this.#left = blocks.pop() ?? "";
        for (const line of blocks.flatMap((block) => block.split("\n"))) {
          if (line.startsWith("id: ")) this.lastId = line.slice(4);
          if (line.startsWith("data: ")) this.seen.push(JSON.parse(line.slice(6)) as Change);
        }
      }
    } catch {
      // Cut off: over, too.
    }
    this.ended = true;
  }
}
