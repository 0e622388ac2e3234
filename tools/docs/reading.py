"""What the reference pages share: Python read without being run, docstrings as Markdown, tables."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(r"(`[^`]*`)")


@dataclass(frozen=True)
class Field:
    """A field of a class: its name, type and default as they are written (None: it must be given), and the docstring beneath it."""

    name: str
    type: str
    default: str | None
    doc: str


@dataclass(frozen=True)
class Class:
    """A public class of a module."""

    name: str
    bases: tuple[str, ...]
    doc: str
    fields: tuple[Field, ...]
    node: ast.ClassDef


def classes(path: Path) -> Iterator[Class]:
    """The public classes of a module, in their order."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield Class(node.name, tuple(ast.unparse(base) for base in node.bases), ast.get_docstring(node) or "", tuple(_fields(node)), node)


def classes_of(node: ast.ClassDef) -> Iterator[Class]:
    """``node`` itself, where it has fields."""
    if fields := tuple(_fields(node)):
        yield Class(node.name, tuple(ast.unparse(base) for base in node.bases), ast.get_docstring(node) or "", fields, node)


def field_rows(fields: Iterable[Field], named: Callable[[str], str] = str) -> list[tuple[str, str, str, str]]:
    """A row for each field: what ``named`` calls it, type, default, what it is."""
    return [(code(named(one.name)), code(one.type), "must be given" if one.default is None else code(one.default), cell(one.doc)) for one in fields]


def module_doc(path: Path) -> str:
    """A module's docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _fields(node: ast.ClassDef) -> Iterator[Field]:
    for at, one in enumerate(node.body):
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name) or one.target.id.startswith(("_", "model_config")):
            continue
        following = node.body[at + 1] if at + 1 < len(node.body) else None
        said = following.value.value if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) else ""
        yield Field(one.target.id, ast.unparse(one.annotation), _default(one.value), inspect.cleandoc(said) if isinstance(said, str) else "")


def _default(value: ast.expr | None) -> str | None:
    """A default as a reader wants it; None where the field must be given."""
    if not isinstance(value, ast.Call) or ast.unparse(value.func) not in ("Field", "field"):
        return None if value is None else ast.unparse(value)
    for keyword in value.keywords:
        if keyword.arg == "default":
            return ast.unparse(keyword.value)
        if keyword.arg in ("default_factory", "factory"):
            made = ast.unparse(keyword.value)
            return {"dict": "{}", "list": "[]", "tuple": "()", "set": "set()"}.get(made, f"{made}()")
    return ast.unparse(value.args[0]) if value.args else None


def markdown(doc: str) -> str:
    """A docstring as Markdown: roles and double backticks become code, what follows ``::`` a block of code."""
    lines, block = list[str](), False
    text = re.sub(r"(?m)(?:^(?:>>>|\.\.\.).*\n?)+", lambda found: f"Example::\n\n{_session(found.group())}\n", inspect.cleandoc(doc))
    for line in text.split("\n"):
        if block and line.strip() and not line.startswith("    "):
            lines, block = [*_stripped(lines), "```", ""], False
        if block:
            lines.append(line[4:])
        elif line.rstrip().endswith("::"):
            begun = prose(line.rstrip()[:-1])
            lines += [begun, "", "```python"]
            block = True
        else:
            lines.append(prose(line))
    if block:
        lines = [*_stripped(lines), "```"]
    return re.sub(r"```python\n\n+", "```python\n", "\n".join(lines))


def _session(text: str) -> str:
    """The statements of a doctest, indented."""
    return "\n".join("    " + re.sub(r"^(>>>|\.\.\.) ?", "", line).replace("  # doctest: +SKIP", "") for line in text.rstrip("\n").split("\n"))


def _stripped(lines: Sequence[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def prose(text: str) -> str:
    """Text of a docstring in which nothing is taken for HTML or a role."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;").replace("{{", "{").replace("*", r"\*") for part in _CODE.split(text))


def cell(text: str) -> str:
    """Text as one cell of a table."""
    return prose(" ".join(text.split())).replace("|", r"\|")


def code(text: str) -> str:
    """Code as one cell of a table; empty where there is none."""
    return f"`{' '.join(text.split())}`".replace("|", r"\|") if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, with an empty line before and after; nothing where it has no rows. Cells come ready."""
    found = ["| " + " | ".join(row) + " |" for row in rows]
    return ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head), *found, ""] if found else []


def made_from(what: str) -> list[str]:
    """The line that says that a page is made."""
    return ["", f"Made from {what} by `python tools/docs/generate.py`; don't edit by hand.", ""]


def text_of(lines: Iterable[str]) -> str:
    """A page: outside of code never two empty lines in a row, one newline at its end."""
    kept, inside = list[str](), False
    for line in "\n".join(lines).strip().split("\n"):
        inside ^= line.startswith("```")
        if inside or line.strip() or (kept and kept[-1].strip()):
            kept.append(line)
    return "\n".join(kept) + "\n"
