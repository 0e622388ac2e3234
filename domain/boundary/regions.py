"""Public regions of AWS, Azure and GCP: country, partition and the jurisdictions that follow from them.

A region that isn't listed here is denied everywhere. Sources: botocore's ``endpoints.json`` (1.44) and the region enum of pulumi-aws 7.51 for AWS; Azure
Resource Manager's ``locations`` list, Azure Government's and 21Vianet's pages for Azure; Google's locations page and the Compute API's region list for GCP.
Decisions are by country, never by coordinates: vendors publish wrong ones. Classified, canary, pre-launch and logical regions are left out on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

# cloud and partition, then country (ISO 3166-1) and its regions
_TABLE = """
aws aws
  AE me-central-1
  AU ap-southeast-2 ap-southeast-4
  BH me-south-1
  BR sa-east-1
  CA ca-central-1 ca-west-1
  CH eu-central-2
  DE eu-central-1
  ES eu-south-2
  FR eu-west-3
  GB eu-west-2
  HK ap-east-1
  ID ap-southeast-3
  IE eu-west-1
  IL il-central-1
  IN ap-south-1 ap-south-2
  IT eu-south-1
  JP ap-northeast-1 ap-northeast-3
  KR ap-northeast-2
  MX mx-central-1
  MY ap-southeast-5
  NZ ap-southeast-6
  SE eu-north-1
  SG ap-southeast-1
  TH ap-southeast-7
  TW ap-east-2
  US us-east-1 us-east-2 us-west-1 us-west-2
  ZA af-south-1
aws aws-cn
  CN cn-north-1 cn-northwest-1
aws aws-us-gov
  US us-gov-east-1 us-gov-west-1
aws aws-eusc
  DE eusc-de-east-1
azure AzureCloud
  AE uaecentral uaenorth
  AT austriaeast
  AU australiacentral australiacentral2 australiaeast australiasoutheast
  BE belgiumcentral
  BR brazilsouth brazilsoutheast
  CA canadacentral canadaeast
  CH switzerlandnorth switzerlandwest
  CL chilecentral
  DE germanynorth germanywestcentral
  DK denmarkeast
  ES spaincentral
  FR francecentral francesouth
  GB uksouth ukwest
  HK eastasia
  ID indonesiacentral
  IE northeurope
  IL israelcentral
  IN centralindia jioindiacentral jioindiawest southindia westindia
  IT italynorth
  JP japaneast japanwest
  KR koreacentral koreasouth
  MX mexicocentral
  MY malaysiawest
  NL westeurope
  NO norwayeast norwaywest
  NZ newzealandnorth
  PL polandcentral
  QA qatarcentral
  SE swedencentral
  SG southeastasia
  US centralus eastus eastus2 northcentralus southcentralus westcentralus westus westus2 westus3
  ZA southafricanorth southafricawest
azure AzureUSGovernment
  US usdodcentral usdodeast usgovarizona usgovtexas usgovvirginia
azure AzureChinaCloud
  CN chinaeast chinaeast2 chinaeast3 chinanorth chinanorth2 chinanorth3
gcp google
  AU australia-southeast1 australia-southeast2
  BE europe-west1
  BR southamerica-east1
  CA northamerica-northeast1 northamerica-northeast2
  CH europe-west6
  CL southamerica-west1
  DE europe-west10 europe-west3
  ES europe-southwest1
  FI europe-north1
  FR europe-west9
  GB europe-west2
  HK asia-east2
  ID asia-southeast2
  IL me-west1
  IN asia-south1 asia-south2
  IT europe-west12 europe-west8
  JP asia-northeast1 asia-northeast2
  KR asia-northeast3
  MX northamerica-south1
  NL europe-west4
  PL europe-central2
  QA me-central1
  SA me-central2
  SE europe-north2
  SG asia-southeast1
  TW asia-east1
  US us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
  ZA africa-south1
"""

# fmt: off
EU = frozenset([
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
])
# fmt: on
EEA = EU | {"IS", "LI", "NO"}
ADEQUATE = EEA | {"GB", "CH", "JP", "KR", "CA", "IL", "NZ"}
"""EEA and the countries with a decision under article 45 GDPR that host a public region (Canada: commercial organisations). The US is left out: its
decision covers self-certified companies, not a country."""

_BY_COUNTRY: dict[str, tuple[str, ...]] = {
    "AU": ("au",),
    "BR": ("br",),
    "CA": ("ca",),
    "CH": ("ch",),
    "CN": ("cn-mainland",),
    "GB": ("uk",),
    "HK": ("hk",),
    "IN": ("in",),
    "JP": ("jp",),
    "KR": ("kr",),
    "NZ": ("nz",),
    "SG": ("sg",),
    "TW": ("tw",),
    "US": ("us",),
}
_BY_PARTITION: dict[str, tuple[str, ...]] = {
    "aws-us-gov": ("us-gov", "fedramp-high", "itar", "cjis"),
    "aws-eusc": ("eu-sovereign",),
    "AzureUSGovernment": ("us-gov", "fedramp-high", "itar", "cjis"),
}
_DOD = frozenset({"usdodeast", "usdodcentral"})
# Google's Assured Workloads page: us-east5 and us-south1 are not among them.
_GCP_ASSURED = frozenset(["us-central1", "us-east1", "us-east4", "us-west1", "us-west2", "us-west3", "us-west4"])

# Azure copies geo-redundant data to a region's pair (``metadata.pairedRegion`` of Resource Manager's locations list). Five pairs leave the country.
_AZURE_PAIRS = """
australiacentral>australiacentral2 australiacentral2>australiacentral australiaeast>australiasoutheast australiasoutheast>australiaeast
brazilsouth>southcentralus brazilsoutheast>brazilsouth canadacentral>canadaeast canadaeast>canadacentral centralindia>southindia centralus>eastus2
eastasia>southeastasia eastus>westus eastus2>centralus francecentral>francesouth francesouth>francecentral germanynorth>germanywestcentral
germanywestcentral>germanynorth japaneast>japanwest japanwest>japaneast jioindiacentral>jioindiawest jioindiawest>jioindiacentral
koreacentral>koreasouth koreasouth>koreacentral northcentralus>southcentralus northeurope>westeurope norwayeast>norwaywest norwaywest>norwayeast
southafricanorth>southafricawest southafricawest>southafricanorth southcentralus>northcentralus southeastasia>eastasia southindia>centralindia
swedencentral>swedensouth switzerlandnorth>switzerlandwest switzerlandwest>switzerlandnorth uaecentral>uaenorth uaenorth>uaecentral uksouth>ukwest
ukwest>uksouth westcentralus>westus2 westeurope>northeurope westindia>southindia westus>eastus westus2>westcentralus westus3>eastus
"""
_PAIR_OF: dict[str, str] = dict(pair.split(">") for pair in _AZURE_PAIRS.split())

PUBLIC_PARTITIONS: tuple[str, ...] = ("aws", "AzureCloud", "google")
"""What an ordinary account reaches; every other partition needs accounts of its own."""


@dataclass(frozen=True, slots=True)
class Region:
    """One public region. ``country`` is ISO 3166-1 alpha-2; ``jurisdictions`` are the words that a boundary's regimes are checked against."""

    cloud: str
    name: str
    country: str
    partition: str
    jurisdictions: frozenset[str]

    @property
    def key(self) -> str:
        """``<cloud>/<region>``."""
        return f"{self.cloud}/{self.name}"


def _jurisdictions(cloud: str, partition: str, country: str, name: str) -> frozenset[str]:
    words = {word for word, members in (("eu", EU), ("eea", EEA), ("gdpr-strict", EEA), ("gdpr-adequate", ADEQUATE)) if country in members}
    words.update(_BY_COUNTRY.get(country, ()))
    if name in _DOD:
        words.update(("us-gov", "us-dod", "itar"))
    else:
        words.update(_BY_PARTITION.get(partition, ()))
    if cloud == "gcp" and name in _GCP_ASSURED:
        words.update(("us-gov-aw", "fedramp-high", "itar", "cjis"))
    return frozenset(words)


def _parse(table: str) -> Iterator[Region]:
    cloud = partition = ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            cloud, partition = line.split()
            continue
        country, *names = line.split()
        for name in names:
            yield Region(cloud, name, country, partition, _jurisdictions(cloud, partition, country, name))


@cache
def partitions() -> frozenset[str]:
    """Every listed partition."""
    return frozenset(region.partition for region in regions().values())


@cache
def regions() -> dict[tuple[str, str], Region]:
    """Every listed region by ``(cloud, name)``."""
    return {(region.cloud, region.name): region for region in _parse(_TABLE)}


def find(cloud: str, name: str) -> Region | None:
    """The region, or None when it isn't listed. Azure's display form ("West Europe") and any letter case are understood."""
    return regions().get((cloud, normalise(cloud, name)))


def paired(cloud: str, name: str) -> str | None:
    """The region to which the cloud copies geo-redundant data of ``name`` by itself, or None where it has no pair."""
    return _PAIR_OF.get(normalise(cloud, name)) if cloud == "azure" else None


def normalise(cloud: str, name: str) -> str:
    """The name as the table has it: lower case, Azure without spaces."""
    lowered = name.strip().lower()
    return lowered.replace(" ", "") if cloud == "azure" else lowered


_GCP_ZONE = re.compile(r"^([a-z]+-[a-z]+[0-9]+)-[a-z]$")
_AWS_ZONE = re.compile(r"^([a-z]{2,4}(?:-[a-z]+)+-[0-9]+)[a-z]$")


def of_zone(cloud: str, zone: str) -> str:
    """The region of a zone's name (``eu-west-1a``, ``europe-west1-b``); a name in no zone's form comes back unchanged. Azure's zones are numbers."""
    form = {"aws": _AWS_ZONE, "gcp": _GCP_ZONE}.get(cloud)
    match = form.match(zone) if form else None
    return match.group(1) if match else zone
