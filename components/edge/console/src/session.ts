/** The signed-in session: the API key is exchanged for a short token; only this tab's session storage keeps the key. */
import type { Problem, Token } from "../../workers/shared/wire";

const KEPT = "spotlane.key";
/** Seconds before its end at which a token is renewed. */
const MARGIN = 60;
/** Milliseconds after which a call is given up; a boundary that is tried over recorded prices takes its time. */
const LATE_MS = 20_000;
const LATE_POST_MS = 120_000;

/** The API refused; `status` 0 means that it couldn't be reached. `retryAfter`: seconds after which it asks to be asked again. */
export class ApiFault extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly problem: Partial<Problem> | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

export class Session {
  #token = "";
  #until = 0;
  #scopes: string[] = [];

  private constructor(private readonly key: string) {}

  /** Exchanges `key`. Throws {@link ApiFault}. */
  static async open(key: string): Promise<Session> {
    const session = new Session(key);
    await session.#renew();
    sessionStorage.setItem(KEPT, key);
    return session;
  }

  /** The session that this tab had before, if its key still holds; null where there was none. Throws {@link ApiFault} for one that is over. */
  static async resume(): Promise<Session | null> {
    const key = sessionStorage.getItem(KEPT);
    if (!key) return null;
    try {
      return await Session.open(key);
    } catch (error) {
      if (error instanceof ApiFault && error.status === 401) {
        sessionStorage.removeItem(KEPT);
        throw new ApiFault(401, "Your session is over: the key has expired or was revoked. Sign in with another one.");
      }
      throw error;
    }
  }

  close(): void {
    sessionStorage.removeItem(KEPT);
  }

  /** Whether the key is the platform's, which sees every tenant. */
  get ofPlatform(): boolean {
    return this.#scopes.includes("platform:admin");
  }

  /** GETs `/v1<path>`. Throws {@link ApiFault}. */
  async get<T>(path: string): Promise<T> {
    return this.#ask<T>(path, "GET");
  }

  /** POSTs `body` to `/v1<path>`. Throws {@link ApiFault}. */
  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#ask<T>(path, "POST", body);
  }

  /** Throws {@link ApiFault}. */
  async delete(path: string): Promise<void> {
    await this.#ask(path, "DELETE");
  }

  /** The text that comes from `/v1<path>` for as long as it goes on. Throws {@link ApiFault}. */
  async stream(path: string, lastId: string | null, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (Date.now() > this.#until) await this.#renew();
    const answer = await fetch(`/v1${path}`, { headers: { authorization: `Bearer ${this.#token}`, ...(lastId === null ? {} : { "last-event-id": lastId }) }, signal }).catch(() => null);
    if (answer?.ok && answer.body && answer.headers.get("content-type") === "text/event-stream") return answer.body;
    const problem = (await answer?.json().catch(() => null)) as Partial<Problem> | null;
    throw new ApiFault(answer?.status ?? 0, said(answer?.status ?? 0, problem), problem);
  }

  async #ask<T>(path: string, method: string, body?: unknown): Promise<T> {
    if (Date.now() > this.#until) await this.#renew();
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    return request<T>(path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  }

  async #renew(): Promise<void> {
    const token = await request<Token>("/tokens", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ apiKey: this.key }) });
    this.#token = token.accessToken;
    this.#scopes = token.scopes;
    this.#until = Date.now() + (token.expiresIn - MARGIN) * 1000;
  }
}

/** What a person reads of a refusal, with the next step where there is one. */
function said(status: number, problem: Partial<Problem> | null): string {
  if (status === 401) return "This key isn't valid, has expired or was revoked. Ask for one with `spotlane tenant key` or use another.";
  if (status === 403) return `Your key doesn't allow this. ${problem?.detail ?? ""}`.trim();
  if (status === 429) return "Too many attempts. Wait a minute and try again.";
  if (status >= 500) return `${problem?.title ?? "The API is in trouble"} (${status}). It is asked again by itself; \`spotlane doctor\` says what is wrong.`;
  return [problem?.title ?? `The API answered ${status}.`, problem?.detail].filter(Boolean).join(": ");
}

async function request<T>(path: string, options: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`/v1${path}`, { ...options, signal: AbortSignal.timeout(options.method === "POST" ? LATE_POST_MS : LATE_MS) });
  } catch {
    throw new ApiFault(0, "The API can't be reached. Check your connection; the page goes on by itself when it is back.");
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiFault(answer.status, said(answer.status, body as Partial<Problem> | null), body as Partial<Problem> | null, Number(answer.headers.get("retry-after")) || null);
  return body as T;
}
