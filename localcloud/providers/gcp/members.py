"""IAM policies of projects, service accounts and keys, and single members of their roles.

Formats: ``getIamPolicy`` and ``setIamPolicy`` of each service (https://cloud.google.com/iam/docs/reference/rest/v1/Policy).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.providers.faults import Conflict, Denied, NotFound
from localcloud.providers.gcp.google import Google
from localcloud.providers.gcp.resource import GcpHandler, filled
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

Bindings = list[Props]


@dataclass(frozen=True)
class Policy:
    """The policy of the resource at ``url``; ``by_get`` where the service reads it by GET."""

    google: Google
    url: str
    by_get: bool = False

    @classmethod
    def of_project(cls, google: Google, project: str) -> Policy:
        """A project's."""
        return cls(google, f"https://cloudresourcemanager.googleapis.com/v3/projects/{project}")

    def read(self) -> Props:
        """As it is now."""
        if self.by_get:
            return self.google.request("GET", f"{self.url}:getIamPolicy", params={"options.requestedPolicyVersion": "3"})
        return self.google.request("POST", f"{self.url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}})

    def edit(self, call: Call, edit: Callable[[Bindings], Bindings]) -> None:
        """Reads, changes and writes the policy; again where another wrote in between (its etag says so)."""
        with self.google.locks.of(f"iam:{self.url}"):

            def written() -> bool:
                policy = self.read()
                try:
                    wanted = {**policy, "version": 3, "bindings": edit(list(policy.get("bindings") or []))}
                    self.google.request("POST", f"{self.url}:setIamPolicy", json={"policy": wanted})
                except Conflict:
                    return False
                return True

            call.poll(written)


class Member(GcpHandler):
    """One member of one role in a resource's policy; id ``<resource>/<role>/<member>``. ``NAME`` is the input that names the resource."""

    NAME = ""

    @abstractmethod
    def policy(self, resource: str) -> Policy:
        """The resource's policy."""

    def resource(self, inputs: Props) -> str:
        """The resource's name, as ids begin with it."""
        return str(inputs[self.NAME])

    def create(self, call: Call, inputs: Props) -> Made:
        resource, role, member = self.resource(inputs), inputs["role"], inputs["member"]

        def added(bindings: Bindings) -> Bindings:
            for binding in bindings:
                if _is(binding, role, inputs.get("condition")):
                    binding["members"] = sorted({*binding.get("members", []), member})
                    return bindings
            return [*bindings, filled(role=role, members=[member], condition=inputs.get("condition"))]

        self.policy(resource).edit(call, added)
        return self.present(call, f"{resource}/{role}/{member}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        resource, role, member = self._parts(id, known)
        try:
            policy = self.policy(resource).read()
        except (NotFound, Denied) as error:
            if "Spotlane boundary" in str(error):
                raise
            return None
        condition = known.get("condition")
        if not any(_is(binding, role, condition) and member in binding.get("members", []) for binding in policy.get("bindings") or []):
            return None
        state = filled(role=role, member=member, condition=condition, etag=policy.get("etag"))
        return Made(f"{resource}/{role}/{member}", {self.NAME: resource, **state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        resource, role, member = self._parts(id, known)
        if self.read(call, id, known) is None:
            return

        def removed(bindings: Bindings) -> Bindings:
            for binding in bindings:
                if _is(binding, role, known.get("condition")):
                    binding["members"] = [one for one in binding.get("members", []) if one != member]
            return [binding for binding in bindings if binding.get("members")]

        self.policy(resource).edit(call, removed)

    def _parts(self, id: str, known: Props) -> tuple[str, str, str]:
        if known.get("role") and known.get("member"):
            role, member = str(known["role"]), str(known["member"])
            return str(known.get(self.NAME) or id.removesuffix(f"/{role}/{member}")), role, member
        # An import names the three with blanks between them, as the provider asks.
        resource, role, member = id.split(" ")
        return resource, role, member


class ProjectMember(Member):
    """``gcp:projects/iAMMember:IAMMember``."""

    NAME = "project"
    FIELDS = "role member condition"

    def resource(self, inputs: Props) -> str:
        return self.google.project_of(inputs)

    def policy(self, resource: str) -> Policy:
        return Policy.of_project(self.google, resource)


class ServiceAccountMember(Member):
    """``gcp:serviceaccount/iAMMember:IAMMember``."""

    NAME = "serviceAccountId"
    PLACES = ()
    FIELDS = "serviceAccountId role member condition"

    def policy(self, resource: str) -> Policy:
        return Policy(self.google, f"https://iam.googleapis.com/v1/{resource}")


class CryptoKeyMember(Member):
    """``gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember``."""

    NAME = "cryptoKeyId"
    PLACES = ()
    FIELDS = "cryptoKeyId role member condition"

    def policy(self, resource: str) -> Policy:
        return Policy(self.google, f"https://cloudkms.googleapis.com/v1/{resource}", by_get=True)


def _is(binding: Props, role: str, condition: Any) -> bool:
    return bool(binding.get("role") == role and (binding.get("condition") or None) == (condition or None))
