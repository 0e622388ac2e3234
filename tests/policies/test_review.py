"""Reviews of pull requests: what the engine's stream says comes out in every form, and the exit code says whether it may go on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from policies.review.__main__ import main
from policies.review.stream import NotAStream, read
from tests.languagehost.conftest import ROOT, Project, WarmHost, engine, project, warm_host  # noqa: F401  # fixtures
from tests.policies.pull_request import AFTER, BEFORE, BOUNDARY, PRICES

RECORDED = Path(__file__).parents[1] / "golden" / "pull_request.events.jsonl"
FOUND = {("residency", "web", "region"), ("encryption", "web", "rootBlockDevice.encrypted"), ("network", "ingress", "cidrIpv4")}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "boundary.yaml").write_text(yaml.safe_dump(BOUNDARY))
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    return tmp_path


def reviewed(files: Path, *arguments: str, events: Path = RECORDED) -> int:
    given = ["--events", str(events), "--boundary", str(files / "boundary.yaml"), "--prices", str(files / "prices.json"), "--out", str(files / "out")]
    return main(["review", *given, "--format", "markdown,sarif,junit,json", *arguments])


def told(files: Path, name: str) -> str:
    return (files / "out" / name).read_text()


def document(files: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(files, "review.json"))
    return found


def test_the_three_faults_of_a_pull_request_block_it(files: Path) -> None:
    assert reviewed(files) == 1
    found = document(files)
    assert found["blocked"] is True
    assert {(one["rule"], one["resource"], one["path"]) for one in found["findings"]} == FOUND
    assert found["cost"] == {"usdPer30DaysBefore": pytest.approx(28.8), "usdPer30DaysAfter": pytest.approx(14.4), "machinesWithoutPrice": 1}
    assert [(one["rule"], one["resource"], one["owner"]) for one in found["exempted"]] == [("network", "old", "ops@acme.example")]
    assert [(one["rule"], one["resource"], one["path"]) for one in found["unknown"]] == [("spot", "old", "instanceMarketOptions.marketType")]
    assert found["coverage"] == {name: ["spotlane/spotlane"] for name in ("web", "ingress", "old")}


def test_markdown_says_what_why_where_and_how_to_mend(files: Path) -> None:
    reviewed(files)
    text = told(files, "review.md")
    assert text.startswith("## Policy review of `placement.acme.web.2`\n\n**3 findings block this change**, under boundary `acme-eu` (`sha256:")
    assert "| critical | `residency` | `web` | `region` | Region aws/us-east-1 (US) is not in the jurisdiction of regime 'gdpr'" in text
    assert "| ~ | `web` | `aws:ec2/instance:Instance` | 28.80 → 14.40 |" in text
    assert "Machines: 28.80 → 14.40 USD per 30 days (-14.40). 1 without a known price." in text
    assert "| `network` | `old` | ops@acme.example | until the old VPN is gone | 2099-12-31 |" in text
    assert "- `old`: `instanceMarketOptions.marketType` (`spot`)" in text
    assert "3 of 3 changed resources were judged." in text


EXAMPLE = Path(__file__).parents[2] / "docs" / "review"


def test_the_documented_review_is_the_one_that_is_made(tmp_path: Path) -> None:
    assert yaml.safe_load((EXAMPLE / "boundary.yaml").read_text()) == BOUNDARY
    assert json.loads((EXAMPLE / "prices.json").read_text()) == PRICES
    given = ["--events", str(RECORDED), "--boundary", str(EXAMPLE / "boundary.yaml"), "--prices", str(EXAMPLE / "prices.json"), "--out", str(tmp_path)]
    assert main(["review", *given, "--format", "markdown,sarif,junit,json"]) == 1
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {name: (EXAMPLE / name).read_text() for name in ("review.md", "review.sarif", "review.xml", "review.json")}


def test_no_form_holds_a_secret(files: Path) -> None:
    assert "hunter2" not in RECORDED.read_text()
    reviewed(files)
    assert "hunter2" not in "".join(path.read_text() for path in (files / "out").iterdir())


_TEXT = {"type": "object", "required": ["text"], "additionalProperties": False, "properties": {"text": {"type": "string", "minLength": 1}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
SARIF_PARTS: dict[str, Any] = {
    "type": "object", "required": ["version", "runs"], "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {
            "type": "object", "required": ["tool"], "additionalProperties": False,
            "properties": {
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "invocations": {"type": "array", "items": {"required": ["executionSuccessful"], "properties": {"executionSuccessful": {"type": "boolean"}}}},
                "tool": {"type": "object", "required": ["driver"], "properties": {"driver": {
                    "type": "object", "required": ["name"], "properties": {"rules": {"type": "array", "uniqueItems": True, "items": {
                        "type": "object", "required": ["id"], "additionalProperties": False,
                        "properties": {"id": {"type": "string"}, "shortDescription": _TEXT, "fullDescription": _TEXT, "help": _TEXT,
                                       "properties": {"type": "object"},
                                       "defaultConfiguration": {"properties": {"level": _LEVEL}}},
                    }}},
                }}},
                "results": {"type": "array", "items": {
                    "type": "object", "required": ["message", "ruleId"], "additionalProperties": False,
                    "properties": {
                        "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0}, "level": _LEVEL, "message": _TEXT,
                        "baselineState": {"enum": ["new", "unchanged", "updated", "absent"]}, "properties": {"type": "object"},
                        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                        "locations": {"type": "array", "items": {
                            "type": "object", "additionalProperties": False,
                            "properties": {
                                "physicalLocation": {"required": ["artifactLocation"], "properties": {"region": {"properties": {"startLine": {"minimum": 1}}}}},
                                "logicalLocations": {"type": "array", "items": {"additionalProperties": False, "properties": {
                                    "name": {"type": "string"}, "fullyQualifiedName": {"type": "string"}, "kind": {"type": "string"}}}},
                            },
                        }},
                    },
                }},
            },
        }},
    },
}  # fmt: skip
"""What SARIF 2.1.0 (sections 3.13 to 3.52) demands of the parts that a review uses."""


def test_sarif_has_the_form_that_its_standard_demands(files: Path) -> None:
    reviewed(files)
    found = json.loads(told(files, "review.sarif"))
    jsonschema.validate(found, SARIF_PARTS)
    (run,) = found["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in run["results"]] == [result["ruleId"] for result in run["results"]]
    assert {(result["ruleId"], result["level"], result["baselineState"]) for result in run["results"]} == {
        ("residency", "error", "new"), ("encryption", "error", "new"), ("network", "error", "new"),
    }  # fmt: skip


def test_junit_fails_the_resources_at_fault(files: Path) -> None:
    reviewed(files)
    suite = ElementTree.fromstring(told(files, "review.xml"))[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {"tests": "3", "failures": "2", "errors": "0", "skipped": "0"}
    assert {case.get("name"): case.find("failure") is not None for case in suite} == {"web": True, "ingress": True, "old": False}


def test_a_baseline_lets_what_is_known_pass_and_nothing_else(files: Path) -> None:
    assert reviewed(files, "--write-baseline", str(files / "known.json")) == 1
    assert reviewed(files, "--baseline", str(files / "known.json")) == 0
    assert "(known)" in told(files, "review.md")
    known = json.loads((files / "known.json").read_text())
    (files / "known.json").write_text(json.dumps(known | {"findings": [one for one in known["findings"] if one["rule"] != "network"]}))
    assert reviewed(files, "--baseline", str(files / "known.json")) == 1


@pytest.mark.parametrize("harm", ["broken off", "not JSON", "nobody judged", "a boundary with faults", "no stream"])
def test_what_cant_be_told_is_neither_yes_nor_no(files: Path, harm: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = RECORDED.read_text().splitlines()
    events = files / "events.jsonl"
    if harm == "a boundary with faults":
        (files / "boundary.yaml").write_text("{nam: 1}")
    elif harm == "broken off":
        lines = [line for line in lines if "summaryEvent" not in line and "cancelEvent" not in line]
    elif harm == "nobody judged":
        lines = [line for line in lines if '"policy' not in line]
    elif harm == "not JSON":
        lines[2] = "Previewing update (dev)"
    events.write_text("\n".join(lines))
    assert reviewed(files, events=events if harm != "no stream" else files / "nothing.jsonl") == 2
    assert "error: " in capsys.readouterr().err


def test_a_stream_is_read_without_secrets_and_with_what_is_unknown() -> None:
    stream = read(RECORDED.read_text().splitlines())
    assert stream.stack == "placement.acme.web.2"
    (web,) = (step for step in stream.steps.values() if step.resource.name == "web")
    assert (web.op, web.old and web.old.inputs.get("region"), web.new and web.new.inputs.get("region")) == ("update", "eu-west-1", "us-east-1")
    with pytest.raises(NotAStream):
        read([])


def test_the_engine_says_today_what_was_recorded(project: Project, warm_host: WarmHost, files: Path) -> None:  # noqa: F811  # fixtures
    project.host_port = warm_host.port
    (project.directory / "Pulumi.yaml").write_text((project.directory / "Pulumi.yaml").read_text().replace("name: tiny", "name: spotlane"))
    assert project.pulumi("stack", "init", "placement.acme.web.2").returncode == 0
    project.write(BEFORE)
    made = project.pulumi("up", "--yes", "--skip-preview", "--non-interactive")
    assert made.returncode == 0, made.stdout + made.stderr
    project.write(AFTER)
    project.environment = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "1", "SPOTLANE_BOUNDARY": str(files / "boundary.yaml")}
    events = files / "events.jsonl"
    events.write_text(project.pulumi("preview", "--json", "--non-interactive", "--policy-pack", str(ROOT / "policies" / "packs" / "spotlane.pack")).stdout)
    assert reviewed(files, events=events) == 1
    assert {(one["rule"], one["resource"], one["path"]) for one in document(files)["findings"]} == FOUND


def test_explain_names_controls_and_how_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "residency"]) == 0
    text = capsys.readouterr().out
    assert "GDPR: Art. 44" in text
    assert "To mend it:" in text
    assert main(["explain", "nonsense"]) == 2


def test_a_boundarys_own_cases(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        "boundary": "boundary.yaml",
        "cases": [
            {"name": "Ireland", "region": "aws/eu-west-1", "expect": []},
            {"name": "Virginia", "region": "aws/us-east-1", "expect": ["residency"]},
            {"name": "on demand", "expect": ["encryption", "spot"],
             "resource": {"type": "aws:ec2/instance:Instance", "inputs": {"region": "eu-west-1", "rootBlockDevice": {"encrypted": False}}}},
        ],
    }  # fmt: skip
    (files / "cases.yaml").write_text(yaml.safe_dump(cases))
    assert main(["test", str(files)]) == 0
    assert "3 cases, 0 failed" in capsys.readouterr().out
    cases["cases"][0]["expect"] = ["residency"]  # type: ignore[index]  # a list of cases
    (files / "cases.yaml").write_text(yaml.safe_dump(cases))
    assert main(["test", str(files / "cases.yaml")]) == 1
    assert "FAIL  cases.yaml: Ireland: expected residency, found allowed" in capsys.readouterr().out
    (files / "cases.yaml").write_text("cases: [{}]")
    assert main(["test", str(files / "cases.yaml")]) == 2


def test_replay_shows_what_a_changed_boundary_would_decide_otherwise(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "new.yaml").write_text("{name: us, residency: {countries: [US]}}")
    (files / "placements.json").write_text(json.dumps({"items": [{"id": "acme_web_1", "offer": {"cloud": "aws", "region": "eu-west-1"}}]}))
    given = ["--plan", str(RECORDED), "--old", str(files / "boundary.yaml"), "--placements", str(files / "placements.json")]
    assert main(["replay", "--boundary", str(files / "new.yaml"), *given, "--json"]) == 0
    changed = {(one["point"], one["what"].split()[-1], bool(one["then"]), bool(one["now"])) for one in json.loads(capsys.readouterr().out)["changed"]}
    assert changed == {("plan", "web", True, False), ("plan", "old", False, True), ("place", "acme_web_1", False, True)}
    assert main(["replay", "--boundary", str(files / "new.yaml"), *given, "--strict"]) == 1
    assert main(["replay", "--boundary", str(files / "new.yaml")]) == 2


def test_price_is_what_the_boundary_costs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["price", "--boundary", str(files / "boundary.yaml"), "--prices", str(files / "prices.json")]
    assert main([*given, "--need", "web=2:4:arm64", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["workloads"]
    assert (row["free"], row["bound"]) == ("aws/us-east-1/us-east-1a/m7g.large", "aws/eu-west-1/eu-west-1a/m7g.large")
    assert row["boundUsdPerHour"] > row["freeUsdPerHour"]
    assert row["usdPer30Days"] == pytest.approx((row["boundUsdPerHour"] - row["freeUsdPerHour"]) * 720)
    assert main([*given, "--need", "big=64:999"]) == 1
    assert main([*given, "--need", "web=two"]) == 2


def recording(path: Path, rows: list[tuple[str, float | None, int]], **columns: Any) -> Path:
    """A parquet file of m7g.large: region, spot price, and at which hour of January 2026."""
    table = {
        "cloud": ["aws"] * len(rows),
        "region": [region for region, _, _ in rows],
        "zone": [f"{region}a" for region, _, _ in rows],
        "instance_type": ["m7g.large"] * len(rows),
        "timestamp": pa.array([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for _, _, hour in rows], pa.timestamp("ms", tz="UTC")),
        "spot_usd_h": pa.array([price for _, price, _ in rows], pa.float64()),
        "on_demand_usd_h": pa.array([0.09] * len(rows), pa.float64()),
    }
    pq.write_table(pa.table(table | columns), path)
    return path


def test_price_over_a_recording_is_what_the_boundary_would_have_cost(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Out of order, repeated, and not sold for a day.
    path = recording(
        files / "prices.parquet",
        [("us-east-1", 0.01, 48), ("eu-west-1", 0.04, 0), ("us-east-1", 0.02, 0), ("us-east-1", 0.02, 0), ("eu-west-1", None, 72), ("eu-west-1", 0.05, 96)],
    )
    given = ["price", "--boundary", str(files / "boundary.yaml"), "--history", str(path), "--need", "web=2:4:arm64", "--step-hours", "12"]
    assert main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["workloads"], told["history"]["begin"], told["history"]["end"]) == ([], "2026-01-01T00:00:00+00:00", "2026-01-05T00:00:00+00:00")
    [row] = told["history"]["workloads"]
    assert row["free"]["usd"] == pytest.approx(48 * 0.02 + 48 * 0.01)
    assert (row["bound"]["usd"], row["bound"]["hours"], row["bound"]["unplacedHours"]) == (pytest.approx(72 * 0.04), 72, 24)
    assert row["percent"] == pytest.approx((0.04 / 0.015 - 1) * 100)
    assert main([*given, "--days", "1"]) == 1
    assert "nothing inside the boundary would have served it" in capsys.readouterr().out
    assert main([*given, "--prices", str(files / "prices.json")]) == 0
    assert "the boundary costs" in (out := capsys.readouterr().out) and "+166.7 % per hour placed" in out


def test_price_refuses_what_is_no_recording_with_the_reason(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["price", "--boundary", str(files / "boundary.yaml")]
    lacking = recording(files / "lacking.parquet", [("us-east-1", 0.01, 0)], timestamp=[1])
    pq.write_table(pq.read_table(lacking).drop_columns(["zone", "spot_usd_h"]), lacking)
    blank = recording(files / "blank.parquet", [("us-east-1", 0.01, 0)], timestamp=pa.array([None], pa.timestamp("ms", tz="UTC")))
    zero, below, twice = (
        recording(files / f"{name}.parquet", [("us-east-1", 0.01, 0), *(("us-east-1", price, 12) for price in prices)])
        for name, prices in (("zero", [0]), ("below", [-0.01]), ("twice", [0.02, 0.03]))
    )
    for arguments, fault in (
        ([], "give --prices"),
        (["--history", str(files / "boundary.yaml")], "is no parquet file"),
        (["--history", str(lacking)], "lacks zone, spot_usd_h"),
        (["--history", str(blank), "--need", "web=2:4:arm64"], "rows without a timestamp"),
        (
            ["--history", str(zero), "--need", "web=2:4:arm64"],
            "us-east-1a/m7g.large at 2026-01-01 12:00:00+00:00: spot_usd_h is 0.0 (1 such rows); unknown is null, never 0",
        ),
        (["--history", str(below), "--need", "web=2:4:arm64"], "spot_usd_h is -0.01"),
        (
            ["--history", str(twice), "--need", "web=2:4:arm64"],
            "us-east-1a/m7g.large at 2026-01-01 12:00:00+00:00: rows with different prices (1 such moments)",
        ),
        (["--history", str(blank), "--need", "big=900:9000"], "no machine type that is large enough"),
        (["--history", str(blank), "--step-hours", "0"], "are above 0"),
        (["--history", str(files / "none.parquet")], "No such file"),
    ):
        assert main([*given, *arguments]) == 2
        assert fault in capsys.readouterr().err
