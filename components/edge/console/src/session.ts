/** The signed-in session: the API key is exchanged for a short token; only this tab's session storage keeps the key. */
import type { Token } from "../../workers/shared/wire";

const KEPT = "spotlane.key";
/** Seconds before its end at which a token is renewed. */
const MARGIN = 60;

/** The API refused; `status` 0 means that it couldn't be reached. */
export class ApiFault extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export class Session {
  #token = "";
  #until = 0;

  private constructor(private readonly key: string) {}

  /** Exchanges `key`. Throws {@link ApiFault}. */
  static async open(key: string): Promise<Session> {
    const session = new Session(key);
    await session.#renew();
    sessionStorage.setItem(KEPT, key);
    return session;
  }

  /** The session that this tab had before, if its key still holds. */
  static async resume(): Promise<Session | null> {
    const key = sessionStorage.getItem(KEPT);
    if (!key) return null;
    try {
      return await Session.open(key);
    } catch (error) {
      if (error instanceof ApiFault && error.status === 401) sessionStorage.removeItem(KEPT);
      return null;
    }
  }

  close(): void {
    sessionStorage.removeItem(KEPT);
  }

  /** GETs `/v1<path>`. Throws {@link ApiFault}. */
  async get<T>(path: string): Promise<T> {
    if (Date.now() > this.#until) await this.#renew();
    return request<T>(path, { headers: { authorization: `Bearer ${this.#token}` } });
  }

  async #renew(): Promise<void> {
    const token = await request<Token>("/tokens", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ apiKey: this.key }) });
    this.#token = token.accessToken;
    this.#until = Date.now() + (token.expiresIn - MARGIN) * 1000;
  }
}

async function request<T>(path: string, options: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`/v1${path}`, options);
  } catch {
    throw new ApiFault(0, "The API can't be reached.");
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const problem = body as { title?: string; detail?: string } | null;
    throw new ApiFault(answer.status, [problem?.title ?? `The API answered ${answer.status}.`, problem?.detail].filter(Boolean).join(": "));
  }
  return body as T;
}
