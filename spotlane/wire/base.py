"""What every wire model is made of: the base, names and digests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Wire(BaseModel):
    """Base of every wire model: camelCase aliases, unknown fields refused, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


Cloud = Literal["aws", "azure", "gcp"]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}$")]
WorkloadName = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}$")]
WorkloadId = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}-[a-z][a-z0-9]{1,19}$")]
PlacementId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}_[a-z](?:-?[a-z0-9]){1,30}_[0-9]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
