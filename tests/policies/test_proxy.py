"""The proxy as its clients meet it: over a real socket, with TLS, to a plain upstream on loopback."""

from __future__ import annotations

import json
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from domain.boundary.record import GENESIS, record_hash
from tests.policies.stage import AWS_ACCOUNT, SUBSCRIPTION, Stage, raw, signed, staged, start


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as found:
        yield found


def _group(client: httpx.Client, location: str, subscription: str = SUBSCRIPTION) -> httpx.Response:
    return client.put(f"https://management.azure.com/subscriptions/{subscription}/resourceGroups/web?api-version=2024-11-01", json={"location": location})


def _ec2(client: httpx.Client, region: str, key: str, **form: str) -> httpx.Response:
    headers = signed(region, key) | {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return client.post(f"https://ec2.{region}.amazonaws.com/", content=urlencode({"Version": "2016-11-15", **form}), headers=headers)


def _assume(client: httpx.Client, account: str) -> httpx.Response:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": f"arn:aws:iam::{account}:role/spotlane", "RoleSessionName": "s"}
    return client.post("https://sts.eu-west-1.amazonaws.com/", content=urlencode(form), headers=headers)


def test_a_call_inside_the_boundary_reaches_the_cloud_and_one_outside_does_not(stage: Stage) -> None:
    with stage.client() as client:
        assert _group(client, "westeurope").status_code == 200
        refused = _group(client, "eastus")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "RequestDisallowedByPolicy"
    assert "[residency]" in refused.json()["error"]["message"]
    assert [host for _, host, _ in stage.seen] == [f"management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/web?api-version=2024-11-01"]
    assert [(entry["verdict"], entry["rule"], entry["tenant"], entry["region"]) for entry in stage.entries()] == [
        ("allow", "", "acme", "westeurope"),
        ("deny", "residency", "acme", "eastus"),
    ]


def test_an_aws_session_is_its_accounts_and_a_restart_keeps_it(stage: Stage) -> None:
    spot = {"Action": "RunInstances", "InstanceMarketOptions.MarketType": "spot", "MinCount": "1", "MaxCount": "1", "ImageId": "ami-1"}
    with stage.client() as client:
        assert _ec2(client, "eu-west-1", "ASIATENANT", **spot).status_code == 403
        assert _assume(client, AWS_ACCOUNT).status_code == 200
        assert _ec2(client, "eu-west-1", "ASIATENANT", **spot).status_code == 200
    stage.process.send_signal(signal.SIGTERM)
    assert stage.process.wait(15) == 0
    stage.process, stage.port = start(stage.home, stage.home / "upstreams.json")
    with stage.client() as client:
        assert _ec2(client, "eu-west-1", "ASIATENANT", **spot).status_code == 200
        on_demand = _ec2(client, "eu-west-1", "ASIATENANT", **(spot | {"InstanceMarketOptions.MarketType": "capacity-block"}))
        elsewhere = _ec2(client, "us-east-1", "ASIATENANT", **spot)
    assert "UnauthorizedOperation" in on_demand.text
    assert "[spot]" in on_demand.text
    assert "[residency]" in elsewhere.text


def test_a_tenants_credential_touches_its_own_accounts_only(stage: Stage) -> None:
    with stage.client("acme", "k-acme") as client:
        own = client.get("https://compute.googleapis.com/compute/v1/projects/acme-1/zones/europe-west1-b/instances/web")
        other = client.get("https://compute.googleapis.com/compute/v1/projects/globex-1/zones/europe-west1-b/instances/web")
        edge = client.get("https://api.cloudflare.com/client/v4/accounts/a/workers/scripts")
        assumed = _assume(client, "210987654321")
    assert [own.status_code, other.status_code, edge.status_code, assumed.status_code] == [200, 403, 403, 403]


POLICIES = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("DELETE", f"{POLICIES}/policyAssignments/locations?api-version=2024-04-01"),
        ("PUT", f"{POLICIES}/policyExemptions/mine?api-version=2022-07-01-preview"),
        ("DELETE", f"{POLICIES}/locks/kept?api-version=2020-05-01"),
        ("DELETE", "https://orgpolicy.googleapis.com/v2/projects/acme-1/policies/gcp.resourceLocations"),
        ("POST", "https://cloudresourcemanager.googleapis.com/v1/projects/acme-1:clearOrgPolicy"),
    ],
)
def test_an_accounts_guard_rails_are_the_platforms_not_the_tenants(stage: Stage, method: str, url: str) -> None:
    def asked(principal: str, key: str) -> httpx.Response:
        with stage.client(principal, key) as client:
            return client.request(method, url, json={} if method != "DELETE" else None)

    refused = asked("acme", "k-acme")
    assert (refused.status_code, "guard rails" in refused.text) == (403, True)
    assert asked("platform", "k-platform").status_code == 200
    with stage.client("acme", "k-acme") as client:
        assert client.get(f"{POLICIES}/policyAssignments/locations?api-version=2024-04-01").status_code == 200


def test_an_account_of_nobody_takes_nothing_that_has_a_place(stage: Stage) -> None:
    with stage.client() as client:
        refused = _group(client, "westeurope", "ffffffff-0000-0000-0000-000000000000")
        policy = client.put(
            "https://management.azure.com/subscriptions/ffffffff-0000-0000-0000-000000000000/providers/Microsoft.Authorization/policyAssignments/a", json={}
        )
    assert [refused.status_code, policy.status_code] == [403, 200]


def test_the_platform_enters_an_account_in_the_making_but_places_nothing_there(stage: Stage) -> None:
    with stage.client() as client:
        assert _assume(client, "555555555555").status_code == 200
        assert _ec2(client, "eu-west-1", "ASIATENANT", Action="CreateVpc", CidrBlock="10.0.0.0/16").status_code == 403


def test_prices_are_read_from_every_region(stage: Stage) -> None:
    with stage.client() as client:
        assert _ec2(client, "us-east-1", "AKIAPLATFORM", Action="DescribeSpotPriceHistory").status_code == 200


@pytest.mark.parametrize("target", ["https://example.com/", "https://127.0.0.1/", "https://s3.moon.example/", "https://management.azure.com:8443/"])
def test_other_hosts_ports_and_addresses_get_no_tunnel(stage: Stage, target: str) -> None:
    with stage.client() as client, pytest.raises(httpx.ProxyError, match="403"):
        client.get(target)


def test_a_wrong_key_gets_no_tunnel(stage: Stage) -> None:
    with stage.client(key="wrong") as client, pytest.raises(httpx.ProxyError, match="407"):
        client.get("https://management.azure.com/subscriptions")


def test_plain_http_is_not_passed_on(stage: Stage) -> None:
    with stage.client() as client:
        assert client.get("http://management.azure.com/subscriptions").status_code == 403


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /subscriptions HTTP/1.1\r\nHost: api.cloudflare.com\r\n\r\n",
        b"GET https://api.cloudflare.com/ HTTP/1.1\r\nHost: management.azure.com\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: management.azure.com\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: management.azure.com\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"GET /x HTTP/1.1\r\nHost: management.azure.com\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /subscriptions/../x HTTP/1.1\r\nHost: management.azure.com\r\n\r\n",
        b"POST /batch HTTP/1.1\r\nHost: management.azure.com\r\nContent-Length: 2\r\n\r\n{}",
        b"\x00\x01raw bytes\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(stage: Stage, request_bytes: bytes) -> None:
    answer = raw(stage, "management.azure.com", request_bytes)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))
    assert stage.seen == []
    assert stage.entries()[-1]["verdict"] == "deny"


def test_a_name_that_differs_from_the_tunnels_ends_the_handshake(stage: Stage) -> None:
    with pytest.raises(ssl.SSLError):
        raw(stage, "management.azure.com", b"", sni="api.cloudflare.com")


def test_the_audit_log_is_a_chain_and_shows_to_the_platform_only(stage: Stage) -> None:
    with stage.client() as client:
        for location in ("westeurope", "eastus", "francecentral"):
            _group(client, location)
    entries = stage.entries()
    assert [entry["prev"] for entry in entries] == [GENESIS, *(entry["hash"] for entry in entries[:-1])]
    assert all(entry["hash"] == record_hash(entry) for entry in entries)
    view = f"http://127.0.0.1:{stage.port}"
    assert httpx.get(f"{view}/audit", trust_env=False).status_code == 401
    answer = httpx.get(f"{view}/audit?after=2&limit=5", auth=("platform", "k-platform"), trust_env=False)
    assert [entry["seq"] for entry in answer.json()["entries"]] == [3]
    assert httpx.get(f"{view}/healthz", trust_env=False).json() == {"status": "ok", "seq": 3}


def test_a_boundary_that_changes_counts_from_the_next_call(stage: Stage) -> None:
    path = stage.home / "proxy" / "tenants" / "acme.json"
    record = json.loads(path.read_text())
    with stage.client() as client:
        assert _group(client, "eastus").status_code == 403
        path.write_text(json.dumps(record | {"boundary": {"name": "us", "residency": {"countries": ["US"]}}}))
        assert _group(client, "eastus").status_code == 200
        path.write_text(json.dumps(record | {"boundary": {"nam": "broken"}}))
        assert _group(client, "eastus").status_code == 403


def test_a_boundary_for_relays_only_leaves_a_relay_its_address_and_nothing_else(stage: Stage) -> None:
    path = stage.home / "proxy" / "tenants" / "acme.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"boundary": record["boundary"] | {"spotOnly": False, "network": {"publicAddresses": "relay"}}}))
    address = "Microsoft.Network/publicIPAddresses"
    interface = "Microsoft.Network/networkInterfaces"
    with stage.client() as client:
        _assume(client, AWS_ACCOUNT)
        for name, status in (("relay-eu-west-1-0a1b2c3d", 200), ("web-acme-3", 403)):
            template = {"Action": "CreateLaunchTemplate", "LaunchTemplateName": name, "LaunchTemplateData.ImageId": "ami-1"}
            template |= {"LaunchTemplateData.NetworkInterface.1.DeviceIndex": "0", "LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress": "true"}
            assert _ec2(client, "eu-west-1", "ASIATENANT", **template).status_code == status
            own = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers"
            public = {"properties": {"publicIPAddress": {"id": f"{own}/{address}/{name}".removeprefix("https://management.azure.com")}}}
            body = {"location": "westeurope", "properties": {"ipConfigurations": [{"name": "private", **public}]}}
            assert client.put(f"{own}/{interface}/{name}?api-version=2024-05-01", json=body).status_code == status
            machine = {"name": name, "networkInterfaces": [{"accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}]}
            there = "https://compute.googleapis.com/compute/v1/projects/acme-1/zones/europe-west4-a/instances"
            assert client.post(there, json=machine).status_code == status


@pytest.mark.parametrize(
    ("mode", "status", "verdict", "told"), [("learning", 200, "learn", False), ("advisory", 200, "advise", True), ("block", 403, "deny", False)]
)
def test_a_modes_reach_ends_at_the_boundarys_findings(stage: Stage, mode: str, status: int, verdict: str, told: bool) -> None:
    path = stage.home / "proxy" / "tenants" / "acme.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mode": mode}))
    with stage.client() as client:
        answer = _group(client, "eastus")
        assert answer.status_code == status
        assert ("[residency]" in answer.headers.get("spotlane-advice", "")) is told
        assert _group(client, "eastus", "ffffffff-0000-0000-0000-000000000000").status_code == 403
    with stage.client("acme", "k-acme") as client:
        assert client.get("https://compute.googleapis.com/compute/v1/projects/globex-1/zones/europe-west1-b/instances/web").status_code == 403
    assert [entry["verdict"] for entry in stage.entries() if entry["rule"] == "residency"] == [verdict]


def test_a_mode_that_isnt_known_refuses_everything_of_the_tenant(stage: Stage) -> None:
    path = stage.home / "proxy" / "tenants" / "acme.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mode": "off"}))
    with stage.client() as client:
        assert _group(client, "westeurope").status_code == 403


def test_a_change_of_boundary_or_mode_is_recorded(stage: Stage) -> None:
    path = stage.home / "proxy" / "tenants" / "acme.json"
    with stage.client() as client:
        _group(client, "westeurope")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"mode": "learning"}))
        _group(client, "westeurope")
    first, change, last = stage.entries()
    assert (change["service"], change["tenant"], change["principal"]) == ("boundary", "acme", "spotlane")
    assert change["why"] == f"boundary and mode: {first['digest']} (block) → {last['digest']} (learning)"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"tags": {"team": "web"}}, 200),
        ({"properties": {"hardwareProfile": {"vmSize": "Standard_D4s_v5"}}}, 200),
        ({"properties": {"priority": "Spot"}}, 200),
        ({"properties": {"priority": "Regular"}}, 403),
        ({"identity": {"userAssignedIdentities": {"/subscriptions/9b1f6471-1bf0-4dda-aec3-999999999999/resourceGroups/g/x": {}}}}, 403),
    ],
)
def test_a_part_of_a_machine_is_judged_by_what_it_says(stage: Stage, document: dict[str, object], status: int) -> None:
    url = f"https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web?api-version=2024-11-01"
    with stage.client("acme", "k-acme") as client:
        assert client.patch(url, json=document).status_code == status
