"""What a host is: which cloud, service and region its name says, read by position. A host that isn't known is denied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HostClass = Literal["aws", "azure", "gcp", "cloudflare", "prices", "login", "platform"]
"""``platform``: a host of no cloud's API that the platform's own settings name (:mod:`policies.proxy.platform`)."""


@dataclass(frozen=True, slots=True)
class KnownHost:
    """A host of a cloud. ``region`` is None where the name says none."""

    kind: HostClass
    cloud: str
    service: str
    region: str | None = None


_EXACT: dict[str, KnownHost] = {
    "management.azure.com": KnownHost("azure", "azure", "arm"),
    "login.microsoftonline.com": KnownHost("login", "azure", "login"),
    "login.windows.net": KnownHost("login", "azure", "login"),
    "prices.azure.com": KnownHost("prices", "azure", "prices"),
    "www.googleapis.com": KnownHost("gcp", "gcp", "compute"),
    "oauth2.googleapis.com": KnownHost("login", "gcp", "oauth2"),
    "sts.googleapis.com": KnownHost("login", "gcp", "sts"),
    "api.cloudflare.com": KnownHost("cloudflare", "cloudflare", "api"),
    "spot-bid-advisor.s3.amazonaws.com": KnownHost("prices", "aws", "spot-advisor"),
    # Served from one place for the whole partition.
    "organizations.us-east-1.amazonaws.com": KnownHost("aws", "aws", "organizations"),
    "iam.amazonaws.com": KnownHost("aws", "aws", "iam"),
    "account.us-east-1.amazonaws.com": KnownHost("aws", "aws", "account"),
    "budgets.amazonaws.com": KnownHost("aws", "aws", "budgets"),
    "ce.us-east-1.amazonaws.com": KnownHost("aws", "aws", "ce"),
}
_GOOGLE = frozenset(
    ["compute", "cloudresourcemanager", "serviceusage", "cloudbilling", "iam", "orgpolicy", "iamcredentials", "cloudkms", "billingbudgets", "monitoring"]
)
_AWS_REGIONAL = frozenset(["ec2", "sts", "s3", "kms", "ssm", "autoscaling", "monitoring", "logs", "secretsmanager", "dynamodb", "servicequotas"])


def classify(host: str) -> KnownHost | None:
    """What ``host`` (lower case, no port) is, or None."""
    if known := _EXACT.get(host):
        return known
    labels = host.split(".")
    if labels[-2:] == ["googleapis", "com"] and len(labels) == 3 and labels[0] in _GOOGLE:
        return KnownHost("gcp", "gcp", labels[0])
    if labels[-2:] == ["amazonaws", "com"]:
        if labels[:2] == ["api", "pricing"] and len(labels) == 5:
            return KnownHost("prices", "aws", "pricing")
        if len(labels) == 4 and labels[0] in _AWS_REGIONAL:
            return KnownHost("aws", "aws", labels[0], labels[1])
        if len(labels) == 5 and labels[1] == "s3-control" and len(labels[0]) == 12 and labels[0].isdecimal():
            return KnownHost("aws", "aws", "s3-control", labels[2])
        if len(labels) == 5 and labels[1] == "s3":
            return KnownHost("aws", "aws", "s3", labels[2])
    return None
