"""What each run's stack is made of: its foundations, its settings, its packs (the :class:`automation.runs.queue.Plans` port).

Settings are derived from what the edge holds (tenants, workloads, migrations) and from the service's own settings; a stack that stands keeps the
address range it was given. A foundation that was brought up by the same program, with the same settings and under the same boundary, is not run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from automation.errors import AutomationError
from automation.runs.engine import PolicyPack
from automation.runs.events import RunOutcome
from automation.service.tenants import TenantFiles
from automation.settings import PROJECT_ROOT, AutomationSettings
from components import cidr
from domain.catalog import CATALOG
from domain.region_numbers import region_number
from spotlane.client import Client
from spotlane.wire import Json, Migration, RunRequest, StackRef, Tenant, Workload, WorkloadSpec

PACK = PROJECT_ROOT / "policies" / "packs" / "spotlane.pack"
"""As a directory: the language host starts it, which has its SDK loaded already where it is a warm one."""
BROUGHT = {"aws": "existingAccountId", "azure": "existingSubscriptionId", "gcp": "existingProjectId"}
"""The setting by which a tenant brings an account: a cloud's settings with it came from a person, with a run of theirs, and are kept as they came."""


class StackPlans:
    """Knows how every kind of stack is set up."""

    def __init__(self, settings: AutomationSettings, edge: Callable[[], Client], tenants: TenantFiles, platform_key_sha256: str, program: str) -> None:
        self._settings = settings
        self._edge = edge
        self._tenants = tenants
        self._platform_key_sha256 = platform_key_sha256
        self._program = program
        self._standing = settings.home / "automation" / "foundations"
        self._standing.mkdir(parents=True, exist_ok=True)

    def foundations(self, request: RunRequest) -> list[list[RunRequest]]:
        """A placement and a relay stand on their region, a region on its tenant; a TCP workload has an address besides. What stands already is left out."""
        if request.operation not in ("up", "preview"):
            return []
        stack = request.stack
        waves: list[list[StackRef]] = []
        if stack.kind == "region":
            waves = [[StackRef(kind="tenant", tenant=stack.tenant)]]
        elif stack.kind == "relay":
            waves = [[StackRef(kind="tenant", tenant=stack.tenant)], [StackRef(kind="region", tenant=stack.tenant, cloud=stack.cloud, region=stack.region)]]
        elif stack.kind == "placement":
            waves = self._beneath(request)
        return [runs for wave in waves if (runs := [run for one in wave if (run := self._missing(one, request)) is not None])]

    def _beneath(self, request: RunRequest) -> list[list[StackRef]]:
        """What a placement stands on, by its migration's offer; by the settings that came with it, or of its last run, where it has no migration."""
        stack, tcp = request.stack, False
        if request.migration is not None:
            migration, workload = self._subject(request)
            offer = migration.decision.offer
            if offer is None:
                raise AutomationError(f"migration {migration.id} has no offer; there is nothing to provision")
            place, tcp = (offer.cloud, offer.region), workload.spec.ports.tcp is not None
        else:
            settings = request.settings or self._kept(stack)
            if not settings:
                raise AutomationError(f"a run of {stack.name} needs the migration that it belongs to, or settings of its own")
            place = settings["cloud"], settings["region"]
        first = [StackRef(kind="tenant", tenant=stack.tenant)]
        if tcp:
            first.append(StackRef(kind="address", tenant=stack.tenant, workload=stack.workload))
        return [first, [StackRef(kind="region", tenant=stack.tenant, cloud=place[0], region=place[1])]]

    def _missing(self, foundation: StackRef, request: RunRequest) -> RunRequest | None:
        """The run that brings ``foundation`` up for ``request``; None where it stands with the settings of now."""
        settings = self._foundation_settings(foundation, request)
        if self._stands(foundation, settings):
            return None
        key = f"{foundation.name}:{self._made_of(foundation, settings)}:for:{request.idempotency_key}"
        return RunRequest(idempotency_key=key, stack=foundation, operation="up", settings=settings, priority=request.priority)

    def settings(self, request: RunRequest) -> Json | None:
        """The stack's settings: those of the request, else derived."""
        if request.settings is not None:
            if request.stack.kind == "tenant":
                self._known_tenant(request.stack)  # its packs judge by the boundary that the edge holds
            return request.settings
        if request.stack.kind == "placement":
            return self._placement(request) if request.migration is not None else None
        if request.stack.kind == "relay":
            return None  # which workloads it serves comes from a person, with a run, and is kept
        return self._foundation_settings(request.stack, request)

    def packs(self, request: RunRequest) -> list[PolicyPack]:
        """The boundary's pack, for every stack; a tenant's stacks are judged by the tenant's boundary."""
        config = self._tenants.pack_config(request.stack.tenant) if request.stack.tenant else self._tenants.platform_pack_config()
        return [PolicyPack(PACK, config)]

    def finished(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Remembers a foundation that stands; a tenant's accounts become the proxy's."""
        mark = self._standing / f"{request.stack.name}.json"
        if request.operation == "destroy":
            mark.unlink(missing_ok=True)
            if request.stack.kind == "tenant" and request.stack.tenant:
                self._tenants.forget(request.stack.tenant)
            return
        if request.operation != "up" or request.stack.kind == "placement":
            return
        if request.stack.kind == "tenant" and request.stack.tenant:
            self._tenants.learn(request.stack.tenant, outcome.outputs)
        settings = self.settings(request)
        mark.write_text(json.dumps({"digest": self._made_of(request.stack, settings)}))

    def standing(self, tenant: str) -> list[StackRef]:
        """The tenant's standing foundations, in the order in which they can be destroyed."""
        found = []
        for kind in ("address", "relay", "region", "tenant"):
            for mark in sorted(self._standing.glob(f"{kind}.{tenant}*.json")):
                parts = mark.stem.split(".")
                if parts[1] != tenant:
                    continue
                document: dict[str, Any] = {"kind": kind, "tenant": tenant}
                if kind in ("region", "relay"):
                    document |= {"cloud": parts[2], "region": parts[3]}
                elif kind == "address":
                    document |= {"workload": parts[2]}
                found.append(StackRef.model_validate(document))
        return found

    def _stands(self, stack: StackRef, settings: Json) -> bool:
        try:
            mark = json.loads((self._standing / f"{stack.name}.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(mark["digest"] == self._made_of(stack, settings))

    def _made_of(self, stack: StackRef, settings: Json | None) -> str:
        """Digest of everything that makes the stack what it is: its settings, the programs, and what the packs judge by."""
        config = self._tenants.pack_config(stack.tenant) if stack.tenant else None
        judged_by = hashlib.sha256(config.read_bytes()).hexdigest() if config is not None and config.exists() else ""
        return _digest({"settings": settings, "program": self._program, "packs": judged_by})

    def _subject(self, request: RunRequest) -> tuple[Migration, Workload]:
        if request.migration is None:
            raise AutomationError(f"a run of {request.stack.name} needs the migration that it belongs to, or settings of its own")
        migration = self._edge().migration(request.migration)
        return migration, self._edge().workload(migration.workload)

    def _foundation_settings(self, stack: StackRef, request: RunRequest) -> Json:
        match stack.kind:
            case "edge":
                return self._edge_settings()
            case "tenant":
                return self._tenant(self._known_tenant(stack))
            case "region":
                return self._region(stack)
            case "address":
                return self._address(stack)
        raise AutomationError(f"the settings of a {stack.kind} stack can't be derived; give them with the run")

    def _known_tenant(self, stack: StackRef) -> Tenant:
        if stack.tenant is None:
            raise AutomationError(f"stack {stack.name} names no tenant")
        tenant = self._edge().tenant(stack.tenant)
        self._tenants.write(tenant)
        return tenant

    def _cloudflare(self) -> Json:
        return {"accountId": self._settings.cloudflare_account_id, "zone": self._settings.zone, "zoneId": self._settings.cloudflare_zone_id}

    def _edge_settings(self) -> Json:
        return self._cloudflare() | {"automationUrl": self._settings.automation_url, "platformKeySha256": self._platform_key_sha256}

    def _tenant(self, tenant: Tenant) -> Json:
        settings: Json = {"boundary": tenant.boundary}
        if "aws" in tenant.clouds:
            settings["aws"] = {"email": f"{tenant.id}@{self._settings.aws_email_domain}", "organizationalUnitId": self._settings.aws_organizational_unit}
        if "azure" in tenant.clouds:
            settings["azure"] = {"billingScope": self._settings.azure_billing_scope, "managementGroupId": self._settings.azure_management_group}
        if "gcp" in tenant.clouds:
            settings["gcp"] = {
                "projectId": f"spotlane-{tenant.id}",
                "folderId": self._settings.gcp_folder,
                "billingAccount": self._settings.gcp_billing_account,
            }
            if self._settings.gcp_automation_principal:
                settings["gcp"]["automationPrincipal"] = self._settings.gcp_automation_principal
        kept = self._kept(StackRef(kind="tenant", tenant=tenant.id))
        brought = {cloud: kept[cloud] for cloud, field in BROUGHT.items() if cloud in settings and (kept.get(cloud) or {}).get(field)}
        return settings | brought

    def _region(self, stack: StackRef) -> Json:
        region = CATALOG.region(str(stack.cloud), str(stack.region))
        settings: Json = {"cidr": self._kept_cidr(stack) or self._cidr(stack), "zones": list(region.zones)}
        if (self._edge().tenant(str(stack.tenant)).boundary.get("encryption") or {}).get("customerKeys"):
            settings["diskKey"] = "customer"
        return settings

    def _cidr(self, stack: StackRef) -> str:
        """The region's range of the pool: disjoint from those of all other regions, and from what the tenant's standing regions have kept from another pool."""
        try:
            own = cidr.of_region(self._settings.network_pool, region_number(str(stack.cloud), str(stack.region)))
        except cidr.CidrError as error:
            raise AutomationError(f"SPOTLANE_NETWORK_POOL: {error}") from error
        standing = {one.name: kept for one in self.standing(str(stack.tenant)) if one.kind == "region" and (kept := self._kept_cidr(one)) is not None}
        if (taken := cidr.clash(own, standing)) is not None:
            raise AutomationError(f"{stack.name} would get {own}, which overlaps {taken} ({standing[taken]}); give SPOTLANE_NETWORK_POOL a range beside it")
        return own

    def _kept_cidr(self, stack: StackRef) -> str | None:
        return self._kept(stack).get("cidr")

    def _kept(self, stack: StackRef) -> Json:
        """The settings of the stack's last run, secrets encrypted; empty where there was none."""
        file: Path = self._settings.home / "config" / f"Pulumi.{stack.name}.yaml"
        document = (yaml.safe_load(file.read_text()) if file.exists() else None) or {}
        kept: Json = (document.get("config") or {}).get("spotlane:settings") or {}
        return kept

    def _address(self, stack: StackRef) -> Json:
        workload = self._edge().workload(f"{stack.workload}-{stack.tenant}")
        # The relay is always told who the client is where the service wants to know.
        proxy_protocol = "off" if workload.spec.ports.proxy_protocol == "off" else "v2"
        own = {"relay": "own"} if any(one.kind == "relay" for one in self.standing(str(stack.tenant))) else {}
        return self._cloudflare() | own | {"tcpPort": workload.spec.ports.tcp, "proxyProtocol": proxy_protocol}

    def _placement(self, request: RunRequest) -> Json:
        migration, workload = self._subject(request)
        offer = migration.decision.offer
        if offer is None:
            raise AutomationError(f"migration {migration.id} has no offer; there is nothing to provision")
        spec = workload.spec
        edge = self._edge()
        credentials = edge.placement_credentials(migration.id)
        return {
            "cloud": offer.cloud,
            "region": offer.region,
            "zone": offer.zone,
            "instanceType": offer.instance_type,
            "arch": spec.resources.arch,
            "capacityType": migration.decision.capacity,
            "maxUsdPerHour": spec.placement.max_usd_per_hour if migration.decision.capacity == "spot" else None,
            "zoneName": self._settings.zone,
            "cloudflareZoneId": self._settings.cloudflare_zone_id,
            "cloudflareAccountId": self._settings.cloudflare_account_id,
            "machine": {
                **_source(spec, edge.api_url),
                "command": spec.command,
                "env": spec.env,
                "httpPort": spec.ports.http,
                "tcpPort": spec.ports.tcp,
                "healthPath": spec.health.path,
                "drainSeconds": spec.drain_seconds,
                "cloudIdentity": spec.cloud_identity,
                **({"logUrl": f"{edge.api_url}/logs"} if spec.logs else {}),
                "incidentUrl": f"{edge.api_url}/incidents",
                "placementToken": credentials.access_token,
                "originKey": credentials.origin_key,
            },
            "tags": {},
        }


def _source(spec: WorkloadSpec, api_url: str) -> Json:
    """Where the machine gets what it runs."""
    if spec.artifact is None:
        return {"image": spec.image}
    return {"artifactUrl": f"{api_url}/artifacts/{spec.artifact.digest}", "artifactDigest": spec.artifact.digest}


def _digest(settings: Json | None) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
