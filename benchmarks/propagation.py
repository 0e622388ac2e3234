"""``propagation``: from the write of a route to every router serving it, with distances; and what is sent to an old machine while a replica is cut off.

Five processes beside the driver, a workerd each: RouteAuthority and KV in one, and in four others a region's HTTP Router, its RouteReplica and the machines.
All code is the edge's own; between the places stand one-way delays of 5 to 135 ms (``benchmarks/routes``). A write counts until the last router has served
its machine to a request of the driver. Then the farthest replica is cut off its authority for 15 s, first alone (``partition_*``), then with its region's
router (``isolation_*``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from automation.settings import PROJECT_ROOT
from benchmarks.report import Result

SAMPLES = 1000


def run(samples: int) -> Result:
    """``samples`` writes. Raises where the hosts can't be started or a commit fails; what went wrong stands on stderr."""
    program = ["node", "--enable-source-maps", str(PROJECT_ROOT / "benchmarks" / "routes" / "run.mjs"), str(samples)]
    # The hosts end when their standard input does: with this process, however it ends.
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as process:
        try:
            assert process.stdout is not None
            output = process.stdout.read()
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    if process.returncode:
        sys.exit(f"propagation: the hosts ended with {process.returncode}")
    result = json.loads(output)
    setting = {"cpus": os.cpu_count(), "router_hosts": 4, "one_way_ms": "5, 40, 85, 135", "partition_seconds": 15, "load": round(os.getloadavg()[0], 1)}
    return Result("propagation", result["claims"], samples, setting, result["others"])
