"""Units as clusters: decisions of one unit are not independent, so what counts is a unit.

Source: Liang, Zeger, "Longitudinal data analysis using generalized linear models", 1986: influences are summed by
cluster. The bootstrap and empirical likelihood draw and weigh units in place of decisions.
Assumes: many independent units, of which none dominates, however alike the decisions of each are.

>>> rewards = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
>>> terms = Terms("ips", rewards, None, None, np.ones(6))
>>> groups = groups_of(np.array([7, 7, 7, 9, 9, 0], np.uint64))
>>> groups.tolist(), by_unit(terms, groups).part.tolist(), by_unit(terms, groups).share.tolist()
([0, 0, 0, 1, 1, 2], [3.0, 0.0, 0.0], [3.0, 2.0, 1.0])
>>> by_unit(terms, groups).value == terms.value
True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..vocabulary import NOBODY, Array
from .blocks import blocks
from .terms import Terms


def groups_of(unit: Array, room: Callable[[int, Any], Array] = np.empty) -> Array | None:
    """Return which group each of n decisions is in, int64[n] from 0, by their units, uint64[n]; nobody is one each.

    None where no unit has two decisions. `room` returns an array of so many numbers of a dtype, for what is as long as
    the log: it may lie in a file. Cost: O(n log n).
    """
    ordered = room(len(unit), np.uint64)
    ordered[:] = unit
    ordered.sort()
    alone = int(np.searchsorted(ordered, NOBODY, "right"))  # NOBODY is 0, below all others
    ordered = ordered[alone:]
    fresh = [ordered[rows][ordered[rows] != _before(ordered, rows)] for rows in blocks(len(ordered))]
    first = np.concatenate([np.zeros(0, np.uint64), *fresh])
    if len(first) == len(ordered):
        return None
    groups, nobody = room(len(unit), np.int64), len(first)
    for rows in blocks(len(unit)):
        some, known = groups[rows], unit[rows] != NOBODY
        ids, place = np.unique(unit[rows][known], return_inverse=True)  # in order they are found faster
        some[known] = np.searchsorted(first, ids)[place]
        some[~known] = np.arange(nobody, nobody + len(some) - int(known.sum()))
        nobody += len(some) - int(known.sum())
    return groups


def _before(ordered: Array, rows: slice) -> Array:
    """Return what stands before each of some numbers above 0, which ascend; 0 before the first."""
    start = rows.start or 0
    return np.concatenate([ordered[start - 1 : start] if start else np.zeros(1, np.uint64), ordered[rows][:-1]])


def groups_among(groups: Array | None, some: Array) -> Array | None:
    """Return the groups of some decisions, bool[n], numbered anew; None where there are none."""
    return None if groups is None else np.unique(groups[some], return_inverse=True)[1]


def by_unit(terms: Terms, groups: Array | None) -> Terms:
    """Return terms of the same value, one for each group: sums over its decisions; as they are where there are none.

    `groups`, int64[n], are the numbers of the decisions' groups, from 0. A mean of n decisions becomes a ratio, as how
    many decisions a unit has is chance too. Beside a ratio the base is summed as it moves the value, to first order.
    """
    if groups is None:
        return terms
    if terms.corrected is not None:
        terms = terms._replace(corrected=_summed(terms.corrected, groups))
    size = np.bincount(groups).astype(np.float64)
    weight = np.bincount(groups, terms.weight)
    if terms.part is None or terms.share is None:
        if terms.base is None:
            return terms._replace(weight=weight)
        return terms._replace(base=None, part=np.bincount(groups, terms.base), share=size, weight=weight)
    part, share = np.bincount(groups, terms.part), np.bincount(groups, terms.share)
    if terms.base is None:
        return terms._replace(part=part, share=share, weight=weight)
    return terms._replace(base=_summed(terms.base, groups), part=part, share=share, weight=weight)


def _summed(base: Array, groups: Array) -> Array:
    """Return one number for each group, float64[groups], of the same mean, each as far off as its decisions move it."""
    mean = float(np.mean(base))
    moved = np.bincount(groups, base - mean)
    return np.asarray(mean + len(moved) / len(groups) * moved)
