"""What real markets measured, and the model is calibrated to.

Prices are the providers' public list prices on demand (USD/h, Linux, home region: us-east-1, eastus, us-central1). Region tables give ``name
on-demand/spot``: the on-demand price relative to the home region, and spot to on-demand, of which a family has its multiple (``FAMILY_SPOT``); one
asterisk marks what nobody measured and is taken from its neighbours. AWS: means of the year 2023, over nine families. GCP: May to December 2023, over
N2 and E2. Azure in the United States: December 2023; elsewhere its D-series stood near 0.26 of on demand in September 2025.

Deviations are of log prices, and AWS's by analysis of variance of the same year: how far regions, families, types and zones lie apart for good, and how
far each of them swings by itself. ``MEASURED`` is what the whole must look like; tests hold the model to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.market.swings import Band

AWS_CHANGES_PER_DAY = 2.28
"""Of which 1.77 are seen by who looks every six hours."""
AWS_TREMBLE = 0.0012
"""Deviation of the noise of a single change."""
AWS_APART = {"type": 0.05, "region's type": 0.055, "pool": 0.05}
"""Deviation of the log price by which things of a kind lie apart for good."""
AWS_SWINGS = {"market": 0.065, "region": 0.088, "family": 0.05, "region's family": 0.06, "region's type": 0.072, "pool": 0.065}
"""Deviation of the log price of each kind's slow swings."""
AWS_BANDS = (Band(0.9, 200.0, 520.0), Band(0.1, 60.0, 140.0))
"""A year's swing, so that prices a month apart correlate by 0.6 and two months apart hardly."""
GCP_CHANGES_PER_MONTH = 0.30
GCP_FACTOR = 0.11
"""Deviation of the ratio that a month's start sets: steps of 13 %."""
GCP_RATIOS = (0.09, 0.40)
"""Google's spot prices lie 60 to 91 % below those on demand."""
AZURE_CHANGES_PER_MONTH = 0.50
AZURE_FACTOR = 0.18
OWN_RATIO = {"aws": 0.045, "azure": 0.2, "gcp": 0.21}
"""Deviation of a region's family from what region and family make of its ratio."""

AWS_USD_PER_VCPU = {"m5": 0.048, "m6i": 0.048, "m6g": 0.0385, "m7g": 0.0408, "c5": 0.0425, "c6i": 0.0425, "r5": 0.063, "r6i": 0.063}
AWS_USD = {"t3.medium": 0.0416, "t3.large": 0.0832, "t3.xlarge": 0.1664, "t3.2xlarge": 0.3328, "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752}
AZURE_USD_PER_VCPU = {"Dsv5": 0.048, "Dasv5": 0.043, "Dpsv5": 0.0385, "Esv5": 0.063, "FSv2": 0.0423, "NCasT4_v3": 0.1315}
GCP_USD_PER_CORE_AND_GIB = {
    "n2": (0.031611, 0.004237),
    "n2d": (0.027502, 0.003686),
    "e2": (0.02181159, 0.00292353),
    "c3": (0.03398, 0.00456),
    "t2a": (0.02549, 0.00325),
}

FAMILY_SPOT = {
    # Spot to on demand of a family, relative to its cloud's middle. m7g as m6g, n2d as T2D, c3 as the middle.
    "c5": 1.085, "c6i": 1.118, "t3": 1.015, "m5": 1.0, "m6i": 1.036, "m6g": 1.203, "m7g": 1.2, "r5": 0.837, "r6i": 0.834, "g4dn": 0.941,
    "n2": 1.08, "e2": 1.3, "n2d": 0.93, "c3": 1.0, "t2a": 1.37,
}  # fmt: skip

_AWS = """
us-east-1 1.00/.518; us-east-2 1.00/.339; us-west-1 1.18/.340; us-west-2 1.00/.492; ca-central-1 1.11/.319; ca-west-1 1.11/.32*;
mx-central-1 1.10/.33*; sa-east-1 1.59/.30*; eu-west-1 1.12/.465; eu-west-2 1.16/.387; eu-west-3 1.17/.314; eu-central-1 1.20/.374;
eu-central-2 1.31/.33*; eu-north-1 1.06/.297; eu-south-1 1.17/.278; eu-south-2 1.12/.30*; ap-northeast-1 1.29/.319; ap-northeast-2 1.23/.313;
ap-northeast-3 1.29/.280; ap-south-1 1.05/.376; ap-south-2 1.05/.36*; ap-southeast-1 1.25/.422; ap-southeast-2 1.25/.336; ap-southeast-3 1.25/.270;
ap-southeast-4 1.25/.33*; ap-southeast-5 1.15/.33*; ap-southeast-6 1.28/.33*; ap-southeast-7 1.15/.33*; ap-east-1 1.38/.278; ap-east-2 1.25/.33*;
af-south-1 1.32/.290; il-central-1 1.20/.32*; me-central-1 1.22/.284; me-south-1 1.22/.282
"""
_AZURE = """
eastus 1.00/.105; eastus2 1.00/.128; centralus 1.13/.10; northcentralus 1.00/.11; southcentralus 1.20/.105; westcentralus 1.20/.10; westus 1.18/.10;
westus2 1.00/.10; westus3 1.00/.10; canadacentral 1.11/.26*; canadaeast 1.11/.26*; mexicocentral 1.15/.26*; brazilsouth 1.70/.26*;
chilecentral 1.50/.26*; northeurope 1.12/.26; westeurope 1.25/.28*; uksouth 1.17/.28*; ukwest 1.17/.26*; francecentral 1.17/.26*;
germanywestcentral 1.25/.26*; italynorth 1.17/.24*; spaincentral 1.17/.24*; polandcentral 1.25/.24*; swedencentral 1.06/.22*;
switzerlandnorth 1.35/.26*; norwayeast 1.20/.24*; austriaeast 1.25/.26*; belgiumcentral 1.25/.26*; denmarkeast 1.20/.24*; australiaeast 1.30/.31*;
australiasoutheast 1.30/.29*; newzealandnorth 1.35/.29*; japaneast 1.35/.29*; japanwest 1.46/.27*; koreacentral 1.23/.29*; koreasouth 1.11/.29*;
eastasia 1.45/.29*; southeastasia 1.40/.29*; malaysiawest 1.20/.29*; indonesiacentral 1.25/.29*; centralindia 1.10/.29*; southindia 1.41/.29*;
westindia 1.20/.29*; southafricanorth 1.30/.29*; uaenorth 1.22/.29*; qatarcentral 1.22/.29*; israelcentral 1.38/.29*
"""
_GCP = """
us-central1 1.00/.241; us-east1 1.00/.241; us-east4 1.13/.206; us-east5 1.00/.237; us-south1 1.18/.225; us-west1 1.00/.241; us-west2 1.20/.266;
us-west3 1.20/.302; us-west4 1.13/.136; northamerica-northeast1 1.10/.219; northamerica-northeast2 1.10/.154; northamerica-south1 1.10/.24*;
southamerica-east1 1.59/.124; southamerica-west1 1.43/.217; europe-central2 1.29/.150; europe-north1 1.10/.262; europe-north2 1.10/.24*;
europe-southwest1 1.18/.208; europe-west1 1.10/.181; europe-west2 1.29/.166; europe-west3 1.29/.278; europe-west4 1.10/.265; europe-west6 1.40/.217;
europe-west8 1.16/.216; europe-west9 1.16/.248; europe-west10 1.54/.222; europe-west12 1.29/.247; asia-east1 1.16/.236; asia-east2 1.40/.157;
asia-northeast1 1.28/.255; asia-northeast2 1.28/.284; asia-northeast3 1.28/.275; asia-south1 1.20/.213; asia-south2 1.20/.166;
asia-southeast1 1.23/.280; asia-southeast2 1.34/.282; australia-southeast1 1.42/.229; australia-southeast2 1.42/.237; me-central1 1.21/.213;
me-central2 1.60/.206; me-west1 1.10/.270; africa-south1 1.31/.25*
"""


@dataclass(frozen=True, slots=True)
class RegionFigures:
    """On-demand price relative to home, and spot to on demand; ``measured`` is False where neighbours stand in."""

    on_demand: float
    spot: float
    measured: bool


def _parse() -> dict[tuple[str, str], RegionFigures]:
    figures = {}
    for cloud, table in (("aws", _AWS), ("azure", _AZURE), ("gcp", _GCP)):
        for row in table.split(";"):
            name, pair = row.split()
            on_demand, spot = pair.rstrip("*").split("/")
            figures[cloud, name] = RegionFigures(float(on_demand), float(spot), not pair.endswith("*"))
    return figures


REGIONS = _parse()

ADVISOR_SHARES = (0.22, 0.19, 0.13, 0.13, 0.33)
"""Share of AWS Linux pools in each of the Spot Advisor's buckets of monthly interruption (July 2025)."""
ADVISOR_RANGES = ((0, "<5%", 5), (1, "5-10%", 11), (2, "10-15%", 16), (3, "15-20%", 22), (4, ">20%", 100))
"""Index, label and upper bound of each bucket, as the Advisor's document states them."""
ADVISOR_MONTHLY = (0.025, 0.075, 0.125, 0.175, 0.25)
"""Chance of an interruption in a month that a bucket stands for: its middle; a quarter for the open one."""
GPU_AVAILABILITY = (0.17, 0.47, 0.59, 0.76, 0.88, 0.90)
"""Share of 45 days in 2023 for which six zones of AWS had one more V100 machine to give; they changed 4 to 15 times a day."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over machine types of what a market did over a year (GCP: 238 days), each with how far the model's mean of a few seeds may lie from it."""

    spread_of_averages: float
    """Dearest to cheapest region, each by its average."""
    spread_at_a_moment: float
    changes_seen_per_pool_day: float
    """Between one look and the next: every six hours on AWS, every week on GCP."""
    cheapest_region_changes_per_day: float
    home_spot_below_on_demand: float
    """Share by which spot at home (us-east-1, us-central1) lies below on demand there."""
    oracle_below_home_on_demand: float
    """The same of whoever always stands in the cheapest region."""
    oracle_below_first_choice: float
    """And below what the region costs that was cheapest when the year began."""


MEASURED = {
    "aws": Measured(1.809, 2.142, 1.773, 0.033, 0.492, 0.717, 0.188),
    "gcp": Measured(3.284, 3.727, 0.010, 0.004, 0.743, 0.870, 0.022),
}
AZURE_US_SPREADS = (3.34, 3.62, 2.23, 1.28)
"""Dearest to cheapest of nine regions of the United States on four dates of 2022 and 2023, in the median over types."""
AWS_MEDIAN_STEP = 0.0025
AWS_LARGEST_STEP = 0.05
"""Of 99.98 % of all steps."""
