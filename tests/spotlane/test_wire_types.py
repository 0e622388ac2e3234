"""One definition of the wire types: the Workers' copy is generated, and this fails where it has drifted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_workers_types_are_those_of_the_python_models() -> None:
    done = subprocess.run([sys.executable, "tools/wire/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
