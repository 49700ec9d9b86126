"""What was paid before in contexts like those that come now: whether the world has changed, or the model fits badly.

Where a model cannot follow the truth, its errors depend on the context. If other contexts come by and by, less is paid
than it expects, as after a change, though in each context all is as it was. So rewards are compared with rewards: each
that comes while a change is suspected, with the one that was paid for the same arm in the most similar context before.
A difference counts only if that context is about as near as the nearest usually is. While nothing has changed the
differences of such pairs average 0, whatever the model expects.

Kept are up to 1,024 of the rewards of the world of now, spread evenly over its time, each with the numbers of its
context, of which more than 32 are hashed to 32. None is kept while a change is suspected.

Source: Abadie, Imbens, "Large sample properties of matching estimators for average treatment effects", Econometrica
74, 2006, of which the error is: rewards that are compared several times count so. Measured (`benchmarks/changes.py`).
Cost: O(1024 d) a reward while a change is suspected, seldom otherwise; O(d) for one in so many that is kept.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, register, routine
from ..vocabulary import Array, Features, Problem

_KEPT = 1024
_WIDTH = 32  # numbers of a context
_ANY = -1  # in place of an arm, where arms have no lasting numbers
_NOBODY = -1  # in place of the number of a decision
_NEAR = 2.0  # times the usual square of the distance to the nearest: farther ones are not compared
_NEWEST = 1000.0  # contexts that tell by how much their numbers usually differ
_SELDOM = 7  # how near the nearest is is looked at where the number of those kept has none of these bits: each 8th
_USUAL = 64.0  # distances that tell how near the nearest is
_SHORT = 50  # rewards kept: with fewer nothing can be compared
_FEW = 4.0  # pairs from which on they tell something
_SURE, _NONE = 3.0, 1.0  # standard errors of the mean difference: a change; none
_MOST = 1e150  # a number whose square a float64 does not hold counts as this
CHANGED, OPEN, ALIKE = 1, 0, -1  # the world has changed; nobody knows; what is paid is what was paid


class Alike(NamedTuple):
    """Rewards of this world, where they were paid, and how those that come differ from them."""

    kind: Any  # of contexts
    number: Array  # int64[n] of the decision
    arm: Array  # int64[n]
    reward: Array  # float64[n]
    place: Array  # float32[n, m] the numbers of the context
    used: Array  # float64[n] how often it was compared since a change is suspected
    filled: Array  # int64[1] how many there are
    offered: Array  # int64[1] how many there might be
    stride: Array  # int64[1] of so many one is kept
    mean: Array  # float64[m]
    square: Array  # float64[m] mean square deviation
    near: Array  # float64[2] the usual square of the distance to the nearest, and how many tell it
    before: Array  # int64[1] the number of the decision with which the change would have come, or NOBODY
    pairs: Array  # float64[rows, 4] how many, differences, their squares, and squares of how often one was compared
    misfit: Array  # int64[2] how often the model fitted badly, and the number of the decision that told it last
    shortfall: Array  # int64[1] decisions that bets took that were won and not believed just now, else 0
    scratch_place: Array  # float64[m]


class PlainPlace(NamedTuple):
    """Contexts that are float64[d]."""


class ActionPlace(NamedTuple):
    """Contexts that are float64[k, p]: those of the action count."""


class NamedPlace(NamedTuple):
    """Contexts that are `Features`: the shared ones and those of the action count."""


def alike(rows: int, problem: Problem) -> Alike:
    """Return what is known of the rewards of a problem before any; bets are on so many rows."""
    kind: Any = {"dense": PlainPlace, "actions": ActionPlace, "named": NamedPlace}[problem.layout]()
    m = _WIDTH if problem.layout == "named" else min(_WIDTH, problem.context_shape[-1])
    return Alike(
        kind=kind,
        number=np.zeros(_KEPT, np.int64),
        arm=np.zeros(_KEPT, np.int64),
        reward=np.zeros(_KEPT),
        place=np.zeros((_KEPT, m), np.float32),
        used=np.zeros(_KEPT),
        filled=np.zeros(1, np.int64),
        offered=np.zeros(1, np.int64),
        stride=np.ones(1, np.int64),
        mean=np.zeros(m),
        square=np.zeros(m),
        near=np.zeros(2),
        before=np.full(1, _NOBODY),
        pairs=np.zeros((rows, 4)),
        misfit=np.zeros(2, np.int64),
        shortfall=np.zeros(1, np.int64),
        scratch_place=np.zeros(m),
    )


@generic
def write_place(kind: Any, context: Any, arm: int, place: Array) -> None:
    """Add the numbers of a context and an arm to a place, which is 0."""
    KERNELS[type(kind)]["write_place"](kind, context, arm, place)


@kernel
def _put(place: Array, j: int, value: float) -> None:
    m = len(place)
    value = min(max(value, -_MOST), _MOST)
    place[j % m] += value if (j // m) & 1 == 0 else -value


@kernel
def _write_numbers(kind: PlainPlace, context: Array, arm: int, place: Array) -> None:
    for j in range(len(context)):
        _put(place, j, context[j])


@kernel
def _write_row(kind: ActionPlace, context: Array, arm: int, place: Array) -> None:
    for j in range(context.shape[1]):
        _put(place, j, context[arm, j])


@kernel
def _write_named(kind: NamedPlace, context: Features, arm: int, place: Array) -> None:
    for i in range(context.start[0], context.start[1]):
        _put(place, int(context.index[i]), context.value[i])
    for i in range(context.start[arm + 1], context.start[arm + 2]):
        _put(place, int(context.index[i]), context.value[i])


@kernel
def is_due(known: Alike) -> bool:
    """Tell whether the reward that comes is to be compared, or kept in mind (all are, or one in so many); count it."""
    known.offered[0] += 1
    return bool(known.before[0] != _NOBODY or known.offered[0] & (known.stride[0] - 1) == 0)


@routine
def compare(known: Alike, context: Any, arm: int, row: int, reward: float, number: int, numbered: bool) -> None:
    """Compare a reward that is due with what was paid before, where a change is suspected; else keep it in mind."""
    suspected = known.before[0] != _NOBODY
    for j in range(len(known.scratch_place)):
        known.scratch_place[j] = 0.0
    write_place(known.kind, context, arm, known.scratch_place)
    of = arm if numbered else _ANY
    if not suspected:
        _keep(known, of, reward, number)
        return
    nearest, distance = _nearest(known, of, known.before[0])
    if nearest >= 0 and distance <= _NEAR * known.near[0]:
        difference = reward - known.reward[nearest]
        used = known.used[nearest]
        known.used[nearest] = used + 1.0
        _pair(known, 0, difference, used)
        if row > 0:
            _pair(known, row, difference, used)


@kernel
def _pair(known: Alike, row: int, difference: float, used: float) -> None:
    known.pairs[row, 0] += 1.0
    known.pairs[row, 1] += difference
    known.pairs[row, 2] += difference * difference
    known.pairs[row, 3] += 2.0 * used + 1.0


@kernel
def _nearest(known: Alike, arm: int, before: int) -> tuple[int, float]:
    """Return which reward was paid for an arm in the nearest place before a decision, or -1, and how far it is.

    Of several that are as near it is the one that was compared least often.
    """
    nearest, least = -1, math.inf
    for i in range(known.filled[0]):
        if known.arm[i] == arm and known.number[i] < before:
            far = 0.0
            for j in range(len(known.scratch_place)):
                off = known.scratch_place[j] - known.place[i, j]
                square = known.square[j]
                far += off * off / square if square > 0.0 else 0.0
                if far > least:
                    break
            if far < least or (far == least and known.used[i] < known.used[nearest]):
                nearest, least = i, far
    return nearest, least


@kernel
def _keep(known: Alike, arm: int, reward: float, number: int) -> None:
    """Keep a reward in mind, and of some how near the nearest is; where there is no room every other one goes."""
    if known.filled[0] & _SELDOM == 0:
        nearest, distance = _nearest(known, arm, number)
        if nearest >= 0:
            known.near[1] += 1.0
            known.near[0] += (distance - known.near[0]) / min(known.near[1], _USUAL)
    if known.filled[0] == _KEPT:
        for i in range(1, _KEPT, 2):
            to = i // 2
            known.number[to] = known.number[i]
            known.arm[to] = known.arm[i]
            known.reward[to] = known.reward[i]
            for j in range(known.place.shape[1]):
                known.place[to, j] = known.place[i, j]
        known.filled[0] = _KEPT // 2
        known.stride[0] *= 2
        if known.offered[0] & (known.stride[0] - 1) != 0:
            return
    i = known.filled[0]
    known.filled[0] = i + 1
    known.number[i] = number
    known.arm[i] = arm
    known.reward[i] = reward
    share = 1.0 / min(known.offered[0] // known.stride[0] + 1.0, _NEWEST)
    for j in range(known.place.shape[1]):
        value = known.scratch_place[j]
        known.place[i, j] = value
        off = value - known.mean[j]
        known.mean[j] += off * share
        known.square[j] = (1.0 - share) * (known.square[j] + share * off * off)


@kernel
def suspect(known: Alike, before: int) -> None:
    """Suspect a change that came with a decision, and compare from now on."""
    if known.before[0] == _NOBODY:
        known.before[0] = before
        for i in range(_KEPT):
            known.used[i] = 0.0
        for row in range(known.pairs.shape[0]):
            for j in range(4):
                known.pairs[row, j] = 0.0


@kernel
def is_suspected(known: Alike) -> bool:
    """Tell whether a change is suspected."""
    return bool(known.before[0] != _NOBODY)


@kernel
def rest(known: Alike) -> None:
    """Suspect no change any more."""
    known.before[0] = _NOBODY


@kernel
def judge(known: Alike, row: int) -> int:
    """Return whether less is paid in a row than in contexts alike before: CHANGED, OPEN or ALIKE.

    Where hardly anything is kept nothing can be compared, and the bets are believed: CHANGED.
    """
    if known.filled[0] < _SHORT:
        return CHANGED
    n = known.pairs[row, 0]
    if n < _FEW:
        return OPEN
    mean = known.pairs[row, 1] / n
    square = max(known.pairs[row, 2] / n - mean * mean, 0.0) / 2.0
    error = math.sqrt(square * (n + known.pairs[row, 3])) / n
    if -mean > _SURE * error:
        return CHANGED
    return ALIKE if -mean < _NONE * error or mean >= 0.0 else OPEN


@kernel
def note_misfit(known: Alike, number: int) -> None:
    """Note that the model fits badly: it is wrong in contexts that come more often now, and nothing has changed."""
    known.misfit[0] += 1
    known.misfit[1] = number


@kernel
def begin_anew(known: Alike) -> None:
    """Forget all rewards: another world has begun."""
    known.filled[0] = 0
    known.offered[0] = 0
    known.stride[0] = 1
    known.near[0] = 0.0
    known.near[1] = 0.0
    known.before[0] = _NOBODY


register(PlainPlace, write_place=_write_numbers)
register(ActionPlace, write_place=_write_row)
register(NamedPlace, write_place=_write_named)
