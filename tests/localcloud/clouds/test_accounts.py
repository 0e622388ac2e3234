"""One contract for the accounts of the three clouds (``automation.accounts.port``), over the clouds' own wire formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
from botocore.credentials import Credentials

from automation.accounts.aws import AwsAccount
from automation.accounts.azure import AzureAccount
from automation.accounts.gcp import GcpAccount
from automation.accounts.port import Account, CantRemove
from automation.calls.arm_token import ArmToken
from automation.calls.fetch import FeedFault, Fetcher
from components.tenant.gcp import AUTOMATION_PERMISSIONS
from domain.orphans import CloudResource
from tests.localcloud.clouds import test_aws, test_azure, test_gcp
from tests.localcloud.clouds.conftest import Served

TAGS = {"tenant": "acme", "workload": "web", "placement": "acme_web_3", "managed-by": "spotlane"}
REGIONS = {"aws": "eu-west-1", "azure": "westeurope", "gcp": "europe-west1"}


class ToServed(httpx.BaseTransport):
    """Sends what is meant for a cloud to the served clouds, by ``Host``, as the inline proxy does."""

    def __init__(self, served: Served) -> None:
        self._at = httpx.URL(served.state.url("clouds"))
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(scheme=self._at.scheme, host=self._at.host, port=self._at.port)
        return self._inner.handle_request(httpx.Request(request.method, url, headers=request.headers, stream=request.stream))


@dataclass
class Opened:
    """An account with one machine that carries our tags and one that doesn't."""

    account: Account
    region: str
    machine: str
    """Id of the tagged one, as Pulumi has it."""


def opened_aws(served: Served, fetcher: Fetcher, name: str) -> Opened:
    ec2 = test_aws.tenant(served, name)
    ours = [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()]} for kind in ("instance", "volume")]
    made = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=test_aws.template(ec2), TagSpecifications=ours)["Instances"][0]
    ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=test_aws.template(ec2))
    owner = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["OwnerId"]
    role = f"arn:aws:iam::{owner}:role/OrganizationAccountAccessRole"
    account = AwsAccount(fetcher, lambda: Credentials("LOCAL", "local"), owner, role, REGIONS["aws"], sleep=lambda _: None)
    return Opened(account, REGIONS["aws"], made["InstanceId"])


def opened_azure(served: Served, fetcher: Fetcher, name: str) -> Opened:
    group = test_azure.Group(served, name)
    group.spot_machine()
    machine = served.arm("GET", group.vm).json()
    served.arm("PATCH", group.vm, {"tags": TAGS})
    environment = {"ARM_TENANT_ID": "t", "ARM_CLIENT_ID": "c", "ARM_CLIENT_SECRET": "s"}
    account = AzureAccount(fetcher, ArmToken(fetcher, environment), group.subscription.rpartition("/")[2], sleep=lambda _: None)
    return Opened(account, REGIONS["azure"], machine["id"])


def opened_gcp(served: Served, fetcher: Fetcher, name: str) -> Opened:
    project = test_gcp.Project(served, name)
    served.google("serviceusage", "POST", f"/v1/projects/{name}/services/iam.googleapis.com:enable", {})
    project.spot_instance("ours")
    project.spot_instance("theirs")
    zone = f"zones/{test_gcp.ZONE}"
    known = project.compute("GET", f"{zone}/instances/ours").json()
    project.compute("POST", f"{zone}/instances/ours/setLabels", {"labels": TAGS, "labelFingerprint": known.get("labelFingerprint", "")})
    email = f"spotlane-automation@{name}.iam.gserviceaccount.com"
    served.google("iam", "POST", f"/v1/projects/{name}/serviceAccounts", {"accountId": "spotlane-automation", "serviceAccount": {"displayName": "a"}})
    role = {"roleId": "spotlaneAutomation", "role": {"title": "a", "includedPermissions": sorted(AUTOMATION_PERMISSIONS)}}
    served.google("iam", "POST", f"/v1/projects/{name}/roles", role)
    policy = {"bindings": [{"role": f"projects/{name}/roles/spotlaneAutomation", "members": [f"serviceAccount:{email}"]}]}
    served.google("cloudresourcemanager", "POST", f"/v1/projects/{name}:setIamPolicy", {"policy": policy})
    account = GcpAccount(fetcher, lambda: "local", name, email, sleep=lambda _: None)
    return Opened(account, REGIONS["gcp"], f"projects/{name}/{zone}/instances/ours")


@pytest.fixture(params=["aws", "azure", "gcp"])
def opened(served: Served, request: pytest.FixtureRequest) -> Opened:
    fetcher = Fetcher(httpx.Client(transport=ToServed(served)), sleep=lambda _: None)
    openers: dict[str, Callable[[Served, Fetcher, str], Opened]] = {"aws": opened_aws, "azure": opened_azure, "gcp": opened_gcp}
    name = re.sub(r"[^a-z]", "", request.node.name)[-12:] + f"{abs(hash(request.node.name)) % 10**6}"
    return openers[request.param](served, fetcher, f"p{name}")


def found(opened: Opened) -> dict[str, CloudResource]:
    return {one.id: one for one in opened.account.resources([opened.region])}


def test_what_carries_our_tags_is_found_with_them_and_nothing_else(opened: Opened) -> None:
    machine = found(opened)[opened.machine]
    assert dict(machine.tags).items() >= TAGS.items()
    assert (machine.cloud, machine.account, machine.region, machine.implied) == (opened.account.cloud, opened.account.id, opened.region, False)
    assert {one.tags.get("managed-by") for one in found(opened).values()} == {"spotlane"}
    assert [one.id for one in found(opened).values() if not one.implied] == [opened.machine]


def test_a_region_that_is_not_asked_for_is_not_looked_into(opened: Opened) -> None:
    assert opened.account.resources(["nowhere-1"] if opened.account.cloud != "aws" else ["eu-central-1"]) == []


def test_a_removed_machine_is_gone_and_removing_it_again_is_no_fault(opened: Opened) -> None:
    machine = found(opened)[opened.machine]
    opened.account.remove(machine)
    assert opened.machine not in found(opened)
    opened.account.remove(machine)


def test_a_kind_that_is_not_removed_here_says_what_to_do(opened: Opened) -> None:
    cloud = opened.account.cloud
    strange = CloudResource(cloud, opened.account.id, opened.region, "Microsoft.KeyVault/vaults" if cloud == "azure" else "key-pair", "/x")
    with pytest.raises(CantRemove, match="by hand"):
        opened.account.remove(strange)


def test_spot_quotas_are_told_in_vcpus(opened: Opened) -> None:
    (quota,) = opened.account.quotas([opened.region])
    assert (quota.region, quota.limit) == (opened.region, {"aws": 256.0, "azure": 100.0, "gcp": 72.0}[opened.account.cloud])


def test_a_cloud_that_refuses_is_a_fault_with_its_reason(served: Served) -> None:
    fetcher = Fetcher(httpx.Client(transport=ToServed(served)), sleep=lambda _: None)
    nobody = GcpAccount(fetcher, lambda: "local", "no-such-project", "nobody@no-such-project.iam.gserviceaccount.com")
    with pytest.raises(FeedFault, match="404"):
        nobody.resources([REGIONS["gcp"]])
