"""Policy packs under the real engine: an executable one, and one in a directory, which the host starts."""

from __future__ import annotations

import sys
import time

import pytest

from tests.languagehost.conftest import Project, WarmHost

PACK = """
import pulumi
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def judge(args, report):
    if args.name == "wrong":
        report(f"wrong is not allowed in {pulumi.get_stack()}")

PolicyPack("tiny", policies=[ResourceValidationPolicy("no-wrong", "Nothing is wrong.", judge, EnforcementLevel.MANDATORY)])
"""
PROGRAM = "import pulumi\nclass Part(pulumi.ComponentResource): pass\nPart('t:m:Part', pulumi.Config().require('part'))\n"


@pytest.mark.parametrize("kind", ["executable", "directory"])
def test_a_mandatory_finding_fails_the_preview(project: Project, warm_host: WarmHost, kind: str) -> None:
    project.host_port = warm_host.port
    project.write(PROGRAM)
    pack = project.directory / "pack"
    pack.mkdir()
    if kind == "executable":
        program = pack / "pack"
        program.write_text(f"#!{sys.executable} -u\n{PACK}")
        program.chmod(0o755)
    else:
        program = pack
        (pack / "PulumiPolicy.yaml").write_text(f"runtime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n")
        (pack / "__main__.py").write_text(PACK)
    verdicts = {}
    for part in ("right", "wrong"):
        project.pulumi("config", "set", "part", part)
        verdicts[part] = project.preview("--policy-pack", str(program))
    assert verdicts["right"].returncode == 0, verdicts["right"].stdout
    assert verdicts["wrong"].returncode != 0
    assert "wrong is not allowed in " + ("dev" if kind == "directory" else "") in verdicts["wrong"].stdout
    # A pack that the host has started ends with the engine that wanted it.
    limit = time.monotonic() + 60
    while len(warm_host.children()) > 1:
        assert time.monotonic() < limit, "a pack was left"
        time.sleep(0.02)
