"""The site: it builds strictly (each page in its place, each link and anchor there), and its pages ask nobody else for anything."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data", "form": "action"}
"""By element, the attribute by which a browser asks for something of its own accord."""


class Asked(HTMLParser):
    """What a page asks for, and the policy that it gives the browser."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.policy = ""
        self.diagrams = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if address := values.get(LOADED.get(tag, "")):
            self.addresses.append(address)
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values.get("content") or ""
        # The theme would fetch the program that draws them.
        self.diagrams += "mermaid" in (values.get("class") or "").split()


def built(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(folder)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_no_page_asks_anybody_else_for_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        asked = Asked()
        asked.feed(path.read_text(encoding="utf-8"))
        foreign = [address for address in asked.addresses if address.startswith("//") or "://" in address]
        assert (foreign, asked.diagrams) == ([], 0), path.relative_to(site)
        assert asked.policy.startswith("default-src 'self' file:;") and "http" not in asked.policy, path.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text(encoding="utf-8"), sheet.name


def test_a_link_to_nowhere_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[there](#nowhere)\n")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(text.partition("\nnav:")[0].replace("  custom_dir: tools/docs/theme", "  #"), encoding="utf-8")
    refused = built(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert refused.returncode == 1 and "Aborted with 1 warnings" in refused.stderr + refused.stdout
