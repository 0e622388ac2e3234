"""RunInstances made whole: a launch template's values, an image named by a parameter, and what the caller bids, read from the call's form.

Format: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html (EC2 query protocol: ``A.B.1.C=value``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEMPLATE_FIELDS: tuple[str, ...] = (
    "ImageId",
    "InstanceType",
    "UserData",
    "KeyName",
    "EbsOptimized",
    "SecurityGroupIds",
    "SecurityGroups",
    "IamInstanceProfile",
)
TEMPLATE_FIELDS += ("NetworkInterfaces", "InstanceMarketOptions", "MetadataOptions", "Monitoring", "Placement", "BlockDeviceMappings", "TagSpecifications")

_SINGULAR = {
    "SecurityGroupIds": "SecurityGroupId",
    "SecurityGroups": "SecurityGroup",
    "NetworkInterfaces": "NetworkInterface",
    "BlockDeviceMappings": "BlockDeviceMapping",
    "TagSpecifications": "TagSpecification",
    "Groups": "SecurityGroupId",
    "Tags": "Tag",
}
"""List members whose name in a form differs from that in a template's document."""


@dataclass(frozen=True)
class Bid:
    """A spot request: ``max_price`` in USD/h, None for the on-demand price."""

    max_price: float | None


def with_template(form: Mapping[str, str], template: Mapping[str, Any]) -> dict[str, str]:
    """``form`` with every field that it leaves to ``template`` (the launch template's data) filled in; the form's own fields win."""
    full = dict(form)
    for name in TEMPLATE_FIELDS:
        if name not in template:
            continue
        prefix = _SINGULAR.get(name, name)
        if not any(key == prefix or key.startswith(prefix + ".") for key in form):
            full.update(flattened(prefix, template[name]))
    return full


def flattened(prefix: str, value: Any) -> dict[str, str]:
    """A document's value as fields of a form."""
    if isinstance(value, Mapping):
        return {key: text for name, part in value.items() for key, text in flattened(f"{prefix}.{_SINGULAR.get(name, name)}", part).items()}
    if isinstance(value, list | tuple):
        return {key: text for number, part in enumerate(value, start=1) for key, text in flattened(f"{prefix}.{number}", part).items()}
    if isinstance(value, bool):
        return {prefix: "true" if value else "false"}
    return {} if value is None else {prefix: str(value)}


def with_volume_defaults(form: Mapping[str, str]) -> dict[str, str]:
    """``form`` with AWS's default that a volume made at launch goes with its instance (moto keeps it)."""
    full = dict(form)
    for key in form:
        parts = key.split(".")
        if parts[0] == "BlockDeviceMapping" and len(parts) > 3 and parts[2] == "Ebs":
            full.setdefault(f"BlockDeviceMapping.{parts[1]}.Ebs.DeleteOnTermination", "true")
    return full


def bid(form: Mapping[str, str]) -> Bid | None:
    """What the call bids; None for an on-demand instance."""
    if form.get("InstanceMarketOptions.MarketType") != "spot":
        return None
    price = form.get("InstanceMarketOptions.SpotOptions.MaxPrice", "")
    return Bid(float(price) if price else None)


def subnet(form: Mapping[str, str]) -> str | None:
    """The subnet asked for, by itself or by the first network interface."""
    return form.get("SubnetId") or form.get("NetworkInterface.1.SubnetId")
