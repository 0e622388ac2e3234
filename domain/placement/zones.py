"""Of each zone the cheapest offer that a workload may use now: what :mod:`domain.placement.fleet` chooses among."""

from __future__ import annotations

import numpy as np

from domain.offers import Offer
from domain.placement.plan import Demand, ZoneRef
from domain.placement.score import USABLE, Market


def cheapest_by_zone(market: Market, demand: Demand) -> dict[ZoneRef, Offer]:
    """By spot price, of equals the first id. Monthly caps aren't asked: they bear on what is bought in the end."""
    columns = market.columns
    rows = np.flatnonzero(market.codes(demand) == USABLE)
    rows = rows[np.argsort(columns.spot[rows], kind="stable")]
    _, first = np.unique(columns.zone[rows], return_index=True)
    return {columns.offers[at].ref[:3]: columns.offers[at] for at in rows[first].tolist()}
