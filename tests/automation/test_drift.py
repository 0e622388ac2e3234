"""Drift: every stack that stands is asked after once a day, what moves is left alone, and what is found is told."""

from __future__ import annotations

from datetime import date

import structlog.testing
from prometheus_client import REGISTRY

from automation.runs.events import RunOutcome, Step
from automation.service.drift import DriftWatch, report
from spotlane import wire

REGION = wire.StackRef(kind="region", tenant="acme", cloud="aws", region="eu-west-1")


def workload(name: str, generation: int | None, moving: bool = False) -> wire.Workload:
    """One with the fields that are read."""
    placement = None if generation is None else wire.Placement.model_construct(generation=generation)
    return wire.Workload.model_construct(tenant="acme", name=name, placement=placement, active_migration="acme_x_9" if moving else None)


class Edge:
    """One tenant with a workload that serves, and one that moves."""

    def tenants(self) -> list[wire.Tenant]:
        return [wire.Tenant.model_construct(id="acme")]

    def workloads(self) -> list[wire.Workload]:
        return [workload("web", 3), workload("api", 5, moving=True), workload("new", None)]


class Standing:
    def standing(self, tenant: str) -> list[wire.StackRef]:
        return [REGION, wire.StackRef(kind="tenant", tenant=tenant)]


class Queue:
    def __init__(self) -> None:
        self.requests: dict[str, wire.RunRequest] = {}

    def submit(self, request: wire.RunRequest) -> tuple[wire.Run, bool]:
        new = request.idempotency_key not in self.requests
        self.requests[request.idempotency_key] = request
        return wire.Run.model_construct(id=request.idempotency_key), new


def test_each_stack_that_stands_is_asked_after_once_a_day() -> None:
    queue = Queue()
    days = iter([date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 2)])
    watch = DriftWatch(Edge(), Standing(), queue, lambda: next(days))  # type: ignore[arg-type]  # a fake with the calls in use
    watch.look()
    watch.look()
    assert [(one.stack.name, one.operation, one.priority) for one in queue.requests.values()] == [
        ("region.acme.aws.eu-west-1", "drift", "drift"),
        ("tenant.acme", "drift", "drift"),
        ("placement.acme.web.3", "drift", "drift"),
    ]
    watch.look()
    assert len(queue.requests) == 6


def test_what_drifted_is_in_the_log_and_in_the_metrics_until_it_has_not() -> None:
    outcome = RunOutcome(steps=[Step("update", "aws:ec2/vpc:Vpc", "network")])
    outcome.changes["update"] = 1
    with structlog.testing.capture_logs() as logs:
        report(REGION.name, outcome)
    assert [(line["event"], line["stack"], line["resources"]) for line in logs] == [("drift", REGION.name, ["aws:ec2/vpc:Vpc network"])]
    assert REGISTRY.get_sample_value("spotlane_drifted_resources", {"stack": REGION.name}) == 1
    report(REGION.name, RunOutcome())
    assert REGISTRY.get_sample_value("spotlane_drifted_resources", {"stack": REGION.name}) == 0
