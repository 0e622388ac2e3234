"""Every link, anchor and path of the documents leads somewhere: README and CHANGELOG, which the site doesn't hold, too."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchor, pages, prose

PAGES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in pages()]
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`([\w.-]+(?:/[\w.*-]+)+)`")
_TOP = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {"dist", "node_modules"}
_MADE = ("components/edge/workers/dist", "components/edge/console/dist", "dist/site")
"""What is built, and so isn't there before."""


def anchors(path: Path) -> set[str]:
    """The anchors of a page: a heading that comes again gets a number."""
    found: dict[str, int] = {}
    names = set()
    for line in prose(path.read_text(encoding="utf-8")).splitlines():
        if re.match(r"#{1,6} ", line):
            name = anchor(line.lstrip("#"))
            names.add(name if name not in found else f"{name}_{found[name]}")
            found[name] = found.get(name, 0) + 1
    return names


def faults(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    text = re.sub(r"`[^`\n]*`", "", prose(path.read_text(encoding="utf-8")))
    wrong = []
    for target in [*_LINK.findall(text), *_IMAGE.findall(text)]:
        if re.match(r"[a-z]+:", target):
            continue
        place, _, name = target.partition("#")
        file = (path.parent / place).resolve() if place else path
        if not file.exists() or (name and (file.suffix != ".md" or name not in anchors(file))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    assert faults(path) == []


@pytest.mark.parametrize("path", PAGES)
def test_every_path_that_a_page_names_is_there(path: Path) -> None:
    named = {one for one in _PATH.findall(prose(path.read_text(encoding="utf-8"))) if one.partition("/")[0] in _TOP and not one.startswith(_MADE)}
    assert sorted(one for one in named if not any(ROOT.glob(one))) == []


def test_every_decision_that_is_referred_to_was_made() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    made = {path.name[:4] for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    wanted = (".py", ".ts", ".tsx", ".mjs", ".md", ".yaml", ".yml", ".toml")
    faults = {
        f"{name}: adr/{number}"
        for name in listed
        if name.endswith(wanted)
        for number in re.findall(r"\badr/(\d{4})\b", (ROOT / name).read_text(encoding="utf-8"))
        if number not in made
    }
    assert faults == set()


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One `x`\n\n[1](#one-x) [2](#two) [3](b.md) [4](a.md#one-x) ![5](c.png)\n\n```sh\n[6](d.md)\n```\n\n`[7](e.md)`\n")
    assert faults(page) == ["#two", "b.md", "c.png"]
