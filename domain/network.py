"""What the clouds charge for data that leaves: USD per GiB by origin, the providers' public list prices of the first paid tier.

Sources: EC2 on-demand pricing "Data transfer", Azure "Bandwidth pricing", Google Cloud "Network pricing" (premium tier), as listed in 2022-2024. The
smallest volume's tier is taken, so that a move is never thought cheaper than it is. A GB of these lists is billed as a GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.catalog import CATALOG, Area, Catalog, CloudName

ZONE = {"aws": 0.02, "azure": 0.0, "gcp": 0.01}
"""Between zones of one region: AWS bills 0.01 on each side, Google 0.01, Azure nothing since 2024."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """USD per GiB: to another region of the same area, to another area of the same cloud, to the internet (users, other clouds)."""

    area: float
    world: float
    internet: float


TARIFFS: dict[tuple[CloudName, Area], Tariff] = {
    ("aws", "na"): Tariff(0.02, 0.02, 0.09),
    ("aws", "eu"): Tariff(0.02, 0.02, 0.09),
    ("aws", "ap"): Tariff(0.09, 0.09, 0.117),
    ("aws", "oc"): Tariff(0.098, 0.098, 0.114),
    ("aws", "sa"): Tariff(0.138, 0.138, 0.15),
    ("aws", "me"): Tariff(0.1105, 0.1105, 0.117),
    ("aws", "af"): Tariff(0.147, 0.147, 0.154),
    ("azure", "na"): Tariff(0.02, 0.05, 0.0875),
    ("azure", "eu"): Tariff(0.02, 0.05, 0.0875),
    ("azure", "ap"): Tariff(0.08, 0.08, 0.12),
    ("azure", "oc"): Tariff(0.08, 0.08, 0.12),
    ("azure", "sa"): Tariff(0.16, 0.16, 0.181),
    ("azure", "me"): Tariff(0.08, 0.08, 0.12),
    ("azure", "af"): Tariff(0.08, 0.08, 0.12),
    ("gcp", "na"): Tariff(0.02, 0.08, 0.12),
    ("gcp", "eu"): Tariff(0.02, 0.08, 0.12),
    ("gcp", "ap"): Tariff(0.05, 0.08, 0.12),
    ("gcp", "oc"): Tariff(0.08, 0.15, 0.19),
    ("gcp", "sa"): Tariff(0.08, 0.08, 0.12),
    ("gcp", "me"): Tariff(0.08, 0.08, 0.12),
    ("gcp", "af"): Tariff(0.08, 0.08, 0.12),
}

DEAREST = Tariff(0.16, 0.16, 0.19)
"""For a region that the catalogue doesn't list: the dearest of the lists, so that nothing moves there by mistake."""


def tariff(cloud: str, region: str, catalog: Catalog = CATALOG) -> Tariff:
    """What data leaving ``region`` costs."""
    if not catalog.has_region(cloud, region):
        return DEAREST
    place = catalog.region(cloud, region)
    return TARIFFS[place.cloud, place.area]


def transfer(origin: tuple[str, str, str], target: tuple[str, str, str], catalog: Catalog = CATALOG) -> float:
    """USD per GiB from ``origin`` to ``target``, each ``(cloud, region, zone)``."""
    if origin == target:
        return 0.0
    if origin[:2] == target[:2]:
        return ZONE[origin[0]]
    leaving = tariff(origin[0], origin[1], catalog)
    if origin[0] != target[0]:
        return leaving.internet
    known = catalog.has_region(origin[0], origin[1]) and catalog.has_region(target[0], target[1])
    same_area = known and catalog.region(origin[0], origin[1]).area == catalog.region(target[0], target[1]).area
    return leaving.area if same_area else leaving.world


class Tariffs(Protocol):
    """What data costs on its way, in USD per GiB; pure, so that a plan depends on nothing else."""

    def internet(self, cloud: str, region: str) -> float:
        """From a region to users."""
        ...

    def transfer(self, origin: tuple[str, str, str], target: tuple[str, str, str]) -> float:
        """From ``origin`` to ``target``, each ``(cloud, region, zone)``; 0 where both are the same."""
        ...


@dataclass(frozen=True, slots=True)
class ListTariffs:
    """The providers' list prices, times ``factor`` (a negotiated discount is below 1)."""

    catalog: Catalog = CATALOG
    factor: float = 1.0

    def internet(self, cloud: str, region: str) -> float:
        return self.factor * tariff(cloud, region, self.catalog).internet

    def transfer(self, origin: tuple[str, str, str], target: tuple[str, str, str]) -> float:
        return self.factor * transfer(origin, target, self.catalog)


LIST_PRICES = ListTariffs()
