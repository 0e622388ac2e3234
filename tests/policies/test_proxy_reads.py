"""What the service asks of the clouds itself, beside the engine: the preflight's and the sweep's calls pass, for the tenant's accounts only."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.signing import JSON, signed
from components.tenant import aws_permissions
from policies.proxy.aws_writes import check_write
from policies.proxy.decode_aws import _access
from policies.proxy.hosts import KnownHost
from tests.policies.stage import SUBSCRIPTION, Stage, staged

ROLE = "arn:aws:iam::123456789012:role/spotlane-automation"
ORGANIZATIONS = "https://organizations.us-east-1.amazonaws.com/"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("proxy")) as found:
        yield found


def sent(stage: Stage, request: httpx.Request) -> httpx.Response:
    with stage.client() as client:
        return client.send(request)


def entered(stage: Stage) -> Credentials:
    """The session that the proxy saw handed out for acme's account."""
    form = f"Action=AssumeRole&Version=2011-06-15&RoleArn={ROLE}&RoleSessionName=spotlane"
    assert sent(stage, signed(Credentials("AKIAPLATFORM", "s"), "sts", "eu-west-1", "https://sts.eu-west-1.amazonaws.com/", form)).status_code == 200
    return Credentials("ASIATENANT", "s", "t")


def ec2(stage: Stage, region: str, form: str) -> httpx.Response:
    return sent(stage, signed(entered(stage), "ec2", region, f"https://ec2.{region}.amazonaws.com/", f"{form}&Version=2016-11-15"))


@pytest.mark.parametrize(
    ("operation", "body"), [("DescribeOrganization", "{}"), ("ListRoots", "{}"), ("DescribeOrganizationalUnit", '{"OrganizationalUnitId": "ou-1"}')]
)
def test_the_organisation_can_be_read_also_where_a_call_takes_no_input(stage: Stage, operation: str, body: str) -> None:
    request = signed(Credentials("AKIAPLATFORM", "s"), "organizations", "us-east-1", ORGANIZATIONS, body, JSON, f"AWSOrganizationsV20161128.{operation}")
    assert sent(stage, request).status_code == 200


def test_a_call_without_input_takes_none_that_is_not_known(stage: Stage) -> None:
    body, target = '{"Region": "us-east-1"}', "AWSOrganizationsV20161128.DescribeOrganization"
    assert sent(stage, signed(Credentials("AKIAPLATFORM", "s"), "organizations", "us-east-1", ORGANIZATIONS, body, JSON, target)).status_code == 400


def test_tags_are_listed_and_orphans_removed_inside_the_boundary(stage: Stage) -> None:
    assert ec2(stage, "eu-west-1", "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=managed-by").status_code == 200
    assert ec2(stage, "eu-west-1", "Action=DeleteVolume&VolumeId=vol-1").status_code == 200


def test_quotas_are_read_and_none_is_asked_for_outside_the_boundary(stage: Stage) -> None:
    def asked(region: str, operation: str, body: str) -> httpx.Response:
        url, target = f"https://servicequotas.{region}.amazonaws.com/", f"ServiceQuotasV20190624.{operation}"
        return sent(stage, signed(entered(stage), "servicequotas", region, url, body, JSON, target))

    quota = '{"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"}'
    assert asked("eu-west-1", "GetServiceQuota", quota).status_code == 200
    refused = asked("us-east-1", "RequestServiceQuotaIncrease", quota[:-1] + ', "DesiredValue": 9}')
    assert (refused.status_code, refused.json()["__type"]) == (400, "AccessDeniedException")
    assert "us-east-1" in refused.json()["message"]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        (f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/resources?api-version=2021-04-01", 200),
        (f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/usages?api-version=2024-07-01", 200),
        ("https://management.azure.com/providers/Microsoft.Management/managementGroups/spotlane?api-version=2021-04-01", 200),
        ("https://compute.googleapis.com/compute/v1/projects/acme-1/aggregated/instances?filter=labels.managed-by%3Dspotlane", 200),
        ("https://compute.googleapis.com/compute/v1/projects/acme-1/regions/europe-west4", 200),
        ("https://compute.googleapis.com/compute/v1/projects/nobodys-1/aggregated/instances", 403),
        ("https://cloudresourcemanager.googleapis.com/v3/folders/1", 200),
        ("https://cloudbilling.googleapis.com/v1/billingAccounts/0-1-2", 200),
    ],
)
def test_listings_pass_for_accounts_of_tenants(stage: Stage, url: str, status: int) -> None:
    assert sent(stage, httpx.Request("GET", url)).status_code == status


@pytest.mark.parametrize(
    "url",
    [
        "https://management.azure.com/subscriptions/00000000-0000-0000-0000-00000000aaaa/providers/Microsoft.Compute/skus?api-version=2021-07-01",
        "https://compute.googleapis.com/compute/v1/projects/spotlane-platform/aggregated/machineTypes?maxResults=500",
    ],
)
def test_catalogues_of_machine_shapes_are_read_under_the_platforms_own_accounts(stage: Stage, url: str) -> None:
    assert sent(stage, httpx.Request("GET", url, headers={"authorization": "Bearer token"})).status_code == 200


RATES = (
    "SpotResources | where type =~ 'microsoft.compute/skuspotevictionrate/location' | where sku.name in~ ('Standard_D2s_v5', 'Standard_D4s_v5') "
    "| where location in~ ('westeurope') | project skuName = tostring(sku.name), location, evictionRate = tostring(properties.evictionRate)"
)


def graph(query: str, **more: object) -> httpx.Request:
    url = "https://management.azure.com/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"
    return httpx.Request("POST", url, headers={"authorization": "Bearer token"}, json={"query": query, "options": {"$top": 1000}, **more})


def test_azures_table_of_evictions_is_read_and_no_other_query_is_made(stage: Stage) -> None:
    assert sent(stage, graph(RATES)).status_code == 200
    for query in ("Resources | project name", RATES + " | union Resources", RATES.replace("('westeurope')", "(ResourceContainers | project name)")):
        assert sent(stage, graph(query)).status_code == 403
    assert sent(stage, graph(RATES, subscriptions=["00000000-0000-0000-0000-00000000aaaa"])).status_code == 403


QUESTION: dict[str, object] = {
    "desiredLocations": ["westeurope", "us-gov"], "desiredSizes": [{"sku": "Standard_D2s_v5"}], "desiredCount": 1, "availabilityZones": False,
}  # fmt: skip


def placement(tail: str = "placementScores/spot/generate", **changed: object) -> httpx.Request:
    base = "https://management.azure.com/subscriptions/00000000-0000-0000-0000-00000000aaaa/providers/Microsoft.Compute/locations/westeurope"
    return httpx.Request("POST", f"{base}/{tail}?api-version=2025-06-05", headers={"authorization": "Bearer token"}, json={**QUESTION, **changed})


def test_azures_placement_scores_are_asked_for_and_nothing_else_is_posted_to_a_foreign_subscription(stage: Stage) -> None:
    assert sent(stage, placement()).status_code == 200
    for tail in ("placementScores/spot", "placementScores/spot/generate/more", "placementScores/compute/generate", "spot/generate"):
        assert sent(stage, placement(tail)).status_code == 403
    for changed in ({"location": "eastus"}, {"desiredSizes": [{"sku": "a", "id": "/x"}]}, {"desiredLocations": ["/subscriptions/x"]}, {"desiredCount": "1"}):
        assert sent(stage, placement(**changed)).status_code == 403


def test_capacity_is_advised_on_and_nothing_else_of_a_foreign_project_is_asked(stage: Stage) -> None:
    base = "https://compute.googleapis.com/compute/beta/projects/spotlane-platform/regions/us-west4"
    assert sent(stage, httpx.Request("POST", f"{base}/advice/capacity", json={"size": 1})).status_code == 200
    assert sent(stage, httpx.Request("POST", f"{base}/advice/other", json={"size": 1})).status_code == 403
    form = "Action=GetSpotPlacementScores&Version=2016-11-15&TargetCapacity=1&InstanceType.1=m5.large&RegionName.1=ap-south-1"
    assert sent(stage, signed(Credentials("AKIAPLATFORM", "s"), "ec2", "us-east-1", "https://ec2.us-east-1.amazonaws.com/", form)).status_code == 200


@pytest.mark.parametrize(
    ("service", "target", "body"),
    [
        ("secretsmanager", "secretsmanager.CreateSecret", '{"Name": "n", "SecretString": "s"}'),
        ("dynamodb", "DynamoDB_20120810.PutItem", '{"TableName": "t", "Item": {}}'),
        ("logs", "Logs_20140328.PutRetentionPolicy", '{"logGroupName": "g", "retentionInDays": 30}'),
        ("ssm", "AmazonSSM.PutParameter", '{"Name": "n", "Value": "v"}'),
        ("kms", "TrentService.Encrypt", '{"KeyId": "k", "Plaintext": "eA=="}'),
    ],
)
def test_what_keeps_a_tenants_data_in_its_place_is_written(stage: Stage, service: str, target: str, body: str) -> None:
    assert sent(stage, signed(entered(stage), service, "eu-west-1", f"https://{service}.eu-west-1.amazonaws.com/", body, JSON, target)).status_code == 200


def test_an_object_is_written_under_the_accounts_own_key_and_notes(stage: Stage) -> None:
    own = "arn:aws:kms:eu-west-1:123456789012:key/k"
    headers = {"x-amz-acl": "private", "x-amz-server-side-encryption-aws-kms-key-id": own, "x-amz-meta-region": "home", "x-amz-copy-source": "b%2Fother"}
    session = entered(stage)
    request = signed(session, "s3", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/b/key", "x", "text/plain")
    request = httpx.Request("PUT", request.url, headers={**request.headers, **headers}, content=b"x")
    assert sent(stage, request).status_code == 200


def test_every_write_of_the_stacks_on_aws_is_judged() -> None:
    tables = (aws_permissions.MAKES, aws_permissions.CHANGES, aws_permissions.ROLES, aws_permissions.BOUNDED, aws_permissions.LOGS, aws_permissions.KEYS)
    asked = {tuple(one.split(":")) for one in " ".join(tables).split()}
    for service, action in sorted(asked):
        if _access(action, KnownHost("aws", "aws", service)) == "write":
            check_write(service, action)


def test_a_tenant_reads_a_catalogue_but_not_by_way_of_another_tenants_account(stage: Stage) -> None:
    def images(project: str) -> int:
        with stage.client("acme", "k-acme") as client:
            return client.get(f"https://compute.googleapis.com/compute/v1/projects/{project}/global/images").status_code

    assert [images(project) for project in ("acme-1", "debian-cloud", "globex-1")] == [200, 200, 403]
