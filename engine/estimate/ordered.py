"""What stands at some ranks of a column, and its largest numbers: exactly, and of a long column without sorting it.

The bits of floats from 0 on, read as whole numbers, are in the order of the floats. So a long column is gone through
four times: each time the numbers are counted by their next 16 bits, among those that begin like the ones that are
wanted. One that is not long is gone through twice, and the few numbers beside those that are wanted are sorted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..kernel import loop
from ..vocabulary import Array

SHORT = 1 << 17  # rows up to which NumPy parts a column as fast as `by_cells` looks into it
LONG = 1 << 22  # rows up to which `by_cells` does, and beyond which `at_ranks` takes less memory
_PART = 1 << 20  # rows of which the largest are looked for at once
_BITS = 16
_CELLS = 14  # bits of the number of a cell
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


def by_cells(values: Array, ranks: Array) -> Array:
    """Return what `at_ranks` does, of a column that is not long: of two looks at it the second takes few numbers.

    The first one counts them by cells of as many bits of their order. A cell with a rank that is asked for is sorted,
    unless all its numbers are the same.

    >>> by_cells(np.array([3.0, 0.0, 0.25]), np.array([0, 2])).tolist()
    [0.0, 3.0]
    """
    bits, ranks = np.ascontiguousarray(values, np.float64).view(np.int64) & _UNSIGNED, np.asarray(ranks)
    least, most = int(_least.compiled(bits)(bits)), int(bits.max())
    shift = max(0, (most - least).bit_length() - _CELLS)
    counts, first, varies = np.zeros((3, 2 + (1 << _CELLS)), np.int64)
    given = bits, least, shift, counts, first, varies
    _sort_into_cells.compiled(*given)(*given)
    behind = counts.cumsum()
    cells = np.searchsorted(behind, ranks, "right")
    wanted = np.zeros(len(counts), np.bool_)
    wanted[cells] = varies[cells] != 0
    taken = np.where(wanted, counts, 0)
    found = np.zeros(1 + int(taken.sum()), np.int64)  # one more: what is no number of a wanted cell is written there
    chosen = bits, least, shift, wanted, found
    _take_cells.compiled(*chosen)(*chosen)
    found[:-1].sort()
    place = (taken.cumsum() - taken)[cells] + ranks - (behind - counts)[cells]
    return np.where(wanted[cells], found[np.where(wanted[cells], place, 0)], first[cells]).view(np.float64)


@loop
def _least(bits: Array) -> int:
    """Return the least of the numbers above 0; 2^63 - 1 where there is none."""
    least = 0x7FFFFFFFFFFFFFFF
    for i in range(len(bits)):
        least = bits[i] if 0 < bits[i] < least else least
    return least


@loop
def _sort_into_cells(bits: Array, least: int, shift: int, counts: Array, first: Array, varies: Array) -> None:
    """Count numbers by cells; write the first of each, and which bits of the others are not as there."""
    for i in range(len(bits)):
        cell = ((bits[i] - least) >> shift) + 1 if bits[i] > 0 else 0
        if counts[cell] == 0:
            first[cell] = bits[i]
        counts[cell] += 1
        varies[cell] |= bits[i] ^ first[cell]


@loop
def _take_cells(bits: Array, least: int, shift: int, wanted: Array, found: Array) -> None:
    """Write the numbers of wanted cells, in their order."""
    n = 0
    for i in range(len(bits)):
        cell = ((bits[i] - least) >> shift) + 1 if bits[i] > 0 else 0
        found[n] = bits[i]
        n += wanted[cell]


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
