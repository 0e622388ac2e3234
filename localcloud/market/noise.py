"""Noise as a pure function: the same keys give the same number, in any order and on any machine, so that any moment can be asked for again."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(text: str) -> np.uint64:
    """A key of ``text``."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big"))


def keys(texts: list[str]) -> Keys:
    """The keys of ``texts``."""
    return np.array([key(text) for text in texts], dtype=np.uint64)


def uniform(keys: Keys, *more: Numbers | int) -> Floats:
    """A number in [0, 1) for each of ``keys``, stirred with ``more`` (integers, or arrays that broadcast with them). SplitMix64's finaliser (Steele 2014)."""
    with np.errstate(over="ignore"):
        state = np.array(keys, dtype=np.uint64)
        for other in more:
            state = np.asarray(_stir(state) ^ np.asarray(other, dtype=np.int64).astype(np.uint64))
        return np.asarray(_stir(state).astype(np.float64) / 2.0**64)


def normal(keys: Keys, *more: Numbers | int) -> Floats:
    """A number of mean 0 and deviation 1, within ±3.5: the sum of four uniforms, scaled."""
    total = uniform(keys, *more, 1) + uniform(keys, *more, 2) + uniform(keys, *more, 3) + uniform(keys, *more, 4)
    return np.asarray((total - 2.0) * 3.0**0.5, dtype=np.float64)


def _stir(state: Keys) -> Keys:
    state = state + _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
