"""Labelled tables as bandits: the classes of their rows, and the order in which a replication meets them.

>>> check_label([0, 2, 1], 3)
array([0, 2, 1])
>>> sorted(order_of(3, True, np.uint64(5)).tolist())
[0, 1, 2]
"""

from __future__ import annotations

import numpy as np

from .draws import uniform
from .errors import InvalidInput
from .kernel import loop
from .vocabulary import Array, Key

_SHUFFLE = 2**62  # the time of the draws that order the rows; no decision is numbered so high


def check_label(label: list[int], n: int) -> Array:
    """Return the classes of n rows, int64[n], which are numbered from 0."""
    labels = np.array(label)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise InvalidInput(
            "bad_param",
            f"label has the shape {labels.shape} and the type {labels.dtype}: it must be {n} whole numbers, one a row",
        )
    if labels.min() < 0:
        raise InvalidInput("bad_param", f"label holds {labels.min()}: classes are numbered from 0")
    return labels.astype(np.int64)


def order_of(n: int, shuffle: bool, run: np.uint64) -> Array:
    """Return the order in which a replication meets n rows, int64[n]: the table's, or one drawn from nature's key."""
    order = np.arange(n)
    if shuffle:
        _shuffle(order, Key(run, _SHUFFLE))
    return order


@loop
def _shuffle(order: Array, key: Key) -> None:
    """Permute `order` in place (Fisher, Yates 1938)."""
    for i in range(len(order) - 1, 0, -1):
        j = int(uniform(key, i) * (i + 1))
        order[i], order[j] = order[j], order[i]
