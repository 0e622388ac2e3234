"""The API's own document: it is OpenAPI 3.1, it holds the SDK's models, and the SDK calls nothing that it doesn't describe."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from spotlane import client as sdk

ROOT = Path(__file__).resolve().parents[2]
_PRINT = """
import { build } from "esbuild";
const bundled = await build({ stdin: { contents: `
  import { document } from "./api/openapi";
  import { OPERATIONS } from "./api/operations";
  console.log(JSON.stringify(document(OPERATIONS, "edge.test")));`, resolveDir: "components/edge/workers" },
  bundle: true, write: false, format: "esm", platform: "node", external: ["cloudflare:*"], logLevel: "error" });
await import("data:text/javascript;base64," + Buffer.from(bundled.outputFiles[0].contents).toString("base64"));
"""


@pytest.fixture(scope="module")
def document() -> Any:
    done = subprocess.run(["node", "--input-type=module", "-e", _PRINT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_openapi_3_1(document: Any) -> None:
    faults = [f"{'/'.join(str(part) for part in fault.absolute_path)}: {fault.message}" for fault in OpenAPIV31SpecValidator(document).iter_errors()]
    assert faults == []


def test_each_operation_says_who_may_call_it_what_it_answers_and_how_it_fails(document: Any) -> None:
    operations = [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]
    assert len({one["operationId"] for _, _, one in operations}) == len(operations)
    for path, method, one in operations:
        assert one["summary"], (path, method)
        assert (one["security"] == []) == ("x-scopes" not in one), (path, method)
        assert any(status.startswith("2") for status in one["responses"]), (path, method)
        assert "application/problem+json" in one["responses"]["500"]["content"], (path, method)
        if "requestBody" in one:
            assert one["requestBody"]["x-limit-bytes"] > 0, (path, method)


def test_every_reference_leads_to_a_model(document: Any) -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert names <= set(document["components"]["schemas"])


def test_the_sdk_calls_nothing_that_the_document_lacks(document: Any) -> None:
    described = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, methods in document["paths"].items() for method in methods}
    source = inspect.getsource(sdk.Client)
    calls = re.findall(r'session\.(?:one\(wire\.\w+, |call\()"(GET|PUT|POST|DELETE)", f?"([^"]+)"', source)
    calls += [("GET", path) for path in re.findall(r'session\.many\(wire\.\w+, f?"([^"]+)"', source)]
    called = {(method, "/v1" + re.sub(r"\{[^}]+\}", "{}", path.replace("{path}", "/artifacts/{}/uploads/{}"))) for method, path in calls}
    assert len(called) >= 30
    assert called - described == set()
