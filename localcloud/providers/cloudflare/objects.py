"""Cloudflare objects that are one document in a collection: most of them. A table says where each lives.

Paths and fields: https://developers.cloudflare.com/api/. The ids are those of Terraform's provider, which Pulumi bridges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.providers.cloudflare.api import Api, from_wire, to_wire
from localcloud.providers.faults import Conflict, NotFound, Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


@dataclass(frozen=True)
class Collection:
    """``path`` with its parents in braces; ``id`` is the field that names an object. ``named`` is the input that is the id, for objects that are PUT by name.

    ``sent`` are the inputs that go into the body; ``update`` is the method of a change, empty where there is none. ``unique`` finds an object again by a field.
    """

    path: str
    sent: tuple[str, ...]
    id: str = "id"
    named: str = ""
    update: str = "PUT"
    renamed: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, str] | None = None
    unique: str = ""
    put_collection: bool = False
    singular: bool = False

    @property
    def parents(self) -> tuple[str, ...]:
        """The inputs that the path is made of."""
        return tuple(part.split("}")[0] for part in self.path.split("{")[1:])


def _collection(path: str, sent: str, **options: object) -> Collection:
    return Collection(path, tuple(sent.split()), **options)  # type: ignore[arg-type]  # the table's own keywords


_DNS = "name type content ttl proxied priority data comment tags settings privateRouting"
_SPECTRUM = "protocol dns originDirects originDns originPort originWorkerId argoSmartRouting edgeIps ipFirewall proxyProtocol tls trafficType virtualNetworkId"

COLLECTIONS: dict[str, Collection] = {
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": _collection("/accounts/{accountId}/storage/kv/namespaces", "title jurisdiction", unique="title"),
    "cloudflare:index/d1Database:D1Database": _collection(
        "/accounts/{accountId}/d1/database", "name jurisdiction primaryLocationHint readReplication", id="uuid", unique="name"
    ),
    "cloudflare:index/r2Bucket:R2Bucket": _collection(
        "/accounts/{accountId}/r2/buckets",
        "name location storageClass",
        id="name",
        update="",
        renamed={"location": "locationHint", "storageClass": "storageClass"},
        header=("jurisdiction", "cf-r2-jurisdiction"),
        unique="name",
    ),
    "cloudflare:index/queue:Queue": _collection("/accounts/{accountId}/queues", "queueName settings", id="queue_id", unique="queue_name"),
    "cloudflare:index/workflow:Workflow": _collection("/accounts/{accountId}/workflows", "className scriptName limits", id="name", named="workflowName"),
    "cloudflare:index/dnsRecord:DnsRecord": _collection("/zones/{zoneId}/dns_records", _DNS),
    "cloudflare:index/spectrumApplication:SpectrumApplication": _collection("/zones/{zoneId}/spectrum/apps", _SPECTRUM),
    "cloudflare:index/workersRoute:WorkersRoute": _collection("/zones/{zoneId}/workers/routes", "pattern script", unique="pattern"),
    "cloudflare:index/workersCustomDomain:WorkersCustomDomain": _collection(
        "/accounts/{accountId}/workers/domains", "hostname service environment zoneId zoneName", put_collection=True
    ),
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": _collection(
        "/accounts/{accountId}/cfd_tunnel", "name configSrc tunnelSecret", update="PATCH", unique="name"
    ),
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig": _collection(
        "/accounts/{accountId}/cfd_tunnel/{tunnelId}/configurations", "config", id="tunnel_id", singular=True
    ),
}


class CollectionHandler:
    """One object of a collection."""

    def __init__(self, api: Api, collection: Collection) -> None:
        self._api = api
        self._collection = collection

    @property
    def fields(self) -> frozenset[str] | None:
        """The inputs that it carries to Cloudflare."""
        where = self._collection
        return frozenset([*where.sent, *where.parents, *([where.named] if where.named else []), *([where.header[0]] if where.header else [])])

    def create(self, call: Call, inputs: Props) -> Made:
        where, base = self._collection, self._base(inputs)
        body = self._body(inputs)
        if where.named:
            result = self._api.request("PUT", f"{base}/{inputs[where.named]}", json=body)
        elif where.singular or where.put_collection:
            result = self._api.request("PUT", base, json=body)
        else:
            result = self._posted(call, base, body, inputs)
        return self._made(result, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        where = self._collection
        known = known or self._parents_of(id)
        result = self._api.find(self._object(id.rpartition("/")[2], known), headers=self._headers(known))
        if result is None or result.get("deleted_at"):
            return None
        return self._made({where.id: id.rpartition("/")[2], **result}, known)

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        where, body = self._collection, self._body(new)
        if where.put_collection or where.singular:
            result = self._api.request("PUT", self._base(new), json=body)
        elif where.update:
            result = self._api.request(where.update, self._object(id, new), json=body)
        else:
            result = self._edit(id, new)
        return self._made(result, {**known, **new}).outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        if self._collection.singular:
            return  # a tunnel's configuration goes with its tunnel
        try:
            self._api.request("DELETE", self._object(id, known), headers=self._headers(known))
        except NotFound:
            return

    def _posted(self, call: Call, base: str, body: Props, inputs: Props) -> Props:
        try:
            return dict(self._api.request("POST", base, json=body, headers=self._headers(inputs)))
        except Conflict:
            if not (call.resumed and self._collection.unique):
                raise
            value = body[self._collection.unique]
            listed = self._api.request("GET", base)
            rows = listed.get("buckets", []) if isinstance(listed, dict) else listed
            found = next((row for row in rows if row.get(self._collection.unique) == value), None)
            if found is None:
                raise
            return dict(found)

    def _edit(self, id: str, new: Props) -> Props:
        """R2's only change: the storage class, in a header."""
        headers = {**self._headers(new), "cf-r2-storage-class": str(new.get("storageClass") or "Standard")}
        return dict(self._api.request("PATCH", self._object(id, new), headers=headers))

    def _made(self, result: Props, inputs: Props) -> Made:
        where = self._collection
        # Of what the program didn't declare only plain figures are told: some answers nest where the provider's schema has a text (DnsRecord.meta).
        told = from_wire(result).items()
        state = {name: value for name, value in told if name != "id" and (name in inputs or not isinstance(value, dict | list))}
        state |= {name: inputs[name] for name in where.parents if name in inputs}
        if where.named:
            state[where.named] = result.get(where.id) or inputs[where.named]
        if where.header and inputs.get(where.header[0]) is None:
            state.pop(where.header[0], None)
        if where.id == "name" and where.renamed and inputs.get("location"):
            # Cloudflare takes a hint in any case and shows where the bucket came to lie.
            state["location"] = inputs["location"] if str(state.get("location", "")).casefold() == str(inputs["location"]).casefold() else state.get("location")
        return Made(str(result[where.id]), state)

    def _body(self, inputs: Props) -> Props:
        where = self._collection
        plain = {name: inputs[name] for name in where.sent if inputs.get(name) is not None and name not in where.renamed}
        body: Props = to_wire(plain)
        return body | {wire: inputs[name] for name, wire in where.renamed.items() if inputs.get(name) is not None}

    def _base(self, inputs: Props) -> str:
        return self._collection.path.format(**{name: inputs[name] for name in self._collection.parents})

    def _object(self, id: str, inputs: Props) -> str:
        return self._base(inputs) if self._collection.singular else f"{self._base(inputs)}/{id}"

    def _headers(self, inputs: Props) -> dict[str, str]:
        header = self._collection.header
        return {header[1]: str(inputs[header[0]])} if header and inputs.get(header[0]) else {}

    def _parents_of(self, id: str) -> Props:
        """Parents out of an import's id, ``<account or zone>/<id>``."""
        parts = id.split("/")
        if len(parts) < 2:
            raise Rejected(f"{id}: import it as <{'>/<'.join([*self._collection.parents, 'id'])}>")
        return dict(zip(self._collection.parents, parts, strict=False))
