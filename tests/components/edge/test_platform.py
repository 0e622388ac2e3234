"""The edge's components: what they declare, checked at the engine's border by Pulumi's mocks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pulumi
import pytest

from components.edge import blueprint
from components.edge.address import TcpAddress, TcpAddressArgs
from components.edge.blueprint import BlueprintFault, EdgeNotBuilt
from components.edge.platform import EdgePlatform, EdgePlatformArgs
from components.edge.worker import slug

ZONE = "example.com"
SECRET_MARK = "4dabf18193072939515e22adb298388d"
"""Key of a special value in Pulumi's wire form (pulumi/sdk, ``rpc.py``)."""


def revealed(value: Any) -> Any:
    """An input without the engine's mark of a secret (one secret in a list marks the whole input)."""
    return value["value"] if isinstance(value, dict) and SECRET_MARK in value else value


class Recorder(pulumi.runtime.Mocks):
    """Answers each registration with its own inputs and keeps it."""

    def __init__(self) -> None:
        self.resources: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"no function is called, yet {args.token} was")

    def of(self, token: str) -> dict[str, dict[str, Any]]:
        """Inputs of the resources of a type, by name."""
        return {one.name: {name: revealed(value) for name, value in one.inputs.items()} for one in self.resources if one.typ == token}


def declare(program: Callable[[], object]) -> Recorder:
    """Runs ``program`` against a recorder until nothing is outstanding."""
    recorder = Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, project="spotlane", stack="edge", preview=False)

    @pulumi.runtime.test
    def run() -> pulumi.Output[Any]:
        program()
        return pulumi.Output.from_input(None)

    run()
    return recorder


def write_edge(directory: Path, scripts: dict[str, Any], order: list[str]) -> tuple[Path, Path]:
    """A built edge of ``scripts``; returns its workers' and its console's directory."""
    workers, console = directory / "workers", directory / "console"
    for part in (workers / "dist", console / "dist"):
        part.mkdir(parents=True, exist_ok=True)
    (workers / "bindings.json").write_text(json.dumps({"compatibilityDate": "2026-04-01", "compatibilityFlags": [], "order": order, "scripts": scripts}))
    for name in scripts:
        (workers / "dist" / f"{name}.js").write_text("export default {};")
    (console / "dist" / "index.html").write_text("<!doctype html>")
    return workers, console


ROUTES = {
    "migrations": [{"tag": "v1", "newSqliteClasses": ["Authority"]}],
    "durableObjects": [{"binding": "AUTHORITIES", "class": "Authority", "script": "routes"}],
    "kv": [{"binding": "ROUTES", "namespace": "routes"}],
    "crons": ["* * * * *"],
}
API = {
    "durableObjects": [{"binding": "AUTHORITIES", "class": "Authority", "script": "routes"}],
    "d1": [{"binding": "DB", "database": "spotlane"}],
    "vars": ["ZONE"],
    "secrets": ["PLATFORM_KEY_SHA256"],
    "routes": ["api.{zone}/*", "*.workloads.{zone}/*"],
}


def platform(tmp_path: Path) -> Recorder:
    """The edge of the two scripts above."""
    plan = blueprint.load(*write_edge(tmp_path, {"routes": ROUTES, "api": API}, ["routes", "api"]))
    arguments = EdgePlatformArgs(
        account_id="account", zone=ZONE, zone_id="zone", automation_url="https://automation", platform_key_sha256="digest", blueprint=plan
    )
    return declare(lambda: EdgePlatform("edge", arguments))


def test_scripts_carry_their_bindings_and_migrations(tmp_path: Path) -> None:
    scripts = platform(tmp_path).of("cloudflare:index/workersScript:WorkersScript")
    assert set(scripts) == {"edge-routes-script", "edge-api-script"}
    routes, api = scripts["edge-routes-script"], scripts["edge-api-script"]
    assert routes["migrations"] == {"newTag": "v1", "newSqliteClasses": ["Authority"]}
    assert routes["bindings"][0] == {"name": "AUTHORITIES", "type": "durable_object_namespace", "className": "Authority"}
    assert api["bindings"][0] == {"name": "AUTHORITIES", "type": "durable_object_namespace", "className": "Authority", "scriptName": "routes"}
    assert {"name": "DB", "type": "d1", "databaseId": "edge-d1-spotlane-id"} in api["bindings"]
    assert {"name": "ZONE", "type": "plain_text", "text": ZONE} in api["bindings"]
    assert api["contentSha256"] == hashlib.sha256(b"export default {};").hexdigest()


def test_each_route_has_a_proxied_record(tmp_path: Path) -> None:
    recorder = platform(tmp_path)
    patterns = {one["pattern"]: one["script"] for one in recorder.of("cloudflare:index/workersRoute:WorkersRoute").values()}
    assert patterns == {f"api.{ZONE}/*": "api", f"*.workloads.{ZONE}/*": "api"}
    records = recorder.of("cloudflare:index/dnsRecord:DnsRecord")
    assert {name: (one["name"], one["proxied"]) for name, one in records.items()} == {
        "edge-api-dns-api": (f"api.{ZONE}", True),
        "edge-api-dns-any-workloads": (f"*.workloads.{ZONE}", True),
    }


def test_tcp_address_is_a_spectrum_application_before_the_relay() -> None:
    recorder = declare(lambda: TcpAddress("echo-acme", TcpAddressArgs(zone=ZONE, zone_id="zone", label="echo-acme", port=9000)))
    application = recorder.of("cloudflare:index/spectrumApplication:SpectrumApplication")["echo-acme-spectrum"]
    assert application["protocol"] == "tcp/9000"
    assert application["dns"] == {"type": "CNAME", "name": f"tcp-echo-acme.workloads.{ZONE}"}
    assert (application["originDns"]["name"], application["originPort"], application["proxyProtocol"]) == (f"relay.{ZONE}", 9000, "off")


@pytest.mark.parametrize("version", ["off", "v1", "v2"])
def test_tcp_address_tells_the_relay_who_the_client_is_as_it_is_asked_to(version: Literal["off", "v1", "v2"]) -> None:
    args = TcpAddressArgs(zone=ZONE, zone_id="zone", label="data-acme", port=5432, relay_port=15432, proxy_protocol=version)
    application = declare(lambda: TcpAddress("data-acme", args)).of("cloudflare:index/spectrumApplication:SpectrumApplication")["data-acme-spectrum"]
    assert (application["protocol"], application["originPort"], application["proxyProtocol"]) == ("tcp/5432", 15432, version)


def test_missing_build_says_what_to_run(tmp_path: Path) -> None:
    workers, console = write_edge(tmp_path, {"routes": ROUTES}, ["routes"])
    (workers / "dist" / "routes.js").unlink()
    with pytest.raises(EdgeNotBuilt, match=r"workers/dist/routes\.js missing: run `npm run build`"):
        blueprint.load(workers, console)


def test_blueprint_reports_every_contradiction(tmp_path: Path) -> None:
    scripts = {"api": API, "routes": {**ROUTES, "migrations": []}}
    with pytest.raises(BlueprintFault) as caught:
        blueprint.load(*write_edge(tmp_path, scripts, ["api", "routes"]))
    assert caught.value.faults == [
        "api: binds routes, which comes later in order",
        "api: routes has no class Authority",
        "routes: routes has no class Authority",
    ]


@pytest.mark.parametrize(("host", "name"), [("*.workloads.example.com", "any-workloads"), ("api.example.com", "api")])
def test_resource_names_follow_the_host(host: str, name: str) -> None:
    assert slug(host, ZONE) == name
