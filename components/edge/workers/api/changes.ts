/**
 * /changes: what has changed, as it changes, for as long as the client listens (Server-Sent Events).
 *
 * The Worker holds the stream and reads D1; the tenant's bell tells it when. A Worker that waits costs nothing, and neither does a bell at rest.
 */
import { bell, newestOf, type Rung, since } from "../shared/changes";
import { ProblemError } from "../shared/problem";
import { everyTenant } from "../shared/scopes";
import type { Change } from "../shared/wire";
import { claimsOf, forgetRevocations, visible } from "./access";
import type { ApiEnv } from "./env";
import { type Call, type Operation, PARAMETERS, READ, type Reply } from "./operation";

/** ms after which a stream that nobody rang looks by itself, has its token checked, and says that it is there. */
const BEAT_MS = 15_000;
/** ms that a change waits for those that come with it: a step of a migration writes several rows. */
const GATHER_MS = 50;
/** A stream ends after this and is taken up again: no connection is for ever, and none outlives what it was opened with by much. */
const LIFE_MS = 15 * 60_000;
/** ms after which a client comes again, where it goes by what the stream says. */
const RETRY_MS = 1_000;
const ID = /^[0-9]{1,15}$/;

export const changes: Operation[] = [
  {
    id: "followChanges",
    method: "GET",
    path: "/v1/changes",
    tag: "events",
    summary:
      "What changes from now on, or since `Last-Event-ID`, as Server-Sent Events whose data is a `Change` each: that it has changed, never what it has become. Ends after 15 minutes, and with the token",
    scopes: READ,
    query: { tenant: PARAMETERS.tenant ?? {} },
    answers: { 200: { media: "text/event-stream" } },
    problems: [429],
    handle: follow,
  },
];

async function follow(call: Call): Promise<Reply> {
  const { env, request, claims, scopes, query } = call;
  const only = visible(call, query.tenant);
  const headers = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" };
  if (request.method === "HEAD") return new Response(null, { headers });
  const answer = await bell(env, everyTenant([...scopes]) ? null : only).fetch("https://bell/", { headers: { upgrade: "websocket" } });
  const rung = answer.webSocket;
  if (!rung) throw new ProblemError(429, "too-many-streams", "Too many follow these changes already", "ask now and then instead, or close what isn't looked at", { "retry-after": "60" });
  const { readable, writable } = new IdentityTransformStream();
  const stream = new Stream(env, request.headers.get("authorization")?.slice(7).trim() ?? "", only, rung, writable.getWriter());
  call.later(stream.run(request.headers.get("last-event-id"), Math.min(Date.now() + LIFE_MS, claims.exp * 1000)));
  return new Response(readable, { headers });
}

class Stream {
  /** Somebody rang since the last look, or the client is gone. */
  #wake: (() => void) | null = null;
  #rung = false;
  #over = false;

  constructor(
    private readonly env: ApiEnv,
    private readonly token: string,
    private readonly only: string | null,
    private readonly bell: WebSocket,
    private readonly out: WritableStreamDefaultWriter<Uint8Array>,
  ) {
    bell.accept();
    bell.addEventListener("message", ({ data }) => {
      if ((data as Rung) === "refused") forgetRevocations();
      this.#ring();
    });
    const end = (): void => {
      this.#over = true;
      this.#ring();
    };
    bell.addEventListener("close", end);
    bell.addEventListener("error", end);
    // How the runtime tells that the client has gone.
    out.closed.catch(end);
  }

  /** Tells until the client goes, the token no longer holds, or `ends` (ms) has come. Never throws. */
  async run(lastId: string | null, ends: number): Promise<void> {
    try {
      let until = await this.#begin(lastId);
      while (!this.#over && Date.now() < ends && (await claimsOf(this.env, this.token)) !== null) {
        this.#rung = false;
        const told = await since(this.env.DB, this.only, until);
        const more = told.until > until && told.changes.length > 0;
        until = told.until;
        // A number without data is kept by the client, and shows both sides that the other is there.
        await this.#say(more ? told.changes.map(message).join("") : `id: ${until}\n\n`);
        await this.#pause(Math.min(BEAT_MS, Math.max(ends - Date.now(), 0)));
      }
      await this.out.close();
    } catch (error) {
      // The client has gone, or a part is away: it comes again and goes on from what it has.
      if (!this.#over) console.log(`a stream of changes ended: ${(error as Error).message}`);
      await this.out.abort(error).catch(() => undefined);
    } finally {
      this.bell.close();
    }
  }

  /** The number to go on from. Who comes without one, or with one of another time, is told that everything may have changed. */
  async #begin(lastId: string | null): Promise<number> {
    const newest = await newestOf(this.env.DB);
    const known = lastId !== null && ID.test(lastId) ? Number(lastId) : null;
    await this.#say(`retry: ${RETRY_MS}\n\n`);
    if (known !== null && known <= newest) return known;
    await this.#say(message({ seq: newest, kind: "everything", subject: "", tenant: null, workload: null, at: new Date().toISOString() }));
    return newest;
  }

  async #say(text: string): Promise<void> {
    const timer = setTimeout(() => void this.out.abort(new Error("the client doesn't read")), BEAT_MS);
    await this.out.write(new TextEncoder().encode(text));
    clearTimeout(timer);
  }

  #ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Until somebody rings, at most `ms`; what comes with the first ring is gathered. */
  async #pause(ms: number): Promise<void> {
    if (!this.#rung)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#wake = null;
    if (this.#rung && !this.#over) await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  }
}

const message = (change: Change): string => `id: ${change.seq}\ndata: ${JSON.stringify(change)}\n\n`;
