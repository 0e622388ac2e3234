/** Headers onward and back: hop-by-hop ones stay here (RFC 9110, section 7.6.1), who asked goes along. */

const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"];

export function onwardHeaders(request: Request, url: URL): Headers {
  const headers = without(request.headers);
  const client = request.headers.get("cf-connecting-ip");
  if (client) headers.append("x-forwarded-for", client);
  headers.set("x-forwarded-host", url.host);
  headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
  if (!headers.has("x-request-id")) headers.set("x-request-id", crypto.randomUUID());
  return headers;
}

export function backHeaders(given: Headers, placement: string): Headers {
  const headers = without(given);
  headers.set("x-spotlane-placement", placement);
  return headers;
}

function without(given: Headers): Headers {
  const headers = new Headers(given);
  for (const name of (given.get("connection") ?? "").split(",")) if (name.trim()) headers.delete(name.trim());
  for (const name of HOP_BY_HOP) headers.delete(name);
  return headers;
}
