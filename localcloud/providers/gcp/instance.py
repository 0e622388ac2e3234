"""Instances, on demand or spot (https://cloud.google.com/compute/docs/reference/rest/v1/instances)."""

from __future__ import annotations

from typing import Any

from localcloud.providers.faults import Rejected
from localcloud.providers.gcp.google import last
from localcloud.providers.gcp.resource import ComputeHandler, filled
from localcloud.providers.ports import Call
from localcloud.providers.values import Props

_STARTUP = "startup-script"
_SCHEDULING = (
    "provisioningModel preemptible automaticRestart onHostMaintenance instanceTerminationAction minNodeCpus maxRunDuration terminationTime availabilityDomain"
)


class Instance(ComputeHandler):
    """``gcp:compute/instance:Instance``. What can't change in place is refused as the provider refuses it."""

    COLLECTION = "instances"
    PLACES = ("project", "zone")
    FIELDS = """name description machineType bootDisk networkInterfaces scheduling serviceAccount shieldedInstanceConfig metadata metadataStartupScript
    labels tags minCpuPlatform canIpForward deletionProtection hostname allowStoppingForUpdate desiredStatus scratchDisks attachedDisks guestAccelerators"""

    def body(self, inputs: Props) -> Props:
        project, zone = self.google.project_of(inputs), self.google.zone_of(inputs)
        place = f"projects/{project}/zones/{zone}"
        metadata = {**(inputs.get("metadata") or {}), **({_STARTUP: inputs["metadataStartupScript"]} if inputs.get("metadataStartupScript") else {})}
        account = inputs.get("serviceAccount")
        kind = str(inputs["machineType"])
        others = [*(_scratch(disk, place) for disk in inputs.get("scratchDisks") or []), *(_attached(disk) for disk in inputs.get("attachedDisks") or [])]
        return filled(
            name=inputs["name"],
            description=inputs.get("description"),
            hostname=inputs.get("hostname"),
            machineType=kind if "/" in kind else f"{place}/machineTypes/{kind}",
            disks=[_boot(inputs["bootDisk"], place), *others],
            networkInterfaces=[_interface(entry, project, zone) for entry in inputs["networkInterfaces"]],
            scheduling={name: inputs["scheduling"][name] for name in _SCHEDULING.split() if inputs["scheduling"].get(name) is not None}
            if inputs.get("scheduling")
            else None,
            serviceAccounts=[{"email": account.get("email", "default"), "scopes": [_scope(scope) for scope in account["scopes"]]}] if account else None,
            shieldedInstanceConfig=inputs.get("shieldedInstanceConfig"),
            guestAccelerators=[
                {"acceleratorType": f"{place}/acceleratorTypes/{last(one['type'])}", "acceleratorCount": int(one["count"])}
                for one in inputs.get("guestAccelerators") or []
            ]
            or None,
            metadata={"items": [{"key": key, "value": str(value)} for key, value in sorted(metadata.items())]} if metadata else None,
            labels=inputs.get("labels"),
            tags={"items": inputs["tags"]} if inputs.get("tags") else None,
            minCpuPlatform=inputs.get("minCpuPlatform"),
            canIpForward=inputs.get("canIpForward"),
            deletionProtection=inputs.get("deletionProtection"),
        )

    def state(self, document: Props, known: Props) -> Props:
        metadata = {item["key"]: item.get("value", "") for item in (document.get("metadata") or {}).get("items") or []}
        startup = metadata.pop(_STARTUP, None) if known.get("metadataStartupScript") else None
        accounts = document.get("serviceAccounts") or []
        boot: Props = next((disk for disk in document.get("disks") or [] if disk.get("boot")), {})
        labels = document.get("labels") or {}
        scheduling = document.get("scheduling") or {}
        return filled(
            description=document.get("description"),
            machineType=last(str(document.get("machineType", ""))),
            instanceId=str(document.get("id", "")),
            currentStatus=document.get("status"),
            cpuPlatform=document.get("cpuPlatform", ""),
            canIpForward=document.get("canIpForward", False),
            deletionProtection=document.get("deletionProtection", False),
            hostname=document.get("hostname"),
            minCpuPlatform=document.get("minCpuPlatform") or None,
            labels=labels,
            effectiveLabels=labels,
            pulumiLabels=labels,
            labelFingerprint=document.get("labelFingerprint", ""),
            metadata=metadata,
            metadataFingerprint=(document.get("metadata") or {}).get("fingerprint", ""),
            metadataStartupScript=startup,
            tags=(document.get("tags") or {}).get("items") or [],
            tagsFingerprint=(document.get("tags") or {}).get("fingerprint", ""),
            scheduling={name: scheduling[name] for name in _SCHEDULING.split() if scheduling.get(name) is not None},
            serviceAccount={"email": accounts[0]["email"], "scopes": accounts[0].get("scopes", [])} if accounts else None,
            shieldedInstanceConfig=document.get("shieldedInstanceConfig"),
            guestAccelerators=[{"type": last(one["acceleratorType"]), "count": one["acceleratorCount"]} for one in document.get("guestAccelerators") or []]
            or None,
            networkInterfaces=[_shown_interface(entry) for entry in document.get("networkInterfaces") or []],
            bootDisk=_shown_boot(boot, known.get("bootDisk") or {}),
        )

    def patch(self, call: Call, id: str, known: Props, changed: Props) -> None:
        current = self.google.request("GET", self.google.compute(id))
        steps: dict[str, tuple[str, Any]] = {
            "labels": ("setLabels", {"labels": changed.get("labels") or {}, "labelFingerprint": current.get("labelFingerprint")}),
            "metadata": ("setMetadata", {**(changed.get("metadata") or {"items": []}), "fingerprint": (current.get("metadata") or {}).get("fingerprint")}),
            "tags": ("setTags", {**(changed.get("tags") or {"items": []}), "fingerprint": (current.get("tags") or {}).get("fingerprint")}),
            "scheduling": ("setScheduling", changed.get("scheduling") or {}),
        }
        for name, (verb, document) in steps.items():
            if name in changed:
                self.google.change(call, "POST", f"{id}/{verb}", document)
        if "deletionProtection" in changed:
            self.google.change(call, "POST", f"{id}/setDeletionProtection?deletionProtection={str(bool(changed['deletionProtection'])).lower()}")
        stopped = {"machineType": "setMachineType", "serviceAccounts": "setServiceAccount", "minCpuPlatform": "setMinCpuPlatform"}
        wanted = {name: verb for name, verb in stopped.items() if name in changed}
        left = set(changed) - set(steps) - set(stopped) - {"deletionProtection"}
        if left:
            raise Rejected(f"{id}: {', '.join(sorted(left))} can't be changed in place; replace the instance (pulumi up --target-replace)")
        if wanted:
            self._while_stopped(call, id, known, {verb: _stopped_body(name, changed[name]) for name, verb in wanted.items()})

    def _while_stopped(self, call: Call, id: str, known: Props, steps: dict[str, Props]) -> None:
        if not known.get("allowStoppingForUpdate"):
            raise Rejected(f"{id}: {', '.join(steps)} needs the instance to be stopped; set allowStoppingForUpdate to let the provider do it")
        self.google.change(call, "POST", f"{id}/stop")
        for verb, document in steps.items():
            self.google.change(call, "POST", f"{id}/{verb}", document)
        self.google.change(call, "POST", f"{id}/start")


def _stopped_body(name: str, value: Any) -> Props:
    if name == "serviceAccounts":
        return dict(value[0]) if value else {}
    return {name: value}


def _boot(disk: Props, place: str) -> Props:
    initial = disk.get("initializeParams") or {}
    kind = initial.get("type")
    parameters = filled(
        sourceImage=initial.get("image"),
        diskSizeGb=str(initial["size"]) if initial.get("size") is not None else None,
        diskType=(kind if "/" in kind else f"{place}/diskTypes/{kind}") if kind else None,
        labels=initial.get("labels"),
        provisionedIops=initial.get("provisionedIops"),
        provisionedThroughput=initial.get("provisionedThroughput"),
        sourceSnapshot=initial.get("snapshot"),
    )
    made = filled(
        boot=True, autoDelete=disk.get("autoDelete", True), deviceName=disk.get("deviceName"), mode=disk.get("mode", "READ_WRITE"), source=disk.get("source")
    )
    key = {"diskEncryptionKey": {"kmsKeyName": disk["kmsKeySelfLink"]}} if disk.get("kmsKeySelfLink") else {}
    return made | key | ({"initializeParams": parameters} if parameters else {})


def _scratch(disk: Props, place: str) -> Props:
    return filled(type="SCRATCH", autoDelete=True, interface=disk.get("interface"), initializeParams={"diskType": f"{place}/diskTypes/local-ssd"})


def _attached(disk: Props) -> Props:
    return filled(source=disk["source"], deviceName=disk.get("deviceName"), mode=disk.get("mode", "READ_WRITE"), autoDelete=False)


def _interface(entry: Props, project: str, zone: str) -> Props:
    region = zone.rpartition("-")[0]
    owner = entry.get("subnetworkProject") or project
    subnetwork, network = entry.get("subnetwork"), entry.get("network")
    if subnetwork and "/" not in subnetwork:
        subnetwork = f"projects/{owner}/regions/{region}/subnetworks/{subnetwork}"
    if network and "/" not in network:
        network = f"projects/{project}/global/networks/{network}"
    access = entry.get("accessConfigs")
    return filled(
        network=network,
        subnetwork=subnetwork,
        networkIP=entry.get("networkIp"),
        nicType=entry.get("nicType"),
        stackType=entry.get("stackType"),
        queueCount=entry.get("queueCount"),
        aliasIpRanges=entry.get("aliasIpRanges"),
        accessConfigs=[
            filled(type="ONE_TO_ONE_NAT", name="External NAT", natIP=config.get("natIp"), networkTier=config.get("networkTier")) for config in access
        ]
        if access is not None
        else None,
    )


def _shown_interface(entry: Props) -> Props:
    subnetwork = str(entry.get("subnetwork", ""))
    return filled(
        name=entry.get("name", "nic0"),
        network=entry.get("network"),
        subnetwork=subnetwork,
        subnetworkProject=subnetwork.partition("/projects/")[2].split("/")[0],
        networkIp=entry.get("networkIP"),
        nicType=entry.get("nicType"),
        stackType=entry.get("stackType", "IPV4_ONLY"),
        accessConfigs=[filled(natIp=config.get("natIP"), networkTier=config.get("networkTier")) for config in entry.get("accessConfigs") or []],
    )


def _shown_boot(disk: Props, known: Props) -> Props:
    """The attached disk; what it was made from is kept as asked for (the API shows it on the disk only)."""
    shown = filled(autoDelete=disk.get("autoDelete"), deviceName=disk.get("deviceName"), mode=disk.get("mode"), source=disk.get("source"))
    key = (disk.get("diskEncryptionKey") or {}).get("kmsKeyName")
    return {**known, **shown, **({"kmsKeySelfLink": str(key).partition("/cryptoKeyVersions/")[0]} if key else {})}


def _scope(scope: str) -> str:
    return scope if scope.startswith("https://") else f"https://www.googleapis.com/auth/{scope}"
