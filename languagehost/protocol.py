"""Pulumi's gRPC messages and stubs, loaded without the rest of the SDK: a spawned host must answer within a tenth of a second.

The modules are those of the installed ``pulumi`` package. Its packages' own ``__init__`` modules, which import the whole SDK, are left out: empty
packages stand in for them while the stubs load. A process that has imported this module can't import ``pulumi`` itself afterwards; programs run in
other processes.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any


class SdkMissing(ImportError):
    """The Python that runs the language host has no ``pulumi`` package."""

    def __init__(self) -> None:
        super().__init__("no package 'pulumi'")


def _load() -> dict[str, Any]:
    names = ("language_pb2", "language_pb2_grpc", "engine_pb2", "engine_pb2_grpc", "analyzer_pb2", "plugin_pb2")
    if "pulumi" not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec("pulumi")
        if spec is None or not spec.submodule_search_locations:
            raise SdkMissing
        root = next(iter(spec.submodule_search_locations))
        for package, path in (("pulumi", root), ("pulumi.runtime", f"{root}/runtime"), ("pulumi.runtime.proto", f"{root}/runtime/proto")):
            module = ModuleType(package)
            module.__path__ = [path]
            sys.modules[package] = module
    return {name: importlib.import_module(f"pulumi.runtime.proto.{name}") for name in names}


_modules = _load()

language: Any = _modules["language_pb2"]
language_grpc: Any = _modules["language_pb2_grpc"]
engine: Any = _modules["engine_pb2"]
engine_grpc: Any = _modules["engine_pb2_grpc"]
analyzer: Any = _modules["analyzer_pb2"]
plugin: Any = _modules["plugin_pb2"]

CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 400 * 1024 * 1024), ("grpc.max_send_message_length", 400 * 1024 * 1024)]
"""The engine's own limit for a message, in bytes (sdk/go/common/util/rpcutil: 400 MiB)."""
