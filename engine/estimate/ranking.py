"""Many policies on one log: which can still be the best, with intervals that all hold together.

>>> rng = np.random.default_rng(1)
>>> rewards = [(rng.random(2000) < p).astype(float) for p in (0.30, 0.50, 0.52)]
>>> found = rank([Terms("ips", reward, None, None, np.ones(2000)) for reward in rewards])
>>> found.order.tolist(), found.can_be_best.tolist(), found.rank_first.tolist(), found.rank_last.tolist()
([1, 2, 0], [False, True, True], [3, 1, 1], [3, 2, 2])
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..draws import RESAMPLING, normal, normals, run_key
from ..errors import InvalidInput
from ..kernel import kernel_beside, loop
from ..vocabulary import Array, Key
from .interval import check_level, spread_of
from .leaning import widened
from .terms import Terms

_ROOM = 1 << 20  # influences that are held at once, of all policies
_AT_ONCE = 128  # draws
_MANY = 32  # policies from which on draws are made by compiled code: one in 80 takes long in Python
_SAME = 1e-12  # of the larger variance: two policies whose difference varies less are one


class Ranking(NamedTuple):
    """What a log says of K policies together, at one level."""

    value: Array  # float64[K]
    low: Array  # float64[K], of intervals that cover all values at once; NaN where a policy shows no spread
    high: Array  # float64[K]
    order: Array  # int64[K], from the best value to the worst; those without a value last
    behind: Array  # float64[K], the best value less this one
    behind_low: Array  # float64[K], of intervals that cover all differences at once
    behind_high: Array  # float64[K]
    rank_first: Array  # int64[K], the best rank that it can have, from 1 on
    rank_last: Array  # int64[K]
    can_be_best: Array  # bool[K], none is better beyond doubt


def rank(policies: Sequence[Terms], level: float = 0.95, seed: int = 0, draws: int = 10_000) -> Ranking:
    """Rank K policies by their terms on the same n decisions.

    The largest |deviation| / standard error is drawn `draws` times: over the policies for the intervals, over all pairs
    for differences and ranks. Its quantile takes the place of 1.96. Policies that decide alike cost next to nothing,
    as their deviations move together. Where policies lean on a model, intervals and ranks contain those by `dr`.

    Source: Chernozhukov, Chetverikov, Kato, "Gaussian approximations and multiplier bootstrap for maxima of sums", 2013
    (given the log, the multiplied influences are normal with their K x K covariance, from which is drawn); ranks:
    Mogstad, Romano, Shaikh, Wilhelm, "Inference for ranks with applications", 2024.
    Assumes: many independent decisions, as `interval.normal` does.
    Refuses: no policies, and terms of different lengths. A policy without a value is not ruled out by anything.
    """
    check_level(level)
    if not policies or len({len(terms.weight) for terms in policies}) > 1:
        lengths = sorted({len(terms.weight) for terms in policies})
        raise InvalidInput(
            "policies", f"{len(policies)} policies on {lengths} decisions: rank takes one or more, of one log"
        )
    value = np.array([terms.value for terms in policies])
    found = _together(policies, level, seed, draws)
    if any(terms.leans for terms in policies):
        by_dr = _together([terms.by_dr for terms in policies], level, seed, draws)
        gap = value[:, None] - value[None, :]
        found = _Ends(*widened(value, found[:2], by_dr[:2]), *widened(gap, found[2:], by_dr[2:]))
    better = found.gap_low > 0.0  # [i, j]: i is better than j beyond doubt; never where a value is NaN
    order = np.argsort(np.where(np.isnan(value), -math.inf, value) * -1.0, kind="stable")
    best = order[0]
    return Ranking(
        value,
        found.low,
        found.high,
        order,
        value[best] - value,
        found.gap_low[best],
        found.gap_high[best],
        1 + better.sum(axis=0),
        len(value) - better.sum(axis=1),
        np.asarray(~better.any(axis=0)),
    )


class _Ends(NamedTuple):
    """Intervals that cover all values, and all differences, at once."""

    low: Array  # float64[K]
    high: Array  # float64[K]
    gap_low: Array  # float64[K, K], [i, j] of the value of i less that of j
    gap_high: Array  # float64[K, K]


def _together(policies: Sequence[Terms], level: float, seed: int, draws: int) -> _Ends:
    """Return the ends by the spread of these terms."""
    value = np.array([terms.value for terms in policies])
    known = np.array([spread_of(terms)[1] is None for terms in policies])
    covariance = _covariance(policies, known)
    variance = np.diag(covariance).copy()
    deviation = _deviations(covariance, run_key(seed, 0, RESAMPLING), draws)

    error = np.where(known, np.sqrt(variance), math.nan)
    reach = _quantile(np.abs(deviation[:, known]) / error[known], level) * error

    gap = value[:, None] - value[None, :]
    square = variance[:, None] + variance[None, :] - 2.0 * covariance
    differs = square > _SAME * np.maximum(variance[:, None], variance[None, :])
    between = np.where(differs, np.sqrt(np.maximum(square, 0.0)), 0.0)
    apart, largest = np.where(differs, between, math.inf), np.zeros(draws)
    columns = np.ascontiguousarray(deviation.T)
    _widest.compiled(columns, apart, largest)(columns, apart, largest)
    doubt = float(np.quantile(largest, level)) * between
    return _Ends(value - reach, value + reach, gap - doubt, gap + doubt)


@loop
def _widest(deviation: Array, apart: Array, largest: Array) -> None:
    """Write the largest |deviation of i - that of j| / apart[i, j] of each draw, float64[draws].

    Deviations are float64[K, draws], and `apart` is float64[K, K], the same above and below, inf for what is no pair.
    Some draws at a time: those of all policies then stay in the cache.
    """
    for first in range(0, len(largest), _AT_ONCE):
        last = min(first + _AT_ONCE, len(largest))
        most = largest[first:last]
        for i in range(len(apart)):
            one = deviation[i, first:last]
            for j in range(i):
                if apart[i, j] != math.inf:
                    _widen(one, deviation[j, first:last], apart[i, j], most)


def _widen_in_python(one: Array, other: Array, between: float, most: Array) -> None:
    np.fmax(most, np.abs(one - other) / between, out=most)


@kernel_beside(_widen_in_python)
def _widen(one: Array, other: Array, between: float, most: Array) -> None:
    """Let the largest of some draws grow by a pair."""
    for draw in range(len(most)):
        gap = abs(one[draw] - other[draw]) / between
        most[draw] = gap if gap > most[draw] else most[draw]


def _covariance(policies: Sequence[Terms], known: Array) -> Array:
    """Return the covariance of the estimates, float64[K, K], 0 for those without spread."""
    n, found = len(policies[0].weight), np.zeros((len(policies), len(policies)))
    which = np.flatnonzero(known).tolist()
    influences = [policies[k].influences for k in which]
    size = max(1, _ROOM // len(policies))
    for first in range(0, n, size):
        rows = slice(first, min(n, first + size))
        influence = np.zeros((len(policies), rows.stop - rows.start))
        for k, of in zip(which, influences, strict=True):
            influence[k] = of(rows)
        found += influence @ influence.T
    return np.asarray(found / max(n, 1) ** 2)


def _deviations(covariance: Array, run: np.uint64, draws: int) -> Array:
    """Return draws of normal deviations with that covariance, float64[draws, K]."""
    size, direction = np.linalg.eigh(covariance)
    if len(covariance) < _MANY:
        standard = _standard(run, draws, len(covariance))
    else:
        standard = np.empty((draws, len(covariance)))
        _draw.compiled(run, standard)(run, standard)
    return np.asarray(standard @ (direction * np.sqrt(np.maximum(size, 0.0))).T)


@functools.lru_cache(maxsize=2)  # a report ranks its policies with the log and without it, and again by `dr`
def _standard(run: np.uint64, draws: int, n_policies: int) -> Array:
    """Return the draws of a few policies, float64[draws, K], to be read only."""
    standard = normals(run, draws, 0, n_policies)
    standard.flags.writeable = False
    return standard


@loop
def _draw(run: np.uint64, standard: Array) -> None:
    """Write what `normals` returns."""
    for i in range(standard.shape[0]):
        for j in range(standard.shape[1]):
            standard[i, j] = normal(Key(run, i), j)


def _quantile(ratio: Array, level: float) -> float:
    """Return the quantile of the largest of each row; NaN where rows are empty."""
    return float(np.quantile(ratio.max(axis=1), level)) if ratio.shape[1] else math.nan
