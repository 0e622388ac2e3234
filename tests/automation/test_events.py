"""The engine's event log, folded: outputs, changes, findings, errors, and a torn last line."""

from __future__ import annotations

import json

from automation.runs.events import read


def lines(*events: object) -> list[str]:
    return [json.dumps(event) for event in events]


def test_the_last_summary_and_the_stacks_outputs_are_the_outcome() -> None:
    outcome = read(
        lines(
            {"summaryEvent": {"resourceChanges": {"create": 3, "same": 1}}},
            {"resOutputsEvent": {"metadata": {"type": "pulumi:pulumi:Stack", "new": {"outputs": {"origin": "https://a"}}}}},
            {"summaryEvent": {"resourceChanges": {"create": 2, "same": 2, "delete": 0}}},
        )
    )
    assert (dict(outcome.changes), outcome.outputs) == ({"create": 2}, {"origin": "https://a"})


def test_a_finding_of_preview_and_update_is_told_once_without_colours() -> None:
    event = {
        "policyEvent": {
            "policyName": "boundary",
            "enforcementLevel": "mandatory",
            "severity": "high",
            "resourceUrn": "urn:pulumi:s::p::aws:ec2/vpc:Vpc::net",
            "message": "<{%reset%}>Region us-east-1 lies outside.\n",
        }
    }
    findings = read(lines(event, event)).findings
    assert [(f.rule, f.severity, f.enforcement, f.resource, f.message) for f in findings] == [
        ("boundary", "high", "mandatory", "net", "Region us-east-1 lies outside.")
    ]


def test_a_torn_last_line_is_left_out() -> None:
    log = [*lines({"diagnosticEvent": {"severity": "error", "message": "no capacity"}}), '{"summaryEv']
    assert read(log).errors == ["no capacity"]


def test_what_happens_to_a_resource_is_told_once_and_providers_are_left_out() -> None:
    def step(event: str, op: str, type_: str, name: str) -> dict[str, object]:
        return {event: {"metadata": {"op": op, "type": type_, "urn": f"urn:pulumi:s::p::{type_}::{name}"}}}

    outcome = read(
        lines(
            step("resourcePreEvent", "create-replacement", "aws:ec2/vpc:Vpc", "net"),
            step("resOutputsEvent", "replace", "aws:ec2/vpc:Vpc", "net"),
            step("resourcePreEvent", "refresh", "aws:ec2/subnet:Subnet", "a"),
            step("resOutputsEvent", "update", "aws:ec2/subnet:Subnet", "a"),
            step("resourcePreEvent", "same", "aws:ec2/subnet:Subnet", "b"),
            step("resourcePreEvent", "delete", "pulumi:providers:aws", "default"),
        )
    )
    assert [(one.kind, one.name) for one in outcome.steps] == [("replace", "net"), ("update", "a")]
