"""Each region's number for life: what is counted by it (the range of its network) never moves when the catalogue grows. New regions are appended."""

from __future__ import annotations

from domain.errors import UnknownRegion


def _numbered(names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split())}


_NUMBERS = _numbered("""
aws/af-south-1 aws/ap-east-1 aws/ap-northeast-1 aws/ap-northeast-2 aws/ap-northeast-3 aws/ap-south-1 aws/ap-south-2 aws/ap-southeast-1
aws/ap-southeast-2 aws/ap-southeast-3 aws/ap-southeast-4 aws/ap-southeast-5 aws/ap-southeast-7 aws/ca-central-1 aws/ca-west-1 aws/eu-central-1
aws/eu-central-2 aws/eu-north-1 aws/eu-south-1 aws/eu-south-2 aws/eu-west-1 aws/eu-west-2 aws/eu-west-3 aws/il-central-1 aws/me-central-1
aws/me-south-1 aws/mx-central-1 aws/sa-east-1 aws/us-east-1 aws/us-east-2 aws/us-west-1 aws/us-west-2 azure/australiaeast azure/australiasoutheast
azure/austriaeast azure/belgiumcentral azure/brazilsouth azure/canadacentral azure/canadaeast azure/centralindia azure/centralus azure/chilecentral
azure/eastasia azure/eastus azure/eastus2 azure/francecentral azure/germanywestcentral azure/indonesiacentral azure/israelcentral azure/italynorth
azure/japaneast azure/japanwest azure/koreacentral azure/koreasouth azure/malaysiawest azure/mexicocentral azure/newzealandnorth azure/northcentralus
azure/northeurope azure/norwayeast azure/polandcentral azure/qatarcentral azure/southafricanorth azure/southcentralus azure/southeastasia
azure/southindia azure/spaincentral azure/swedencentral azure/switzerlandnorth azure/uaenorth azure/uksouth azure/ukwest azure/westcentralus
azure/westeurope azure/westindia azure/westus azure/westus2 azure/westus3 gcp/africa-south1 gcp/asia-east1 gcp/asia-east2 gcp/asia-northeast1
gcp/asia-northeast2 gcp/asia-northeast3 gcp/asia-south1 gcp/asia-south2 gcp/asia-southeast1 gcp/asia-southeast2 gcp/australia-southeast1
gcp/australia-southeast2 gcp/europe-central2 gcp/europe-north1 gcp/europe-north2 gcp/europe-southwest1 gcp/europe-west1 gcp/europe-west10
gcp/europe-west12 gcp/europe-west2 gcp/europe-west3 gcp/europe-west4 gcp/europe-west6 gcp/europe-west8 gcp/europe-west9 gcp/me-central1
gcp/me-central2 gcp/me-west1 gcp/northamerica-northeast1 gcp/northamerica-northeast2 gcp/northamerica-south1 gcp/southamerica-east1
gcp/southamerica-west1 gcp/us-central1 gcp/us-east1 gcp/us-east4 gcp/us-east5 gcp/us-south1 gcp/us-west1 gcp/us-west2 gcp/us-west3 gcp/us-west4
aws/ap-east-2 aws/ap-southeast-6 azure/denmarkeast
""")


def region_number(cloud: str, region: str) -> int:
    """The number of a region, from 0. Raises :class:`UnknownRegion`."""
    try:
        return _NUMBERS[f"{cloud}/{region}"]
    except KeyError:
        raise UnknownRegion(cloud, region) from None
