"""What each rule asks under one boundary, in sentences: for people who read a boundary, not for deciding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from domain.boundary.model import Boundary, ExemptibleRule, Residency


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule's standing. ``asks`` is None where the boundary asks nothing; ``exemptible``: whether an exemption may leave it out."""

    rule: str
    asks: str | None
    exemptible: bool


def standing(boundary: Boundary) -> tuple[Standing, ...]:
    """Every rule, in the order in which people should hear of them: where, whose, how, how much."""
    return tuple(Standing(rule, asks(boundary), rule in get_args(ExemptibleRule)) for rule, asks in _RULES)


def _residency(of: Residency) -> str | None:
    parts = [
        ("the jurisdiction of", of.regimes),
        ("a country of", of.countries),
        ("a region of", of.regions),
    ]
    asked = "; ".join(f"{what} {', '.join(values)}" for what, values in parts if values)
    beside = "; ".join(f"{what} {', '.join(values)}" for what, values in (("also in", of.allow), ("never in", of.deny)) if values)
    return f"data stays in {asked or 'any region'}{f'; {beside}' if beside else ''}" if asked or beside else None


def _replication(boundary: Boundary) -> str | None:
    wanted = boundary.residency.replication
    return {"inside": "copies stay inside the boundary", "domestic": "copies stay in the original's country", "none": "no copy goes to another region"}[wanted]


def _data_class(boundary: Boundary) -> str | None:
    narrowed = [f"{name}: {_residency(of) or 'as the boundary'}" for name, of in sorted(boundary.data_classes.items())]
    return "; ".join(narrowed) or None


def _cloud(boundary: Boundary) -> str:
    return f"only {', '.join(boundary.clouds)}, in the partitions {', '.join(boundary.partitions)}"


def _account(boundary: Boundary) -> str:
    named = "; ".join(f"{cloud} {', '.join(accounts)}" for cloud, accounts in sorted(boundary.accounts.items()))
    return f"only the tenant's own accounts{f': {named}' if named else ''}"


def _encryption(boundary: Boundary) -> str | None:
    wants = boundary.encryption
    if wants.customer_keys:
        return "disks are encrypted by the customer's keys"
    return "disks are encrypted" if wants.disks else None


def _network(boundary: Boundary) -> str | None:
    wants = boundary.network
    asked = [
        {"any": "", "relay": "public addresses on relays only", "none": "no public address"}[wants.public_addresses],
        "" if wants.open_ingress else "no firewall admits the whole internet",
        "" if wants.open_egress else "no firewall lets machines reach the whole internet",
    ]
    return "; ".join(filter(None, asked)) or None


def _tags(boundary: Boundary) -> str | None:
    return f"what can be tagged carries {', '.join(boundary.required_tags)}" if boundary.required_tags else None


def _price_cap(boundary: Boundary) -> str | None:
    cap = boundary.spend.usd_per_hour
    return None if cap is None else f"no machine costs more than ${cap:,.4f} an hour"


def _month_cap(boundary: Boundary) -> str | None:
    cap = boundary.spend.usd_per_month
    return None if cap is None else f"all machines together cost no more than ${cap:,.2f} a month"


_RULES: tuple[tuple[str, Callable[[Boundary], str | None]], ...] = (
    ("residency", lambda boundary: _residency(boundary.residency)),
    ("replication", _replication),
    ("data-class", _data_class),
    ("cloud", _cloud),
    ("account", _account),
    ("spot", lambda boundary: "every machine is a spot machine" if boundary.spot_only else None),
    ("encryption", _encryption),
    ("network", _network),
    ("instance-metadata", lambda boundary: "AWS machines answer metadata to session tokens only" if boundary.network.instance_metadata_v2 else None),
    ("tags", _tags),
    ("price-cap", _price_cap),
    ("month-cap", _month_cap),
)
