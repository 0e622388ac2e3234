"""State backends and secrets providers by setting: the real engine on an S3-compatible store, with a key of KMS (moto); states kept before a destroy."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from automation.errors import EngineFailed
from automation.runs.backups import KEPT, Backups
from automation.runs.engine import Engine
from tests.automation.test_engine import standing
from tests.policies.stage import staged

ROOT = Path(__file__).parents[2]
SETTINGS = {"cloud": "aws", "machine": {"command": ["run"], "placementToken": "very-secret"}}
DEPLOYMENT = {"version": 3, "deployment": {"resources": [{"urn": "urn:pulumi:s"}]}}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def program() -> str:
    found = subprocess.run([sys.executable, str(ROOT / "tools/engine/resolve.py")], stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


def environment(aws: str, bucket: str, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PULUMI_HOME": str(home / "engine"),
        "PULUMI_BACKEND_URL": f"s3://{bucket}?endpoint={aws}&region=us-east-1&s3ForcePathStyle=true",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_KMS": aws,
    }


@pytest.mark.parametrize("kms", [False, True], ids=["passphrase", "kms"])
def test_a_stack_lives_in_an_s3_compatible_store_its_secrets_under_the_key_of_the_setting(aws: str, program: str, tmp_path: Path, kms: bool) -> None:
    keys = {"endpoint_url": aws, "region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    bucket = f"state-{'kms' if kms else 'passphrase'}"
    store = boto3.client("s3", **keys)
    store.create_bucket(Bucket=bucket)
    provider = f"awskms:///{boto3.client('kms', **keys).create_key()['KeyMetadata']['KeyId']}?region=us-east-1&awssdk=v2" if kms else None
    engine = Engine(program, ROOT, tmp_path / "home" / "project", environment(aws, bucket, tmp_path), secrets_provider=provider)
    engine.settle("placement.acme.web.1", SETTINGS)
    assert (engine.exists("placement.acme.web.1"), engine.exists("placement.acme.web.2")) == (True, False)
    made = engine.deployment("placement.acme.web.1")
    assert made is not None and (made["version"], made["deployment"].get("resources")) == (3, None)
    assert engine.deployment("placement.acme.web.2") is None
    objects = [one["Key"] for one in store.list_objects_v2(Bucket=bucket)["Contents"]]
    assert any(key.startswith(".pulumi/stacks/spotlane/placement.acme.web.1.json") for key in objects)
    document = yaml.safe_load((tmp_path / "home" / "config" / "Pulumi.placement.acme.web.1.yaml").read_text())
    assert ("encryptedkey" in document, "encryptionsalt" in document) == (kms, not kms)
    assert document["config"]["spotlane:settings"]["machine"]["placementToken"].keys() == {"secure"}
    assert "very-secret" not in json.dumps(document)


def test_the_engine_reaches_its_state_and_its_key_through_the_inline_proxy_and_no_other_bucket(aws: str, program: str, tmp_path: Path) -> None:
    keys = {"endpoint_url": aws, "region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    store = boto3.client("s3", **keys)
    for bucket in ("state-behind-the-proxy", "another-bucket"):
        store.create_bucket(Bucket=bucket)
    backend = "s3://{}?region=us-east-1&s3ForcePathStyle=true"
    provider = f"awskms:///{boto3.client('kms', **keys).create_key()['KeyMetadata']['KeyId']}?region=us-east-1&awssdk=v2"
    settings = {"PULUMI_BACKEND_URL": backend.format("state-behind-the-proxy"), "SPOTLANE_SECRETS_PROVIDER": provider}
    (tmp_path / "proxied").mkdir()
    with staged(tmp_path / "proxied", settings, {"*.amazonaws.com": aws}) as stage:
        proxied = {
            **{name: value for name, value in environment(aws, "", tmp_path).items() if name != "AWS_ENDPOINT_URL_KMS"},
            "PULUMI_BACKEND_URL": settings["PULUMI_BACKEND_URL"],
            "HTTPS_PROXY": f"http://platform:k-platform@127.0.0.1:{stage.port}",
            "AWS_CA_BUNDLE": str(stage.home / "proxy" / "bundle.pem"),
        }
        engine = Engine(program, ROOT, tmp_path / "home" / "project", proxied, secrets_provider=provider)
        engine.settle("placement.acme.web.1", SETTINGS)
        assert engine.exists("placement.acme.web.1")
        used = {(one["service"], one["verdict"], one["rule"]) for one in stage.entries()}
        other = Engine(program, ROOT, tmp_path / "other" / "project", {**proxied, "PULUMI_BACKEND_URL": backend.format("another-bucket")})
        with pytest.raises(EngineFailed):
            other.settle("placement.acme.web.1", SETTINGS)
    assert used == {("s3", "allow", "platform"), ("kms", "allow", "platform")}
    assert "Contents" in store.list_objects_v2(Bucket="state-behind-the-proxy") and "Contents" not in store.list_objects_v2(Bucket="another-bucket")


def test_a_backup_is_what_stack_import_reads_private_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    backups = Backups(tmp_path)
    taken = [backups.take("region.acme", DEPLOYMENT, NOW + timedelta(seconds=number)) for number in range(KEPT + 2)]
    assert backups.of("region.acme") == list(reversed(taken[2:]))
    newest = backups.of("region.acme")[0]
    assert (json.loads(newest.read_text()), stat.S_IMODE(newest.stat().st_mode)) == (DEPLOYMENT, 0o600)


def test_of_a_stack_that_holds_nothing_nothing_is_kept(tmp_path: Path) -> None:
    assert Backups(tmp_path).take("region.acme", {"version": 3, "deployment": {}}) is None
    assert Backups(tmp_path).of("region.acme") == []


def test_an_update_that_replaces_keeps_the_state_first_and_one_that_does_not_keeps_none(tmp_path: Path) -> None:
    plain, replacing = tmp_path / "plain", tmp_path / "replacing"
    plain.mkdir()
    replacing.mkdir()
    engine = standing(plain)
    engine.up("region.acme", [], plain / "runs" / "a.jsonl")
    assert engine.backups.of("region.acme") == []
    engine = standing(replacing, "replace")
    engine.up("region.acme", [], replacing / "runs" / "a.jsonl", allow={"replace"})
    (kept,) = engine.backups.of("region.acme")
    assert json.loads(kept.read_text())["deployment"]["resources"] == [{"urn": "urn:pulumi:s"}]


def test_a_stack_whose_state_cannot_be_kept_is_not_destroyed(tmp_path: Path) -> None:
    engine = standing(tmp_path)
    (tmp_path / "home" / "backups").mkdir()
    (tmp_path / "home" / "backups" / "region.acme").write_text("in the way")
    with pytest.raises(EngineFailed, match="the state can't be kept before it is changed"):
        engine.destroy("region.acme", tmp_path / "runs" / "a.jsonl")
    assert engine.exists("region.acme")


def test_a_destroyed_stack_comes_back_from_its_backup_as_operations_says(program: str, tmp_path: Path) -> None:
    own = environment("http://127.0.0.1:1", "none", tmp_path) | {"PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}"}
    (tmp_path / "state").mkdir()
    engine = Engine(program, ROOT, tmp_path / "home" / "project", own)
    stack = "region.acme.aws.eu-west-1"
    root = f"urn:pulumi:{stack}::spotlane::pulumi:pulumi:Stack::spotlane-{stack}"
    network = f"urn:pulumi:{stack}::spotlane::spotlane:aws:Network::network"
    resources = [
        {"urn": root, "type": "pulumi:pulumi:Stack", "outputs": {"vpc_id": "vpc-1"}},
        {"urn": network, "type": "spotlane:aws:Network", "parent": root},
    ]

    def imported(deployment: Path) -> None:
        command = [program, "stack", "import", "-s", stack, "--file", str(deployment), "-C", str(tmp_path / "home" / "project")]
        subprocess.run(command, env=own, check=True, capture_output=True, timeout=60)

    engine.settle(stack, SETTINGS)
    blank = engine.deployment(stack)
    assert blank is not None
    (tmp_path / "held.json").write_text(json.dumps(blank | {"deployment": blank["deployment"] | {"resources": resources}}))
    imported(tmp_path / "held.json")
    held = engine.deployment(stack)
    engine.destroy(stack, tmp_path / "runs" / "a.jsonl")
    assert not engine.exists(stack)

    (backup,) = engine.backups.of(stack)
    engine.settle(stack, SETTINGS)
    imported(backup)

    restored = engine.deployment(stack)
    assert held is not None and restored is not None
    assert [one["urn"] for one in restored["deployment"]["resources"]] == [root, network]
    assert restored["deployment"]["resources"][0]["outputs"] == {"vpc_id": "vpc-1"} == held["deployment"]["resources"][0]["outputs"]
