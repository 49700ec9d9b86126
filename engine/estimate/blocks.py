"""Sums over long columns, some rows at a time: nothing as long as the log is made, and what is made stays in the cache.

NumPy adds a column by halves, and these by halves again. The same halves are taken here, down to a block that NumPy
adds: so sums have the bits of `numpy.sum`, whatever the size of a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ..vocabulary import Array

BLOCK = 1 << 15  # rows at most


def summed(n: int, term: Callable[[slice], Array]) -> float:
    """Return the sum of what `term` makes of n rows, float64 for each: it is asked for some rows at a time, in order.

    >>> import numpy as np
    >>> numbers = np.random.default_rng(0).random(100_000)
    >>> summed(100_000, lambda rows: np.square(numbers[rows])) == float(np.square(numbers).sum())
    True
    """
    return _part(0, n, term)


def any_nan(column: Array) -> bool:
    """Return whether any of the numbers of a column, float64[n], is NaN; no column of flags is made.

    >>> import numpy as np
    >>> any_nan(np.array([0.5, np.nan])), any_nan(np.zeros(0))
    (True, False)
    """
    return len(column) > 0 and math.isnan(column.min())


def blocks(n: int) -> Iterator[slice]:
    """Yield n rows, some at a time.

    >>> [rows.stop - rows.start for rows in blocks(40_000)]
    [32768, 7232]
    """
    for first in range(0, n, BLOCK):
        yield slice(first, min(n, first + BLOCK))


def _part(first: int, n: int, term: Callable[[slice], Array]) -> float:
    if n <= BLOCK:
        return float(term(slice(first, first + n)).sum())
    half = n // 2 - n // 2 % 8
    return _part(first, half, term) + _part(first + half, n - half, term)
