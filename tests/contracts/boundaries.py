"""Boundaries that every enforcer is held to, each with the number of public regions that it leaves (counted from regions.csv by other code)."""

from __future__ import annotations

from typing import Any

ALL_PARTITIONS = ["aws", "aws-us-gov", "aws-cn", "aws-eusc", "AzureCloud", "AzureUSGovernment", "AzureChinaCloud", "google"]
EXEMPTION = {"rule": "residency", "owner": "dpo@acme.example", "reason": "moving out"}

BOUNDARIES: list[tuple[dict[str, Any], int]] = [
    ({"name": "eu", "residency": {"regimes": ["gdpr"]}}, 32),
    ({"name": "adequate", "residency": {"regimes": ["gdpr-adequate"]}}, 61),
    ({"name": "uk", "residency": {"regimes": ["uk"]}}, 4),
    ({"name": "swiss", "residency": {"regimes": ["ch"]}}, 4),
    ({"name": "federal", "residency": {"regimes": ["fedramp-high"]}, "partitions": ["aws-us-gov", "AzureUSGovernment", "google"]}, 12),
    ({"name": "itar", "residency": {"regimes": ["itar"]}, "partitions": ["aws-us-gov", "AzureUSGovernment"]}, 7),
    ({"name": "india", "residency": {"regimes": ["in"]}}, 9),
    ({"name": "australia", "residency": {"regimes": ["au"]}}, 8),
    ({"name": "canada", "residency": {"regimes": ["ca"]}}, 6),
    ({"name": "china", "residency": {"regimes": ["cn-mainland"]}, "partitions": ["aws-cn", "AzureChinaCloud"]}, 8),
    ({"name": "us", "residency": {"countries": ["US"]}}, 22),
    ({"name": "two-countries", "residency": {"countries": ["DE", "FR"]}}, 9),
    ({"name": "patterns", "residency": {"regions": ["aws/eu-*", "gcp/europe-west?", "azure/*europe"]}}, 17),
    ({"name": "denied", "residency": {"regimes": ["gdpr"], "deny": ["IE", "gcp/europe-west1"], "allow": ["aws/eu-west-2"]}}, 30),
    ({"name": "one-cloud", "clouds": ["gcp"], "residency": {"countries": ["JP", "KR"]}}, 3),
    ({"name": "sovereign", "residency": {"regimes": ["eu-sovereign"]}, "partitions": ["aws-eusc"]}, 1),
    ({"name": "anywhere", "partitions": ALL_PARTITIONS}, 150),
    (
        {
            "name": "exempted",
            "residency": {"regimes": ["ch"]},
            "exemptions": [
                {**EXEMPTION, "regions": ["aws/us-east-1", "GB"], "expires": "2027-06-30"},
                {**EXEMPTION, "regions": ["US"], "expires": "2026-01-31"},
            ],
        },
        9,
    ),
    ({"name": "nothing", "clouds": ["azure"], "residency": {"countries": ["TW"]}}, 0),
]

# What regions.csv lists besides the public regions: restricted, unlisted, multi-region, logical and global names. All are denied.
NOT_PUBLIC: dict[str, str] = {
    "aws": "us-iso-east-1 us-iso-west-1 us-isob-east-1 us-isob-west-1 eu-isoe-west-1 us-isof-east-1 us-isof-south-1 aws-global me-west-1 sa-west-1 "
    "aws-cn-global aws-iso-global aws-iso-b-global aws-iso-e-global aws-iso-f-global aws-us-gov-global",
    "azure": "asia asiapacific australia brazil canada centraluseuap centralusstage eastasiastage eastus2euap eastus2stage eastusstage eastusstg europe france "
    "germany global india indonesia israel italy japan korea malaysia mexico newzealand northcentralusstage norway poland qatar singapore southafrica "
    "southcentralusstage southcentralusstg southeastasiastage spain sweden switzerland taiwan uae uk unitedstates unitedstateseuap westus2stage westusstage",
    "gcp": "asia-southeast3 ca ch eu europe-north3 europe-west15 in us us-central2 us-east7 us-west8 global asia eur4 nam4 asia1",
}
