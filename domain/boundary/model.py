"""The boundary document: where and how one tenant's workloads may run. YAML or JSON, camelCase; it demands nothing that it doesn't say.

Example::

    name: acme-eu
    version: 1
    residency: {regimes: [gdpr]}
    spotOnly: true
    encryption: {disks: true}
    exemptions:
      - {rule: tags, resource: "legacy-*", owner: ops@acme.example, reason: migrating, expires: 2027-01-31}
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

Cloud = Literal["aws", "azure", "gcp"]
CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp")

Regime = Literal[
    "gdpr", "gdpr-strict", "gdpr-adequate", "eu", "eea", "eu-sovereign", "uk", "ch", "us", "us-gov", "us-gov-aw", "us-dod",
    "fedramp-high", "itar", "cjis", "ca", "au", "br", "in", "jp", "kr", "nz", "sg", "hk", "tw", "cn-mainland",
]  # fmt: skip
"""``gdpr`` is read strictly: a country of the EEA. The legal reading of every regime is the customer's to confirm."""

ExemptibleRule = Literal["encryption", "network", "spot", "tags", "instance-metadata"]
"""Residency, cloud and account can't be exempted: a region is admitted by ``residency.allow``, so that placement, pack and proxy stay of one mind."""


class BoundaryDocumentError(ValueError):
    """A boundary document is wrong. ``faults`` lists every one as ``path: what is wrong``."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("boundary: " + "; ".join(faults))


def _set(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


_PLACE = re.compile(r"^(?:[A-Z]{2}|(?:(?:aws|azure|gcp|\*)/)?[a-z0-9*?-]+)$")


def _places(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _PLACE.match(value):
            raise ValueError(f"{value!r} is neither a country (DE) nor a region pattern (eu-west-1, aws/eu-*)")
    return _set(values)


def _end_of_day(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        value = date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(23, 59, 59), UTC)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


Words = Annotated[tuple[str, ...], AfterValidator(_set)]
Places = Annotated[tuple[str, ...], AfterValidator(_places)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Moment = Annotated[datetime, BeforeValidator(_end_of_day)]


class Document(BaseModel):
    """Base of the document's parts: camelCase, unknown fields refused, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Residency(Document):
    """Where data may be. A region must satisfy every regime, and the countries and regions where any are given."""

    regimes: Annotated[tuple[Regime, ...], AfterValidator(_set)] = ()
    countries: Annotated[tuple[Country, ...], AfterValidator(_set)] = ()
    """ISO 3166-1 alpha-2; empty: any."""
    regions: Places = ()
    """Patterns ``region`` or ``cloud/region`` with ``*``, or countries; empty: any."""
    allow: Places = ()
    """Admitted although a regime, country or region above excludes them."""
    deny: Places = ()
    """Refused whatever else admits them."""


class Encryption(Document):
    """How disks are encrypted."""

    disks: bool = False
    """Every disk is encrypted. Azure and GCP always do; AWS where the disk asks for it."""
    customer_keys: bool = False
    """Disks are encrypted by keys of the customer."""


class Network(Document):
    """How machines are reached."""

    public_addresses: Literal["any", "relay", "none"] = "any"
    """``relay``: on the shared relays only; ``none``: nowhere."""
    open_ingress: bool = True
    """Whether a firewall may admit the whole internet."""
    instance_metadata_v2: bool = False
    """AWS: metadata answers session tokens only (IMDSv2), so that a forged request from inside can't fetch credentials."""


class Spend(Document):
    """Caps in USD, kept by placement."""

    usd_per_hour: float | None = Field(default=None, gt=0)
    """Of one machine."""
    usd_per_month: float | None = Field(default=None, gt=0)
    """Of the tenant, 30 days."""


class Exemption(Document):
    """One rule left out for some resources, by a named owner, until a date (its end, UTC)."""

    rule: ExemptibleRule
    resource: str = Field(min_length=1)
    """Pattern with ``*`` on the resource's name or id."""
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    expires: Moment


class Boundary(Document):
    """A tenant's boundary. See the module for an example."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")
    version: int = Field(default=1, ge=1)
    residency: Residency = Field(default_factory=Residency)
    clouds: Annotated[tuple[Cloud, ...], AfterValidator(_set)] = Field(default=CLOUDS, min_length=1)
    partitions: Words = ("AzureCloud", "aws", "google")
    """AWS partitions, Azure clouds, ``google``. Government and China partitions need accounts of their own, so they are named here on purpose."""
    encryption: Encryption = Field(default_factory=Encryption)
    network: Network = Field(default_factory=Network)
    spot_only: bool = False
    required_tags: Words = ()
    """Tag (GCP: label) keys, compared without case."""
    data_classes: dict[str, Residency] = Field(default_factory=dict)
    """Further residency by a workload's data class; both hold."""
    spend: Spend = Field(default_factory=Spend)
    exemptions: tuple[Exemption, ...] = ()

    def canonical(self) -> str:
        """The document as canonical JSON: every field, sorted keys, no spaces."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """``sha256:<hex>`` of the canonical JSON: two documents that say the same have the same digest."""
        return "sha256:" + hashlib.sha256(self.canonical().encode()).hexdigest()


def load(document: Any) -> Boundary:
    """The boundary of a decoded document. Raises :class:`BoundaryDocumentError` with every fault and its path."""
    if not isinstance(document, dict):
        raise BoundaryDocumentError([f"document: expected a mapping, got {type(document).__name__}"])
    try:
        return Boundary.model_validate(document)
    except ValidationError as error:
        raise BoundaryDocumentError([_path(fault["loc"]) + ": " + fault["msg"] for fault in error.errors()]) from error


def parse(text: str) -> Boundary:
    """The boundary of YAML or JSON text. Raises :class:`BoundaryDocumentError`; a syntax error names its line."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        raise BoundaryDocumentError([f"{where}: {getattr(error, 'problem', None) or 'not YAML'}"]) from error
    return load(document)


def json_schema() -> dict[str, Any]:
    """The document's JSON Schema (2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Boundary.model_json_schema(by_alias=True)}


def _path(parts: tuple[int | str, ...]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "document"
