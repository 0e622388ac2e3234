"""The service's own bookkeeping, without an engine."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pulumi  # noqa: F401  # before the host's own stubs stand in for it in this process
import pytest

from languagehost import protocol
from languagehost.environment import EnvironmentMissing, PythonEnvironment
from languagehost.host import LanguageHost
from languagehost.packages import ProviderPlugin, provider_plugins
from languagehost.program import ended_by_engine
from languagehost.runs import Console, ProgramRun, Run


class FakeProgram:
    def __init__(self, run: ProgramRun) -> None:
        self.run = run
        self.ended = threading.Event()

    def wait(self) -> int:
        self.ended.wait(10)
        return -15

    def end(self) -> None:
        self.ended.set()


class FakePrograms:
    def __init__(self) -> None:
        self.started: list[FakeProgram] = []

    def start(self, run: Run, console: Console) -> FakeProgram:
        assert isinstance(run, ProgramRun)
        program = FakeProgram(run)
        self.started.append(program)
        return program

    def close(self) -> None:
        return


class Call:
    """A connection, as gRPC shows it to a service."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer

    def add_callback(self, callback: object) -> bool:
        return True


def test_cancel_ends_the_programs_of_its_own_engine_only(tmp_path: Path) -> None:
    programs = FakePrograms()
    host = LanguageHost(programs)
    answers = {}

    def run(peer: str) -> None:
        info = protocol.language.ProgramInfo(root_directory=str(tmp_path), program_directory=str(tmp_path), entry_point=".")
        answers[peer] = host.Run(protocol.language.RunRequest(project="p", stack=peer, info=info), Call(peer))

    threads = []
    for peer in ("a", "b"):
        host.Handshake(protocol.language.LanguageHandshakeRequest(engine_address=f"127.0.0.1:{ord(peer)}"), Call(peer))
        thread = threading.Thread(target=run, args=(peer,))
        thread.start()
        threads.append(thread)
        while len(programs.started) < len(threads):
            thread.join(0.01)
    by_stack = {program.run.stack: program for program in programs.started}
    assert {stack: program.run.engine for stack, program in by_stack.items()} == {"a": "127.0.0.1:97", "b": "127.0.0.1:98"}

    host.Cancel(None, Call("a"))
    threads[0].join(5)
    assert answers["a"].error == "the program was ended by signal SIGTERM"
    assert not by_stack["b"].ended.is_set()

    host.Cancel(None, Call("b"))
    threads[1].join(5)
    assert set(answers) == {"a", "b"}


def test_an_sdk_names_its_plugin_and_other_packages_dont(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    for name, document in {
        "pulumi_aws": '{"resource": true, "name": "aws", "version": "7.51.1"}',
        "pulumi_policy": '{"resource": false}',
        "broken": "{",
    }.items():
        (site / name).mkdir(parents=True)
        (site / name / "pulumi-plugin.json").write_text(document)
    assert provider_plugins([str(tmp_path), str(site)]) == [ProviderPlugin("aws", "7.51.1")]


def test_the_projects_virtual_environment_is_used_before_the_hosts_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert PythonEnvironment.of(str(tmp_path), {}).python == sys.executable
    named = PythonEnvironment.of(str(tmp_path), {"virtualenv": "venv"})
    assert named.python == str(tmp_path / "venv/bin/python")
    with pytest.raises(EnvironmentMissing, match="pulumi install"):
        named.checked()


def test_an_sdks_lazy_modules_are_really_loaded_ahead() -> None:
    check = (
        'import sys; from languagehost.zygote import load; assert load("pulumi_aws.ebs"); print("pulumi_aws.ebs.volume" in sys.modules, load("no_such_sdk"))'
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_component_provider_keeps_its_warnings_out_of_the_ports_stream(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import sys\nprint('a warning', file=sys.stderr)\nprint(7707, *sys.argv[1:])\nsys.exit(3)\n")
    request = protocol.language.RunPluginRequest(pwd=str(tmp_path), args=["127.0.0.1:1"], kind="resource")
    request.info.root_directory = request.info.program_directory = str(tmp_path)
    said = list(LanguageHost(FakePrograms()).RunPlugin(request, Call("engine")))
    assert b"".join(one.stdout for one in said) == b"7707 127.0.0.1:1\n"
    assert b"".join(one.stderr for one in said) == b"a warning\n"
    assert said[-1].exitcode == 3


class CutOff(grpc.RpcError):
    """A call that came to nothing."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = lambda: code, lambda: details


@pytest.mark.parametrize(
    ("code", "details", "ended"),
    [
        (grpc.StatusCode.UNAVAILABLE, "", True),
        (grpc.StatusCode.UNKNOWN, "resource monitor shut down", True),
        (grpc.StatusCode.UNKNOWN, "the zone is missing", False),
    ],
)
def test_what_the_engines_end_cuts_off_is_no_fault_of_the_program(code: grpc.StatusCode, details: str, ended: bool) -> None:
    try:
        try:
            raise CutOff(code, details)
        except grpc.RpcError as error:
            raise Exception(details) from error  # as the SDK does
    except Exception as hidden:  # noqa: BLE001  # as the host does
        assert ended_by_engine(hidden) is ended
