"""The lower half of a symmetric matrix, and where its entries stood, so that new values are read in a few passes.

For 5e4 entries a first look takes 0.3 ms, most of it to find each entry's image on the other side of the diagonal;
reading new values takes 0.05 ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onearm.engine.sor import Half
from onearm.engine.sparse import ASYMMETRY_MAX, Csr, asymmetry, rows_of_entries
from onearm.engine.vocabulary import Array


class Places(NamedTuple):
    """Where entries stand in the values of a matrix, int64 each, and the frame of its lower half."""

    half_start: Array  # int32[n + 1]: row i of the half is half_start[i] <= j < half_start[i + 1]
    half_index: Array  # int32[h]
    diagonal: Array  # int64[n] of each row's diagonal entry
    below: Array  # int64[h] of the entries below the diagonal, row by row
    above: Array  # int64[h] of their images above it


class Pattern(NamedTuple):
    """The pattern of a matrix as it was given, sorted or not, and the places in it."""

    start: Array  # int[n + 1]
    column: Array  # int[m]
    places: Places


def split(start: Any, index: Any, csr: Csr) -> tuple[Half | None, Pattern | None]:
    """Return the lower half of a checked matrix, and its pattern as it was given by `start` and `index`.

    There is no half where the matrix is not symmetric, up to rounding (`ASYMMETRY_MAX`); and no pattern, too, where
    entries had to be merged, or where one has no image across the diagonal.
    """
    places, paired = _places(csr)
    if not paired:  # symmetric all the same, where what has no image is 0
        worst, _, _ = asymmetry(csr)
        return (None if worst > ASYMMETRY_MAX else _half(places, csr.value)), None
    if (half := _symmetric_half(places, csr.value)) is None:
        return None, None
    return half, _as_given(np.array(start), np.array(index), csr, places)


def renewed(pattern: Pattern, start: Any, index: Any, value: Any) -> Half | None:
    """Return the lower half of a matrix of this pattern; None where it has another, or where its values are refused."""
    numbers = np.asarray(value)
    if numbers.shape != pattern.column.shape or numbers.dtype.kind not in "fiub":
        return None
    if not (np.array_equal(pattern.start, start) and np.array_equal(pattern.column, index)):
        return None
    return _symmetric_half(pattern.places, numbers.astype(np.float64, copy=False))


def _places(csr: Csr) -> tuple[Places, bool]:
    """Return the places in a checked matrix, and whether each entry has an image across the diagonal."""
    row, index = rows_of_entries(csr), csr.index
    below, above = np.flatnonzero(index < row), np.flatnonzero(index > row)
    above = above[np.argsort(index[above], kind="stable")]  # rows rise within a column already
    column = index[below]
    paired = np.array_equal(index[above], row[below]) and np.array_equal(row[above], column)
    count = np.bincount(row[below], minlength=len(csr.start) - 1)
    half_start = np.concatenate(([0], np.cumsum(count))).astype(np.int32)
    return Places(half_start, column, np.flatnonzero(index == row), below, above), paired


def _symmetric_half(places: Places, value: Array) -> Half | None:
    """Return the lower half, or None where values are not finite, not symmetric, or not positive on the diagonal."""
    half = _half(places, value)
    if not ((half.diagonal > 0.0).all() and np.isfinite(value).all()):
        return None
    image = value[places.above]
    if not np.array_equal(half.value, image):
        difference = np.abs(half.value - image)
        root = np.sqrt(half.diagonal)
        row = np.repeat(root, np.diff(half.start))
        if (difference > ASYMMETRY_MAX * row * root[half.index]).any():
            return None
    return half


def _half(places: Places, value: Array) -> Half:
    return Half(places.half_start, places.half_index, value[places.below], value[places.diagonal])


def _as_given(start: Array, index: Array, csr: Csr, places: Places) -> Pattern | None:
    """Return the places in the arrays as they were given: in another order, where they were not sorted."""
    if len(index) != len(csr.index):
        return None
    if np.array_equal(index, csr.index):
        return Pattern(start, index, places)
    order = np.lexsort((index, np.repeat(np.arange(len(start) - 1), np.diff(start))))
    moved = (order[numbers] for numbers in (places.diagonal, places.below, places.above))
    return Pattern(start, index, Places(places.half_start, places.half_index, *moved))
