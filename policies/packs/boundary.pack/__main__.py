"""The policy pack ``spotlane-boundary``: serves its policies to the engine until that ends."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from policies.packs.policies import serve  # the path above comes first

serve("boundary")
