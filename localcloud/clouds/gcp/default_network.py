"""The network that Google makes in a project whose Compute Engine is switched on for the first time, with the rules that let the world in.

Source: VPC documentation, "Default network" (names and rules). Its subnetworks, one a region, are left out: they come and go with it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from localcloud.clouds.documents import Documents, Json, made_up_number
from localcloud.clouds.gcp.constraints import enforced

NETWORK, FIREWALL = "compute#network", "compute#firewall"
_BASE = "https://www.googleapis.com/compute/v1/"
_RULES: dict[str, tuple[list[str], list[Json]]] = {
    "default-allow-icmp": (["0.0.0.0/0"], [{"IPProtocol": "icmp"}]),
    "default-allow-internal": (
        ["10.128.0.0/9"],
        [{"IPProtocol": "tcp", "ports": ["0-65535"]}, {"IPProtocol": "udp", "ports": ["0-65535"]}, {"IPProtocol": "icmp"}],
    ),
    "default-allow-rdp": (["0.0.0.0/0"], [{"IPProtocol": "tcp", "ports": ["3389"]}]),
    "default-allow-ssh": (["0.0.0.0/0"], [{"IPProtocol": "tcp", "ports": ["22"]}]),
}


def make(documents: Documents, project: str) -> None:
    """Makes it, unless a policy of the project or above it forbids that."""
    if enforced(documents, project, "compute.skipDefaultNetworkCreation"):
        return
    key = f"projects/{project}/global/networks/default"
    made = {"creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")}
    network = {"name": "default", "description": "Default network for the project", "autoCreateSubnetworks": True, "routingConfig": {"routingMode": "REGIONAL"}}
    documents.put(key, NETWORK, project, network | made | {"id": str(made_up_number(key, documents.next_number()))})
    for name, (ranges, allowed) in _RULES.items():
        own = f"projects/{project}/global/firewalls/{name}"
        rule = {"name": name, "network": _BASE + key, "direction": "INGRESS", "priority": 65534, "sourceRanges": ranges, "allowed": allowed}
        documents.put(own, FIREWALL, project, rule | made | {"id": str(made_up_number(own, documents.next_number()))})
