"""What fences a project on Google Cloud, in its wire format: organisation policies, permissions, keys, identity pools, budgets."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from components.tenant.gcp import AUTOMATION_PERMISSIONS
from tests.localcloud.clouds.conftest import Served
from tests.localcloud.clouds.test_gcp import ZONE, Project


class Fenced(Project):
    """A project with KMS, billing alerts and an account that has one role."""

    def __init__(self, served: Served, project: str) -> None:
        super().__init__(served, project)
        for service in ("cloudkms", "monitoring"):
            served.google("serviceusage", "POST", f"/v1/projects/{project}/services/{service}.googleapis.com:enable", {})
        self.number = served.google("cloudresourcemanager", "GET", f"/v3/projects/{project}").json()["name"].rpartition("/")[2]
        self.account = f"automation@{project}.iam.gserviceaccount.com"
        self.iam("POST", "serviceAccounts", {"accountId": "automation"})

    def iam(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.google("iam", method, f"/v1/projects/{self.id}/{path}", body)

    def kms(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.google("cloudkms", method, f"/v1/projects/{self.id}/locations/europe-west1/keyRings{path}", body)

    def google(self, host: str, method: str, path: str, body: Any = None) -> httpx.Response:
        """A call whose path may have a query."""
        before, _, query = path.partition("?")
        return self.served._call(f"{host}.googleapis.com", method, before, body, dict(parse_qsl(query)))

    def enforce(self, constraint: str, **rule: Any) -> None:
        policy = {"name": f"projects/{self.id}/policies/{constraint}", "spec": {"rules": [rule or {"enforce": True}]}}
        assert self.served.google("orgpolicy", "POST", f"/v2/projects/{self.id}/policies", policy).status_code == 200

    def may(self, *permissions: str) -> None:
        """Gives the account a role of these permissions, and takes what it had."""
        self.iam("POST", "roles", {"roleId": "automation", "role": {"title": "x"}})
        self.iam("PATCH", "roles/automation", {"includedPermissions": list(permissions)})
        bindings = [{"role": f"projects/{self.id}/roles/automation", "members": [f"serviceAccount:{self.account}"]}]
        self.served.google("cloudresourcemanager", "POST", f"/v1/projects/{self.id}:setIamPolicy", {"policy": {"bindings": bindings}})

    def token(self) -> str:
        path = f"/v1/projects/-/serviceAccounts/{self.account}:generateAccessToken"
        scope = {"scope": ["https://www.googleapis.com/auth/cloud-platform"]}
        return str(self.served.google("iamcredentials", "POST", path, scope).json()["accessToken"])

    def acting(self, method: str, path: str, body: Any = None, project: str = "") -> httpx.Response:
        """A call of Compute Engine with the account's token."""
        url = f"{self.served.state.url('clouds')}/compute/v1/projects/{project or self.id}/{path}"
        headers = {"host": "compute.googleapis.com", "authorization": f"Bearer {self.token()}"}
        return self.served.client.request(method, url, json=body, headers=headers)

    def key(self, grant: bool = True) -> str:
        """A key of the region, which Compute Engine may use if ``grant``."""
        self.kms("POST", "?keyRingId=ring", {})
        body = {"purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "7776000s", "nextRotationTime": "2030-01-01T00:00:00Z"}
        name = str(self.kms("POST", "/ring/cryptoKeys?cryptoKeyId=key", body).json()["name"])
        if grant:
            agent = f"serviceAccount:service-{self.number}@compute-system.iam.gserviceaccount.com"
            bindings = [{"role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "members": [agent]}]
            self.kms("POST", "/ring/cryptoKeys/key:setIamPolicy", {"policy": {"bindings": bindings}})
        return name

    def instance(self, name: str, **changes: Any) -> httpx.Response:
        disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": "projects/ubuntu-os-cloud/global/images/x", "labels": {"a": "b"}}}
        interface = {"subnetwork": f"projects/{self.id}/regions/europe-west1/subnetworks/one"}
        body = {"name": name, "machineType": f"zones/{ZONE}/machineTypes/n2-standard-2", "disks": [disk], "networkInterfaces": [interface], **changes}
        return self.compute("POST", f"zones/{ZONE}/instances", body)


@pytest.fixture
def project(served: Served, request: pytest.FixtureRequest) -> Fenced:
    return Fenced(served, f"f-{abs(hash(request.node.name)) % 10**8:08d}")


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["errors"][0]["reason"])


@pytest.mark.parametrize(
    ("constraint", "rule", "changes"),
    [
        ("compute.vmExternalIpAccess", {"denyAll": True}, {"networkInterfaces": [{"network": "global/networks/net", "accessConfigs": [{}]}]}),
        ("compute.vmCanIpForward", {"denyAll": True}, {"canIpForward": True}),
        ("compute.requireShieldedVm", {"enforce": True}, {}),
        ("compute.requireOsLogin", {"enforce": True}, {"metadata": {"items": [{"key": "enable-oslogin", "value": "FALSE"}]}}),
        ("compute.disableSerialPortAccess", {"enforce": True}, {"metadata": {"items": [{"key": "serial-port-enable", "value": "true"}]}}),
        ("gcp.restrictNonCmekServices", {"values": {"deniedValues": ["compute.googleapis.com"]}}, {}),
    ],
)
def test_an_instance_that_a_constraint_rules_out_is_refused(project: Fenced, constraint: str, rule: dict[str, Any], changes: dict[str, Any]) -> None:
    project.enforce(constraint, **rule)
    answer = project.instance("refused", **changes)
    assert (answer.status_code, reason(answer)) == (412, "conditionNotMet")
    assert f"Constraint constraints/{constraint} violated for project projects/{project.id}." in answer.json()["error"]["message"]
    assert project.compute("GET", f"zones/{ZONE}/instances/refused").status_code == 404


def test_no_key_is_made_of_an_account_where_a_policy_forbids_it(project: Fenced) -> None:
    project.enforce("iam.disableServiceAccountKeyCreation")
    answer = project.iam("POST", f"serviceAccounts/{project.account}/keys", {})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")


def test_a_disk_takes_a_key_that_compute_engine_may_use_and_shows_its_version(project: Fenced) -> None:
    key = project.key()
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"labels": {"tenant": "acme"}}, "diskEncryptionKey": {"kmsKeyName": key}}
    assert project.finished(project.instance("keyed", disks=[disk])).get("error") is None
    shown = project.compute("GET", f"zones/{ZONE}/disks/keyed").json()
    assert (shown["diskEncryptionKey"]["kmsKeyName"], shown["labels"]) == (f"{key}/cryptoKeyVersions/1", {"tenant": "acme"})


@pytest.mark.parametrize("fault", ["no grant", "destroyed", "elsewhere"])
def test_a_disk_takes_no_key_that_compute_engine_cannot_use(project: Fenced, fault: str) -> None:
    key = project.key(grant=fault != "no grant")
    if fault == "destroyed":
        version = project.kms("POST", "/ring/cryptoKeys/key/cryptoKeyVersions/1:destroy", {}).json()
        assert (version["state"], "primary" in project.kms("GET", "/ring/cryptoKeys/key").json()) == ("DESTROY_SCHEDULED", False)
    key = key.replace("europe-west1", "europe-west4") if fault == "elsewhere" else key
    disk = {"boot": True, "autoDelete": True, "initializeParams": {}, "diskEncryptionKey": {"kmsKeyName": key}}
    assert project.instance("keyless", disks=[disk]).status_code == 400
    assert project.compute("GET", f"zones/{ZONE}/disks/keyless").status_code == 404


def test_key_rings_and_keys_keep_their_names_for_good(project: Fenced) -> None:
    project.key()
    assert project.kms("DELETE", "/ring").status_code == project.kms("DELETE", "/ring/cryptoKeys/key").status_code == 404
    again = project.kms("POST", "?keyRingId=ring", {})
    assert (again.status_code, again.json()["error"]["status"]) == (409, "ALREADY_EXISTS")
    rotating = project.kms("POST", "/ring/cryptoKeys?cryptoKeyId=other", {"purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "7776000s"})
    assert "nextRotationTime must be set" in rotating.json()["error"]["message"]


def test_a_key_without_a_version_is_nobodys_resource(project: Fenced) -> None:
    project.key()

    def keys() -> list[str]:
        return [one["kind"] for one in project.served.control("GET", "/resources")["resources"] if one["account"] == project.id and "ey" in one["kind"]]

    assert keys() == ["cryptoKey"]
    project.kms("POST", "/ring/cryptoKeys/key/cryptoKeyVersions/1:destroy", {})
    assert keys() == []


def test_an_identity_pool_is_named_by_number_comes_by_an_operation_and_stays_taken_when_deleted(project: Fenced) -> None:
    base = f"/v1/projects/{project.id}/locations/global/workloadIdentityPools"
    begun = project.google("iam", "POST", f"{base}?workloadIdentityPoolId=mine", {"displayName": "x"}).json()
    assert begun["done"] is False
    done = project.google("iam", "GET", f"/v1/{begun['name']}").json()
    assert (done["done"], done["response"]["name"]) == (True, f"projects/{project.number}/locations/global/workloadIdentityPools/mine")
    provider = {"oidc": {"issuerUri": "http://plain.example.com"}, "attributeMapping": {"google.subject": "assertion.sub"}}
    assert project.google("iam", "POST", f"{base}/mine/providers?workloadIdentityPoolProviderId=auto", provider).status_code == 400
    project.google("iam", "DELETE", f"{base}/mine")
    assert project.google("iam", "GET", f"{base}/mine").json()["state"] == "DELETED"
    assert project.google("iam", "POST", f"{base}?workloadIdentityPoolId=mine", {}).status_code == 409


def test_a_budget_is_in_its_accounts_currency_and_changes_by_its_etag(project: Fenced) -> None:
    base = "/v1/billingAccounts/0-1-2/budgets"
    budget = {"amount": {"specifiedAmount": {"currencyCode": "USD", "units": "10"}}, "budgetFilter": {"projects": [f"projects/{project.number}"]}}
    euro = {**budget, "amount": {"specifiedAmount": {"currencyCode": "EUR", "units": "10"}}}
    assert project.google("billingbudgets", "POST", base, euro).status_code == 400
    made = project.google("billingbudgets", "POST", base, budget).json()
    change = {"displayName": "x", "etag": made["etag"]}
    path = f"/v1/{made['name']}"
    assert project.google("billingbudgets", "PATCH", f"{path}?updateMask=displayName", change).json()["displayName"] == "x"
    stale = project.google("billingbudgets", "PATCH", f"{path}?updateMask=displayName", change)
    assert (stale.status_code, stale.json()["error"]["status"]) == (409, "ABORTED")
    assert project.google("billingbudgets", "DELETE", path).status_code == 200


def test_a_stale_fingerprint_changes_nothing(project: Fenced) -> None:
    project.instance("labelled", labels={"a": "1"})
    path = f"zones/{ZONE}/instances/labelled"
    first = project.compute("GET", path).json()["labelFingerprint"]
    assert project.compute("POST", f"{path}/setLabels", {"labels": {"a": "2"}, "labelFingerprint": first}).status_code == 200
    stale = project.compute("POST", f"{path}/setLabels", {"labels": {"a": "3"}, "labelFingerprint": first})
    assert (stale.status_code, reason(stale)) == (412, "conditionNotMet")
    assert project.compute("GET", path).json()["labels"] == {"a": "2"}


def test_machines_get_addresses_of_their_subnetwork_one_each(project: Fenced) -> None:
    for name in ("one", "two"):
        project.instance(name)
    addresses = [project.compute("GET", f"zones/{ZONE}/instances/{name}").json()["networkInterfaces"][0]["networkIP"] for name in ("one", "two")]
    assert addresses == ["10.0.0.2", "10.0.0.3"]


def test_compute_engines_default_account_is_an_editor_until_somebody_takes_it_away(project: Fenced) -> None:
    (account,) = [one for one in project.iam("GET", "serviceAccounts").json()["accounts"] if one["email"].endswith("@developer.gserviceaccount.com")]
    policy = project.served.google("cloudresourcemanager", "POST", f"/v1/projects/{project.id}:getIamPolicy", {}).json()
    assert {"role": "roles/editor", "members": [f"serviceAccount:{account['email']}"]} in policy["bindings"]


def test_an_account_may_do_what_its_role_names_and_nothing_in_another_project(project: Fenced, served: Served) -> None:
    project.may("compute.networks.create")
    network = {"name": "acted", "autoCreateSubnetworks": False}
    refused = project.acting("GET", "global/networks/net")
    assert refused.status_code == 403
    assert "Required 'compute.networks.get' permission" in refused.json()["error"]["message"]
    assert project.acting("POST", "global/networks", network).status_code == 200
    other = Project(served, f"{project.id}-b")
    assert project.acting("POST", "global/networks", network, project=other.id).status_code == 403
    assert other.compute("GET", "global/networks/acted").status_code == 404


def test_each_permission_of_an_insert_is_needed(project: Fenced) -> None:
    needed = ["compute.instances.create", "compute.disks.create", "compute.disks.setLabels", "compute.subnetworks.use", "compute.instances.setLabels"]
    needed += ["compute.instances.setMetadata", "compute.instances.setServiceAccount", "iam.serviceAccounts.actAs"]
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"labels": {"a": "b"}}}
    body = {
        "name": "acted",
        "machineType": f"zones/{ZONE}/machineTypes/n2-standard-2",
        "disks": [disk],
        "networkInterfaces": [{"subnetwork": f"projects/{project.id}/regions/europe-west1/subnetworks/one"}],
        "labels": {"a": "b"},
        "metadata": {"items": [{"key": "x", "value": "y"}]},
        "serviceAccounts": [{"email": project.account, "scopes": []}],
    }
    for missing in needed:
        project.may(*(one for one in needed if one != missing))
        assert f"'{missing}'" in project.acting("POST", f"zones/{ZONE}/instances", body).json()["error"]["message"]
    project.may(*needed)
    assert project.acting("POST", f"zones/{ZONE}/instances", body).status_code == 200
    assert set(needed) <= set(AUTOMATION_PERMISSIONS)


def test_what_was_made_outlives_the_process(project: Fenced) -> None:
    key = project.key()
    channel = project.google(
        "monitoring", "POST", f"/v3/projects/{project.id}/notificationChannels", {"type": "email", "labels": {"email_address": "a@example.com"}}
    ).json()["name"]
    before = [project.kms("GET", "/ring/cryptoKeys/key").json(), project.compute("GET", "global/networks/net").json()]
    project.served.kill()
    project.served.start()
    assert [project.kms("GET", "/ring/cryptoKeys/key").json(), project.compute("GET", "global/networks/net").json()] == before
    assert project.google("monitoring", "GET", f"/v3/{channel}").json()["name"] == channel
    assert before[0]["name"] == key
