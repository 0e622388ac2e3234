"""WorkersScript: modules, bindings, migrations and assets in one multipart upload.

https://developers.cloudflare.com/workers/configuration/multipart-upload-metadata/ and, for assets,
https://developers.cloudflare.com/workers/static-assets/direct-upload/
"""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.providers.calls import Rest, renamed, snake
from localcloud.providers.faults import NotFound, Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_METADATA = (
    "compatibilityDate",
    "compatibilityFlags",
    "keepAssets",
    "keepBindings",
    "limits",
    "logpush",
    "migrations",
    "observability",
    "placement",
    "tailConsumers",
    "usageModel",
)
_MODULE = "application/javascript+module"
_HASH_CHARACTERS = 32
_BINDING_NAMES = {"databaseId": "id"}


class ScriptHandler:
    """One account's scripts."""

    fields = None

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def create(self, call: Call, inputs: Props) -> Made:
        """Uploads the script."""
        return Made(str(inputs["scriptName"]), self._upload(call, inputs, None))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The script's settings; the code itself is known by its digest."""
        account = known.get("accountId") or id.partition("/")[0]
        name = id.rpartition("/")[2]
        try:
            self._rest.call("GET", f"/accounts/{account}/workers/scripts/{name}/settings")
        except NotFound:
            return None
        return Made(name, {**known, "accountId": account, "scriptName": name})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Uploads the script anew; classes that an earlier upload made are not made again."""
        tag = (old.get("migrations") or {}).get("newTag")
        return self._upload(call, new, tag)

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the script with its Durable Objects, as the real provider does by ``force``."""
        try:
            self._rest.call("DELETE", f"{_path(known)}", params={"force": "true"})
        except NotFound:
            return

    def _upload(self, call: Call, inputs: Props, tag: str | None) -> Props:
        call.check()
        metadata = renamed({name: inputs[name] for name in _METADATA if inputs.get(name) is not None}, snake)
        migrations = metadata.get("migrations")
        if migrations and tag is not None and migrations.get("new_tag") == tag:
            del metadata["migrations"]
        elif migrations and tag is not None:
            migrations["old_tag"] = tag
        metadata["bindings"] = [_binding(binding) for binding in inputs.get("bindings") or []]
        content, name = _content(inputs)
        metadata["main_module"] = name
        if assets := inputs.get("assets"):
            metadata["assets"] = {"jwt": self._assets(inputs, Path(str(assets["directory"]))), "config": renamed(assets.get("config") or {}, snake)}
        files = [("metadata", ("metadata.json", json.dumps(metadata), "application/json")), (name, (name, content, _MODULE))]
        answer = self._rest.call("PUT", _path(inputs), files=files)
        result = answer["result"] or {}
        return {
            **inputs,
            "hasModules": True,
            "hasAssets": bool(inputs.get("assets")),
            "etag": result.get("etag"),
            "startupTimeMs": result.get("startup_time_ms"),
        }

    def _assets(self, inputs: Props, directory: Path) -> str:
        if not directory.is_dir():
            raise Rejected(f"assets.directory: {directory.name} is not a folder; build it first")
        found: dict[str, Path] = {}
        manifest: dict[str, dict[str, Any]] = {}
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            content = file.read_bytes()
            digest = hashlib.sha256(content + file.suffix.encode()).hexdigest()[:_HASH_CHARACTERS]
            found[digest] = file
            manifest["/" + file.relative_to(directory).as_posix()] = {"hash": digest, "size": len(content)}
        session = self._rest.call("POST", f"{_path(inputs)}/assets-upload-session", json={"manifest": manifest})["result"]
        token = str(session["jwt"])
        for bucket in session.get("buckets") or []:
            files = [
                (digest, (digest, base64.b64encode(found[digest].read_bytes()), mimetypes.guess_type(found[digest].name)[0] or "application/octet-stream"))
                for digest in bucket
            ]
            path = f"/accounts/{inputs['accountId']}/workers/assets/upload?base64=true"
            answer = self._rest.call("POST", path, files=files, headers={"authorization": f"Bearer {token}"})
            token = str((answer.get("result") or {}).get("jwt") or token)
        return token


def _path(props: Mapping[str, Any]) -> str:
    return f"/accounts/{props['accountId']}/workers/scripts/{props['scriptName']}"


def _binding(binding: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in renamed(binding, lambda name: _BINDING_NAMES.get(name, snake(name))).items()}


def _content(inputs: Props) -> tuple[bytes, str]:
    name = str(inputs.get("mainModule") or "index.js")
    if inputs.get("content") is not None:
        return str(inputs["content"]).encode(), name
    path = Path(str(inputs.get("contentFile") or ""))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Rejected(f"contentFile: {path.name} can't be read ({error.strerror}); build it first") from error
    digest = hashlib.sha256(content).hexdigest()
    if inputs.get("contentSha256") not in (None, digest):
        raise Rejected(f"contentSha256: {path.name} has the digest {digest}, another was given")
    return content, name
