"""Key rings and keys (https://cloud.google.com/kms/docs/reference/rest).

Neither can be deleted: the provider forgets a ring, and of a key it destroys every version and stops its rotation.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from localcloud.providers.faults import Conflict
from localcloud.providers.gcp.resource import GcpHandler, filled
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_KMS = "https://cloudkms.googleapis.com/v1/"


class KeyRing(GcpHandler):
    """``gcp:kms/keyRing:KeyRing``."""

    FIELDS = "name location"

    def create(self, call: Call, inputs: Props) -> Made:
        parent = f"projects/{self.google.project_of(inputs)}/locations/{inputs['location']}/keyRings"
        try:
            self.google.request("POST", _KMS + parent, params={"keyRingId": inputs["name"]}, json={})
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        return self.present(call, f"{parent}/{inputs['name']}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        if self.google.find(_KMS + id) is None:
            return None
        parts = id.split("/")
        return Made(id, {"project": parts[1], "location": parts[3], "name": parts[5]})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        """Only forgotten."""


class CryptoKey(GcpHandler):
    """``gcp:kms/cryptoKey:CryptoKey``."""

    PLACES = ()
    FIELDS = "name keyRing purpose rotationPeriod destroyScheduledDuration labels skipInitialVersionCreation versionTemplate"

    def create(self, call: Call, inputs: Props) -> Made:
        params = {"cryptoKeyId": inputs["name"], "skipInitialVersionCreation": str(bool(inputs.get("skipInitialVersionCreation"))).lower()}
        body = {"purpose": inputs.get("purpose", "ENCRYPT_DECRYPT"), **_rotation(inputs)}
        body |= filled(**{name: inputs.get(name) for name in ("labels", "destroyScheduledDuration", "versionTemplate")})
        try:
            self.google.request("POST", f"{_KMS}{inputs['keyRing']}/cryptoKeys", params=params, json=body)
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        return self.present(call, f"{inputs['keyRing']}/cryptoKeys/{inputs['name']}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_KMS + id)
        if document is None:
            return None
        ring, _, name = id.rpartition("/cryptoKeys/")
        labels = document.get("labels") or {}
        state = filled(
            name=name,
            keyRing=ring,
            purpose=document.get("purpose"),
            rotationPeriod=document.get("rotationPeriod"),
            destroyScheduledDuration=document.get("destroyScheduledDuration"),
            labels=labels,
            effectiveLabels=labels,
            pulumiLabels=labels,
            versionTemplate=document.get("versionTemplate"),
            primaries=[{"name": primary["name"], "state": primary["state"]}] if (primary := document.get("primary")) else [],
            importOnly=document.get("importOnly", False),
        )
        return Made(id, {**state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        body = {**_rotation(new), **filled(labels=new.get("labels"), versionTemplate=new.get("versionTemplate"))}
        changed = [name for name in ("labels", "versionTemplate") if old.get(name) != new.get(name)]
        changed += ["rotationPeriod", "nextRotationTime"] if old.get("rotationPeriod") != new.get("rotationPeriod") else []
        if changed:
            self.google.request("PATCH", _KMS + id, params={"updateMask": ",".join(changed)}, json={name: body[name] for name in changed if name in body})
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        for version in self.google.request("GET", f"{_KMS}{id}/cryptoKeyVersions").get("cryptoKeyVersions") or []:
            if version["state"] not in ("DESTROYED", "DESTROY_SCHEDULED"):
                self.google.request("POST", f"{_KMS}{version['name']}:destroy", json={})
        if known.get("rotationPeriod"):
            self.google.request("PATCH", _KMS + id, params={"updateMask": "rotationPeriod,nextRotationTime"}, json={})


def _rotation(inputs: Props) -> Props:
    if not inputs.get("rotationPeriod"):
        return {}
    following = datetime.now(UTC) + timedelta(seconds=float(str(inputs["rotationPeriod"]).removesuffix("s")))
    return {"rotationPeriod": inputs["rotationPeriod"], "nextRotationTime": following.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
