"""What real markets measured, and the model is calibrated to.

Prices are the providers' public list prices on demand (USD/h, Linux, home region: us-east-1, eastus, us-central1). Region tables give ``name
on-demand/spot``: the on-demand price relative to the home region, and the median over general-purpose types of spot to on-demand; one asterisk marks
what nobody measured and is taken from its neighbours. AWS and GCP as of December 2023, Azure in the United States as of December 2023; elsewhere
Azure's D-series stood near 0.26 of on demand in September 2025.

Movements. AWS, 22 regions in 2023: 1.8 changes a day and pool, steps of 0.25 % in the median and 5 % at most; dearest to cheapest region 1.81 over
the year; the cheapest region of a type changes 0.033 times a day. GCP, 39 regions in 2023: 0.01 changes a day, at month starts; spread 3.3. Azure: a
step function at month starts; spread over nine regions of the United States between 1.3 and 3.6, by date.
"""

from __future__ import annotations

from dataclasses import dataclass

AWS_CHANGES_PER_DAY = 1.8
AWS_LARGEST_STEP = 0.05
GCP_CHANGES_PER_MONTH = 0.30
AZURE_CHANGES_PER_MONTH = 0.50

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
    # Spot to on demand of a family, relative to the median of its cloud's general-purpose families (home regions, December 2023).
    "c5": 1.2, "c6i": 1.05, "t3": 1.0, "m5": 0.97, "m6i": 0.97, "m6g": 1.02, "m7g": 1.05, "r5": 0.95, "r6i": 0.95, "g4dn": 1.0,
    "n2": 0.93, "e2": 1.07, "n2d": 0.85, "c3": 1.22, "t2a": 1.1,
}  # fmt: skip

_AWS = """
us-east-1 1.00/.42; us-east-2 1.00/.34; us-west-1 1.18/.34; us-west-2 1.00/.38; ca-central-1 1.11/.32; ca-west-1 1.11/.32*; mx-central-1 1.10/.33*;
sa-east-1 1.59/.30*; eu-west-1 1.12/.40; eu-west-2 1.16/.34; eu-west-3 1.17/.33; eu-central-1 1.20/.37; eu-central-2 1.31/.33*; eu-north-1 1.06/.33;
eu-south-1 1.17/.26; eu-south-2 1.12/.30*; ap-northeast-1 1.29/.33; ap-northeast-2 1.23/.32; ap-northeast-3 1.29/.26; ap-south-1 1.05/.38;
ap-south-2 1.05/.36*; ap-southeast-1 1.25/.35; ap-southeast-2 1.25/.35; ap-southeast-3 1.25/.30; ap-southeast-4 1.25/.33*; ap-southeast-5 1.15/.33*;
ap-southeast-6 1.28/.33*; ap-southeast-7 1.15/.33*; ap-east-1 1.38/.29; ap-east-2 1.25/.33*; af-south-1 1.32/.31; il-central-1 1.20/.32*;
me-central-1 1.22/.32; me-south-1 1.22/.29
"""
_AZURE = """
eastus 1.00/.105; eastus2 1.00/.128; centralus 1.13/.10; northcentralus 1.00/.11; southcentralus 1.20/.105; westcentralus 1.20/.10; westus 1.18/.10;
westus2 1.00/.10; westus3 1.00/.10; canadacentral 1.11/.26*; canadaeast 1.11/.26*; mexicocentral 1.15/.26*; brazilsouth 1.70/.26*; chilecentral 1.50/.26*;
northeurope 1.12/.26; westeurope 1.25/.28*; uksouth 1.17/.28*; ukwest 1.17/.26*; francecentral 1.17/.26*; germanywestcentral 1.25/.26*; italynorth 1.17/.24*;
spaincentral 1.17/.24*; polandcentral 1.25/.24*; swedencentral 1.06/.22*; switzerlandnorth 1.35/.26*; norwayeast 1.20/.24*; austriaeast 1.25/.26*;
belgiumcentral 1.25/.26*; denmarkeast 1.20/.24*; australiaeast 1.30/.31*; australiasoutheast 1.30/.29*; newzealandnorth 1.35/.29*; japaneast 1.35/.29*;
japanwest 1.46/.27*; koreacentral 1.23/.29*; koreasouth 1.11/.29*; eastasia 1.45/.29*; southeastasia 1.40/.29*; malaysiawest 1.20/.29*;
indonesiacentral 1.25/.29*; centralindia 1.10/.29*; southindia 1.41/.29*; westindia 1.20/.29*; southafricanorth 1.30/.29*; uaenorth 1.22/.29*;
qatarcentral 1.22/.29*; israelcentral 1.38/.29*
"""
_GCP = """
us-central1 1.00/.28; us-east1 1.00/.28; us-east4 1.13/.30; us-east5 1.00/.19; us-south1 1.18/.23; us-west1 1.00/.26; us-west2 1.20/.24; us-west3 1.20/.34;
us-west4 1.13/.12; northamerica-northeast1 1.10/.24; northamerica-northeast2 1.10/.09; northamerica-south1 1.10/.24*; southamerica-east1 1.59/.15;
southamerica-west1 1.43/.24; europe-central2 1.29/.26; europe-north1 1.10/.24; europe-north2 1.10/.24*; europe-southwest1 1.18/.14; europe-west1 1.10/.30;
europe-west2 1.29/.16; europe-west3 1.29/.33; europe-west4 1.10/.31; europe-west6 1.40/.21; europe-west8 1.16/.15; europe-west9 1.16/.28;
europe-west10 1.54/.21; europe-west12 1.29/.24; asia-east1 1.16/.22; asia-east2 1.40/.25; asia-northeast1 1.28/.25; asia-northeast2 1.28/.33;
asia-northeast3 1.28/.31; asia-south1 1.20/.29; asia-south2 1.20/.29; asia-southeast1 1.23/.40; asia-southeast2 1.34/.30; australia-southeast1 1.42/.23;
australia-southeast2 1.42/.21; me-central1 1.21/.15; me-central2 1.60/.18; me-west1 1.10/.32; africa-south1 1.31/.25*
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
GPU_MONTHLY = 0.60
"""Capacity of single GPU zones came and went 4 to 15 times a day in 2023; taken far milder, for the demo's machines have none."""
