"""The SDK's page: what `spotlane` offers a program, from its modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import reading
from reading import code, table

_MODULES = {
    "client": "Clients of the edge and of the automation service.",
    "pages": "What a listing is.",
    "aio": "The same, asynchronous: each method of the same name is awaited, each iterator is asynchronous.",
    "manifest": "Workload and tenant files.",
    "artifact": "Artifacts.",
    "origin": "For a service that checks that a request came through the edge.",
    "websocket": "The client of `spotlane.resume.v1` (needs the extra `websocket`).",
    "resolve": "TCP addresses where DNS doesn't know them.",
    "ledger_export": "The ledger's hours in other forms.",
    "testing.plugin": 'Fixtures for your own tests: `pytest_plugins = ["spotlane.testing.plugin"]`, or by the wheel\'s own entry point.',
    "testing.platform": "The platform in memory behind them.",
    "errors": "What can go wrong; [errors.md](errors.md) has the tree.",
}
"""The modules that a program imports, in the order in which it meets them."""
_EXAMPLES = reading.ROOT / "examples" / "sdk"


def written() -> str:
    """The page."""
    lines = ["# SDK", *reading.made_from("the package `spotlane`")]
    lines += ["`pip install spotlane` brings the SDK alone, `spotlane[cli]` the command line, `spotlane[websocket]` the WebSocket client."]
    lines += ["Models: [API](api.md#models).", ""]
    lines += ["## Examples", "", "The tests run each of them, and a strict type checker reads them."]
    for path in sorted(_EXAMPLES.glob("*.py")):
        lines += ["", f"### {path.name}", "", "```python", path.read_text(encoding="utf-8").rstrip(), "```"]
    for module, said in _MODULES.items():
        path = reading.ROOT / "spotlane" / f"{module.replace('.', '/')}.py"
        lines += ["", f"## spotlane.{module}", "", said, ""]
        lines += _short(path) if module in ("aio", "errors") else _module(path)
    return reading.text_of(lines)


def _short(path: Path) -> list[str]:
    return table(("class", "what it is"), [(code(one.name), reading.cell(one.doc.partition("\n\n")[0])) for one in reading.classes(path)])


def _module(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _class(node)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield from (f"### {node.name}", "", "```python", _signature(node), "```", "", reading.markdown(ast.get_docstring(node) or ""), "")


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield from (f"### {node.name}", "", reading.markdown(ast.get_docstring(node) or ""), "")
    made = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if made is not None:
        yield from ("```python", f"{node.name}{_signature(made).removeprefix('__init__').partition(' -> ')[0]}", "```", "")
    found = next((one for one in reading.classes_of(node)), None)
    if found is not None:
        yield from table(("field", "type", "default", "what it is"), reading.field_rows(found.fields))
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
    yield from table(("method", "what it does"), [(code(_signature(one)), reading.cell(ast.get_docstring(one) or "")) for one in methods])


def _signature(node: ast.FunctionDef) -> str:
    """The call as a user writes it: without ``self`` or ``cls``."""
    arguments = ast.unparse(node.args)
    for own in ("self, ", "cls, ", "self", "cls"):
        if arguments.startswith(own):
            arguments = arguments.removeprefix(own)
            break
    given = "" if any(ast.unparse(one) == "property" for one in node.decorator_list) else f"({arguments.removeprefix('/, ')})"
    return f"{node.name}{given} -> {ast.unparse(node.returns) if node.returns else 'None'}"
