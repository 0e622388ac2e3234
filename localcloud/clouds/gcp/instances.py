"""Instances: what Compute Engine checks, adds and runs; spot ones end in DELETE or STOP, as their instanceTerminationAction says."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from pathlib import Path
from typing import Any

from domain.catalog import CATALOG
from localcloud.clouds.capacity import SpotMarket, ask
from localcloud.clouds.documents import Document, Documents, Json, made_up_number
from localcloud.clouds.exchange import HttpRequest
from localcloud.clouds.gcp.constraints import check_instance
from localcloud.clouds.gcp.errors import GoogleError
from localcloud.clouds.gcp.kms import Kms
from localcloud.hosts.room import Machine, MachineRoom, MachineSpec

INSTANCE = "compute#instance"
DISK = "compute#disk"
_LINK = "https://www.googleapis.com/compute/v1/"


class Instances:
    """The instances of all projects in ``documents``."""

    def __init__(self, documents: Documents, room: MachineRoom, market: SpotMarket, kms: Kms) -> None:
        self._documents = documents
        self._room = room
        self._market = market
        self._kms = kms

    def insert(self, key: str, project: str, zone: str, identity: int, body: Json) -> GoogleError | None:
        """Checks a new instance, starts and keeps it; what is returned is why the operation failed. Raises :class:`GoogleError` for what is refused at once."""
        machine_type = str(body.get("machineType", "")).rpartition("/")[2]
        if not CATALOG.has_machine("gcp", machine_type):
            raise GoogleError(400, f"Invalid value for field 'resource.machineType': '{body.get('machineType', '')}'. The referenced resource does not exist.")
        disks = body.get("disks") or []
        if not any(disk.get("boot") for disk in disks):
            raise GoogleError(400, "Invalid value for field 'resource.disks': ''. Boot disk must be provided.")
        check_instance(self._documents, project, key, body)
        for account in body.get("serviceAccounts") or []:
            self._check_account(account.get("email", ""))
        for disk in disks:
            if name := (disk.get("diskEncryptionKey") or {}).get("kmsKeyName"):
                disk["diskEncryptionKey"] = {"kmsKeyName": self._kms.use(str(name), zone.rpartition("-")[0], self._service_agent(project))}
        scheduling = body.setdefault("scheduling", {})
        spot = scheduling.get("provisioningModel") == "SPOT" or bool(scheduling.get("preemptible"))
        self._complete_scheduling(scheduling, spot)
        failure = self._capacity(zone, machine_type) if spot else None
        if failure is not None:
            return failure
        body["machineType"] = f"{_LINK}projects/{project}/zones/{zone}/machineTypes/{machine_type}"
        for index, interface in enumerate(body["networkInterfaces"]):
            interface |= {"kind": "compute#networkInterface", "name": f"nic{index}"}
            self._address(project, interface)
            for access in interface.get("accessConfigs") or []:
                access["kind"] = "compute#accessConfig"
        self._make_disks(key, project, zone, disks)
        body["metadata"] = _stamped({"kind": "compute#metadata", **(body.get("metadata") or {})})
        body |= {"status": "RUNNING", "cpuPlatform": "Intel Ice Lake", "startRestricted": False, "lastStartTimestamp": body["creationTimestamp"]}
        body.setdefault("deletionProtection", False)
        body["labelFingerprint"] = fingerprint(body.get("labels") or {})
        body["tags"] = _stamped(body.get("tags") or {})
        document = self._documents.put(key, INSTANCE, project, body, {"machine": str(identity)})
        self._start(document, spot)
        return None

    def delete(self, document: Document) -> None:
        """Stops the machine; disks marked autoDelete go with it. Raises :class:`GoogleError` for a protected instance."""
        if document.body.get("deletionProtection"):
            raise GoogleError(400, f"Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion. {document.key}'.")
        self._room.stop(document.hidden["machine"])
        for disk in document.body.get("disks") or []:
            if disk.get("autoDelete"):
                self._documents.delete(disk["source"].removeprefix(_LINK))
        self._documents.delete(document.key)

    def act(self, document: Document, verb: str, request: HttpRequest) -> GoogleError | None:
        """Carries out an instance's own method; what is returned is why the operation failed. Raises :class:`GoogleError`."""
        body = document.body
        if verb == "stop":
            self._room.stop(document.hidden["machine"])
            body["status"] = "TERMINATED"
        elif verb in ("start", "resume"):
            return self._restart(document)
        elif verb == "simulateMaintenanceEvent":
            self._room.interrupt(document.hidden["machine"], reason="simulateMaintenanceEvent")
        elif verb == "setLabels":
            sent = request.json()
            _check_fingerprint(sent.get("labelFingerprint"), body["labelFingerprint"], "Labels fingerprint either invalid or resource labels have changed")
            body["labels"] = sent.get("labels", {})
            body["labelFingerprint"] = fingerprint(body["labels"])
        elif verb == "setMetadata":
            sent = request.json()
            _check_fingerprint(sent.get("fingerprint"), body["metadata"]["fingerprint"], "Supplied fingerprint does not match current metadata fingerprint.")
            check_instance(self._documents, document.account, document.key, {**body, "metadata": sent})
            body["metadata"] = _stamped({"kind": "compute#metadata", **sent})
        elif verb == "setTags":
            sent = request.json()
            _check_fingerprint(sent.get("fingerprint"), body["tags"]["fingerprint"], "Supplied fingerprint does not match current tags fingerprint.")
            body["tags"] = _stamped(sent)
        elif verb == "setScheduling":
            body["scheduling"] |= request.json()
        elif verb == "setDeletionProtection":
            body["deletionProtection"] = request.parameters.get("deletionProtection", "true") == "true"
        elif verb == "setServiceAccount":
            body["serviceAccounts"] = [request.json()]
        elif verb == "setMachineType":
            if body["status"] != "TERMINATED":
                raise GoogleError(400, "Invalid resource state: the instance must be stopped to change its machine type.")
            body["machineType"] = request.json()["machineType"]
        else:
            raise GoogleError(404, f"{verb}: no such method of instances")
        self._documents.put(document.key, INSTANCE, document.account, body)
        return None

    def console(self, document: Document) -> str:
        """What the machine wrote to its console."""
        path = Path(self._room.folder(document.hidden["machine"])) / "console.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def machine_gone(self, machine: Machine) -> None:
        """A preempted instance is deleted or TERMINATED, as its instanceTerminationAction says; one that ended by itself is TERMINATED."""
        with self._documents.lock:
            document = self._documents.get(machine.resource)
            if document is None or document.hidden.get("machine") != machine.id:
                return
            if machine.state == "interrupted" and document.body["scheduling"].get("instanceTerminationAction") == "DELETE":
                self.delete(document)
                return
            document.body["status"] = "TERMINATED"
            self._documents.put(document.key, INSTANCE, document.account, document.body)

    def _restart(self, document: Document) -> GoogleError | None:
        spot = document.body["scheduling"].get("provisioningModel") == "SPOT"
        zone = document.key.split("/")[3]
        failure = self._capacity(zone, document.body["machineType"].rpartition("/")[2]) if spot else None
        if failure is None and document.body["status"] == "TERMINATED":
            machine = str(made_up_number(document.key, self._documents.next_number()))
            document.body["status"] = "RUNNING"
            self._start(self._documents.put(document.key, INSTANCE, document.account, document.body, {"machine": machine}), spot)
        return failure

    def _capacity(self, zone: str, machine_type: str) -> GoogleError | None:
        answer = ask(self._market, "gcp", zone.rpartition("-")[0], zone, machine_type, None)
        if answer.verdict == "not_offered":
            raise GoogleError(400, f"Machine type with name '{machine_type}' does not exist in zone '{zone}'.")
        if answer.verdict == "granted":
            return None
        message = f"The zone '{zone}' does not have enough resources available to fulfill the request. Try a different zone, or try again later."
        return GoogleError(503, message, status="SERVICE UNAVAILABLE", reason="ZONE_RESOURCE_POOL_EXHAUSTED")

    def _service_agent(self, project: str) -> str:
        found = self._documents.get(f"projects/{project}")
        number = found.body["projectNumber"] if found is not None else project
        return f"service-{number}@compute-system.iam.gserviceaccount.com"

    def _check_account(self, email: str) -> None:
        if email in ("", "default"):
            return
        if not any(document.body["email"] == email for document in self._documents.of("serviceAccount")):
            raise GoogleError(
                400,
                f"The user does not have access to service account '{email}'. Ask a project owner to grant you the iam.serviceAccountUser role, or create it.",
            )

    def _address(self, project: str, interface: Json) -> None:
        """The interface's network and its address: the first free one of the subnetwork's range, whose first two and last two are Google's."""
        subnetwork = self._documents.get(str(interface.get("subnetwork", "")).removeprefix(_LINK))
        if subnetwork is None:
            interface.setdefault("networkIP", "10.128.0.2")
            return
        interface["network"] = subnetwork.body["network"]
        inside = ipaddress.ip_network(subnetwork.body["ipCidrRange"])
        taken = {
            one["networkIP"]
            for document in self._documents.of(INSTANCE, project)
            for one in document.body["networkInterfaces"]
            if one.get("subnetwork") == interface["subnetwork"]
        }
        free = (str(inside[number]) for number in range(2, inside.num_addresses - 2))
        wanted = interface.get("networkIP") or next((address for address in free if address not in taken), None)
        if wanted is None or wanted in taken or ipaddress.ip_address(wanted) not in inside:
            raise GoogleError(400, f"IP space of '{subnetwork.key}' is exhausted, or {wanted} is taken or outside of it.", reason="ipSpaceExhausted")
        interface["networkIP"] = wanted

    def _make_disks(self, key: str, project: str, zone: str, disks: list[Json]) -> None:
        name = key.rpartition("/")[2]
        for index, disk in enumerate(disks):
            disk |= {"kind": "compute#attachedDisk", "index": index, "mode": disk.get("mode", "READ_WRITE"), "type": "PERSISTENT"}
            disk.setdefault("deviceName", f"persistent-disk-{index}")
            parameters = disk.pop("initializeParams", None)
            if parameters is None:
                continue
            path = f"projects/{project}/zones/{zone}/disks/{parameters.get('diskName') or (name if disk.get('boot') else f'{name}-{index}')}"
            if self._documents.get(path) is not None:
                raise GoogleError(409, f"The resource '{path}' already exists")
            size = str(parameters.get("diskSizeGb") or "10")
            document: dict[str, Any] = {"name": path.rpartition("/")[2], "id": str(made_up_number(path, key)), "sizeGb": size, "status": "READY"}
            document |= {"type": parameters.get("diskType", "pd-standard"), "sourceImage": parameters.get("sourceImage", ""), "users": [_LINK + key]}
            document |= {"labels": parameters.get("labels") or {}, "labelFingerprint": fingerprint(parameters.get("labels") or {})}
            if disk.get("diskEncryptionKey"):
                document["diskEncryptionKey"] = disk["diskEncryptionKey"]
            self._documents.put(path, DISK, project, document)
            disk |= {"source": _LINK + path, "diskSizeGb": size}

    def _complete_scheduling(self, scheduling: Json, spot: bool) -> None:
        scheduling.setdefault("provisioningModel", "SPOT" if spot else "STANDARD")
        scheduling.setdefault("preemptible", spot)
        if spot and scheduling.get("automaticRestart", False):
            raise GoogleError(400, "Invalid value for field 'resource.scheduling.automaticRestart': 'true'. Spot instances must not restart automatically.")
        scheduling.setdefault("automaticRestart", not spot)
        scheduling.setdefault("onHostMaintenance", "TERMINATE" if spot else "MIGRATE")
        if spot:
            scheduling.setdefault("instanceTerminationAction", "STOP")

    def _start(self, document: Document, spot: bool) -> None:
        body = document.body
        metadata = {item["key"]: item.get("value", "") for item in (body["metadata"].get("items") or [])}
        user_data = (metadata.get("user-data") or metadata.get("startup-script") or "").encode()
        zone = document.key.split("/")[3]
        machine_type = body["machineType"].rpartition("/")[2]
        id = document.hidden["machine"]
        machine = self._room.start(
            MachineSpec(
                id, "gcp", document.account, zone.rpartition("-")[0], zone, machine_type, body["name"], user_data, spot, "", int(body["id"]), document.key
            )
        )
        # An ephemeral public address is the machine's own on this computer: it leads to what listens there.
        for access in [access for interface in body["networkInterfaces"] for access in interface.get("accessConfigs") or []]:
            access["natIP"] = machine.address
        self._documents.put(document.key, INSTANCE, document.account, body)


def fingerprint(value: Any) -> str:
    """Eight bytes in base64 that change with ``value``, as Compute Engine's fingerprints do."""
    return base64.b64encode(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:8]).decode()


def _stamped(value: Json) -> Json:
    content = {name: part for name, part in value.items() if name != "fingerprint"}
    return {**content, "fingerprint": fingerprint(content)}


def _check_fingerprint(sent: Any, current: str, message: str) -> None:
    if sent != current:
        raise GoogleError(412, message)
