"""What every wire model is made of: the base, names and digests."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Wire(BaseModel):
    """Base of every wire model: camelCase aliases, unknown fields refused, values frozen.

    Infinity and not-a-number are refused: JSON has neither, and would carry a cap of ``.inf`` as null, which means that there is none.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, allow_inf_nan=False)


Cloud = Literal["aws", "azure", "gcp"]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}$")]
WorkloadName = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}$")]
WorkloadId = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}-[a-z][a-z0-9]{1,19}$")]
PlacementId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}_[a-z](?:-?[a-z0-9]){1,30}_[0-9]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

IMAGE_FORM = r"^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$"
IMAGE_CHARACTERS = 512
IMAGE_ADVICE = "must be registry.example/repository@sha256:<64 hex digits>, without a tag: a tag can be moved to another image, a digest can't"


def _image(reference: str) -> str:
    if len(reference) > IMAGE_CHARACTERS or re.match(IMAGE_FORM, reference, re.ASCII) is None or reference.endswith("\n"):
        raise ValueError(IMAGE_ADVICE)
    return reference


ImageReference = Annotated[
    str,
    AfterValidator(_image),
    WithJsonSchema({"type": "string", "pattern": IMAGE_FORM, "maxLength": IMAGE_CHARACTERS, "x-error": IMAGE_ADVICE}),
]
"""An OCI image by its registry, repository and digest."""
