"""``migration``: moves back and forth of workloads on the whole local platform, under HTTP, WebSocket and TCP traffic; what failed, was lost or doubled."""

from benchmarks.migration.campaign import SAMPLES, run

__all__ = ["SAMPLES", "run"]
