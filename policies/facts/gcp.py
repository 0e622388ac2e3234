"""Google Cloud resources (``gcp:…``) as calls."""

from __future__ import annotations

import re

from domain.boundary.call import Named, TraitName
from domain.boundary.names import gcp_place, gcp_project
from domain.boundary.regions import of_zone
from policies.facts.aws import anywhere
from policies.facts.reading import UNKNOWN, Inputs, either, equals, present, truth
from policies.facts.resource import Facts, Resource, known_text

GLOBAL_MODULES = frozenset({"organizations", "projects", "orgpolicy", "serviceaccount", "serviceAccount", "iam", "billing", "folder", "tags", "monitoring"})
GLOBAL_KINDS = frozenset({"Network", "Firewall", "Route", "NetworkPeering", "GlobalAddress", "HealthCheck", "InstanceTemplate", "ProjectMetadata"})
"""Compute's global resources hold rules and names, no data."""
LABELLED_KINDS = frozenset({"Instance", "Project", "Disk", "CryptoKey"})
_LABELLED_MODULES = frozenset({"compute", "organizations", "kms"})
_PLACED_BY = {"CryptoKey": "keyRing", "CryptoKeyIAMMember": "cryptoKeyId", "CryptoKeyVersion": "cryptoKey"}
"""Kinds of Cloud KMS that stand where the one stands that this input names."""
_IMAGE = re.compile(r"(?:https://[a-z.]+/compute/[a-z0-9]+/)?projects/[a-z0-9.:-]+/global/images/(?:family/)?[a-z0-9-]+")


def facts(resource: Resource) -> Facts:
    """What the boundary's rules need to know of the resource."""
    inputs = resource.inputs
    found = Facts(scope="global" if resource.module in GLOBAL_MODULES or resource.kind in GLOBAL_KINDS else "regional")
    found.account = known_text(inputs.get("project")) or known_text(resource.provider.get("project")) if resource.kind != "Project" else None
    if found.scope == "regional":
        places = [found.place(inputs.get(key), key, lambda zone: of_zone("gcp", gcp_place(zone) or zone)) for key in ("region", "zone", "location")]
        if resource.module == "kms" and (link := _PLACED_BY.get(resource.kind)):
            # One that isn't made yet is judged itself, in the same preview.
            places.append(inputs.get(link) is not UNKNOWN and found.place(inputs.get(link), link, lambda name: gcp_place(name) or name))
        if not any(places) and not found.place(resource.provider.get("region"), "provider.region"):
            found.place(resource.provider.get("zone"), "provider.zone", lambda zone: of_zone("gcp", zone))
    for path, text in inputs.strings():
        project = linked_project(text)
        if project:
            found.accounts.append(Named(project, path))
    found.named(inputs.get("name"))
    if resource.kind in LABELLED_KINDS and resource.module in _LABELLED_MODULES:
        found.tagged(inputs, "labels", Inputs(resource.provider.get("defaultLabels")).keys())
    if judge := _BY_KIND.get(f"{resource.module}:{resource.kind}"):
        judge(inputs, found)
    return found


def linked_project(text: str) -> str | None:
    """The project that a link names. Boot images are their vendors'; a federated identity (``principal://…/projects/<number>/…``) is somebody, not a
    resource, as a user's or a service account's address is."""
    if "projects/" not in text or _IMAGE.fullmatch(text) or text.startswith(("principal://", "principalSet://")):
        return None
    return gcp_project(text)


def _instance(inputs: Inputs, found: Facts) -> None:
    scheduling = inputs.within("scheduling")
    spot = either(equals(scheduling.get("provisioningModel"), "SPOT"), truth(scheduling.get("preemptible")))
    found.trait("spot", spot, scheduling.at("provisioningModel"))
    for disk in [inputs.within("bootDisk"), *inputs.each("attachedDisks"), *inputs.each("disks")]:
        if disk.unknown or disk.keys():
            # Google encrypts every disk; a key of the customer is named by its self link.
            key = "kmsKeySelfLink"
            found.trait("disk-encrypted", True, disk.path)
            found.trait(
                "customer-key",
                present(disk.get(key)) or present(disk.within("diskEncryptionKey").get(key)) or present(disk.within("diskEncryptionKey").get("kmsKeyName")),
                disk.at(key),
            )
    for interface in inputs.each("networkInterfaces"):
        for key in ("accessConfigs", "ipv6AccessConfigs"):
            value = interface.get(key)
            found.trait("public-address", None if value is UNKNOWN else bool(value is not None and len(value)), interface.at(key))


def _firewall(inputs: Inputs, found: Facts) -> None:
    if inputs.get("allows") is None and inputs.get("allowed") is None:
        return
    direction = inputs.get("direction") or "INGRESS"
    # A direction that is neither word counts as both.
    if not equals(direction, "EGRESS"):
        _ranges(inputs, "sourceRanges", "open-ingress", found)
    if not equals(direction, "INGRESS"):
        _ranges(inputs, "destinationRanges", "open-egress", found)


def _ranges(inputs: Inputs, key: str, trait: TraitName, found: Facts) -> None:
    # A rule that names no range (nor source tags) is for every address.
    if inputs.get(key) is None and not inputs.get("sourceTags") and not inputs.get("sourceServiceAccounts"):
        found.trait(trait, True, key)
    for path, value in inputs.texts(key):
        found.trait(trait, anywhere(value), path)


def _disk(inputs: Inputs, found: Facts) -> None:
    key = inputs.within("diskEncryptionKey")
    found.trait("disk-encrypted", True, "diskEncryptionKey")
    found.trait("customer-key", present(key.get("kmsKeySelfLink")) or present(key.get("kmsKeyName")), key.at("kmsKeySelfLink"))


def _from_template(inputs: Inputs, found: Facts) -> None:
    # What it leaves to its template was judged there.
    _instance(inputs, found)
    if inputs.get("scheduling") is None:
        found.traits = [trait for trait in found.traits if trait.name != "spot"]


def _forwarding_rule(inputs: Inputs, found: Facts) -> None:
    scheme = inputs.get("loadBalancingScheme") or "EXTERNAL"
    found.trait("public-address", None if scheme is UNKNOWN else str(scheme).upper().startswith("EXTERNAL"), "loadBalancingScheme")


def _node_pool(inputs: Inputs, found: Facts) -> None:
    config = inputs.within("nodeConfig")
    found.trait("spot", either(truth(config.get("spot")), truth(config.get("preemptible"))), config.at("spot"))


_BY_KIND = {
    "compute:Instance": _instance,
    "compute:InstanceTemplate": _instance,
    "compute:RegionInstanceTemplate": _instance,
    "compute:InstanceFromTemplate": _from_template,
    "compute:InstanceFromMachineImage": _from_template,
    "compute:Firewall": _firewall,
    "compute:Disk": _disk,
    "compute:RegionDisk": _disk,
    "compute:ForwardingRule": _forwarding_rule,
    "compute:GlobalForwardingRule": _forwarding_rule,
    "container:NodePool": _node_pool,
}
