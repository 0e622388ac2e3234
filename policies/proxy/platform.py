"""What the platform itself keeps: the engine's state backend and the key of its secrets provider, named by the settings that the engine reads.

They belong to no tenant, so no boundary speaks of them; without this the proxy would refuse the engine its own state. Only what the settings name is the
platform's: this bucket and no other, this key and no other, and of a key only what a secrets provider does with it.

URLs: Pulumi, "State and backends" and "Secrets handling"; their forms are gocloud.dev's (``blob`` and ``secrets``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from policies.proxy.hosts import KnownHost
from policies.proxy.request import ApiRequest, Refused

RULE = "platform"
"""What the audit calls the leave that it gives."""
_KMS_ACTIONS = frozenset({"TrentService.Encrypt", "TrentService.Decrypt", "TrentService.GenerateDataKey"})
_VAULT_ACTIONS = frozenset({"encrypt", "decrypt", "wrapkey", "unwrapkey"})
_GRPC_ACTIONS = frozenset({"encrypt", "decrypt"})


@dataclass(frozen=True, slots=True)
class Store:
    """A bucket: ``prefixes`` are paths on ``host`` below which all is the platform's; ``/`` is the whole host."""

    cloud: str
    host: str
    prefixes: tuple[str, ...]

    def holds(self, request: ApiRequest) -> bool:
        """Whether the request stays in it. A path that upstreams read in different ways doesn't."""
        if request.host != self.host:
            return False
        try:
            plain = "/" + "/".join(request.segments)
        except Refused:
            return False
        return any(prefix == "/" or plain == prefix or plain.startswith(f"{prefix}/") for prefix in self.prefixes)


@dataclass(frozen=True, slots=True)
class Key:
    """A key. ``name`` is how its service names it."""

    service: Literal["awskms", "azurekeyvault", "gcpkms", "hashivault"]
    cloud: str
    host: str
    name: str

    def does(self, request: ApiRequest) -> bool:
        """Whether the request encrypts or decrypts with it."""
        if request.host != self.host or request.method not in {"POST", "PUT"}:
            return False
        try:
            parts, action = request.segments, ""
            if self.service == "awskms":
                # AWS finds the key of what it decrypts in the ciphertext; IAM says which keys the platform's own credentials reach.
                named = request.json().get("KeyId")
                decrypts = request.headers.get("x-amz-target") == "TrentService.Decrypt"
                return request.headers.get("x-amz-target") in _KMS_ACTIONS and not parts and (named == self.name or (decrypts and named is None))
            if self.service == "gcpkms":
                path, _, action = "/".join(parts).rpartition(":")
                return path == f"v1/{self.name}" and action in _GRPC_ACTIONS
        except Refused:
            return False
        if self.service == "azurekeyvault":
            return parts[:2] == ["keys", self.name] and len(parts) in (3, 4) and parts[-1] in _VAULT_ACTIONS
        return parts[:2] == ["v1", "transit"] and parts[2:3] in (["encrypt"], ["decrypt"]) and parts[3:] == [self.name]


@dataclass(frozen=True, slots=True)
class Own:
    """All that is the platform's."""

    stores: tuple[Store, ...] = ()
    keys: tuple[Key, ...] = ()

    @property
    def hosts(self) -> frozenset[str]:
        """All hosts that it stands on."""
        return frozenset(one.host for one in self.stores) | {one.host for one in self.keys}

    def host(self, host: str) -> KnownHost | None:
        """What a host is that no cloud's list of APIs holds, but the settings name; None for others."""
        stores = (KnownHost("platform", one.cloud, "state") for one in self.stores if one.host == host)
        return next(stores, next((KnownHost("platform", one.cloud, "secrets") for one in self.keys if one.host == host), None))

    def stores_in(self, request: ApiRequest) -> bool:
        """Whether the request is one to the platform's state."""
        return any(store.holds(request) for store in self.stores)

    def uses(self, request: ApiRequest) -> bool:
        """Whether the request is one to the platform's state or with its key."""
        return self.stores_in(request) or any(key.does(request) for key in self.keys)


def own(environment: Mapping[str, str]) -> Own:
    """What ``PULUMI_BACKEND_URL`` and ``SPOTLANE_SECRETS_PROVIDER`` name. Raises ``ValueError`` for a URL that names no bucket or key."""
    backend, provider = environment.get("PULUMI_BACKEND_URL", ""), environment.get("SPOTLANE_SECRETS_PROVIDER", "")
    return Own(_stores(backend, environment), _keys(provider, environment))


def _stores(url: str, environment: Mapping[str, str]) -> tuple[Store, ...]:
    parts, asked = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
    bucket = parts.netloc
    if parts.scheme in ("", "file") or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        return ()
    if parts.scheme == "https" and parts.hostname:
        return (Store("other", parts.hostname, ("/",)),)
    if parts.scheme not in ("s3", "gs", "azblob") or not bucket:
        raise ValueError(f"PULUMI_BACKEND_URL {url!r} names no bucket that the proxy knows: s3://, gs://, azblob://, https:// or file://")
    if parts.scheme == "gs":
        paths = (f"/storage/v1/b/{bucket}", f"/upload/storage/v1/b/{bucket}", f"/resumable/upload/storage/v1/b/{bucket}", f"/{bucket}")
        return (Store("gcp", "storage.googleapis.com", paths),)
    if parts.scheme == "azblob":
        account = asked.get("storage_account") or environment.get("AZURE_STORAGE_ACCOUNT", "")
        if not account:
            raise ValueError(f"PULUMI_BACKEND_URL {url!r} names no storage account: add storage_account=NAME, or set AZURE_STORAGE_ACCOUNT")
        return (Store("azure", f"{account}.blob.core.windows.net", (f"/{bucket}",)),)
    if endpoint := asked.get("endpoint"):
        name = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or ""
        cloud = "cloudflare" if name.endswith(".r2.cloudflarestorage.com") else "other"
        return (Store(cloud, name, (f"/{bucket}",)), Store(cloud, f"{bucket}.{name}", ("/",)))
    region = asked.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise ValueError(f"PULUMI_BACKEND_URL {url!r} names no region: add region=NAME, or set AWS_REGION")
    return (Store("aws", f"s3.{region}.amazonaws.com", (f"/{bucket}",)), Store("aws", f"{bucket}.s3.{region}.amazonaws.com", ("/",)))


def _keys(url: str, environment: Mapping[str, str]) -> tuple[Key, ...]:
    parts, asked = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
    name = f"{parts.netloc}{parts.path}"
    match parts.scheme:
        case "" if url in ("", "passphrase", "default"):
            return ()
        case "awskms" if name.strip("/"):
            key = name.strip("/")
            of_arn = key.split(":")[3] if key.startswith("arn:") and key.count(":") >= 5 else ""
            if region := asked.get("region") or of_arn or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"):
                return (Key("awskms", "aws", f"kms.{region}.amazonaws.com", key),)
            raise ValueError(f"SPOTLANE_SECRETS_PROVIDER {url!r} names no region: add region=NAME, or set AWS_REGION")
        case "gcpkms" if name.startswith("projects/"):
            return (Key("gcpkms", "gcp", "cloudkms.googleapis.com", name),)
        case "azurekeyvault" if parts.path.startswith("/keys/"):
            return (Key("azurekeyvault", "azure", parts.netloc, parts.path.split("/")[2]),)
        case "hashivault" if name and (vault := urlsplit(environment.get("VAULT_ADDR", ""))).hostname:
            return (Key("hashivault", "other", str(vault.hostname), name),)
    known = "awskms://, azurekeyvault://, gcpkms://, or hashivault:// with VAULT_ADDR"
    raise ValueError(f"SPOTLANE_SECRETS_PROVIDER {url!r} names no key that the proxy knows: {known}")
