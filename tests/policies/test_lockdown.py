"""The rules that leave the proxy as the only way out, and the boundary's exports."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from policies.proxy.lockdown import main, ruleset
from policies.review.__main__ import main as policies


def test_callers_reach_loopback_and_what_is_named_and_the_proxy_reaches_https() -> None:
    rules = [line.strip() for line in ruleset(["spotlane", "ci"], "spotlane-proxy", ["10.0.0.5:5432"]).splitlines() if "meta skuid" in line]
    assert "elements = { spotlane, ci }" in ruleset(["spotlane", "ci"], "spotlane-proxy")
    of_proxy = [rule for rule in rules if "skuid spotlane-proxy" in rule]
    of_callers = [rule for rule in rules if "skuid @callers" in rule]
    assert [rule.split()[-1] for rule in of_proxy] == ["accept", "accept", "accept", "reject"]
    assert [re.sub(r"meta skuid @callers ", "", rule) for rule in of_callers[:-1]] == ['oifname "lo" accept', "ip daddr 10.0.0.5 tcp dport 5432 accept"]
    assert of_callers[-1].endswith("reject with icmpx admin-prohibited")


@pytest.mark.parametrize(
    ("callers", "proxy", "allow"),
    [
        (["a"], "a", []), ([], "p", []), (["root"], "p", []), (["0"], "p", []), (["a"], "0", []), (["a; accept"], "p", []), (["a"], "p", ["db:5432"]),
        (["a"], "p", ["10.0.0.5:0"]),
    ],
)  # fmt: skip
def test_rules_that_would_leave_a_way_out_are_not_written(callers: list[str], proxy: str, allow: list[str]) -> None:
    with pytest.raises(ValueError):
        ruleset(callers, proxy, allow)


def test_the_program_prints_the_rules_or_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--caller", "1001", "--proxy", "1002"]) == 0
    assert capsys.readouterr().out == ruleset(["1001"], "1002")
    assert main(["--caller", "1001", "--proxy", "1001"]) == 2
    assert capsys.readouterr().err.startswith("error: the proxy needs a user of its own")


@pytest.fixture
def boundary(tmp_path: Path) -> Path:
    path = tmp_path / "boundary.yaml"
    path.write_text("{name: ch, residency: {countries: [CH]}, spotOnly: true, requiredTags: [Tenant]}")
    return path


def exported(boundary: Path, to: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert policies(["export", "--boundary", str(boundary), "--to", to]) == 0
    return capsys.readouterr().out


def test_each_guard_rail_names_exactly_the_boundarys_regions(boundary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scp = json.loads(exported(boundary, "scp", capsys))
    assert scp["Statement"][0]["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-2"]}}
    assert json.loads(exported(boundary, "azure", capsys)) == {"listOfAllowedLocations": {"value": ["switzerlandnorth", "switzerlandwest"]}}
    assert json.loads(exported(boundary, "gcp", capsys))["spec"]["rules"] == [{"values": {"allowedValues": ["in:europe-west6-locations"]}}]


def test_rego_holds_the_digest_the_regions_and_a_rule_for_each_thing_asked(boundary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = exported(boundary, "rego", capsys)
    assert 'digest = "sha256:' in text
    assert json.loads(text[text.index("regions = ") + 10 : text.index("\n\nopened")]) == {
        "aws": {"eu-central-2": True}, "azure": {"switzerlandnorth": True, "switzerlandwest": True}, "gcp": {"europe-west6": True},
    }  # fmt: skip
    assert re.findall(r'^deny\["([a-z-]+)"\]', text, re.MULTILINE) == ["cloud", "residency", "residency", "spot", "tags"]


def test_kivera_rules_are_one_a_provider_and_enforced(boundary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = yaml.safe_load(exported(boundary, "kivera", capsys))["rules"]
    assert [rule["provider"] for rule in rules] == ["aws", "azure", "gcp"]
    assert all(rule["enforce"] and not rule["log-request-body"] and "default valid = false" in rule["policy"] for rule in rules)
    assert 'allowed = {"eu-central-2": true}' in rules[0]["policy"]
