"""What each workload pays now beside on-demand. `python examples/sdk/cheapest.py`, with SPOTLANE_API_URL and SPOTLANE_API_KEY set."""

from __future__ import annotations

from spotlane.client import Client
from spotlane.errors import SpotlaneError


def main() -> int:
    try:
        for workload in Client.from_env().workloads():
            placed = workload.placement
            if placed is None:
                print(f"{workload.id}: {workload.state}")
                continue
            spot, listed = placed.quote.spot_usd_per_hour, placed.quote.on_demand_usd_per_hour
            known = spot is not None and listed is not None
            print(f"{workload.id}: {placed.offer.cloud}/{placed.offer.region}" + (f" at {spot:.4f} of {listed:.4f} USD/h" if known else ""))
    except SpotlaneError as error:
        print(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
