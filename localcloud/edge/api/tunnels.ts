/** Cloudflare Tunnel (https://developers.cloudflare.com/api/resources/zero_trust/subresources/tunnels/): tunnels, their configuration and token. */
import { randomBytes, randomUUID } from "node:crypto";
import type { IngressRule, Json, Store, Tunnel } from "../state.js";
import { type Tunnels, tokenOf } from "../tunnels.js";
import { type Api, ApiError, type Call, Page } from "./dispatch.js";

const SERVICE = /^(https?|tcp|ssh|rdp|unix):\/\/\S+$|^http_status:[0-9]{3}$/;

/** Faults of an ingress list, as cloudflared states them. */
export function ingressFault(ingress: IngressRule[]): string | null {
  const last = ingress.at(-1);
  if (!last || last.hostname || last.path) return "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)";
  const bad = ingress.find(({ service }) => !SERVICE.test(service ?? ""));
  return bad ? `Validation failed: ingress service '${bad.service}' is not an address that cloudflared can reach` : null;
}

export function tunnelRoutes(api: Api, store: Store, tunnels: Tunnels): void {
  const base = "/accounts/{account}/cfd_tunnel";
  const find = (call: Call): Tunnel => {
    const tunnel = store.now.tunnels[call.param("id")];
    if (!tunnel) throw new ApiError(404, 1002, "Tunnel not found");
    return tunnel;
  };
  const save = (tunnel: Tunnel) => {
    store.change((draft) => {
      draft.tunnels[tunnel.id] = tunnel;
    });
    return tunnel;
  };
  const connections = (id: string): Json[] => {
    const connector = tunnels.connector(id);
    return connector ? [{ id: randomUUID(), client_id: id, colo_name: "loc01", origin_ip: connector.address, is_pending_reconnect: false, client_version: "2026.11.0" }] : [];
  };
  const shown = (tunnel: Tunnel): Json => ({
    id: tunnel.id,
    account_tag: tunnel.account_tag,
    name: tunnel.name,
    created_at: tunnel.created_at,
    deleted_at: null,
    connections: connections(tunnel.id),
    status: tunnels.connector(tunnel.id) ? "healthy" : "inactive",
    tun_type: "cfd_tunnel",
    config_src: "cloudflare",
    remote_config: true,
    metadata: {},
  });
  api
    .on("GET", base, (call) => {
      const name = call.query.get("name");
      const all = call.query.get("is_deleted") === "true" ? [] : Object.values(store.now.tunnels);
      return new Page(all.filter((tunnel) => !name || tunnel.name === name).map(shown));
    })
    .on("POST", base, (call) => {
      const { name, tunnel_secret } = call.json<{ name?: string; tunnel_secret?: string }>();
      if (!name) throw new ApiError(400, 1001, "Tunnel name is required");
      if (Object.values(store.now.tunnels).some((tunnel) => tunnel.name === name)) throw new ApiError(409, 1013, `You already have a tunnel with this name: '${name}'. Please choose another name.`);
      const tunnel = save({
        id: randomUUID(),
        account_tag: call.param("account"),
        name,
        secret: tunnel_secret ?? randomBytes(32).toString("base64"),
        created_at: new Date().toISOString(),
        config: null,
      });
      const credentials = { AccountTag: tunnel.account_tag, TunnelID: tunnel.id, TunnelName: tunnel.name, TunnelSecret: tunnel.secret };
      return { ...shown(tunnel), credentials_file: credentials, token: tokenOf(tunnel) };
    })
    .on("GET", `${base}/{id}`, (call) => shown(find(call)))
    .on("PATCH", `${base}/{id}`, (call) => {
      const { name, tunnel_secret } = call.json<{ name?: string; tunnel_secret?: string }>();
      const before = find(call);
      return shown(save({ ...before, name: name ?? before.name, secret: tunnel_secret ?? before.secret }));
    })
    .on("DELETE", `${base}/{id}`, (call) => {
      const tunnel = find(call);
      store.change((draft) => {
        delete draft.tunnels[tunnel.id];
      });
      return { ...shown(tunnel), deleted_at: new Date().toISOString() };
    })
    .on("GET", `${base}/{id}/token`, (call) => tokenOf(find(call)))
    .on("GET", `${base}/{id}/connections`, (call) => new Page(connections(find(call).id)))
    .on("DELETE", `${base}/{id}/connections`, () => null)
    .on("GET", `${base}/{id}/configurations`, (call) => {
      const tunnel = find(call);
      return { tunnel_id: tunnel.id, version: tunnel.config?.version ?? 0, config: tunnel.config?.config ?? null, source: "cloudflare", created_at: tunnel.config?.created_at ?? tunnel.created_at };
    })
    .on("PUT", `${base}/{id}/configurations`, (call) => {
      const tunnel = find(call);
      const { config } = call.json<{ config?: { ingress?: IngressRule[] } & Json }>();
      const fault = ingressFault(config?.ingress ?? []);
      if (!config || fault) throw new ApiError(400, 1056, `Bad Configuration: ${fault ?? "config is required"}`);
      const version = (tunnel.config?.version ?? 0) + 1;
      const saved = save({ ...tunnel, config: { version, config, created_at: new Date().toISOString() } });
      return { tunnel_id: tunnel.id, version, config, source: "cloudflare", created_at: saved.config?.created_at };
    });
}
