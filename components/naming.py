"""Names and tags of what we declare: pure, within each cloud's limits, the same for the same input.

Limits: AWS IAM and EC2 API references; Azure "Naming rules and restrictions"; GCP "Compute resource naming", service accounts and projects.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping

from domain.orphans import MANAGED_BY

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

LABEL_LIMIT = 63
"""Characters of a label's key or value on GCP."""
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
    return {_label(key, key=True): _label(value) for key, value in of.items()}


def _label(text: str, *, key: bool = False) -> str:
    """``text`` as it is where GCP takes it; else fitted, with a digest of it, so that what differs stays different."""
    fitted = re.sub(r"[^a-z0-9_-]", "_", text.lower())
    if key and not ("a" <= fitted[:1] <= "z"):
        fitted = "l" + fitted
    if fitted == text.lower() and len(fitted) <= LABEL_LIMIT:  # labels have no case
        return fitted
    return f"{fitted[: LABEL_LIMIT - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
