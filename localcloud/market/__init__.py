"""The market of the local cloud: a seeded model or a recording, served through the real wire formats."""

from localcloud.market.market import Market, MarketSettings, Reclaim

__all__ = ["Market", "MarketSettings", "Reclaim"]
