"""A relay's stack: one machine with a public address that only Spectrum reaches, only on its ports; what the enforcers say of it."""

from __future__ import annotations

import base64
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.machine.cloud_config import LIMIT_BYTES
from components.machine.relay_config import render
from components.relay.settings import load as load_relay
from stacks.address import declare as declare_address
from stacks.relay import declare
from stacks.settings import SPECTRUM_SOURCES, SettingsError, load_settings, parse_stack_name
from tests.components.declared import Declared, declared
from tests.policies.resources import judged
from tests.stacks.test_placement import OFFERS, REGIONS

GOLDEN = Path(__file__).parents[1] / "golden"
WORKLOADS = [{"label": "data-acme", "port": 5433, "proxyIn": "v2"}, {"label": "web-acme", "port": 5432, "proxyIn": "off"}]


def stack_of(cloud: str) -> str:
    return f"relay.acme.{cloud}.{OFFERS[cloud][0]}"


def document(cloud: str, **changes: Any) -> dict[str, Any]:
    _, zone, instance_type, arch = OFFERS[cloud]
    own = {"zone": zone, "instanceType": instance_type, "arch": arch, "zoneName": "example.com", "cloudflareZoneId": "zone", "workloads": WORKLOADS}
    return own | changes


def relay(cloud: str, **changes: Any) -> Declared:
    stack = stack_of(cloud)
    return declared(lambda: declare(parse_stack_name(stack), load_settings(stack, document(cloud, **changes))), stack, REGIONS)


def unpacked(user_data: str) -> dict[str, str]:
    """The files that the user data makes, by path, those of its archive too."""
    found: dict[str, str] = {}
    for file in yaml.safe_load(user_data)["write_files"]:
        content = base64.b64decode(file["content"])
        if file["encoding"] == "gz+b64":
            found[file["path"]] = gzip.decompress(content).decode()
        else:
            with tarfile.open(fileobj=io.BytesIO(lzma.decompress(content))) as tar:
                found |= {f"/opt/spotlane/{entry.name}": (tar.extractfile(entry) or io.BytesIO()).read().decode() for entry in tar}
    return found


def shown(user_data: str) -> str:
    """The user data as its golden has it: what is packed stands below, but for the program."""
    text = user_data
    for file in yaml.safe_load(user_data)["write_files"]:
        text = text.replace(file["content"], f"<{Path(file['path']).name}>")
    return text + "".join(f"=== {path}\n" + ("" if path.startswith("/opt/") else content) for path, content in unpacked(user_data).items())


def user_data_of(cloud: str, run: Declared) -> str:
    if cloud == "aws":
        return base64.b64decode(run.one("LaunchTemplate")["userData"]).decode()
    if cloud == "azure":
        return base64.b64decode(run.one("VirtualMachine")["osProfile"]["customData"]).decode()
    found: str = run.one("Instance")["metadata"]["user-data"]
    return found


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_user_data_is_the_golden_one(cloud: str) -> None:
    assert shown(user_data_of(cloud, relay(cloud))) == (GOLDEN / "user_data.relay.txt").read_text()


def test_what_is_packed_is_a_relay_that_takes_its_settings(tmp_path: Path) -> None:
    own = {"edge": "http://127.0.0.1:9", "status": "127.0.0.1:0", "listen": "127.0.0.1", "workloads": [{"label": "data-acme", "port": 0}]}
    for path, content in unpacked(render("relay.acme.aws.eu-west-1", own)).items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(content)
    command = [sys.executable, "-m", "relay", str(tmp_path / "etc/spotlane/relay.json")]
    with subprocess.Popen(command, cwd=tmp_path / "opt/spotlane", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spotlane-relay: 1 workloads\n"
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_relay_reads_the_workloads_and_believes_the_sources(cloud: str) -> None:
    run = relay(cloud)
    settings = load_relay(unpacked(user_data_of(cloud, run))["/etc/spotlane/relay.json"])
    assert [(one.label, one.port, one.proxy_in) for one in settings.workloads] == [("web-acme", 5432, "off"), ("data-acme", 5433, "v2")]
    assert (settings.edge, [str(one) for one in settings.trusted]) == ("https://tcp.example.com", list(SPECTRUM_SOURCES))
    assert run.outputs["host"] == "relay-acme.example.com"


def test_on_aws_spectrums_networks_reach_the_ports_and_nothing_else_comes_in() -> None:
    run = relay("aws")
    rules = {(rule["fromPort"], rule["toPort"], rule["ipProtocol"], rule["cidrIpv4"]) for rule in run.inputs("SecurityGroupIngressRule")}
    assert rules == {(5432, 5433, "tcp", source) for source in SPECTRUM_SOURCES}
    assert [(rule["fromPort"], rule["toPort"]) for rule in run.inputs("SecurityGroupEgressRule")] == [(443, 443)]
    assert [subnet["mapPublicIpOnLaunch"] for subnet in run.inputs("Subnet")] == [False]
    (interface,) = run.one("LaunchTemplate")["networkInterfaces"]
    assert (interface["associatePublicIpAddress"], interface["securityGroups"]) == ("true", ["relay-group-id"])
    assert "instanceMarketOptions" not in run.one("LaunchTemplate")
    assert "userData" in run.one("LaunchTemplate")


def test_who_watches_is_let_in_and_not_believed() -> None:
    run = relay("aws", watchers=["198.51.100.7/32"])
    assert {rule["cidrIpv4"] for rule in run.inputs("SecurityGroupIngressRule")} == {*SPECTRUM_SOURCES, "198.51.100.7/32"}
    settings = load_relay(unpacked(user_data_of("aws", run))["/etc/spotlane/relay.json"])
    assert [str(one) for one in settings.trusted] == list(SPECTRUM_SOURCES)


def test_on_azure_spectrums_networks_reach_the_ports_and_nothing_else_comes_in() -> None:
    run = relay("azure")
    allowed, denied = [rule for rule in run.one("NetworkSecurityGroup")["securityRules"] if rule["direction"] == "Inbound"]
    assert (allowed["access"], allowed["protocol"], allowed["sourceAddressPrefixes"]) == ("Allow", "Tcp", list(SPECTRUM_SOURCES))
    assert allowed["destinationPortRanges"] == ["5432-5433"]
    assert (denied["access"], denied["sourceAddressPrefix"], denied["priority"]) == ("Deny", "*", 4096)
    assert run.one("NetworkInterface")["ipConfigurations"][0]["publicIPAddress"] == {"id": "relay-machine-address-id"}
    assert run.one("VirtualMachine")["priority"] == "Regular"


def test_on_gcp_spectrums_networks_reach_the_ports_and_nothing_else_comes_in() -> None:
    run = relay("gcp")
    allowed, denied = sorted((rule for rule in run.inputs("Firewall") if rule["direction"] == "INGRESS"), key=lambda rule: rule["priority"])
    assert (allowed["allows"], allowed["sourceRanges"]) == ([{"protocol": "tcp", "ports": ["5432-5433"]}], list(SPECTRUM_SOURCES))
    assert (denied["denies"], denied["sourceRanges"], denied["priority"]) == ([{"protocol": "all"}], ["0.0.0.0/0"], 65534)
    assert run.one("Instance")["networkInterfaces"][0]["accessConfigs"] == [{"networkTier": "PREMIUM"}]


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_name_leads_past_cloudflares_proxy_to_the_machine(cloud: str) -> None:
    record = relay(cloud).one("DnsRecord")
    assert (record["name"], record["type"], record["content"], record["proxied"]) == ("relay-acme.example.com", "A", "203.0.113.9", False)


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
@pytest.mark.parametrize(("public_addresses", "refused"), [("relay", False), ("none", True)])
def test_a_boundary_that_leaves_relays_their_address_admits_the_stack(cloud: str, public_addresses: str, refused: bool) -> None:
    boundary = {
        "name": "acme-eu",
        "residency": {"regimes": ["gdpr"]},
        "encryption": {"disks": True},
        "network": {"publicAddresses": public_addresses, "openIngress": False, "instanceMetadataV2": True},
    }
    provider = {"region": OFFERS[cloud][0], "location": OFFERS[cloud][0]}
    run = relay(cloud)
    named = [args for args in run.resources if not args.typ.startswith(("pulumi:", "spotlane:"))]
    told = [said for args in named for said in judged((args.typ, args.inputs), stack_of(cloud), boundary, provider if ":" in args.typ else None)]
    assert bool(told) == refused, told
    assert all("gets a public address" in said for said in told)


def test_a_changed_relay_is_another_machine_beside_the_old_one() -> None:
    names = {relay("azure", workloads=workloads).one("VirtualMachine")["vmName"] for workloads in (WORKLOADS, WORKLOADS[:1], WORKLOADS)}
    assert len(names) == 2
    names |= {relay("azure", generation=generation).one("VirtualMachine")["vmName"] for generation in (1, 2)}
    assert len(names) == 3
    assert all(name.startswith("relay-westeurope-") for name in names)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"workloads": []}, "workloads: List should have at least 1 item"),
        ({"workloads": [{"label": "data-other", "port": 1}]}, "workloads: data-other isn't acme's; a relay serves its own tenant only"),
        ({"workloads": [*WORKLOADS, {"label": "more-acme", "port": 5432, "proxyIn": "off"}]}, "port 5432: more-acme, web-acme can't be told apart"),
        ({"workloads": [{"label": "data-acme", "port": port} for port in (1, 3, 5, 7, 9)]}, "their ports make 5 ranges, a firewall takes 4"),
        (
            {"watchers": ["198.51.100.7/32"], "workloads": [{"label": "data-acme", "port": port} for port in (1, 3, 5, 7)]},
            "their ports make 4 ranges, a firewall takes 3",
        ),
        ({"watchers": ["0.0.0.0/0"]}, "watchers: name IPv4 networks, not the whole internet"),
        ({"sources": ["0.0.0.0/0"]}, "sources: name IPv4 networks, not the whole internet"),
        ({"sources": ["198.51.100.1/24"]}, "trusted: 198.51.100.1/24 has host bits set"),
    ],
)
def test_settings_that_would_serve_wrongly_are_refused_before_anything_is_declared(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        declare(parse_stack_name(stack_of("aws")), load_settings(stack_of("aws"), document("aws", **changes)))
    assert fault in str(caught.value)


def test_a_hundred_workloads_fit_and_too_many_are_refused() -> None:
    def of(count: int) -> dict[str, Any]:
        return load_settings(stack_of("aws"), document("aws", workloads=[{"label": f"data{n}-acme", "port": 10_000 + n} for n in range(count)])).document()  # type: ignore[attr-defined, no-any-return]

    assert len(render("relay", of(100))) < LIMIT_BYTES
    with pytest.raises(ValueError, match="take a second relay for some of its workloads"):
        render("relay", {**of(1), "headers": {str(n): base64.b64encode(bytes(n % 256 for n in range(n, n + 64))).decode() for n in range(9000)}})


@pytest.mark.parametrize(("relay", "host"), [("own", "relay-acme.example.com"), ("shared", "relay.example.com")])
def test_an_address_leads_to_the_tenants_own_relay_where_it_says_so(relay: str, host: str) -> None:
    settings = load_settings("address.acme.data", {"accountId": "a", "zone": "example.com", "zoneId": "z", "tcpPort": 5432, "relay": relay})
    run = declared(lambda: declare_address(parse_stack_name("address.acme.data"), settings), "address.acme.data")  # type: ignore[arg-type]
    assert run.one("SpectrumApplication")["originDns"]["name"] == host
