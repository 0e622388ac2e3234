"""Organization policy constraints that Compute Engine and IAM check when something is made.

Messages: as Compute Engine words them (412, ``conditionNotMet``) and IAM (400, ``FAILED_PRECONDITION``); constraints: Resource Manager, "Organization policy
constraints".
"""

from __future__ import annotations

from localcloud.clouds.documents import Documents, Json
from localcloud.clouds.gcp.errors import GoogleError


def enforced(documents: Documents, project: str, constraint: str) -> bool:
    """Whether a boolean constraint is enforced in the project."""
    return any(rule.get("enforce") for rule in _rules(documents, project, constraint))


def denies(documents: Documents, project: str, constraint: str, value: str) -> bool:
    """Whether a list constraint leaves ``value`` out."""
    restricted = allowed = False
    for rule in _rules(documents, project, constraint):
        values = rule.get("values", {})
        if rule.get("denyAll") or value in values.get("deniedValues", []):
            return True
        allowed = allowed or bool(rule.get("allowAll")) or value in values.get("allowedValues", [])
        restricted = restricted or "allowedValues" in values
    return restricted and not allowed


def check_instance(documents: Documents, project: str, key: str, body: Json) -> None:
    """Refuses an instance that a constraint of its project rules out. Raises :class:`GoogleError`."""
    addressed = any(interface.get("accessConfigs") or interface.get("ipv6AccessConfigs") for interface in body.get("networkInterfaces") or [])
    if addressed and denies(documents, project, "compute.vmExternalIpAccess", key):
        raise _violated(project, "compute.vmExternalIpAccess", f"Add instance {key} to the constraint to use external IP with it.")
    if body.get("canIpForward") and denies(documents, project, "compute.vmCanIpForward", key):
        raise _violated(project, "compute.vmCanIpForward", f"Add instance {key} to the constraint to use IP forwarding with it.")
    if not (body.get("shieldedInstanceConfig") or {}).get("enableSecureBoot") and enforced(documents, project, "compute.requireShieldedVm"):
        raise _violated(project, "compute.requireShieldedVm", "Secure Boot is not enabled in the 'shielded_instance_config' field.")
    metadata = {item["key"]: str(item.get("value", "")).lower() for item in (body.get("metadata") or {}).get("items") or []}
    if metadata.get("enable-oslogin") == "false" and enforced(documents, project, "compute.requireOsLogin"):
        raise _violated(project, "compute.requireOsLogin", "The 'enable-oslogin' metadata entry must not be false.")
    if metadata.get("serial-port-enable") in ("true", "1") and enforced(documents, project, "compute.disableSerialPortAccess"):
        raise _violated(project, "compute.disableSerialPortAccess", "The 'serial-port-enable' metadata entry must not be true.")
    own_key = all((disk.get("diskEncryptionKey") or {}).get("kmsKeyName") for disk in body.get("disks") or [])
    if not own_key and denies(documents, project, "gcp.restrictNonCmekServices", "compute.googleapis.com"):
        raise _violated(project, "gcp.restrictNonCmekServices", f"Resource {key} must be protected by a customer-managed encryption key.")


def check_account_key(documents: Documents, project: str, *, upload: bool) -> None:
    """Refuses a key of a service account where the project allows none. Raises :class:`GoogleError`."""
    constraint = "iam.disableServiceAccountKeyUpload" if upload else "iam.disableServiceAccountKeyCreation"
    if enforced(documents, project, constraint):
        what = "upload" if upload else "creation"
        raise GoogleError(400, f"Key {what} is not allowed on this service account (constraints/{constraint}).", status="FAILED_PRECONDITION")


def _rules(documents: Documents, project: str, constraint: str) -> list[Json]:
    policy = documents.get(f"projects/{project}/policies/{constraint}")
    return list(policy.body.get("spec", {}).get("rules", [])) if policy is not None else []


def _violated(project: str, constraint: str, what: str) -> GoogleError:
    return GoogleError(412, f"Constraint constraints/{constraint} violated for project projects/{project}. {what}")
