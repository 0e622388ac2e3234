"""Networks, subnetworks, firewalls, routers and their NATs.

Formats: https://cloud.google.com/compute/docs/reference/rest/v1 (networks, subnetworks, firewalls, routers).
"""

from __future__ import annotations

from typing import Any

from localcloud.providers.faults import Conflict, NotFound
from localcloud.providers.gcp.google import last
from localcloud.providers.gcp.resource import ComputeHandler, GcpHandler, filled
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class Network(ComputeHandler):
    """``gcp:compute/network:Network``."""

    COLLECTION = "networks"
    FIELDS = "name description autoCreateSubnetworks routingMode mtu networkFirewallPolicyEnforcementOrder"

    def body(self, inputs: Props) -> Props:
        routing = {"routingMode": inputs["routingMode"]} if inputs.get("routingMode") else None
        return filled(
            name=inputs["name"],
            description=inputs.get("description"),
            autoCreateSubnetworks=inputs.get("autoCreateSubnetworks", True),
            routingConfig=routing,
            mtu=inputs.get("mtu"),
            networkFirewallPolicyEnforcementOrder=inputs.get("networkFirewallPolicyEnforcementOrder"),
        )

    def state(self, document: Props, known: Props) -> Props:
        return filled(
            description=document.get("description"),
            autoCreateSubnetworks=document.get("autoCreateSubnetworks", False),
            routingMode=(document.get("routingConfig") or {}).get("routingMode"),
            mtu=document.get("mtu"),
            networkFirewallPolicyEnforcementOrder=document.get("networkFirewallPolicyEnforcementOrder"),
            gatewayIpv4=document.get("gatewayIPv4", ""),
            numericId=str(document.get("id", "")),
            networkId=str(document.get("id", "")),
        )


class Subnetwork(ComputeHandler):
    """``gcp:compute/subnetwork:Subnetwork``."""

    COLLECTION = "subnetworks"
    PLACES = ("project", "region")
    FIELDS = "name description ipCidrRange network privateIpGoogleAccess privateIpv6GoogleAccess purpose role stackType secondaryIpRanges logConfig"

    def body(self, inputs: Props) -> Props:
        region = f"projects/{self.google.project_of(inputs)}/regions/{self.google.region_of(inputs)}"
        log = {"enable": True, **inputs["logConfig"]} if inputs.get("logConfig") else None
        same = ("name", "description", "ipCidrRange", "network", "privateIpGoogleAccess", "privateIpv6GoogleAccess", "purpose", "role", "stackType")
        return filled(**{name: inputs.get(name) for name in same}, secondaryIpRanges=inputs.get("secondaryIpRanges"), logConfig=log, region=region)

    def state(self, document: Props, known: Props) -> Props:
        same = "description ipCidrRange network gatewayAddress privateIpGoogleAccess privateIpv6GoogleAccess purpose role stackType fingerprint state"
        log = document.get("logConfig") or {}
        return filled(
            **{name: document.get(name) for name in same.split()},
            secondaryIpRanges=document.get("secondaryIpRanges", []),
            logConfig={name: value for name, value in log.items() if name != "enable"} if log.get("enable") else None,
            subnetworkId=str(document.get("id", "")),
        )

    def patch(self, call: Call, id: str, known: Props, changed: Props) -> None:
        changed = dict(changed)
        if "ipCidrRange" in changed:
            self.google.change(call, "POST", f"{id}/expandIpCidrRange", {"ipCidrRange": changed.pop("ipCidrRange")})
        if "privateIpGoogleAccess" in changed:
            access = changed.pop("privateIpGoogleAccess")
            self.google.change(call, "POST", f"{id}/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": bool(access)})
        if changed:
            current = self.google.request("GET", self.google.compute(id))
            self.google.change(call, "PATCH", id, {**changed, "fingerprint": current.get("fingerprint")})


class Firewall(ComputeHandler):
    """``gcp:compute/firewall:Firewall``."""

    COLLECTION = "firewalls"
    _SAME = "name description direction priority disabled sourceRanges destinationRanges sourceTags targetTags sourceServiceAccounts targetServiceAccounts"
    FIELDS = _SAME + " network allows denies logConfig"

    def body(self, inputs: Props) -> Props:
        def rules(name: str) -> list[Props] | None:
            return [filled(IPProtocol=rule["protocol"], ports=rule.get("ports")) for rule in inputs[name]] if inputs.get(name) else None

        log = {"enable": True, **inputs["logConfig"]} if inputs.get("logConfig") else None
        same = {name: inputs.get(name) for name in self._SAME.split()}
        network = _global(inputs["network"], self.google.project_of(inputs))
        return filled(**same, network=network, allowed=rules("allows"), denied=rules("denies"), logConfig=log)

    def state(self, document: Props, known: Props) -> Props:
        def rules(name: str) -> list[Props] | None:
            return [filled(protocol=rule["IPProtocol"], ports=rule.get("ports")) for rule in document[name]] if document.get(name) else None

        log = document.get("logConfig") or {}
        return filled(
            **{name: document.get(name) for name in self._SAME.split()},
            network=document.get("network"),
            allows=rules("allowed"),
            denies=rules("denied"),
            logConfig={"metadata": log["metadata"]} if log.get("enable") and log.get("metadata") else None,
        )


class Router(ComputeHandler):
    """``gcp:compute/router:Router``."""

    COLLECTION = "routers"
    PLACES = ("project", "region")
    FIELDS = "name description network bgp encryptedInterconnectRouter"

    def body(self, inputs: Props) -> Props:
        region = f"projects/{self.google.project_of(inputs)}/regions/{self.google.region_of(inputs)}"
        network = _global(inputs["network"], self.google.project_of(inputs))
        same = {name: inputs.get(name) for name in ("name", "description", "bgp", "encryptedInterconnectRouter")}
        return filled(**same, network=network, region=region)

    def state(self, document: Props, known: Props) -> Props:
        return filled(description=document.get("description"), network=document.get("network"), bgp=document.get("bgp"))


class RouterNat(GcpHandler):
    """``gcp:compute/routerNat:RouterNat``: an entry of its router's list; id ``<project>/<region>/<router>/<name>``."""

    PLACES = ("project", "region")
    _SAME = """natIpAllocateOption natIps drainNatIps sourceSubnetworkIpRangesToNat minPortsPerVm maxPortsPerVm enableDynamicPortAllocation
    enableEndpointIndependentMapping type endpointTypes autoNetworkTier logConfig icmpIdleTimeoutSec tcpEstablishedIdleTimeoutSec tcpTimeWaitTimeoutSec
    tcpTransitoryIdleTimeoutSec udpIdleTimeoutSec"""
    FIELDS = "name router subnetworks " + _SAME

    def create(self, call: Call, inputs: Props) -> Made:
        project, region, router, name = self._where(inputs)
        with self._edit(project, region, router) as nats:
            if any(nat["name"] == name for nat in nats) and not call.resumed:
                raise Conflict(f"router {router} has a NAT named {name} already", "alreadyExists")
            self._save(call, project, region, router, [*(nat for nat in nats if nat["name"] != name), self._body(inputs)])
        return self.present(call, f"{project}/{region}/{router}/{name}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        project, region, router, name = id.split("/")[-4:]
        document = self.google.find(self.google.compute(f"projects/{project}/regions/{region}/routers/{router}"))
        nat = next((nat for nat in (document or {}).get("nats") or [] if nat["name"] == name), None)
        if nat is None:
            return None
        state = filled(**{key: nat.get(key) for key in self._SAME.split()})
        if nat.get("subnetworks"):
            state["subnetworks"] = [
                filled(name=entry["name"], sourceIpRangesToNats=entry.get("sourceIpRangesToNat"), secondaryIpRangeNames=entry.get("secondaryIpRangeNames"))
                for entry in nat["subnetworks"]
            ]
        return Made(f"{project}/{region}/{router}/{name}", {**state, "project": project, "region": region, "router": router, "name": name, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        project, region, router, name = id.split("/")
        with self._edit(project, region, router) as nats:
            self._save(call, project, region, router, [self._body({**new, "name": name}) if nat["name"] == name else nat for nat in nats])
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        project, region, router, name = id.split("/")
        with self._edit(project, region, router) as nats:
            left = [nat for nat in nats if nat["name"] != name]
            if len(left) < len(nats):
                self._save(call, project, region, router, left)

    def _where(self, inputs: Props) -> tuple[str, str, str, str]:
        return self.google.project_of(inputs), self.google.region_of(inputs), last(inputs["router"]), inputs["name"]

    def _body(self, inputs: Props) -> Props:
        body = filled(name=inputs["name"], **{key: inputs.get(key) for key in self._SAME.split()})
        if inputs.get("subnetworks"):
            body["subnetworks"] = [
                filled(name=entry["name"], sourceIpRangesToNat=entry.get("sourceIpRangesToNats"), secondaryIpRangeNames=entry.get("secondaryIpRangeNames"))
                for entry in inputs["subnetworks"]
            ]
        return body

    def _edit(self, project: str, region: str, router: str) -> _Nats:
        return _Nats(self, project, region, router)

    def _save(self, call: Call, project: str, region: str, router: str, nats: list[Props]) -> None:
        self.google.change(call, "PATCH", f"projects/{project}/regions/{region}/routers/{router}", {"nats": nats})


class _Nats:
    """A router's NATs, held against other edits of this process while they are changed."""

    def __init__(self, handler: RouterNat, project: str, region: str, router: str) -> None:
        self._path = f"projects/{project}/regions/{region}/routers/{router}"
        self._handler = handler
        self._lock = handler.google.locks.of(self._path)

    def __enter__(self) -> list[Props]:
        self._lock.acquire()
        try:
            document = self._handler.google.find(self._handler.google.compute(self._path))
            if document is None:
                raise NotFound(f"router {self._path} was not found")
            return list(document.get("nats") or [])
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _global(network: Any, project: str) -> str:
    """A network by name, as the provider takes it, becomes a path."""
    text = str(network)
    return text if "/" in text else f"projects/{project}/global/networks/{text}"
