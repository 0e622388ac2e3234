"""The relay's settings: a JSON document, checked whole; every fault is told."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .proxy_protocol import Version

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LOOPBACK = "127.0.0.1"
STATUS_PORT = 9901
_LABEL = re.compile(r"^[a-z](?:-?[a-z0-9]){1,30}-[a-z][a-z0-9]{1,19}$")
_VERSIONS = ("off", "v1", "v2")


class SettingsError(ValueError):
    """The settings are wrong. ``faults`` lists every one as ``field: what is wrong``."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


@dataclass(frozen=True)
class Served:
    """A workload's way in. Several may share a port where each has a ``destination``, by which the PROXY header from Spectrum tells them apart."""

    label: str
    port: int
    proxy_in: Version = "off"
    destination: tuple[str, int] | None = None
    service_port: int = 0
    """The service's own port, where machines are dialled directly."""


@dataclass(frozen=True)
class RelaySettings:
    """See :func:`load` for the document."""

    edge: str
    workloads: tuple[Served, ...]
    listen: str = LOOPBACK
    """``HOST`` of its environment where the document doesn't say: its unit names every address, its firewall and ``trusted`` say who comes in by them."""
    status: tuple[str, int] = (LOOPBACK, STATUS_PORT)
    dial: str = "tunnel"
    headers: Mapping[str, str] = field(default_factory=dict)
    trusted: tuple[Network, ...] = ()
    """Networks that connections may come from; none given means any."""
    max_connections: int = 10_000
    attempts: int = 3
    dial_seconds: float = 5.0
    idle_seconds: float = 3600.0
    grace_seconds: float = 5.0
    stop_seconds: float = 30.0

    def trusts(self, address: Address) -> bool:
        """Whether a connection may come from ``address``. Spectrum's is the only word on who the client is: nobody else's may be taken for it."""
        return not self.trusted or any(address in network for network in self.trusted)

    def served(self, port: int, destination: tuple[str, int] | None) -> Served | None:
        """Whose connection it is that came in on ``port`` for ``destination``."""
        candidates = [one for one in self.workloads if one.port == port]
        exact = next((one for one in candidates if one.destination is not None and one.destination == destination), None)
        return exact or next((one for one in candidates if one.destination is None), None)


def load(text: str, host: str = LOOPBACK) -> RelaySettings:
    """The settings of a document, which listens on ``host`` unless it says otherwise; its status never leaves the loopback by itself. Such as::

        {"edge": "https://tcp.example.com", "trusted": ["198.51.100.0/24"],
         "workloads": [{"label": "data-acme", "port": 5432, "proxyIn": "v2"}]}

    Raises :class:`SettingsError`.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SettingsError([f"settings: not JSON: {error}"]) from error
    if not isinstance(document, dict):
        raise SettingsError(["settings: an object is expected"])
    faults: list[str] = []
    names = {"edge", "workloads", "listen", "status", "dial", "headers", "trusted", "maxConnections", "attempts"}
    seconds = {"dialSeconds": "dial_seconds", "idleSeconds": "idle_seconds", "graceSeconds": "grace_seconds", "stopSeconds": "stop_seconds"}
    faults += [f"{name}: is not a setting" for name in sorted(document.keys() - names - seconds.keys())]
    changes: dict[str, Any] = {}
    edge = document.get("edge")
    if not isinstance(edge, str) or not re.match(r"^https?://[^/]+$", edge):
        faults.append("edge: the address of the tcp Worker is needed, as in https://tcp.example.com")
    if document.get("dial", "tunnel") not in ("tunnel", "direct"):
        faults.append("dial: tunnel or direct")
    for name, attribute in seconds.items():
        if name in document:
            changes[attribute] = _number(document[name], name, faults)
    for name, attribute in (("maxConnections", "max_connections"), ("attempts", "attempts")):
        if name in document:
            changes[attribute] = int(_number(document[name], name, faults))
    try:
        changes["trusted"] = tuple(ipaddress.ip_network(one) for one in document.get("trusted", []))
    except (ValueError, TypeError) as error:
        faults.append(f"trusted: {error}")
    if "status" in document:
        host, _, port = str(document["status"]).rpartition(":")
        changes["status"] = (host, int(port) if port.isdigit() else 0)
    workloads = _workloads(document.get("workloads"), faults)
    if faults:
        raise SettingsError(faults)
    plain = {"listen": host} | {name: document[name] for name in ("listen", "dial", "headers") if name in document}
    if "status" not in changes and _is_loopback(host):
        changes["status"] = (host, STATUS_PORT)  # several relays on one computer have a loopback address each
    return RelaySettings(str(edge), workloads, **plain, **changes)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _number(value: object, name: str, faults: list[str]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        faults.append(f"{name}: a number above 0 is expected")
        return 1.0
    return float(value)


def _workloads(document: object, faults: list[str]) -> tuple[Served, ...]:
    if not isinstance(document, list):
        faults.append("workloads: a list is expected")
        return ()
    found: list[Served] = []
    for at, one in enumerate(document):
        where = f"workloads[{at}]"
        label, port, proxy_in = str(one.get("label", "")), one.get("port"), one.get("proxyIn", "off")
        if not _LABEL.match(label):
            faults.append(f"{where}.label: {label!r} is no label")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            faults.append(f"{where}.port: a port is expected")
            continue
        if proxy_in not in _VERSIONS:
            faults.append(f"{where}.proxyIn: off, v1 or v2")
        destination = None
        if "destination" in one:
            host, _, number = str(one["destination"]).rpartition(":")
            destination = (host.strip("[]"), int(number) if number.isdigit() else 0)
        found.append(Served(label, port, proxy_in, destination, int(one.get("servicePort", port))))
    for port in {one.port for one in found}:
        same = [one for one in found if one.port == port]
        if len({one.proxy_in for one in same}) > 1:
            faults.append(f"port {port}: its workloads differ in proxyIn, which must be known before they can be told apart")
        if len({one.destination for one in same}) < len(same):
            faults.append(f"port {port}: {', '.join(one.label for one in same)} can't be told apart; give each a destination")
        if len(same) > 1 and same[0].proxy_in == "off":
            faults.append(f"port {port}: without a PROXY header its workloads can't be told apart")
    return tuple(found)
