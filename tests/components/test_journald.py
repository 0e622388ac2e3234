"""A machine's lines by real systemd-journald and journalctl: skipped where they, or the rights to run them in a room of their own, aren't there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.test_journal import SETTINGS, TOKEN, Edge
from tests.components.test_journal import edge as edge  # the fixture

ROOT = Path(__file__).parents[2]
DAEMON = "/usr/lib/systemd/systemd-journald"
# journald takes a process's unit from its control group. Each writer lives on for a moment, as a service does: journald looks at it when its line comes.
SCRIPT = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal /run/groups
mount -t cgroup2 cgroup2 /run/groups
"$DAEMON" &
journald=$!
until [ -S /run/systemd/journal/stdout ]; do sleep 0.02; done
write() {
    mkdir -p "/run/groups/system.slice/$1"
    sh -c "echo \\$\\$ > /run/groups/system.slice/$1/cgroup.procs; exec systemd-cat sh -c 'printf \\"$2\\"; sleep 0.2'"
}
write spotlane-workload.service 'hello\\n\\033[31mred\\033[0m caf\\377 '"$TOKEN"'\\n'
write ssh.service 'session opened\\n'
write cloud-final.service 'another script\\nspotlane-boot: fetching\\n'
"$PYTHON" -c 'from components.machine import journal; journal.SETTINGS = "'"$SETTINGS"'"; raise SystemExit(journal.main())' &
told=$!
write cloudflared.service 'connected\\n'
until [ -s "$STATE_DIRECTORY/told.json" ] && grep -q '"number": 4' "$STATE_DIRECTORY/told.json"; do sleep 0.02; done
write spotlane-workload.service 'last words\\n'
kill "$told"
wait "$told"
kill "$journald"
wait "$journald" || true
rmdir /run/groups/system.slice/*.service
"""


def test_what_units_write_is_told_by_unit_and_the_last_lines_too(edge: Edge, tmp_path: Path) -> None:
    if not Path(DAEMON).exists() or shutil.which("journalctl") is None or shutil.which("systemd-cat") is None:
        pytest.skip("systemd's journal isn't installed")
    room = ["unshare", "--mount", "--propagation", "private"]
    tried = subprocess.run(
        [*room, "sh", "-c", "mount -t tmpfs t /mnt && mkdir /mnt/g && mount -t cgroup2 g /mnt/g && mkdir /mnt/g/spotlane-try && rmdir /mnt/g/spotlane-try"],
        capture_output=True,
        check=False,
    )
    if os.geteuid() != 0 or tried.returncode != 0:
        pytest.skip("only root, with the right to a mount namespace and control groups, runs a journal here")
    settings = tmp_path / "machine.json"
    settings.write_text(json.dumps({**SETTINGS, "logUrl": edge.url}))
    environment = {"DAEMON": DAEMON, "PYTHON": sys.executable, "SETTINGS": str(settings), "STATE_DIRECTORY": str(tmp_path), "TOKEN": TOKEN}

    done = subprocess.run(
        [*room, "timeout", "45", "bash", "-c", SCRIPT], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert edge.told == [
        (1, "workload", "hello"),
        (2, "workload", "red caf\ufffd ***"),
        (3, "agent", "spotlane-boot: fetching"),
        (4, "tunnel", "connected"),
        (5, "workload", "last words"),
    ]
