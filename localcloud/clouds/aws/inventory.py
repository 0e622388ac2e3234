"""What lives in AWS: everything that somebody made and that would cost or count on a bill, without what AWS makes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from localcloud.clouds.aws.emulation import MANAGEMENT, Emulation
from localcloud.clouds.inventory import Account, Resource

_EC2: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], bool]], ...] = (
    ("instance", lambda backend: backend.all_instances(), lambda one: one.state != "terminated"),
    ("vpc", lambda backend: backend.vpcs.values(), lambda one: not one.is_default),
    ("subnet", lambda backend: (subnet for zones in backend.subnets.values() for subnet in zones.values()), lambda one: not one.default_for_az),
    ("security-group", lambda backend: (group for groups in backend.groups.values() for group in groups.values()), lambda one: one.name != "default"),
    ("internet-gateway", lambda backend: backend.internet_gateways.values(), lambda one: True),
    ("nat-gateway", lambda backend: backend.nat_gateways.values(), lambda one: one.state != "deleted"),
    ("elastic-ip", lambda backend: backend.addresses, lambda one: True),
    ("launch-template", lambda backend: backend.launch_templates.values(), lambda one: True),
    ("vpc-endpoint", lambda backend: backend.vpc_end_points.values(), lambda one: one.state != "deleted"),
    ("flow-log", lambda backend: backend.flow_logs.values(), lambda one: True),
    ("volume", lambda backend: backend.volumes.values(), lambda one: True),
    ("network-interface", lambda backend: backend.enis.values(), lambda one: one.instance is None),
)


def accounts(emulation: Emulation) -> list[Account]:
    """The organization's accounts but for the management account."""
    with emulation.lock:
        organization = emulation.backends("organizations")[MANAGEMENT]["aws"]
        return [Account("aws", one.id, one.name, one.status == "ACTIVE") for one in organization.accounts if one.id != MANAGEMENT]


def resources(emulation: Emulation) -> list[Resource]:
    """Everything in accounts that are open."""
    closed = {one.id for one in accounts(emulation) if not one.open}
    with emulation.lock:
        return [one for one in (*_ec2(emulation), *_iam(emulation), *_policies(emulation)) if one.account not in closed]


def _ec2(emulation: Emulation) -> Iterator[Resource]:
    for account, regions in list(emulation.backends("ec2").items()):
        for region, backend in list(regions.items()):
            main = {table.id for table in backend.route_tables.values() if table.main_association_id}
            for kind, collection, counts in _EC2:
                for one in collection(backend):
                    if counts(one):
                        yield Resource("aws", account, region, kind, str(getattr(one, "id", None) or getattr(one, "allocation_id", "")))
            for table in backend.route_tables.values():
                if table.id not in main:
                    yield Resource("aws", account, region, "route-table", table.id)


def _iam(emulation: Emulation) -> Iterator[Resource]:
    for account, partitions in list(emulation.backends("iam").items()):
        for backend in list(partitions.values()):
            for role in backend.roles.values():
                if not role.path.startswith("/aws-service-role/") and role.name != "OrganizationAccountAccessRole":
                    yield Resource("aws", account, "global", "role", role.name)
            for profile in backend.instance_profiles.values():
                yield Resource("aws", account, "global", "instance-profile", profile.name)
            for policy in backend.managed_policies.values():
                if ":aws:policy/" not in policy.arn:
                    yield Resource("aws", account, "global", "policy", policy.name)
            for provider in backend.open_id_providers.values():
                yield Resource("aws", account, "global", "oidc-provider", provider.arn)


def _policies(emulation: Emulation) -> Iterator[Resource]:
    organization = emulation.backends("organizations")[MANAGEMENT]["aws"]
    for policy in organization.policies:
        if not policy.aws_managed:
            yield Resource("aws", MANAGEMENT, "global", "organization-policy", policy.id)
    for unit in organization.ou:
        if unit.type == "ORGANIZATIONAL_UNIT":
            yield Resource("aws", MANAGEMENT, "global", "organizational-unit", unit.id)
