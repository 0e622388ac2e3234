/** What the router itself answers: a page for browsers, a problem document for programs. Never more than the client's own request said. */
import { problem } from "../shared/problem";
import { type Asked, REQUEST_ID } from "./headers";

const PAGE = /\btext\/html\b/i;

export interface Answer {
  status: number;
  /** The stable word of the problem's type. */
  word: string;
  title: string;
  detail?: string;
  headers?: Record<string, string>;
}

/** What a person can do about it. */
const ADVICE: Record<number, string> = {
  401: "Sign in, or send a token or an API key of this service's owner.",
  403: "Ask this service's owner for access.",
  404: "Check the address.",
  502: "The service's machine could not be reached. Try again in a moment.",
  503: "The service is between two machines or is starting. Try again in a few seconds.",
  504: "The service took too long to answer. Try again later.",
};

export function answer(method: string, { accept, requestId }: Asked, { status, word, title, detail = "", headers = {} }: Answer): Response {
  const more: Record<string, string> = { ...headers, [REQUEST_ID]: requestId, "cache-control": "no-store", vary: "accept" };
  if (!PAGE.test(accept)) return problem(status, word, title, detail, more);
  return new Response(method === "HEAD" ? null : page(status, title, requestId), {
    status,
    headers: { ...more, "content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-content-type-options": "nosniff" },
  });
}

/** `title` is one of ours and `requestId` one that was checked: there is nothing to escape. */
function page(status: number, title: string, requestId: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${title}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  main { max-width: 34rem; margin: 20vh auto 0; padding: 0 1.5rem }
  h1 { font-size: 1.4rem }
  small { opacity: .7 }
</style>
<main>
<h1>${title}</h1>
<p>${ADVICE[status] ?? ""}</p>
<p><small>${status} · request ${requestId}</small></p>
</main>
</html>
`;
}
