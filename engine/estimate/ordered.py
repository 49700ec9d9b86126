"""What stands at some ranks of a column, and its largest numbers: exactly, and of a long column without sorting it.

The bits of floats from 0 on, read as whole numbers, are in the order of the floats. So a column is gone through four
times: each time the numbers are counted by their next 16 bits, among those that begin like the ones that are wanted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..kernel import loop
from ..vocabulary import Array

LONG = 1 << 22  # rows from which on a column is not sorted
_PART = 1 << 20  # rows of which the largest are looked for at once
_BITS = 16
_UNSIGNED = (1 << 63) - 1  # all bits but the sign, which -0.0 has: as a whole number that would be the least of all


def quantiles(ranked: Array, shares: Sequence[float], n: int) -> list[float]:
    """Return quantiles by their shares, as `numpy.quantile` does, of n numbers; `ranked` has those at `ranks_of`."""
    found = []
    for i, share in enumerate(shares):
        low, high, part = float(ranked[2 * i]), float(ranked[2 * i + 1]), (n - 1) * share % 1.0
        found.append(low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part))
    return found


def ranks_of(shares: Sequence[float], n: int) -> Array:
    """Return the ranks between which quantiles lie, int64[2 shares], from 0: of each share the lower one first."""
    lower = [min(math.floor((n - 1) * share), n - 1) for share in shares]
    return np.array([min(rank + more, n - 1) for rank in lower for more in (0, 1)], np.int64)


def at_ranks(values: Array, ranks: Array) -> Array:
    """Return what stands at ranks from 0 on, int64[m], of numbers from 0 on, float64[n], that were sorted.

    >>> at_ranks(np.array([3.0, 0.0, 0.25]), np.array([0, 2])).tolist()
    [0.0, 3.0]
    """
    bits = np.ascontiguousarray(values, np.float64).view(np.int64)
    begin, left = np.zeros(len(ranks), np.int64), np.array(ranks, np.int64)
    for shift in range(64 - _BITS, -1, -_BITS):
        known, place = np.unique(begin, return_inverse=True)
        counts = np.zeros((len(known), 1 << _BITS), np.int64)
        _count.compiled(bits, known, shift, counts)(bits, known, shift, counts)
        below = counts.cumsum(axis=1)
        for i, row in enumerate(place.tolist()):
            digit = int(np.searchsorted(below[row], left[i], "right"))
            left[i] -= below[row, digit] - counts[row, digit]
            begin[i] = (begin[i] << _BITS) | digit
    return begin.view(np.float64)


def largest(values: Array, count: int) -> Array:
    """Return the largest `count` of n numbers, ascending; all where there are no more.

    >>> largest(np.array([3.0, 0.0, 0.25]), 2).tolist()
    [0.25, 3.0]
    """
    kept = np.zeros(0)
    for first in range(0, len(values), _PART):
        part = values[first : first + _PART]
        if len(kept) >= count:
            part = part[part > kept[0]]
        kept = np.concatenate([kept, part])
        if len(kept) > count:
            kept = np.partition(kept, len(kept) - count)[-count:]  # whose first is its least
    return np.sort(kept)


@loop
def _count(bits: Array, known: Array, shift: int, counts: Array) -> None:
    """Count numbers by the 16 bits above `shift`, among those whose bits above are one of the `known`, int64[m]."""
    for i in range(len(bits)):
        number = bits[i] & _UNSIGNED
        begin = (number >> shift) >> 16
        for row in range(len(known)):
            if known[row] == begin:
                counts[row, (number >> shift) & 0xFFFF] += 1
                break
