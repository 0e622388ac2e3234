"""The recipe of docs/egress.md loaded for real, in namespaces of its own: who reaches what. Skipped, with the reason, where that can't be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.proxy.lockdown import ruleset

CALLER, PROXY, OTHER = 61001, 61002, 61003
BEYOND = "10.213.77.2"
"""The internet's part is played by another namespace, at the far end of a pair of interfaces."""

_CONNECT = """
import encodings.idna, os, socket, sys  # all that is needed before the user changes, who may not read it
uid, address, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
try:
    socket.create_connection((address, port), timeout=3).close()
    print("reached")
except OSError as error:
    print(type(error).__name__, error.errno)
"""
_LISTEN = """
import select, socket, sys
listening = []
for port in map(int, sys.argv[2:]):
    each = socket.socket(); each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); each.bind((sys.argv[1], port)); each.listen(); listening.append(each)
print("listening", flush=True)
while True:
    for each in select.select(listening, [], [])[0]: each.accept()[0].close()
"""


def run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def _obstacle() -> str | None:
    """Why namespaces and rules can't be made here, None where they can."""
    if missing := [tool for tool in ("nft", "ip") if shutil.which(tool) is None]:
        return f"{', '.join(missing)} not installed"
    if os.geteuid() != 0:
        return "needs root: network namespaces and users of one's own"
    probe = f"spotlane-probe-{os.getpid()}"
    made = run("ip", "netns", "add", probe)
    try:
        if made.returncode:
            return f"no network namespaces here: {made.stderr.strip()}"
        loaded = run("ip", "netns", "exec", probe, "nft", "-f", "-", text=ruleset([str(CALLER)], str(PROXY)))
        return f"the kernel takes no such rules: {loaded.stderr.strip()}" if loaded.returncode else None
    finally:
        run("ip", "netns", "del", probe)


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """The namespace of a host under the recipe."""
    if why := _obstacle():
        pytest.skip(why)
    inside, outside = f"spotlane-in-{os.getpid()}", f"spotlane-out-{os.getpid()}"
    listeners: list[subprocess.Popen[str]] = []
    try:
        for name in (inside, outside):
            assert run("ip", "netns", "add", name).returncode == 0
        for line in (
            f"ip -n {inside} link add sl0 type veth peer name sl1 netns {outside}",
            f"ip -n {inside} addr add 10.213.77.1/24 dev sl0",
            f"ip -n {outside} addr add {BEYOND}/24 dev sl1",
            f"ip -n {inside} link set sl0 up",
            f"ip -n {outside} link set sl1 up",
            f"ip -n {inside} link set lo up",
        ):
            done = run(*line.split())
            if done.returncode:
                pytest.skip(f"no pair of interfaces here: {done.stderr.strip()}")
        for name, address in ((outside, BEYOND), (inside, "127.0.0.1")):
            command = ["ip", "netns", "exec", name, sys.executable, "-c", _LISTEN, address, "443", "80", "5432"]
            listeners.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert listeners[-1].stdout is not None
            assert listeners[-1].stdout.readline() == "listening\n"
        yield inside
    finally:
        for listener in listeners:
            listener.kill()
            listener.wait()
        for name in (inside, outside):
            run("ip", "netns", "del", name)


def load(host: str, rules: str) -> None:
    loaded = run("ip", "netns", "exec", host, "nft", "-f", "-", text=rules)
    assert loaded.returncode == 0, loaded.stderr


def reached(host: str, uid: int, address: str, port: int) -> bool:
    return run("ip", "netns", "exec", host, sys.executable, "-S", "-c", _CONNECT, str(uid), address, str(port)).stdout == "reached\n"


def test_only_the_proxys_user_leaves_the_host_and_only_by_https(host: str) -> None:
    load(host, ruleset([str(CALLER)], str(PROXY)))
    assert {(uid, port): reached(host, uid, BEYOND, port) for uid in (CALLER, PROXY) for port in (443, 80, 5432)} == {
        (CALLER, 443): False,
        (CALLER, 80): False,
        (CALLER, 5432): False,
        (PROXY, 443): True,
        (PROXY, 80): False,
        (PROXY, 5432): False,
    }
    assert reached(host, CALLER, "127.0.0.1", 443)
    assert reached(host, OTHER, BEYOND, 80)
    counted = run("ip", "netns", "exec", host, "nft", "list", "table", "inet", "spotlane").stdout
    denied = next(line for line in counted.splitlines() if "spotlane egress denied" in line)
    assert "counter packets 0 " not in denied


def test_what_is_named_is_reached_and_nothing_beside_it_and_rules_load_again_over_themselves(host: str) -> None:
    load(host, ruleset([str(CALLER)], str(PROXY), [f"{BEYOND}:5432"]))
    assert [reached(host, CALLER, BEYOND, port) for port in (5432, 443)] == [True, False]
    load(host, ruleset([str(CALLER)], str(PROXY)))
    assert not reached(host, CALLER, BEYOND, 5432)
    tables = run("ip", "netns", "exec", host, "nft", "list", "ruleset").stdout
    assert tables.count("chain output") == 1


def test_without_the_rules_the_caller_would_get_out(host: str) -> None:
    load(host, "add table inet spotlane\ndelete table inet spotlane\n")
    assert reached(host, CALLER, BEYOND, 443)


def test_a_file_as_the_program_writes_it_passes_the_check(tmp_path: Path, host: str) -> None:
    (tmp_path / "rules.nft").write_text(ruleset([str(CALLER), str(OTHER)], str(PROXY), ["10.0.0.0/8:5432"]))
    assert run("ip", "netns", "exec", host, "nft", "-c", "-f", str(tmp_path / "rules.nft")).returncode == 0
