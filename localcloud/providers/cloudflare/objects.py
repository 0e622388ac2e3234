"""Cloudflare's plain objects: made, read, changed and removed at one path each. A table says where; nothing else differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.calls import Rest, camel, overlaid, renamed, snake
from localcloud.providers.faults import NotFound
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


@dataclass(frozen=True)
class ObjectType:
    """``collection`` takes the creation, ``item`` the rest; ``{name}`` is an input, ``{id}`` the object's id.

    ``id`` is the answer's field or, where it begins with ``{``, made of inputs. ``parents`` are inputs that stand in the path only. ``wrap`` puts the
    body under a key or (``list:``) makes the named input the whole body. ``put`` creates by PUT at the item's path.
    """

    collection: str
    item: str
    id: str = "id"
    parents: tuple[str, ...] = ("accountId",)
    update: str = "PUT"
    put: bool = False
    body: str = ""
    keep_on_delete: bool = False
    clear: Any = None
    names: Mapping[str, str] = field(default_factory=dict)


_ACCOUNT = "/accounts/{accountId}"
_ZONE = "/zones/{zoneId}"

OBJECTS: dict[str, ObjectType] = {
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": ObjectType(f"{_ACCOUNT}/storage/kv/namespaces", f"{_ACCOUNT}/storage/kv/namespaces/{{id}}"),
    "cloudflare:index/d1Database:D1Database": ObjectType(f"{_ACCOUNT}/d1/database", f"{_ACCOUNT}/d1/database/{{id}}", "uuid"),
    "cloudflare:index/r2Bucket:R2Bucket": ObjectType(f"{_ACCOUNT}/r2/buckets", f"{_ACCOUNT}/r2/buckets/{{id}}", "name", update="PATCH"),
    "cloudflare:index/queue:Queue": ObjectType(f"{_ACCOUNT}/queues", f"{_ACCOUNT}/queues/{{id}}", "queue_id"),
    "cloudflare:index/workflow:Workflow": ObjectType(
        f"{_ACCOUNT}/workflows", f"{_ACCOUNT}/workflows/{{workflowName}}", "{workflowName}", ("accountId", "workflowName"), put=True
    ),
    "cloudflare:index/dnsRecord:DnsRecord": ObjectType(f"{_ZONE}/dns_records", f"{_ZONE}/dns_records/{{id}}", parents=("zoneId",)),
    "cloudflare:index/workersRoute:WorkersRoute": ObjectType(f"{_ZONE}/workers/routes", f"{_ZONE}/workers/routes/{{id}}", parents=("zoneId",)),
    "cloudflare:index/workersCustomDomain:WorkersCustomDomain": ObjectType(f"{_ACCOUNT}/workers/domains", f"{_ACCOUNT}/workers/domains/{{id}}"),
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": ObjectType(
        f"{_ACCOUNT}/workers/scripts/{{scriptName}}/schedules",
        f"{_ACCOUNT}/workers/scripts/{{scriptName}}/schedules",
        "{scriptName}",
        ("accountId", "scriptName"),
        put=True,
        body="schedules",
        clear=[],
    ),
    "cloudflare:index/spectrumApplication:SpectrumApplication": ObjectType(f"{_ZONE}/spectrum/apps", f"{_ZONE}/spectrum/apps/{{id}}", parents=("zoneId",)),
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": ObjectType(
        f"{_ACCOUNT}/cfd_tunnel", f"{_ACCOUNT}/cfd_tunnel/{{id}}", update="PATCH"
    ),
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig": ObjectType(
        f"{_ACCOUNT}/cfd_tunnel/{{tunnelId}}/configurations",
        f"{_ACCOUNT}/cfd_tunnel/{{tunnelId}}/configurations",
        "{tunnelId}",
        ("accountId", "tunnelId"),
        put=True,
        keep_on_delete=True,
        names={"ingresses": "ingress"},
    ),
}

_WRITE_ONLY = {"tunnelSecret"}


class ObjectHandler:
    """One type of the table."""

    fields = None

    def __init__(self, rest: Rest, kind: ObjectType) -> None:
        self._rest = rest
        self._kind = kind

    def create(self, call: Call, inputs: Props) -> Made:
        """Makes the object."""
        call.check()
        kind = self._kind
        method, path = ("PUT", kind.item) if kind.put else ("PUT" if kind.collection.endswith("/domains") else "POST", kind.collection)
        result = self._result("POST" if method == "POST" else "PUT", path.format(**inputs), inputs)
        id = kind.id.format(**inputs) if kind.id.startswith("{") else str(result[kind.id])
        return Made(id, self._outputs(inputs, result))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The object as it is now. An import's id is ``<account or zone>/<id>``."""
        if not known and "/" in id:
            parent, _, id = id.partition("/")
            known = {self._kind.parents[0]: parent, **({self._kind.parents[1]: id} if len(self._kind.parents) > 1 else {})}
        try:
            answer = self._rest.call("GET", self._kind.item.format(**{**known, "id": id}))
        except NotFound:
            return None
        result = answer["result"]
        if self._kind.body and isinstance(result, dict):
            result = {self._kind.body: result.get(self._kind.body)}
        found = self._named(result)
        plain = {name: value for name, value in found.items() if name in known or not isinstance(value, dict | list)}
        return Made(id, {**plain, **overlaid(known, found)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Writes the object anew."""
        call.check()
        method = "PUT" if self._kind.put else self._kind.update
        return self._outputs(new, self._result(method, self._kind.item.format(**{**known, **new, "id": id}), new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the object."""
        path = self._kind.item.format(**{**known, "id": id})
        if self._kind.keep_on_delete:
            return
        try:
            if self._kind.clear is not None:
                self._rest.call("PUT", path, json=self._kind.clear)
            else:
                self._rest.call("DELETE", path)
        except NotFound:
            return

    def _result(self, method: str, path: str, inputs: Props) -> dict[str, Any]:
        kind = self._kind
        given = {name: value for name, value in inputs.items() if name not in kind.parents}
        body = renamed(given, lambda name: kind.names.get(name, snake(name)))
        answer = self._rest.call(method, path, json=body[kind.body] if kind.body else body)
        result = answer["result"]
        return result if isinstance(result, dict) else {}

    def _named(self, result: Any) -> Props:
        back = {wire: name for name, wire in self._kind.names.items()}
        found = renamed(result, lambda name: back.get(name, camel(name)))
        return found if isinstance(found, dict) else {}

    def _outputs(self, inputs: Props, result: dict[str, Any]) -> Props:
        # Of what the program didn't declare only plain figures are told: some answers nest where the provider's schema has a text.
        found = {name: value for name, value in self._named(result).items() if name not in ("id", *_WRITE_ONLY) and not isinstance(value, dict | list)}
        return {**found, **inputs}
