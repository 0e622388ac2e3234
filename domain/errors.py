"""What the domain refuses.

DomainError
├── MalformedOffer        text that is no offer id
├── UnknownCloud          no such cloud
├── UnknownRegion         a region that the catalogue doesn't list; the nearest names
├── UnknownMachine        a machine type that the catalogue doesn't list; the nearest names
├── MalformedPrice        a figure that is no price
└── MalformedDemand       needs or rules with figures that can't be; every fault
"""

from __future__ import annotations


class DomainError(ValueError):
    """Base of all; the text says what, which and what to do."""


class MalformedOffer(DomainError):
    """``text`` is no offer id."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r} is no offer id; write <cloud>/<region>/<zone>/<instance type>, such as aws/eu-west-1/eu-west-1a/m5.large")


class UnknownCloud(DomainError):
    """``cloud`` is none of ours."""

    def __init__(self, cloud: str) -> None:
        self.cloud = cloud
        super().__init__(f"there is no cloud {cloud!r}; use aws, azure or gcp")


class UnknownRegion(DomainError):
    """``cloud`` has no region ``region``; ``nearest`` holds names like it."""

    def __init__(self, cloud: str, region: str, nearest: tuple[str, ...] = ()) -> None:
        self.cloud = cloud
        self.region = region
        self.nearest = nearest
        super().__init__(f"{cloud} has no region {region!r}" + (f"; did you mean {' or '.join(nearest)}?" if nearest else "; see `spotlane prices`"))


class UnknownMachine(DomainError):
    """``cloud`` has no machine type ``name`` in the catalogue; ``nearest`` holds names like it."""

    def __init__(self, cloud: str, name: str, nearest: tuple[str, ...] = ()) -> None:
        self.cloud = cloud
        self.name = name
        self.nearest = nearest
        super().__init__(f"{cloud} has no machine type {name!r} in the catalogue" + (f"; did you mean {' or '.join(nearest)}?" if nearest else ""))


class MalformedPrice(DomainError):
    """``text`` is no price in USD."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(f"{text!r} is no price in USD; a price is a finite number above 0, and an unknown one is Unknown")


class MalformedDemand(DomainError):
    """Needs or rules of a workload hold what can't be; ``faults`` lists every one as ``field: what is wrong``."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))
