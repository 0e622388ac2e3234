"""Names and tags of what we declare: pure, within each cloud's limits, the same for the same input.

Limits: AWS IAM and EC2 API references; Azure "Naming rules and restrictions"; GCP "Compute resource naming", service accounts and projects.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping

MANAGED_BY = "spotlane"
LIMITS: dict[str, int] = {
    "aws:role": 64,
    "aws:launch-template": 128,
    "aws:security-group": 255,
    "azure:resource": 64,
    "azure:alias": 64,
    "gcp:resource": 63,
    "gcp:service-account": 30,
}
"""Longest name in characters, the strictest of the kinds that share an entry (Azure: a Linux machine's name)."""

_NAMESPACE = uuid.UUID("0f8b3b1e-6f0e-5c58-9d6c-6a1f5f3f7a10")


def fit(kind: str, *parts: str | int) -> str:
    """``parts`` joined by hyphens, lower case, letters first; what is too long for ``kind`` keeps its head and gets a digest instead of its tail."""
    text = re.sub(r"[^a-z0-9-]+", "-", "-".join(str(part) for part in parts).lower()).strip("-")
    if not text[:1].isalpha():
        text = "s" + text
    limit = LIMITS[kind]
    if len(text) <= limit and len(text) >= 6:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return text[: limit - 9].rstrip("-") + "-" + digest


def guid(*parts: str) -> str:
    """A UUID that only depends on ``parts`` (Azure names role definitions and assignments by one)."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def tags(tenant: str, workload: str = "", placement: str = "", more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags of everything that we declare (AWS and Azure take them as they are); ours win over ``more``."""
    ours = {"tenant": tenant, "workload": workload, "placement": placement, "managed-by": MANAGED_BY}
    return dict(sorted({**(more or {}), **{key: value for key, value in ours.items() if value}}.items()))


def labels(of: Mapping[str, str]) -> dict[str, str]:
    """Tags as GCP labels: lower case, ``[a-z0-9_-]``, at most 63 characters, keys begin with a letter."""
    found = {}
    for key, value in of.items():
        name = re.sub(r"[^a-z0-9_-]", "_", key.lower())
        found[(name if name[:1].isalpha() else "l" + name)[:63]] = re.sub(r"[^a-z0-9_-]", "_", value.lower())[:63]
    return found
