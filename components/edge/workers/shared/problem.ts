/** Errors as they leave: RFC 9457 problem documents with stable words. */

export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly word: string,
    readonly title: string,
    readonly detail = "",
    readonly headers: Record<string, string> = {},
  ) {
    super(`${title}: ${detail}`);
  }

  response(): Response {
    return problem(this.status, this.word, this.title, this.detail, this.headers);
  }
}

export function problem(status: number, word: string, title: string, detail = "", headers: Record<string, string> = {}): Response {
  const body = { type: `https://spotlane.dev/problems/${word}`, title, status, detail, findings: null };
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers } });
}
