"""The form of a recording of prices: one parquet file, a row a change, by whom it was written and by whom it is replayed.

A row holds from its ``timestamp`` (UTC) on until the next of the same pool (cloud, region, zone, instance type). A null spot price says that the pool is
not sold; a null on-demand price that nobody told it. ``zone`` is "-" where a cloud prices by region. Prices are USD/h for Linux, above 0.
"""

from __future__ import annotations

COLUMNS = ("cloud", "region", "zone", "instance_type", "timestamp", "spot_usd_h", "on_demand_usd_h")
"""What every recording has, in this order."""
NOTES = ("interruptions_per_hour", "source")
"""What our own recordings tell as well: the rate known then (null: unknown), and the feed that told the price."""
