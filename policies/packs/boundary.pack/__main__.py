"""The policy pack ``spotlane-boundary``: serves the boundary's policies to the engine until that ends."""

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from pulumi_policy import EnforcementLevel, PolicyPack  # the path above comes first

from policies.packs.policies import POLICIES

PolicyPack(
    name="spotlane-boundary",
    display_name=f"Spotlane data boundary {version('spotlane')}",
    description="Every resource stays inside its tenant's data boundary.",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=POLICIES,
)
