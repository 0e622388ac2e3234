"""Google Cloud's HTTP APIs, told apart by host: each to its service, tokens to whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from localcloud.clouds.capacity import SpotMarket
from localcloud.clouds.documents import Document, Documents
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp import permissions
from localcloud.clouds.gcp.budgets import BUDGET, Budgets
from localcloud.clouds.gcp.compute import OPERATION, Compute
from localcloud.clouds.gcp.errors import GoogleError
from localcloud.clouds.gcp.iam import ACCOUNT, Iam
from localcloud.clouds.gcp.instances import Instances
from localcloud.clouds.gcp.kms import KEY, RING, Kms, usable
from localcloud.clouds.gcp.projects import DEFAULT_ACCOUNT, PROJECT, Projects
from localcloud.clouds.inventory import Account, Resource
from localcloud.hosts.room import MachineRoom


class GcpCloud:
    """Answers Google's calls. Machines run in ``room``; spot capacity comes from ``market``."""

    def __init__(self, store: Path, room: MachineRoom, market: SpotMarket) -> None:
        self.documents = Documents(store)
        self._room = room
        projects = Projects(self.documents, self._empty)
        kms = Kms(self.documents, projects)
        budgets = Budgets(self.documents, projects)
        self._instances = Instances(self.documents, room, market, kms)
        self._compute = Compute(self.documents, projects, self._instances)
        self._services = {
            "compute.googleapis.com": self._compute.handle,
            "www.googleapis.com": self._compute.handle,
            "cloudresourcemanager.googleapis.com": projects.resource_manager,
            "serviceusage.googleapis.com": projects.service_usage,
            "cloudbilling.googleapis.com": projects.billing,
            "orgpolicy.googleapis.com": projects.organization_policies,
            "iam.googleapis.com": Iam(self.documents, projects).handle,
            "cloudkms.googleapis.com": kms.handle,
            "billingbudgets.googleapis.com": budgets.budgets,
            "monitoring.googleapis.com": budgets.channels,
            "oauth2.googleapis.com": _token,
            "sts.googleapis.com": _token,
            "accounts.google.com": _token,
            "iamcredentials.googleapis.com": self._impersonation,
        }
        room.on_gone(lambda machine: self._instances.machine_gone(machine) if machine.cloud == "gcp" else None)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are answered for."""
        return tuple(self._services)

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call. Blocks; to be run in a thread."""
        with self.documents.lock:
            try:
                account = permissions.account_of(request)
                if account is not None:
                    permissions.check(self.documents, account, request)
                return self._services[request.host](request)
            except GoogleError as error:
                return error.answer()
            except ValueError as error:
                return GoogleError(400, f"Invalid JSON payload received. {error}").answer()

    def accounts(self) -> list[Account]:
        """The projects."""
        return [Account("gcp", one.account, one.body["displayName"], one.body["state"] == "ACTIVE") for one in self.documents.of(PROJECT)]

    def resources(self) -> list[Resource]:
        """Everything in open projects, and the budgets of billing accounts. What nobody can delete or what is deleted and only kept by Google for a while
        isn't counted: roles and identity pools, key rings, keys without a version, the default account."""
        opened = {one.id for one in self.accounts() if one.open}
        return [
            Resource("gcp", one.account, _region(one), one.kind, one.key)
            for one in self.documents.of()
            if (one.account in opened or one.kind == BUDGET) and _counts(one)
        ]

    def _impersonation(self, request: HttpRequest) -> HttpAnswer:
        """``generateAccessToken`` of a service account that is there; https://cloud.google.com/iam/docs/reference/credentials/rest."""
        email, _, verb = request.path.rpartition("/")[2].partition(":")
        account = next((one for one in self.documents.of(ACCOUNT) if one.body["email"] == email), None)
        if account is None or account.body.get("disabled"):
            raise GoogleError(404, f"Not found; Gaia id not found for email {email}")
        if verb != "generateAccessToken" or not request.json().get("scope"):
            raise GoogleError(400, f"{verb}: the local cloud gives access tokens, for at least one scope")
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json_answer(200, {"accessToken": permissions.TOKEN + email, "expireTime": expires})

    def _empty(self, project: str) -> None:
        """Removes all that a project holds when it is deleted."""
        self._compute.empty(project)
        for one in self.documents.of(account=project):
            if one.kind != PROJECT:
                self.documents.delete(one.key)

    def reconcile(self) -> None:
        """Brings the machines that ended while the local cloud was away into the record. To be called once at start."""
        for machine in self._room.machines():
            if machine.cloud == "gcp" and not machine.living:
                self._instances.machine_gone(machine)


def _counts(document: Document) -> bool:
    body = document.body
    if document.kind in (PROJECT, OPERATION, RING) or body.get("deleted") or body.get("state") == "DELETED":
        return False
    if document.kind == KEY:
        return usable(document)
    return not (document.kind == ACCOUNT and body.get("displayName") == DEFAULT_ACCOUNT)


def _region(document: Document) -> str:
    scope, _, rest = "/".join(document.key.split("/")[2:]).partition("/")
    return rest.split("/")[0] if scope in ("regions", "zones", "locations") else "global"


def _token(request: HttpRequest) -> HttpAnswer:
    return json_answer(
        200, {"access_token": "ya29.local", "expires_in": 3599, "token_type": "Bearer", "scope": "https://www.googleapis.com/auth/cloud-platform"}
    )
