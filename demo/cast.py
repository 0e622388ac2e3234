"""Who is on stage: two tenants with different boundaries, each with the demo's service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spotlane import artifact, wire
from spotlane.client import AutomationClient, Client

_SERVICE = Path(__file__).parent / "service"
HTTP_PORT = 8080
TCP_PORT = 9000


@dataclass(frozen=True)
class Part:
    """One tenant and its workload."""

    tenant: str
    display_name: str
    boundary: wire.Json
    workload: str
    drain_seconds: float = 2.0

    @property
    def id(self) -> str:
        """The workload's id."""
        return f"{self.workload}-{self.tenant}"


CAST = (
    Part(
        "acme",
        "Acme, in the EU and the US",
        {"name": "acme", "residency": {"countries": ["BE", "DE", "ES", "FI", "FR", "IE", "IT", "NL", "PL", "SE", "US"]}, "spotOnly": True},
        "web",
    ),
    Part(
        "globex",
        "Globex, in the EU only",
        {"name": "globex-eu", "residency": {"regimes": ["gdpr"]}, "spotOnly": True, "encryption": {"disks": True}},
        "api",
    ),
)


def onboard(edge: Client, automation: AutomationClient, part: Part) -> wire.BoundaryCheck:
    """Stores the tenant with its boundary; what the boundary allows."""
    check = automation.check_boundary(part.boundary)
    edge.put_tenant(wire.Tenant(id=part.tenant, display_name=part.display_name, boundary=part.boundary, boundary_digest=check.digest))
    return check


def declare(edge: Client, part: Part) -> wire.Workload:
    """Stores the service and declares the workload."""
    archive = artifact.pack(_SERVICE)
    digest = artifact.digest(archive)
    edge.put_artifact(digest, archive, part.tenant)
    spec = wire.WorkloadSpec(
        artifact=wire.Artifact(digest=digest, size_bytes=len(archive)),
        command=["python3", "service.py"],
        ports=wire.Ports(http=HTTP_PORT, tcp=TCP_PORT),
        health=wire.Health(interval_seconds=1.0, healthy_count=2),
        resources=wire.Resources(vcpu=2, memory_gib=8),
        placement=wire.PlacementRules(egress_gib_per_hour=0.05, state_gib=1.0, dwell_hours=2),
        drain_seconds=part.drain_seconds,
    )
    return edge.put_workload(part.id, spec)
