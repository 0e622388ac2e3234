/**
 * What a Worker's fetch() reaches: the outbound service of every deployed Worker.
 *
 * A host of our zones that stands behind a tunnel goes to its machine, as Cloudflare's network would bring it there; any other host of our zones goes
 * back to the edge's own address; everything else leaves unchanged.
 * A TCP service is reached as `cloudflared access tcp` does: by a WebSocket to its host, whose binary messages the connector carries to the service.
 * Answers as Cloudflare does: 530 with error 1033 where a tunnel has no connector, 502 where the connector cannot reach its service.
 */
import { connect } from "cloudflare:sockets";

/** Host to {origin, at, refreshing}. A host is never given to another machine, so an entry only ages out when the machine goes. */
const known = new Map();
/** ms: an older entry is checked again beside the request. */
const FRESH = 2000;
/** ms: an older entry is not used before it is checked. */
const USABLE = 10000;

async function resolve(host, env) {
  const answer = await env.RESOLVER.fetch(`http://resolver/resolve?host=${encodeURIComponent(host)}`);
  const body = await answer.json();
  if (answer.status === 200) {
    const entry = { origin: `http://${body.address}:${body.port}`, tcp: body.protocol === "tcp" ? { hostname: body.address, port: body.port } : null, at: Date.now(), refreshing: false };
    known.set(host, entry);
    return entry;
  }
  known.delete(host);
  return { error: body.code };
}

function refused(status, code) {
  return new Response(`error code: ${code}`, { status, headers: { "content-type": "text/plain; charset=UTF-8", "cache-control": "no-store" } });
}

async function carry(host, service, request, ctx) {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return refused(502, 502);
  const socket = connect(service, { allowHalfOpen: true, secureTransport: "off" });
  try {
    await socket.opened;
  } catch {
    known.delete(host);
    return refused(502, 502);
  }
  const [client, server] = Object.values(new WebSocketPair());
  server.binaryType = "arraybuffer";
  server.accept();
  const writer = socket.writable.getWriter();
  const end = () => socket.close().catch(() => undefined);
  let written = Promise.resolve();
  server.addEventListener("message", ({ data }) => {
    written = written.then(() => writer.write(typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data))).catch(end);
  });
  server.addEventListener("close", () => void written.then(end));
  const sent = async () => {
    for await (const chunk of socket.readable) server.send(chunk);
  };
  ctx.waitUntil(
    sent()
      .catch(() => undefined)
      .then(() => server.close(1000)),
  );
  return new Response(null, { status: 101, webSocket: client });
}

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const host = url.hostname;
    if (!env.ZONES.some((zone) => host === zone || host.endsWith(`.${zone}`))) return fetch(request);
    let entry = known.get(host);
    const age = entry ? Date.now() - entry.at : Number.POSITIVE_INFINITY;
    if (age > USABLE) entry = await resolve(host, env);
    else if (age > FRESH && !entry.refreshing) {
      entry.refreshing = true;
      ctx.waitUntil(resolve(host, env).catch(() => known.delete(host)));
    }
    if (entry.error === 1033) return refused(530, 1033);
    if (entry.error !== undefined) {
      const again = new Request(request);
      again.headers.set("x-edge-hop", "1");
      return env.EDGE.fetch(again);
    }
    if (entry.tcp) return carry(host, entry.tcp, request, ctx);
    try {
      const onward = new Request(entry.origin + url.pathname + url.search, request);
      if (!onward.headers.has("x-forwarded-host")) onward.headers.set("x-forwarded-host", host);
      return await fetch(onward);
    } catch {
      known.delete(host);
      return refused(502, 502);
    }
  },
};
