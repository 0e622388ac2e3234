"""``python tools/sdk/generate.py [--check]``: the asynchronous client (``spotlane/aio.py``), from the synchronous one.

Both are one text: what is written here is only how a call that waits is spelt. With ``--check`` nothing is written; exit code 1 where the file differs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "spotlane" / "aio.py"
_HEAD = '''"""The asynchronous clients: :class:`AsyncClient` for the edge API, :class:`AsyncAutomationClient` for the automation service.

    async with AsyncClient.from_env() as client:
        async for workload in client.workloads():
            print(workload.id)

Generated from ``spotlane/client.py``, ``pages.py``, ``session.py``, ``transport.py`` and ``exchange.py`` by ``tools/sdk/generate.py``; do not edit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

import httpcore
from pydantic import BaseModel, TypeAdapter, ValidationError

from spotlane import wire
from spotlane.client import _COMPLETE_SECONDS, _LINES_AT_ONCE, _LINES_SECONDS, _WHOLE_BYTES, api_key_of, require
from spotlane.errors import AnswerNotUnderstood, Fault, NotSignedIn, SpotlaneError, Unreachable
from spotlane.exchange import CONNECTIONS, KEPT, KEPT_SECONDS, Answer, Request, TransportError, answer_of, tls, told
from spotlane.session import _AGAIN, _CUTS, _PAGE, _PAUSE_SECONDS, _SILENT_SECONDS
from spotlane.transport import _ATTEMPTS, _BACKOFF_SECONDS, _LATER, _RETRIED, _advice, _retry_after, raise_for_problem
from spotlane.wire import Token

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")

'''
_PARTS = {
    "exchange": ("Stream", "Http"),
    "transport": ("TokenSource", "client", "send"),
    "pages": ("Pages",),
    "session": ("Session",),
    "client": ("Client", "AutomationClient"),
}
_RENAMED = {
    "Client": "AsyncClient",
    "AutomationClient": "AsyncAutomationClient",
    "Pages": "AsyncPages",
    "Session": "_Session",
    "TokenSource": "AsyncTokenSource",
    "Iterator": "AsyncIterator",
    "Http": "AsyncHttp",
    "Stream": "AsyncStream",
    "__iter__": "__aiter__",
}
_ATTRIBUTES = {"iter_stream": "aiter_stream", "ConnectionPool": "AsyncConnectionPool", "contextmanager": "asynccontextmanager"}
_WAITS = {"call", "one", "header", "send", "request", "_fetch", "fetch", "machine_logs"}
"""Calls that wait, by name; so do ``get``, ``whole``, ``read``, ``close`` and ``sleep`` of what :func:`_waits` names."""


def _waits(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "send"
    if not isinstance(function, ast.Attribute):
        return False
    owner = ast.unparse(function.value)
    if function.attr == "get":
        return owner in ("self.http", "self._http")
    if function.attr == "whole":
        return owner == "answer"
    if function.attr == "read":
        return owner == "self._response"
    if function.attr in ("close", "sleep"):
        return owner in ("self._pool", "time")
    return function.attr in _WAITS and owner in ("self", "self._session", "self._tokens", "self._pool", "http")


class _Async(ast.NodeTransformer):
    """Spells a waiting call with ``await``, and what holds one with ``async``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        waits, listed = _waits(node), isinstance(node.func, ast.Name) and node.func.id == "list" and ".many(" in ast.unparse(node)
        self.generic_visit(node)
        if listed:
            each = ast.comprehension(ast.Name("one", ast.Store()), node.args[0], [], 1)
            return ast.ListComp(ast.Name("one", ast.Load()), [each])
        if not waits:
            return node
        if isinstance(node.func, ast.Attribute) and (node.func.attr, ast.unparse(node.func.value)) in {("read", "self._response"), ("close", "self._pool")}:
            node.func.attr = "a" + node.func.attr
        if ast.unparse(node.func) == "time.sleep":
            node.func = ast.parse("asyncio.sleep", mode="eval").body
        return ast.Await(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        held = [one for part in node.body for one in _own(part)]
        if not any(isinstance(one, ast.Await | ast.AsyncFor | ast.AsyncWith) or (isinstance(one, ast.comprehension) and one.is_async) for one in held):
            return node
        return ast.AsyncFunctionDef(**{name: getattr(node, name) for name in ast.AsyncFunctionDef._fields if hasattr(node, name)})

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        streams = any(each in ast.unparse(node.iter) for each in ("iter_stream", "answer.lines(", "self.events(", "self.changes("))
        return ast.AsyncFor(node.target, node.iter, node.body, node.orelse) if streams else node

    def visit_With(self, node: ast.With) -> ast.AST:
        self.generic_visit(node)
        return ast.AsyncWith(node.items, node.body) if ".stream(" in ast.unparse(node.items[0]) else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.YieldFrom):
            return ast.parse(f"for item in {ast.unparse(node.value.value)}:\n    yield item").body[0]
        return node


class _Renamed(ast.NodeTransformer):
    """Gives what is asynchronous its own names."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(_RENAMED.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Attribute(node.value, _ATTRIBUTES.get(node.attr, node.attr), node.ctx)

    def _defined(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.name = _RENAMED.get(node.name, node.name)
        if node.name == "close" and isinstance(node, ast.AsyncFunctionDef):
            node.name = "aclose"
        return node

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _defined  # type: ignore[assignment]  # one rule for what has a name


_CONTEXT = """
async def __aenter__(self) -> Self:
    return self

async def __aexit__(self, *raised: object) -> None:
    await self.@HTTP@.aclose()
"""


def _own(node: ast.AST) -> list[ast.AST]:
    """A node and what is in it, without the bodies of functions that it defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    return [node, *(one for child in ast.iter_child_nodes(node) for one in _own(child))]


def text() -> str:
    """The whole module."""
    parts = []
    for module, names in _PARTS.items():
        tree = ast.parse((ROOT / "spotlane" / f"{module}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in names:
                made = _Renamed().visit(_Async().visit(node))
                if isinstance(made, ast.ClassDef) and made.name in ("AsyncClient", "AsyncAutomationClient"):
                    http = "http" if made.name == "AsyncClient" else "_http"
                    made.body += ast.parse(_CONTEXT.replace("@HTTP@", http)).body
                parts.append(ast.unparse(ast.fix_missing_locations(made)))
    body = "\n\n\n".join(parts)
    body = body.replace("Callable[[str | None], tuple[list[M], str | None]]", "Callable[[str | None], Awaitable[tuple[list[M], str | None]]]")
    body = body.replace(">>> for ", ">>> async for ").replace(" in Client.from_env()", " in AsyncClient.from_env()").replace(">>> Client.", ">>> AsyncClient.")
    body = body.replace("TypeAdapter(list[model])", "TypeAdapter(list[model])  # type: ignore[valid-type]  # a runtime type")
    made = _HEAD + body + "\n"
    for step in (("check", "--fix-only"), ("format",)):
        command = [sys.executable, "-m", "ruff", *step, "-q", "--no-cache", "--stdin-filename", str(TARGET), "-"]
        made = subprocess.run(command, input=made, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return made


def main(argv: list[str]) -> int:
    """Writes or checks."""
    wanted = text()
    stale = not TARGET.exists() or TARGET.read_text() != wanted
    if "--check" in argv:
        if stale:
            sys.stderr.write("error: spotlane/aio.py is not what the synchronous client says; run `python tools/sdk/generate.py`\n")
        return 1 if stale else 0
    TARGET.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
