"""Artifacts and their uploads in parts, as they travel."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from spotlane.wire.base import Digest, Wire


class Artifact(Wire):
    """What a machine runs: a gzipped tar by digest, kept in R2."""

    digest: Digest
    size_bytes: int = Field(ge=0)


class UploadRequest(Wire):
    """The size of an artifact that comes in parts."""

    size_bytes: int = Field(ge=1, le=4 * 1024**3)


class UploadPart(Wire):
    """A part that has arrived; ``number`` from 1."""

    number: int = Field(ge=1)
    size_bytes: int = Field(ge=1)


class Upload(Wire):
    """An artifact on its way in parts. Each is ``part_size_bytes`` long but the last; after ``expires_at`` it is forgotten."""

    id: str
    digest: Digest
    size_bytes: int
    part_size_bytes: int
    parts: list[UploadPart]
    expires_at: datetime
