/** Zones: DNS records, Worker routes, custom domains, Spectrum applications (https://developers.cloudflare.com/api/resources/zones/). */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { BadPattern, parsePattern } from "../routes.js";
import { nextAddress } from "../spectrum.js";
import type { DnsRecord, Json, SpectrumApp, State, Store } from "../state.js";
import { type Api, ApiError, type Call, Page } from "./dispatch.js";

const hexId = (): string => randomBytes(16).toString("hex");
const ADDRESS_TYPES = new Set(["A", "AAAA", "CNAME"]);
const DNS_TYPES = new Set([...ADDRESS_TYPES, "TXT", "MX", "NS", "SRV", "CAA", "HTTPS"]);

interface Zone {
  id: string;
  name: string;
}

export class Zones {
  constructor(
    private readonly store: Store,
    private readonly account: string,
  ) {}

  routes(api: Api): void {
    const shown = (zone: Zone) => ({ ...zone, status: "active", paused: false, type: "full", account: { id: this.account, name: "spotlane" }, name_servers: [] });
    api
      .on("GET", "/user/tokens/verify", () => ({ id: createHash("md5").update(this.account).digest("hex"), status: "active" }))
      .on(
        "GET",
        "/zones",
        (call) =>
          new Page(
            Object.values(this.store.now.zones)
              .filter(({ name }) => !call.query.get("name") || name === call.query.get("name"))
              .map(shown),
          ),
      )
      .on("GET", "/zones/{zone}", (call) => shown(this.#zone(call)))
      .on("POST", "/zones", (call) => {
        const { name } = call.json<{ name: string }>();
        if (Object.values(this.store.now.zones).some((zone) => zone.name === name)) throw new ApiError(400, 1061, `${name} already exists`);
        const zone = { id: createHash("md5").update(name).digest("hex"), name };
        this.store.change((draft) => {
          draft.zones[zone.id] = zone;
        });
        return shown(zone);
      });
    this.#dns(api);
    this.#workerRoutes(api);
    this.#domains(api);
    this.#spectrum(api);
  }

  #zone(call: Call): Zone {
    const zone = this.store.now.zones[call.param("zone")];
    if (!zone) throw new ApiError(404, 7003, `Could not route to /client/v4/zones/${call.param("zone")}, perhaps your object identifier is invalid?`);
    return zone;
  }

  #row<T extends { zone_id: string }>(call: Call, table: Record<string, T>, code: number, message: string): T {
    const row = table[call.param("id")];
    if (!row || row.zone_id !== this.#zone(call).id) throw new ApiError(404, code, message);
    return row;
  }

  #save<Table extends "dns" | "routes" | "spectrum">(table: Table, row: State[Table][string]): State[Table][string] {
    this.store.change((draft) => {
      (draft[table] as Record<string, unknown>)[row.id] = row;
    });
    return row;
  }

  #drop(table: "dns" | "routes" | "spectrum" | "domains", id: string): Json {
    this.store.change((draft) => {
      delete draft[table][id];
    });
    return { id };
  }

  #record(call: Call, before?: DnsRecord): DnsRecord {
    const zone = this.#zone(call);
    const body = call.json<Partial<DnsRecord>>();
    const merged = { ...before, ...body };
    const invalid = (code: number, message: string) => new ApiError(400, 1004, "DNS Validation Error", [{ code, message }]);
    const name = String(merged.name ?? "")
      .replace(/\.$/, "")
      .toLowerCase();
    if (!name) throw invalid(9000, "DNS name is invalid.");
    const type = String(merged.type ?? "");
    if (!DNS_TYPES.has(type)) throw invalid(9004, `Invalid DNS record type: ${type}`);
    const content = String(merged.content ?? "").replace(/\.$/, "");
    if (type === "A" && !/^(\d{1,3}\.){3}\d{1,3}$/.test(content)) throw invalid(9005, "Content for A record must be a valid IPv4 address.");
    if (type === "AAAA" && !content.includes(":")) throw invalid(9006, "Content for AAAA record must be a valid IPv6 address.");
    if (type === "CNAME" && !/^[a-z0-9*_.-]+\.[a-z0-9-]+$/i.test(content)) throw invalid(9007, "Content for CNAME record is invalid.");
    const ttl = Number(merged.ttl ?? 1);
    if (ttl !== 1 && (ttl < 30 || ttl > 86_400)) throw invalid(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.");
    const full = name === "@" ? zone.name : name === zone.name || name.endsWith(`.${zone.name}`) ? name : `${name}.${zone.name}`;
    const now = new Date().toISOString();
    const row: DnsRecord = {
      ...merged,
      id: before?.id ?? hexId(),
      zone_id: zone.id,
      zone_name: zone.name,
      name: full,
      type,
      content,
      ttl,
      proxied: merged.proxied ?? false,
      proxiable: ADDRESS_TYPES.has(type),
      comment: merged.comment ?? null,
      tags: merged.tags ?? [],
      settings: merged.settings ?? {},
      meta: {},
      created_on: before?.created_on ?? now,
      modified_on: now,
    };
    for (const other of Object.values(this.store.now.dns)) {
      if (other.id === row.id || other.name !== full) continue;
      if (other.type === type && other.content === content) throw new ApiError(400, 81_058, "An identical record already exists.");
      if (ADDRESS_TYPES.has(type) && ADDRESS_TYPES.has(other.type) && (type === "CNAME" || other.type === "CNAME"))
        throw new ApiError(400, 81_053, "An A, AAAA, or CNAME record with that host already exists.");
    }
    return row;
  }

  #dns(api: Api): void {
    const base = "/zones/{zone}/dns_records";
    const find = (call: Call) => this.#row(call, this.store.now.dns, 81_044, "Record does not exist.");
    api
      .on("GET", base, (call) => {
        const zone = this.#zone(call);
        const wanted = (field: "name" | "type" | "content") => call.query.get(field) ?? call.query.get(`${field}.exact`);
        return new Page(
          Object.values(this.store.now.dns).filter((row) => row.zone_id === zone.id && (["name", "type", "content"] as const).every((field) => !wanted(field) || row[field] === wanted(field))),
        );
      })
      .on("POST", base, (call) => this.#save("dns", this.#record(call)))
      .on("GET", `${base}/{id}`, find)
      .on("PUT", `${base}/{id}`, (call) => this.#save("dns", this.#record(call, find(call))))
      .on("PATCH", `${base}/{id}`, (call) => this.#save("dns", this.#record(call, find(call))))
      .on("DELETE", `${base}/{id}`, (call) => this.#drop("dns", find(call).id));
  }

  #workerRoutes(api: Api): void {
    const base = "/zones/{zone}/workers/routes";
    const find = (call: Call) => this.#row(call, this.store.now.routes, 10_023, "workers.api.error.route_not_found");
    const route = (call: Call, id: string) => {
      const { pattern, script } = call.json<{ pattern: string; script?: string }>();
      try {
        parsePattern(pattern ?? "", "");
      } catch (error) {
        throw new ApiError(400, 10_022, `workers.api.error.invalid_route_pattern: ${error instanceof BadPattern ? error.message : pattern}`);
      }
      if (script && !this.store.now.scripts[script]) throw new ApiError(404, 10_019, `workers.api.error.script_not_found: '${script}'`);
      if (Object.values(this.store.now.routes).some((other) => other.pattern === pattern && other.id !== id)) throw new ApiError(409, 10_020, "A route with the same pattern already exists.");
      return this.#save("routes", { id, zone_id: this.#zone(call).id, pattern, script: script ?? "" });
    };
    api
      .on("GET", base, (call) => new Page(Object.values(this.store.now.routes).filter(({ zone_id }) => zone_id === this.#zone(call).id)))
      .on("POST", base, (call) => route(call, hexId()))
      .on("GET", `${base}/{id}`, find)
      .on("PUT", `${base}/{id}`, (call) => route(call, find(call).id))
      .on("DELETE", `${base}/{id}`, (call) => this.#drop("routes", find(call).id));
  }

  #domains(api: Api): void {
    const base = "/accounts/{account}/workers/domains";
    const find = (call: Call) => {
      const row = this.store.now.domains[call.param("id")];
      if (!row) throw new ApiError(404, 100_114, "Custom domain not found.");
      return row;
    };
    api
      .on(
        "GET",
        base,
        (call) =>
          new Page(
            Object.values(this.store.now.domains).filter((row) => (["hostname", "service", "zone_id"] as const).every((field) => !call.query.get(field) || row[field] === call.query.get(field))),
          ),
      )
      .on("PUT", base, (call) => {
        const { hostname, service, zone_id, zone_name, environment } = call.json<{ hostname: string; service: string; zone_id?: string; zone_name?: string; environment?: string }>();
        const zone = Object.values(this.store.now.zones).find(({ id, name }) => id === zone_id || name === zone_name || (!zone_id && !zone_name && hostname.endsWith(`.${name}`)));
        if (!zone || !(hostname === zone.name || hostname.endsWith(`.${zone.name}`))) throw new ApiError(400, 100_116, `Hostname '${hostname}' is in no zone of this account.`);
        if (!this.store.now.scripts[service]) throw new ApiError(404, 10_007, `This Worker does not exist on your account: '${service}'.`);
        const before = Object.values(this.store.now.domains).find((row) => row.hostname === hostname);
        if (Object.values(this.store.now.dns).some((record) => record.name === hostname && ADDRESS_TYPES.has(record.type)))
          throw new ApiError(409, 100_117, `Hostname '${hostname}' already has externally managed DNS records (A, CNAME, etc). Either delete them, try a different hostname, or use a route.`);
        const row = { id: before?.id ?? hexId(), hostname, service, zone_id: zone.id, zone_name: zone.name, environment: environment ?? "production", cert_id: before?.cert_id ?? randomUUID() };
        this.store.change((draft) => {
          draft.domains[row.id] = row;
        });
        return row;
      })
      .on("GET", `${base}/{id}`, find)
      .on("DELETE", `${base}/{id}`, (call) => this.#drop("domains", find(call).id));
  }

  #spectrum(api: Api): void {
    const base = "/zones/{zone}/spectrum/apps";
    const find = (call: Call) => this.#row(call, this.store.now.spectrum, 10_006, "Spectrum application not found.");
    const shown = ({ edge_address: _, ...app }: SpectrumApp) => app;
    const app = (call: Call, before?: SpectrumApp): SpectrumApp => {
      const zone = this.#zone(call);
      const body = call.json<Partial<SpectrumApp> & { origin_dns?: { name?: string }; origin_direct?: string[] }>();
      const merged = { ...before, ...body };
      const protocol = String(merged.protocol ?? "");
      const port = Number(/^tcp\/([0-9]+)$/.exec(protocol)?.[1] ?? 0);
      if (port < 1 || port > 65_535) throw new ApiError(400, 11_002, `Invalid protocol '${protocol}': this edge has tcp/<port>.`);
      const name = merged.dns?.name ?? "";
      if (!name.endsWith(`.${zone.name}`)) throw new ApiError(400, 11_003, `dns.name '${name}' is not in zone '${zone.name}'.`);
      if (!merged.origin_direct?.length && !merged.origin_dns?.name) throw new ApiError(400, 11_004, "Either origin_direct or origin_dns is required.");
      if (merged.origin_dns?.name && !merged.origin_port) throw new ApiError(400, 11_005, "origin_port is required with origin_dns.");
      if (!["off", "v1", "v2"].includes(String(merged.proxy_protocol ?? "off"))) throw new ApiError(400, 11_007, `proxy_protocol '${merged.proxy_protocol}': for TCP off, v1 or v2.`);
      if (Object.values(this.store.now.spectrum).some((other) => other.id !== before?.id && other.dns.name === name && other.protocol === protocol))
        throw new ApiError(409, 11_006, `A Spectrum application for '${name}' and '${protocol}' already exists.`);
      const now = new Date().toISOString();
      return {
        proxy_protocol: "off",
        ip_firewall: false,
        tls: "off",
        traffic_type: "direct",
        argo_smart_routing: false,
        edge_ips: { type: "dynamic", connectivity: "all" },
        ...merged,
        id: before?.id ?? hexId(),
        zone_id: zone.id,
        protocol,
        dns: { type: merged.dns?.type ?? "CNAME", name },
        edge_address: before?.edge_address ?? nextAddress(this.store.now),
        created_on: before?.created_on ?? now,
        modified_on: now,
      };
    };
    api
      .on(
        "GET",
        base,
        (call) =>
          new Page(
            Object.values(this.store.now.spectrum)
              .filter(({ zone_id }) => zone_id === this.#zone(call).id)
              .map(shown),
          ),
      )
      .on("POST", base, (call) => shown(this.#save("spectrum", app(call)) as SpectrumApp))
      .on("GET", `${base}/{id}`, (call) => shown(find(call)))
      .on("PUT", `${base}/{id}`, (call) => shown(this.#save("spectrum", app(call, find(call))) as SpectrumApp))
      .on("DELETE", `${base}/{id}`, (call) => this.#drop("spectrum", find(call).id));
  }
}
