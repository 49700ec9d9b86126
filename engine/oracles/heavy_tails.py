"""Rewards whose largest errors are too large to be learned whole: told by their tail, and cut.

Where errors have heavy tails (a few of them outweigh all others, as with Student's t of 2 degrees), one reward can
mislead a regression for as long as it lives. Errors are cut to a limit then: the size that a fifth of the newest 128
exceeds, or more. It grows with sqrt(n / 1000) after n = 1000 rewards, so that what is cut vanishes in the long run.

Nothing is cut where rewards repeat themselves (clicks, stars, whole euros: more than one in twenty equals the one
before it), for then a large error may be the rare reward that all is about; nor where the tail is light: Hill's
estimate of its index, from the largest tenth of all errors, at most 31 of them, is 5 or more (2 for Student's t of 2
degrees, about 8 for normal errors); nor where that of the largest quarter of these is 10 or more: rare rewards that are
alike are no tail; nor where nearly all of the largest errors, but for the very largest, lie on one side: noise has two,
and what has one are rare purchases or disasters, by which an action is worth what it is.

No limit is below .3 of the range in which the middle of the newest rewards lies: errors that are small beside that
mislead nobody, and those of a world without noise shrink from large ones to rounding. After five errors in a row that
were cut, those that follow are learned whole, until one is not so large: it is the world that has changed then.

Errors are in units of their own standard error, sqrt(1 + width^2): what was not known yet is not taken for noise. A
linear model without many coordinates knows so soon that it can leave the width out.

Source: Huber, "Robust estimation of a location parameter", 1964, for errors that are cut; Hill, "A simple general
approach to inference about the tail of a distribution", 1975. The numbers are measured (`benchmarks/defaults.py`).
Cost: next to nothing where rewards repeat themselves; else O(32) a reward, and every 16 rewards and at an error larger
than all before it, while the tail is heavy, two sorts of 128 numbers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import log
from ..errors import InvalidInput, as_seen
from ..kernel import kernel, routine
from ..vocabulary import Array

_NEWEST = 128
_LARGEST = 32
_FEWEST = 6  # rewards before anything is cut
_OFTEN = 64  # rewards up to which each one is looked at
_SELDOM = 16  # rewards between two looks from then on
_REPEATS = 0.05  # share of rewards that equal the one before: more, and nothing is cut
_TAIL = 0.1  # share of all errors that tell the index, while that is at most 31 of them
_HEAVY = 5.0  # an index below is heavy
_ALIKE = 10.0  # one of the very largest above: they are alike
_FEW = 6  # largest errors: of fewer one has to lie on the other side
_ONE_SIDED = 0.6  # the balance of the largest beyond: they lie on one side
_SMALL = 0.3  # of the range of the middle of the newest rewards: no limit is below
_WILDEST = 1e120  # an error beyond is no reward's: its square may be infinite
_WHOLE = 0.8  # share of the newest errors that are not cut
_ROW = 5  # errors in a row that are cut: the next one is a change of the world, and no noise
_GROWS = 1000.0  # rewards after which the limit grows
_MIDDLE = 0.85  # share of the newest rewards between `ends`


class HeavyTails(NamedTuple):
    """What the errors of predictions look like."""

    rewards: Array  # int64[1] how many there were
    repeats: Array  # int64[1] of them equal to the one before
    last: Array  # float64[1] the newest
    entered: Array  # int64[1] rewards whose error was looked at
    reward: Array  # float64[128] the newest of these, in a ring
    error: Array  # float64[128] the sizes of the newest errors, in units of their standard errors
    largest: Array  # float64[32] the sizes of the largest errors, the largest first
    side: Array  # float64[32] 1 where such a reward was above its prediction, -1 where it was below
    row: Array  # int64[1] newest errors in a row that are beyond the limit
    limit: Array  # float64[1] size beyond which an error is cut; infinite where none is
    ends: Array  # float64[2] where `limit` is finite, between which rewards .85 of the newest lie
    square: Array  # float64[1] where `limit` is finite, the mean square of the newest errors, each cut
    scratch_sorted: Array  # float64[128]


def heavy_tails() -> HeavyTails:
    """Return what is known before any reward."""
    return HeavyTails(
        rewards=np.zeros(1, np.int64),
        repeats=np.zeros(1, np.int64),
        last=np.zeros(1),
        entered=np.zeros(1, np.int64),
        reward=np.zeros(_NEWEST),
        error=np.zeros(_NEWEST),
        largest=np.zeros(_LARGEST),
        side=np.zeros(_LARGEST),
        row=np.zeros(1, np.int64),
        limit=np.full(1, math.inf),
        ends=np.zeros(2),
        square=np.zeros(1),
        scratch_sorted=np.zeros(_NEWEST),
    )


def check_robust(robust: bool) -> bool:
    """Return whether a policy cuts errors with heavy tails."""
    if not isinstance(robust, bool):
        raise InvalidInput("bad_param", f"robust is {as_seen(robust)}: it must be true or false")
    return robust


@kernel
def varies(tails: HeavyTails, reward: float) -> bool:
    """Count a reward; tell whether they differ from the one before often enough for their errors to have a tail."""
    if tails.rewards[0] > 0 and reward == tails.last[0]:
        tails.repeats[0] += 1
    tails.last[0] = reward
    tails.rewards[0] += 1
    varied = bool(tails.repeats[0] <= _REPEATS * tails.rewards[0])
    if not varied:
        tails.limit[0] = math.inf
    return varied


@kernel
def cut(tails: HeavyTails, reward: float, score: float, width: float) -> float:
    """Enter a reward, where rewards vary; its prediction was `score`, of this standard error in units of the noise.

    Return what is to be learned in its place: the reward itself, where nothing is cut. A prediction beyond the middle
    of the newest rewards, as of a context far from all others, is the wrong one of the two: the error is cut as if it
    had been at the end.
    """
    unit = math.sqrt(1.0 + width * width)
    if not unit < math.inf:
        return reward
    _enter(tails, reward, min(abs(reward - score) / unit, _WILDEST), 1.0 if reward > score else -1.0)
    most = tails.limit[0] * unit
    n = tails.entered[0]
    if n > _GROWS:
        most *= math.sqrt(n / _GROWS)
    if abs(reward - score) <= most:
        tails.row[0] = 0
        return reward
    tails.row[0] += 1
    if tails.row[0] > _ROW:
        return reward
    if reward > score:
        return min(reward, max(score, tails.ends[0]) + most)
    return max(reward, min(score, tails.ends[1]) - most)


@kernel
def cuts(tails: HeavyTails) -> bool:
    """Tell whether errors are cut at present."""
    return tails.limit[0] < math.inf


@kernel
def _enter(tails: HeavyTails, reward: float, error: float, side: float) -> None:
    """Enter a reward and the size and side of its error, and look at the tail where that is due."""
    n = tails.entered[0]
    tails.reward[n % _NEWEST] = reward
    tails.error[n % _NEWEST] = error
    place = _LARGEST
    while place > 0 and tails.largest[place - 1] < error:
        place -= 1
    for i in range(_LARGEST - 1, place, -1):
        tails.largest[i] = tails.largest[i - 1]
        tails.side[i] = tails.side[i - 1]
    if place < _LARGEST:
        tails.largest[place] = error
        tails.side[place] = side
    n += 1
    tails.entered[0] = n
    if n >= _FEWEST and (n < _OFTEN or n % _SELDOM == 0 or place == 0):
        k = min(max(int(_TAIL * n), 3), _LARGEST - 1)
        heavy = _index(tails, k) < _HEAVY and _index(tails, max(k // 4, 3)) < _ALIKE
        if heavy and (_has_both_sides(tails, k) if k < _FEW else abs(_balance(tails, k)) <= _ONE_SIDED):
            _look(tails)
        else:
            tails.limit[0] = math.inf


@kernel
def _index(tails: HeavyTails, k: int) -> float:
    """Return Hill's estimate of the tail's index, from the k largest errors; infinite where it has none."""
    base = tails.largest[k]
    if not base > 0.0:
        return math.inf
    total = 0.0
    for i in range(k):
        total += log(tails.largest[i] / base)
    return k / total if total > 0.0 else math.inf


@kernel
def _has_both_sides(tails: HeavyTails, k: int) -> bool:
    """Tell whether the k + 1 largest errors lie on both sides."""
    both = False
    for i in range(1, k + 1):
        both = both or tails.side[i] != tails.side[0]
    return both


@kernel
def _balance(tails: HeavyTails, k: int) -> float:
    """Return 1 where all of the k largest errors but one are above what was predicted, -1 where below, 0 where both.

    Each counts by how far it is beyond the next one after these; the largest does not, so that one decides nothing.
    """
    total, above = 0.0, 0.0
    for i in range(1, k):
        beyond = log(tails.largest[i] / tails.largest[k])
        total += beyond
        above += tails.side[i] * beyond
    return above / total if total > 0.0 else 0.0


@routine
def _look(tails: HeavyTails) -> None:
    """Set the limit, and what is told of the newest rewards."""
    m = min(tails.entered[0], _NEWEST)
    ordered = tails.scratch_sorted
    _sort(tails.reward, ordered, m)
    outside = 0.5 * (1.0 - _MIDDLE)
    tails.ends[0] = ordered[int(outside * (m - 1))]
    tails.ends[1] = ordered[int((1.0 - outside) * (m - 1))]
    _sort(tails.error, ordered, m)
    limit = max(ordered[int(_WHOLE * (m - 1))], _SMALL * (tails.ends[1] - tails.ends[0]))
    total = 0.0
    for i in range(m):
        size = min(ordered[i], limit)
        total += size * size
    tails.limit[0] = limit
    tails.square[0] = total / m


@kernel
def _sort(numbers: Array, ordered: Array, m: int) -> None:
    """Write the first m numbers into `ordered`, the least first: Shell's sort."""
    for i in range(m):
        ordered[i] = numbers[i]
    gap = 40
    while gap >= 1:
        for i in range(gap, m):
            number = ordered[i]
            j = i
            while j >= gap and ordered[j - gap] > number:
                ordered[j] = ordered[j - gap]
                j -= gap
            ordered[j] = number
        gap //= 3
