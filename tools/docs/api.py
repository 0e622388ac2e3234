"""The API's page: the edge's operations from its own OpenAPI document (adr/0015), the automation service's from its own, and their models."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import models
import reading
from reading import code, table

from automation.http.app import app

_EDGE = """
import { build } from "esbuild";
const bundled = await build({ stdin: { contents: `
  import { document } from "./api/openapi";
  import { OPERATIONS } from "./api/operations";
  console.log(JSON.stringify(document(OPERATIONS, "example.com")));`, resolveDir: "components/edge/workers" },
  bundle: true, write: false, format: "esm", platform: "node", external: ["cloudflare:*"], logLevel: "error" });
await import("data:text/javascript;base64," + Buffer.from(bundled.outputFiles[0].contents).toString("base64"));
"""
_WIRE = sorted((reading.ROOT / "spotlane" / "wire").glob("*.py"))


def written() -> str:
    """The page."""
    done = subprocess.run(["node", "--input-type=module", "-e", _EDGE], cwd=reading.ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: the edge doesn't tell its operations: {done.stderr.strip()[-400:]}")
    edge = json.loads(done.stdout)
    nobody: Any = None
    automation = app(*[nobody] * 11).openapi()
    described = {**automation["components"]["schemas"], **edge["components"]["schemas"]}
    said = models.said_in(_WIRE)
    lines = ["# API", *reading.made_from("the edge's table of operations and the automation service's application")]
    lines += ["## The edge", "", f"`https://api.<zone>`, the same as OpenAPI 3.1 at `/openapi.json`. {reading.prose(edge['info']['description'])}", ""]
    lines += [
        "A **paged** listing takes `limit` and `cursor`. An **idempotent** call takes `Idempotency-Key`, a **conditional** one `If-Match` and",
        "`If-None-Match: *`. What holds for every call stands in the [architecture](../architecture.md#edge-api);",
        "words of problems: [errors](errors.md).",
    ]
    for tag in edge["tags"]:
        lines += ["", f"### {tag['name'].capitalize()}"]
        for path, methods in edge["paths"].items():
            for method, one in methods.items():
                if tag["name"] in one["tags"]:
                    lines += _operation(method.upper(), path, one, edge)
    lines += [
        "",
        "## The automation service",
        "",
        "At `SPOTLANE_AUTOMATION_URL`, for the edge, the command line and operators; a token whose audience is `automation`.",
    ]
    rows = [
        (code(f"{method.upper()} {path}"), code(", ".join(one["name"] for one in operation.get("parameters", []) if one["in"] == "query")), *_bodies(operation))
        for path, methods in automation["paths"].items()
        for method, operation in methods.items()
    ]
    lines += table(("call", "query", "takes", "answers"), rows)
    lines += ["## Models", "", "Fields are camelCase; one that is unknown is refused. A field with a default may be left out."]
    for name, model in sorted(described.items()):
        if name not in ("HTTPValidationError", "ValidationError"):
            lines += models.model(name, model, said.get(name, {}))
    return reading.text_of(lines)


def _operation(method: str, path: str, one: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"#### {method} {path}", "", f"{reading.prose(one['summary'])}.", "")
    parameters = one["parameters"]
    marks = [
        mark
        for mark, header in (("paged", "cursor"), ("idempotent", "Idempotency-Key"), ("conditional", "If-Match"))
        if any(p["name"] == header for p in parameters)
    ]
    scopes = ", ".join(f"`{scope}`" for scope in one["x-scopes"]) if "x-scopes" in one else "no token"
    yield f"- **scope**: {scopes}" + (f"; {', '.join(marks)}" if marks else "")
    of_pages = ("limit", "cursor") if any(p["name"] == "cursor" for p in parameters) else ()
    if query := [p for p in parameters if p["in"] == "query" and p["name"] not in of_pages]:
        yield "- **query**: " + ", ".join(f"`{p['name']}` ({models.type_of(p['schema'])})" for p in query)
    if "requestBody" in one:
        kind, schema = next(iter(one["requestBody"]["content"].items()))
        taken = models.type_of(schema["schema"]) if kind == "application/json" else f"bytes, `{kind}`"
        yield f"- **takes**: {taken}, at most {_bytes(one['requestBody']['x-limit-bytes'])}"
    answers, problems = [], []
    for status, answer in one["responses"].items():
        content = answer.get("content", {})
        if "application/problem+json" in content:
            problems.append(status)
        else:
            kind = next(iter(content), "")
            shown = models.type_of(content[kind]["schema"]) if kind == "application/json" else (f"bytes, `{kind}`" if kind else "")
            answers.append(f"{status} {shown}".strip())
    yield "- **answers**: " + "; ".join(answers)
    yield "- **problems**: " + ", ".join(problems)
    yield ""


def _bodies(operation: dict[str, Any]) -> tuple[str, str]:
    taken = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status = next(one for one in operation["responses"] if one.startswith("2"))
    given = operation["responses"][status].get("content", {}).get("application/json", {}).get("schema") or {}
    return (models.type_of(taken) if taken else "", f"{status} {models.type_of(given) if given else ''}".strip())


def _bytes(count: int) -> str:
    return f"{count // (1 << 20)} MiB" if count % (1 << 20) == 0 else f"{count:,} bytes"
