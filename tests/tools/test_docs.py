"""The tools that make reference pages: what they must not miss, and what must not be taken for markup."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from spotlane.cli import advice, main, page

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "reference"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "docs"))
    yield


def tool(name: str) -> Any:
    return import_module(name)


def test_every_command_stands_on_the_command_lines_page() -> None:
    headings = set((PAGES / "cli.md").read_text(encoding="utf-8").splitlines())
    commands = [path for path, command in page.commands(page.program(main.cli)) if path and not command.hidden]
    assert [path for path in commands if f"### spotlane {path}" not in headings] == []


def test_every_word_that_the_command_line_advises_on_is_a_problem_that_something_raises() -> None:
    assert advice._BY_WORD.keys() - tool("errors")._gathered().keys() == set()


def test_a_problem_whose_word_cant_be_read_stops_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "api").mkdir()
    monkeypatch.setattr(tool("errors"), "_WORKERS", tmp_path)
    source = tmp_path / "api" / "x.ts"
    source.write_text('throw new ProblemError(409, "taken", "It is taken", id);')
    assert tool("errors")._gathered()["taken"] == ({409}, {"edge API"}, {"It is taken"})
    source.write_text("throw new ProblemError(409, wordOf(row), title, id);")
    with pytest.raises(SystemExit, match=r"can't read: ProblemError\(409, wordOf"):
        tool("errors")._gathered()


@pytest.mark.parametrize(
    ("doc", "page"),
    [
        ("Of ``a|b`` or <c>.", "Of `a|b` or &lt;c>."),
        ("Raises :class:`~x.Fault`.", "Raises `x.Fault`."),
        ("One. Example::\n\n    call(<1>)\n\nTwo.", "One. Example:\n\n```python\ncall(<1>)\n```\n\nTwo."),
        ("One.\n\n>>> call()  # doctest: +SKIP\n", "One.\n\nExample:\n\n```python\ncall()\n```"),
    ],
)
def test_a_docstring_becomes_markdown_in_which_nothing_is_lost(doc: str, page: str) -> None:
    assert tool("reading").markdown(doc) == page


def test_a_cell_holds_no_bar_and_no_break() -> None:
    assert tool("reading").cell("a | b\nc") == r"a \| b c"


def test_a_fields_row_has_the_docstring_beneath_it_and_what_it_is_by_default(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        'class A:\n    x: int\n    """In USD."""\n    y: list[str] = Field(default_factory=list)\n    z: float = Field(default=0.5, gt=0)\n'
    )
    (found,) = tool("reading").classes(tmp_path / "m.py")
    assert tool("reading").field_rows(found.fields, str.upper) == [
        ("`X`", "`int`", "must be given", "In USD."),
        ("`Y`", "`list[str]`", "`[]`", ""),
        ("`Z`", "`float`", "`0.5`", ""),
    ]
