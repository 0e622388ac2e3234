"""EC2's defaults for instance metadata, of an account in a region, which moto doesn't have.

Format: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataDefaults.html and API_GetInstanceMetadataDefaults.html.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from localcloud.clouds.aws.xml import ec2_answer
from localcloud.clouds.exchange import HttpAnswer, HttpRequest

_FIELDS = {name[:1].upper() + name[1:]: name for name in ("httpTokens", "httpPutResponseHopLimit", "httpEndpoint", "instanceMetadataTags")}
_NONE = frozenset({"no-preference", "-1"})


def modify(backend: Any, request: HttpRequest) -> HttpAnswer:
    """Sets what is named; ``no-preference`` and -1 take a default back."""
    form = dict(parse_qsl(request.body.decode()))
    kept: dict[str, str] = getattr(backend, "spotlane_metadata_defaults", {})
    changed = kept | {name: form[parameter] for parameter, name in _FIELDS.items() if parameter in form}
    backend.spotlane_metadata_defaults = {name: value for name, value in changed.items() if value not in _NONE}
    return ec2_answer("ModifyInstanceMetadataDefaults", "<return>true</return>")


def get(backend: Any, request: HttpRequest) -> HttpAnswer:
    """What is set."""
    kept: dict[str, str] = getattr(backend, "spotlane_metadata_defaults", {})
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in sorted(kept.items()))
    return ec2_answer("GetInstanceMetadataDefaults", f"<accountLevel>{fields}</accountLevel>")


LACKING = {"ModifyInstanceMetadataDefaults": modify, "GetInstanceMetadataDefaults": get}
