"""Pairs of entries across the diagonal of a sparse matrix: where the lower half stands, and where its image does.

>>> places = pairs_of(np.array([0, 2, 4], np.int32), np.array([0, 1, 0, 1], np.int32))
>>> places.below.tolist(), places.above.tolist(), places.diagonal.tolist()
([2], [1], [0, 3])
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..kernel import loop
from ..vocabulary import Array


class Pairs(NamedTuple):
    """Where entries stand in the values of a matrix, and the frame of its lower half."""

    half_start: Array  # int32[n + 1]: row i of the half is half_start[i] <= j < half_start[i + 1]
    half_index: Array  # int32[h] columns
    diagonal: Array  # int64[n] places of the diagonal's entries
    below: Array  # int64[h] places of the entries below the diagonal, row by row
    above: Array  # int64[h] places of their images above it


def pairs_of(start: Array, index: Array) -> Pairs | None:
    """Return the places in a checked matrix (`Csr`), int32 each; None where an entry has no image. Cost: one pass."""
    n = len(start) - 1
    beside = len(index) - n
    if beside % 2:
        return None
    h = beside // 2
    pairs = Pairs(
        np.empty(n + 1, np.int32),
        np.empty(h, np.int32),
        np.empty(n, np.int64),
        np.empty(h, np.int64),
        np.empty(h, np.int64),
    )
    return pairs if _entry()(start, index, pairs, np.empty(n, np.int64)) else None


@loop
def _find_pairs(start: Array, index: Array, pairs: Pairs, place: Array) -> bool:
    """Write the places, and tell whether each entry has an image; `place`, int64[n], is working space.

    Rows are met in their order, so the entries right of row j's diagonal are asked for from left to right: `place[j]`
    is the first that was not. Every pair has two of the entries beside the diagonal, so there is room for all.
    """
    n = len(place)
    h = 0
    for i in range(n):
        pairs.half_start[i] = h
        e = start[i]
        while index[e] < i:
            j = index[e]
            p = place[j]
            if p == start[j + 1] or index[p] != i:
                return False
            pairs.half_index[h] = j
            pairs.below[h] = e
            pairs.above[h] = p
            place[j] = p + 1
            h += 1
            e += 1
        pairs.diagonal[i] = e
        place[i] = e + 1
    pairs.half_start[n] = h
    return h == len(pairs.below)


@functools.cache
def _entry() -> Callable[..., bool]:
    """Return the entry compiled for the types that `pairs_of` hands in: to look them up takes 50 us each time."""
    narrow, wide = np.zeros(1, np.int32), np.zeros(1, np.int64)
    return _find_pairs.compiled(narrow, narrow, Pairs(narrow, narrow, wide, wide, wide), wide)
