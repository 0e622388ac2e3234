"""Says what is missing before anything is set up: Python ≥ 3.11, Node ≥ 20, and Pulumi or Go. Runs on any Python 3."""

import re
import shutil
import subprocess
import sys


def version(command):
    """Major and minor version that ``command`` prints; None where it can't be had."""
    try:
        printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)", printed)
    return (int(found.group(1)), int(found.group(2))) if found else None


def faults():
    """Everything that is missing, with what to do."""
    missing = []
    if sys.version_info < (3, 11):
        missing.append("Python %d.%d is too old: install Python 3.11 or newer and set PYTHON=python3.11" % sys.version_info[:2])
    node = version(["node", "--version"])
    if node is None or node < (20, 0):
        missing.append("Node.js 20 or newer is needed (%s)" % ("found %d.%d" % node if node else "node was not found on PATH"))
    if not shutil.which("pulumi") and not shutil.which("go"):
        missing.append("neither `pulumi` nor `go` was found on PATH: install Pulumi (https://www.pulumi.com/docs/iac/download-install/), or Go to build it")
    return missing


if __name__ == "__main__":
    found = faults()
    for fault in found:
        sys.stderr.write("error: %s\n" % fault)
    sys.exit(2 if found else 0)
