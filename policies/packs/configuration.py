"""Hygiene of single settings: each judge sees one resource and says what is set, or left out, against what the vendors' benchmarks recommend. Never a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from policies.facts.reading import UNKNOWN, equals, truth
from policies.facts.resource import Resource


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, at which input; ``unknown`` where that shows at apply only."""

    what: str
    path: str
    unknown: bool = False


Judge = Callable[[Resource], Iterator[Fault]]


def _is(resource: Resource, package: str, module: str, *kinds: str) -> bool:
    return resource.package == package and resource.module == module and resource.kind in kinds


def _must_be(value: Any, wanted: bool, what: str, path: str) -> Iterator[Fault]:
    """A fault unless ``value`` is what is wanted; an absent one isn't."""
    if value is UNKNOWN:
        yield Fault("has a setting that is unknown until apply; it is judged there", path, unknown=True)
    elif truth(value) is not wanted:
        yield Fault(what, path)


def bucket_public(resource: Resource) -> Iterator[Fault]:
    """Objects that the internet may be given."""
    inputs = resource.inputs
    if _is(resource, "aws", "s3", "BucketPublicAccessBlock", "AccountPublicAccessBlock"):
        for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
            yield from _must_be(inputs.get(key), True, "leaves a way to make objects public", key)
    elif _is(resource, "azure-native", "storage", "StorageAccount"):
        yield from _must_be(inputs.get("allowBlobPublicAccess"), False, "lets blobs be public", "allowBlobPublicAccess")
    elif _is(resource, "gcp", "storage", "Bucket"):
        value = inputs.get("publicAccessPrevention")
        if value is UNKNOWN or equals(value, "enforced") is not True:
            yield Fault("lets objects be public", "publicAccessPrevention", unknown=value is UNKNOWN)


def plain_transport(resource: Resource) -> Iterator[Fault]:
    """Storage that answers without TLS, or by versions that are broken."""
    if _is(resource, "azure-native", "storage", "StorageAccount"):
        inputs = resource.inputs
        # Azure's default is true since API version 2019-04-01.
        if inputs.get("enableHttpsTrafficOnly") is not None:
            yield from _must_be(inputs.get("enableHttpsTrafficOnly"), True, "answers without TLS", "enableHttpsTrafficOnly")
        version = inputs.get("minimumTlsVersion")
        if version is UNKNOWN or str(version) not in {"TLS1_2", "TLS1_3"}:
            yield Fault("takes versions of TLS before 1.2", "minimumTlsVersion", unknown=version is UNKNOWN)


def database_public(resource: Resource) -> Iterator[Fault]:
    """Databases with an address on the internet."""
    inputs = resource.inputs
    if _is(resource, "aws", "rds", "Instance", "ClusterInstance") and inputs.get("publiclyAccessible") is not None:
        yield from _must_be(inputs.get("publiclyAccessible"), False, "has an address on the internet", "publiclyAccessible")
    elif _is(resource, "gcp", "sql", "DatabaseInstance"):
        network = inputs.within("settings").within("ipConfiguration")
        enabled = network.get("ipv4Enabled")
        # Google gives a public address where nothing is said.
        yield from _must_be(True if enabled is None else enabled, False, "has an address on the internet", network.at("ipv4Enabled"))


def interactive_login(resource: Resource) -> Iterator[Fault]:
    """Machines that take passwords, or a keyboard over the serial port."""
    inputs = resource.inputs
    if _is(resource, "azure-native", "compute", "VirtualMachine"):
        linux = inputs.within("osProfile").within("linuxConfiguration")
        if linux.get("disablePasswordAuthentication") is not None:
            yield from _must_be(linux.get("disablePasswordAuthentication"), True, "takes passwords", linux.at("disablePasswordAuthentication"))
    elif _is(resource, "gcp", "compute", "Instance", "InstanceTemplate"):
        value = inputs.within("metadata").get("serial-port-enable")
        if value is UNKNOWN or str(value).lower() in {"true", "1", "y", "yes"}:
            yield Fault("opens its serial port", "metadata.serial-port-enable", unknown=value is UNKNOWN)


def unshielded(resource: Resource) -> Iterator[Fault]:
    """Google's machines whose boot nobody vouches for."""
    if _is(resource, "gcp", "compute", "Instance", "InstanceTemplate"):
        shield = resource.inputs.within("shieldedInstanceConfig")
        for key in ("enableVtpm", "enableIntegrityMonitoring"):
            if shield.get(key) is not None:
                yield from _must_be(shield.get(key), True, "has a part of Shielded VM switched off", shield.at(key))


def forwarding(resource: Resource) -> Iterator[Fault]:
    """Machines that pass on packets that aren't theirs."""
    inputs = resource.inputs
    for key, wanted, which in (
        ("canIpForward", False, _is(resource, "gcp", "compute", "Instance", "InstanceTemplate")),
        ("enableIPForwarding", False, _is(resource, "azure-native", "network", "NetworkInterface")),
        ("sourceDestCheck", True, _is(resource, "aws", "ec2", "Instance", "NetworkInterface")),
    ):
        if which and inputs.get(key) is not None:
            yield from _must_be(inputs.get(key), wanted, "passes on packets that aren't its own", key)


def default_identity(resource: Resource) -> Iterator[Fault]:
    """Google's machines that run as the project's default account, which may edit the whole project."""
    if _is(resource, "gcp", "compute", "Instance", "InstanceTemplate"):
        account = resource.inputs.within("serviceAccount")
        email = account.get("email")
        if isinstance(email, str) and email.endswith("-compute@developer.gserviceaccount.com"):
            yield Fault("runs as the project's default account", account.at("email"))
        elif email is None and not account.unknown and account.keys():
            yield Fault("names scopes without an account, so that it runs as the project's default one", account.at("email"))


def static_key(resource: Resource) -> Iterator[Fault]:
    """Credentials without an end."""
    if _is(resource, "aws", "iam", "AccessKey") or _is(resource, "gcp", "serviceaccount", "Key"):
        yield Fault("is a credential that lasts until somebody deletes it", "")


def key_rotation(resource: Resource) -> Iterator[Fault]:
    """Keys of one's own that never change."""
    inputs = resource.inputs
    if _is(resource, "aws", "kms", "Key"):
        symmetric = all(
            inputs.get(key) is None or equals(inputs.get(key), usual)
            for key, usual in (("keyUsage", "ENCRYPT_DECRYPT"), ("customerMasterKeySpec", "SYMMETRIC_DEFAULT"))
        )
        if symmetric:
            yield from _must_be(inputs.get("enableKeyRotation"), True, "never changes its key", "enableKeyRotation")
    elif _is(resource, "gcp", "kms", "CryptoKey"):
        symmetric = inputs.get("purpose") is None or equals(inputs.get("purpose"), "ENCRYPT_DECRYPT") is True
        if symmetric and inputs.get("rotationPeriod") is None:
            yield Fault("never changes its key", "rotationPeriod")


def flow_logs(resource: Resource) -> Iterator[Fault]:
    """Google's subnets whose traffic nobody could look up afterwards."""
    if _is(resource, "gcp", "compute", "Subnetwork") and resource.inputs.get("logConfig") is None:
        special = {"REGIONAL_MANAGED_PROXY", "GLOBAL_MANAGED_PROXY", "PRIVATE_SERVICE_CONNECT"}
        if resource.inputs.get("purpose") not in special:
            yield Fault("keeps no flow logs", "logConfig")


JUDGES: dict[str, Judge] = {
    "bucket-public": bucket_public,
    "plain-transport": plain_transport,
    "database-public": database_public,
    "interactive-login": interactive_login,
    "unshielded": unshielded,
    "ip-forwarding": forwarding,
    "default-identity": default_identity,
    "static-key": static_key,
    "key-rotation": key_rotation,
    "flow-logs": flow_logs,
}
"""By rule of the catalogue, in its order."""
