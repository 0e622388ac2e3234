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
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from domain.boundary.regions import Region, partitions, regions

Cloud = Literal["aws", "azure", "gcp"]
CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp")

Regime = Literal[
    "gdpr", "gdpr-strict", "gdpr-adequate", "eu", "eea", "eu-sovereign", "uk", "ch", "us", "us-gov", "us-gov-aw", "us-dod",
    "fedramp-high", "itar", "cjis", "ca", "au", "br", "in", "jp", "kr", "nz", "sg", "hk", "tw", "cn-mainland",
]  # fmt: skip
"""``gdpr`` is read strictly: a country of the EEA. The legal reading of every regime is the customer's to confirm."""

ExemptibleRule = Literal["residency", "replication", "encryption", "network", "spot", "tags", "instance-metadata"]
"""Cloud and account can't be exempted: nothing of a boundary holds in a cloud or an account that isn't the tenant's."""


PLACE_RULES = frozenset({"residency", "replication"})


def place_matches(region: Region, pattern: str) -> bool:
    """Whether a place of a document, a country (``DE``) or a pattern (``eu-west-1``, ``aws/eu-*``), is the region's."""
    if pattern.isupper():
        return pattern == region.country
    return fnmatchcase(region.key if "/" in pattern else region.name, pattern)


class BoundaryDocumentError(ValueError):
    """A boundary document is wrong. ``faults`` lists every one as ``path: what is wrong``."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("boundary: " + "; ".join(faults))


def _set(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _named(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not any(place_matches(region, value) for region in regions().values()):
            raise ValueError(f"{value!r} matches no listed region; check its spelling")
    return values


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
ListedPlaces = Annotated[tuple[str, ...], AfterValidator(_places), AfterValidator(_named)]
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
    regions: ListedPlaces = ()
    """Patterns ``region`` or ``cloud/region`` with ``*``, or countries; empty: any."""
    allow: ListedPlaces = ()
    """Admitted although a regime, country or region above excludes them."""
    deny: Places = ()
    """Refused whatever else admits them."""
    replication: Literal["inside", "domestic", "none"] = "inside"
    """Where copies may go, by replicas, backups and the clouds' own region pairs: ``inside`` the boundary; ``domestic``: inside it and in the country of
    the original; ``none``: to no other region."""

    @model_validator(mode="after")
    def _of_one_mind(self) -> Self:
        if both := sorted(set(self.allow) & set(self.deny)):
            raise ValueError(f"{', '.join(both)} stands in allow and in deny")
        return self


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
    open_egress: bool = True
    """Whether a firewall may let machines reach the whole internet. A rule that names its destinations is always fine."""
    instance_metadata_v2: bool = False
    """AWS: metadata answers session tokens only (IMDSv2), so that a forged request from inside can't fetch credentials."""


class Spend(Document):
    """Caps in USD, kept by placement."""

    usd_per_hour: float | None = Field(default=None, gt=0)
    """Of one machine."""
    usd_per_month: float | None = Field(default=None, gt=0)
    """Of all the tenant's machines, in a calendar month (UTC)."""


class Exemption(Document):
    """One rule left out for some resources or places, by a named owner, until a date (its end, UTC).

    Placement knows regions and no names, so an exemption from ``residency`` or ``replication`` names regions only; every other one names the resources, by
    what the cloud calls them: name, Name tag or id.
    """

    rule: ExemptibleRule
    resource: str = "*"
    """Pattern with ``*`` on the resource's name, Name tag or id."""
    clouds: Annotated[tuple[Cloud, ...], AfterValidator(_set)] = ()
    """Empty: any."""
    regions: ListedPlaces = ()
    """Patterns as in ``residency.regions``; empty: any."""
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    expires: Moment

    @model_validator(mode="after")
    def _scoped(self) -> Self:
        if self.rule in PLACE_RULES:
            if not self.regions or self.resource != "*":
                raise ValueError(f"an exemption from {self.rule} names regions and no resource: placement, pack and proxy must all see what it covers")
        elif self.resource.strip("*?") == "":
            raise ValueError("resource: name the resources (a pattern that isn't only *)")
        return self

    def covers_region(self, region: Region) -> bool:
        """Whether the exemption's clouds and regions include ``region``."""
        return (not self.clouds or region.cloud in self.clouds) and (not self.regions or any(place_matches(region, pattern) for pattern in self.regions))


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
    accounts: dict[Cloud, Words] = Field(default_factory=dict)
    """The tenant's accounts by cloud, where the boundary names them: no other account of that cloud is the tenant's, whatever else says so."""
    required_tags: Words = ()
    """Tag (GCP: label) keys, compared without case."""
    data_classes: dict[str, Residency] = Field(default_factory=dict)
    """Further residency by a workload's data class; both hold."""
    spend: Spend = Field(default_factory=Spend)
    exemptions: tuple[Exemption, ...] = ()

    @model_validator(mode="after")
    def _partitions_exist(self) -> Self:
        if strange := sorted(set(self.partitions) - partitions()):
            raise ValueError(f"partitions: {', '.join(strange)} is none of {', '.join(sorted(partitions()))}")
        return self

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
