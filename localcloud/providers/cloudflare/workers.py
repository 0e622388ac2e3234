"""Worker scripts, their cron triggers, and values in KV.

Upload: https://developers.cloudflare.com/workers/configuration/multipart-upload-metadata/ and
https://developers.cloudflare.com/workers/static-assets/direct-upload/.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

from localcloud.providers.cloudflare.api import Api, from_wire, to_wire
from localcloud.providers.faults import NotFound, Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_METADATA = """annotations bindings bindingsInherit bodyPart cacheOptions compatibilityDate compatibilityFlags exports keepAssets keepBindings limits logpush
mainModule observability placement tailConsumers usageModel"""
_FILES = "accountId scriptName content contentFile contentSha256 contentType files assets migrations force"
_NOT_SERVED = {"_headers", "_redirects", ".assetsignore"}
"""Files of an assets directory that configure it instead of being served."""
_MODULE = "application/javascript+module"
_SCRIPT = "application/javascript"


class WorkersScript:
    """``cloudflare:index/workersScript:WorkersScript``: one upload makes or replaces the whole script."""

    fields = frozenset(_METADATA.split() + _FILES.split())

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, call: Call, inputs: Props) -> Made:
        return self._put(inputs, str(inputs.get("migrationTag") or ""))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        account, found, name = id.partition("/")
        known = known or ({"accountId": account, "scriptName": name} if found else known)
        if not known:
            raise Rejected(f"{id}: import it as <accountId>/<scriptName>")
        base = f"/accounts/{known['accountId']}/workers/scripts"
        settings = self._api.find(f"{base}/{known['scriptName']}/settings")
        if settings is None:
            return None
        summary: Props = next((row for row in self._api.request("GET", base) if row["id"] == known["scriptName"]), {})
        return Made(known["scriptName"], self._state({**summary, **settings}, known))

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return self._put(new, str(known.get("migrationTag") or "")).outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        force = {"force": "true"} if known.get("force") else {}
        try:
            self._api.request("DELETE", f"/accounts/{known['accountId']}/workers/scripts/{known['scriptName']}", params=force)
        except NotFound:
            return

    def _put(self, inputs: Props, migrated_to: str) -> Made:
        account, name = inputs["accountId"], inputs["scriptName"]
        metadata: Props = to_wire({key: inputs[key] for key in _METADATA.split() if inputs.get(key) is not None})
        migrations = inputs.get("migrations")
        if migrations and not (migrated_to and migrations.get("newTag") == migrated_to):
            metadata["migrations"] = to_wire(migrations)
        if inputs.get("assets"):
            metadata["assets"] = self._assets(account, name, inputs["assets"])
        parts = {"metadata": (None, json.dumps(metadata), "application/json"), **_modules(inputs)}
        result = self._api.request("PUT", f"/accounts/{account}/workers/scripts/{name}", files=parts)
        settings = self._api.request("GET", f"/accounts/{account}/workers/scripts/{name}/settings")
        return Made(name, self._state({**result, **settings}, {**inputs, "etag": ""}))

    @staticmethod
    def _state(result: Props, known: Props) -> Props:
        """Of what the API says. Bindings come in the order of the program's; a script changed behind Pulumi's back shows another digest."""
        state = {name: value for name, value in from_wire(result).items() if name not in ("id", "tags", "bindings", "migrations", "placement", "limits")}
        for empty in ("placementMode", "placementStatus"):
            state.setdefault(empty, "")
        there = {binding["name"]: binding for binding in from_wire(result.get("bindings") or [])}
        asked = [binding.get("name") for binding in known.get("bindings") or []]
        state["bindings"] = [there[name] for name in asked if name in there] + [binding for name, binding in there.items() if name not in asked]
        state |= {"accountId": known["accountId"], "scriptName": known["scriptName"]}
        for name in ("observability", "logpush", "compatibilityFlags", "tailConsumers", "usageModel"):
            if name not in known:
                state.pop(name, None)
        if known.get("etag") and known["etag"] != state.get("etag"):
            state["contentSha256"] = f"changed outside Pulumi: {state.get('etag')}"
        return state

    def _assets(self, account: str, script: str, assets: Props) -> Props:
        sent: Props = {"config": to_wire(assets["config"])} if assets.get("config") else {}
        if assets.get("jwt"):
            return sent | {"jwt": assets["jwt"]}
        if not assets.get("directory"):
            return sent
        files = _asset_files(Path(assets["directory"]))
        manifest = {path: {"hash": _asset_hash(path, content), "size": len(content)} for path, content in files.items()}
        by_hash = {entry["hash"]: path for path, entry in manifest.items()}
        session = self._api.request("POST", f"/accounts/{account}/workers/scripts/{script}/assets-upload-session", json={"manifest": manifest})
        jwt = session["jwt"]
        done = jwt if not session.get("buckets") else None
        for bucket in session.get("buckets") or []:
            parts = {
                digest: (digest, base64.b64encode(files[by_hash[digest]]), mimetypes.guess_type(by_hash[digest])[0] or "application/null") for digest in bucket
            }
            answer = self._api.request("POST", f"/accounts/{account}/workers/assets/upload", params={"base64": "true"}, token=jwt, files=parts)
            done = (answer or {}).get("jwt") or done
        if done is None:
            raise Rejected(f"{script}: Cloudflare gave no completion token for {len(files)} uploaded assets")
        return sent | {"jwt": done}


def with_asset_digest(inputs: Props) -> Props:
    """``inputs`` with the digest of the assets directory, so that a changed file is a change (the real provider computes it when it plans)."""
    assets = inputs.get("assets")
    if not isinstance(assets, dict) or not isinstance(assets.get("directory"), str) or not Path(assets["directory"]).is_dir():
        return inputs
    files = _asset_files(Path(assets["directory"]))
    digest = hashlib.sha256("".join(f"{path}\n{_asset_hash(path, content)}\n" for path, content in files.items()).encode()).hexdigest()
    return {**inputs, "assets": {**assets, "assetManifestSha256": digest}}


def _asset_files(directory: Path) -> dict[str, bytes]:
    if not directory.is_dir():
        raise Rejected(f"assets.directory: {directory} is no directory; give an absolute path to the built assets")
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name not in _NOT_SERVED)
    return {"/" + path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def _asset_hash(path: str, content: bytes) -> str:
    """Any 32 hex digits that follow from content and kind; what wrangler does with BLAKE3, SHA-256 does here."""
    return hashlib.sha256(base64.b64encode(content) + Path(path).suffix.lstrip(".").encode()).hexdigest()[:32]


def _modules(inputs: Props) -> dict[str, tuple[str | None, bytes, str]]:
    main = inputs.get("mainModule") or inputs.get("bodyPart")
    content = _content(inputs)
    parts: dict[str, tuple[str | None, bytes, str]] = {}
    if content is not None:
        if not main:
            raise Rejected("one of mainModule and bodyPart must name the uploaded content")
        kind = inputs.get("contentType") or (_MODULE if inputs.get("mainModule") else _SCRIPT)
        parts[main] = (main, content, kind)
    for name, file in (inputs.get("files") or {}).items():
        data = (
            base64.b64decode(file["contentBase64"]) if file.get("contentBase64") else _file(file.get("contentFile"), file.get("contentSha256"), f"files.{name}")
        )
        parts[name] = (name, data, file["contentType"])
    return parts


def _content(inputs: Props) -> bytes | None:
    if inputs.get("content") is not None:
        return str(inputs["content"]).encode()
    return _file(inputs["contentFile"], inputs.get("contentSha256"), "contentFile") if inputs.get("contentFile") else None


def _file(path: Any, sha256: Any, field: str) -> bytes:
    """A file's content. It must be what the program saw: the digest says so."""
    try:
        content = Path(str(path)).read_bytes()
    except OSError as error:
        raise Rejected(f"{field}: {path} can't be read ({error.strerror}); give an absolute path") from error
    digest = hashlib.sha256(content).hexdigest()
    if sha256 and digest != sha256:
        raise Rejected(f"{field}: {path} has SHA-256 {digest}, the program says {sha256}; it changed in between, run the update again")
    return content


class WorkersCronTrigger:
    """``cloudflare:index/workersCronTrigger:WorkersCronTrigger``: all schedules of a script."""

    fields = frozenset({"accountId", "scriptName", "schedules"})

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, call: Call, inputs: Props) -> Made:
        result = self._api.request("PUT", self._path(inputs), json=[{"cron": entry["cron"]} for entry in inputs.get("schedules") or []])
        return self._made(result, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        account, _, name = id.partition("/")
        known = known or {"accountId": account, "scriptName": name}
        result = self._api.find(self._path(known))
        return None if not result or not result.get("schedules") else self._made(result, known)

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return self.create(call, new).outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        try:
            self._api.request("PUT", self._path(known), json=[])
        except NotFound:
            return

    @staticmethod
    def _path(inputs: Props) -> str:
        return f"/accounts/{inputs['accountId']}/workers/scripts/{inputs['scriptName']}/schedules"

    @staticmethod
    def _made(result: Props, inputs: Props) -> Made:
        there = {entry["cron"]: from_wire(entry) for entry in result["schedules"]}
        asked = [entry["cron"] for entry in inputs.get("schedules") or []]
        schedules = [there[cron] for cron in asked if cron in there] + [entry for cron, entry in there.items() if cron not in asked]
        return Made(inputs["scriptName"], {"accountId": inputs["accountId"], "scriptName": inputs["scriptName"], "schedules": schedules})


class WorkersKv:
    """``cloudflare:index/workersKv:WorkersKv``: one value; its id is the key."""

    fields = frozenset({"accountId", "namespaceId", "keyName", "value", "metadata", "expiration", "expirationTtl"})

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, call: Call, inputs: Props) -> Made:
        parts: dict[str, Any] = {"value": (None, str(inputs["value"])), "metadata": (None, str(inputs.get("metadata") or "{}"))}
        limits = {wire: inputs[name] for name, wire in (("expiration", "expiration"), ("expirationTtl", "expiration_ttl")) if inputs.get(name) is not None}
        self._api.request("PUT", self._path(inputs), params=limits, files=parts)
        return Made(inputs["keyName"], dict(inputs))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        if not known:
            parts = id.split("/", 2)
            if len(parts) < 3:
                raise Rejected(f"{id}: import it as <accountId>/<namespaceId>/<keyName>")
            known = dict(zip(("accountId", "namespaceId", "keyName"), parts, strict=True))
        value = self._api.raw(self._path(known))
        return None if value is None else Made(known["keyName"], {**known, "value": value})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return self.create(call, new).outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        try:
            self._api.request("DELETE", self._path(known))
        except NotFound:
            return

    @staticmethod
    def _path(inputs: Props) -> str:
        return f"/accounts/{inputs['accountId']}/storage/kv/namespaces/{inputs['namespaceId']}/values/{quote(str(inputs['keyName']), safe='')}"
