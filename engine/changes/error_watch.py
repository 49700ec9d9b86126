"""The watch of policies that predict rewards from contexts: bets that their errors have become larger.

Of each arm, and of all together, the mean square of errors of the model that leads is kept, of the newest thousand,
and a level, which falls with it at once and rises slowly, so that errors which grow by and by come to lie above it. In
units of the level a square counts as at most 20. Three bets multiply their wealth by 1 + bet (square - 1): on average
by at most 1 while errors do not grow, whatever their law, and as a model learns they shrink. An error counts only where
the model knows what it says: where the width of its prediction is no more than the root of that mean square. So
contexts that shift are no change, until the model knows them too. Nor does it count where the action was merely tried,
with a propensity below three times chance (and below one half): what is tried mostly pays nothing, which is easily
foretold, and once the best is played errors are larger.

Where the bets of one arm are won that arm has changed, and perhaps others with it: those whose own wealth is above 4.
Where the bets of all together are won, and most of the arms that were played since have changed, so may have those
that were not.

Rivals, the models of worlds that have been, are tried first: if one was nearer to what was paid than the leader,
since the bets began, it leads next, unless it was tried in vain a moment ago. It leads as well, whatever the bets,
once it has been nearer for so long that chance is no explanation.

Source: `bets.py`. Following the better of some models: Herbster, Warmuth, "Tracking the best expert", 1998; departs
from it: only the leader learns. The numbers are measured (`benchmarks/changes.py`).
Cost: a prediction of one arm a reward, and one for each rival.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import protocol
from ..kernel import kernel, routine
from ..laws.availability import count_available
from ..protocol import reset, row_of
from ..vocabulary import Array, Decision, Instance
from .bets import Bets, bets, call_off, call_off_all, largest, place_of, stake
from .watch import NOTHING, register_watch

_ALL = 0  # the row of all arms together
_BETS = np.array([0.2, 0.5, 0.9])
_KNOWN = 36.0  # times bet^2 and the variance of squares: errors before a bet begins
_CARRY = 20.0  # errors that carry the mean, by their squares: where few do it is not known yet
_MOST = 20.0  # means that a square counts as, at most
_MEANT = 3.0  # times as likely as by chance: what is less was tried, and not meant to be the best
_FEW = 50.0  # errors before there is a mean
_NEWEST = 1000.0
_ABOVE = 1.1  # of the mean square: the level that it must have been at, for squares to exceed it
_WON = 1e8  # the wealth that tells of a change
_WON_YOUNG = 1e3  # the same of one more arm, soon after a change
_CHANGED = 4.0  # wealth of an arm that has changed with others
_RIVALS = np.array([0.1, 0.3, 0.9])  # bets that a rival is nearer
_NEARER = 4.0  # mean squares: the difference of two squares counts as at most that
_TRIED = 2.0  # wealth of a rival that is tried, where bets are won
_CHANCE = 30.0  # wealth of a rival that leads at once, in decisions for each change that was found
_RIPE = 200.0  # errors of a new model before rivals are compared with it
_YOUNG = 500.0  # errors of a new model within which further arms may belong to its change
_FAR = 1e150  # a prediction beyond that, whose square no float64 holds, is none
_CALM = 300.0  # errors of a leader after which rivals that were tried in vain may be tried again


class Errors(NamedTuple):
    """The errors of each model, of each arm and of all together, in the worlds that it has learned."""

    total: Array  # float64[models, rows] how many
    square: Array  # float64[models, rows] their mean square
    variance: Array  # float64[models, rows] of squares in units of that
    level: Array  # float64[models, rows] what squares are measured by: a mean square that follows slowly upwards


class ErrorWatch(NamedTuple):
    """Errors, bets on those of the leader, and how near its rivals are."""

    book: Bets  # row 0 for all arms together, row a + 1 for arm a, where arms are numbered once for all
    errors: Errors
    nearer: Array  # float64[models, 3] wealth of bets that a rival is nearer to what is paid than the leader
    age: Array  # float64[models] errors since the model began; the first is as old as can be
    led: Array  # float64[1] errors since the leader leads
    tried: Array  # bool[models] whether it was tried in vain a moment ago
    last: Array  # int64[rows] number of the last decision for an arm that was learned
    scratch_fresh: Array  # bool[k] whether an arm is to be learned anew
    scratch_only: Array  # bool[k], all False between calls
    scratch_score: Array  # float64[k]
    scratch_width: Array  # float64[k]


def error_watch(n_models: int, n_numbered: int, n_arms: int) -> ErrorWatch:
    """Return the watch of so many models before any reward; `n_numbered` arms have a number once for all."""
    rows = n_numbered + 1
    return ErrorWatch(
        book=bets(rows, len(_BETS)),
        errors=Errors(*(np.zeros((n_models, rows)) for _ in range(4))),
        nearer=np.ones((n_models, len(_RIVALS))),
        age=np.where(np.arange(n_models) == 0, _YOUNG, 0.0),
        led=np.zeros(1),
        tried=np.zeros(n_models, np.bool_),
        last=np.full(rows, -1),
        scratch_fresh=np.zeros(n_arms, np.bool_),
        scratch_only=np.zeros(n_arms, np.bool_),
        scratch_score=np.zeros(n_arms),
        scratch_width=np.zeros(n_arms),
    )


@routine
def _examine(
    watch: ErrorWatch,
    params: Any,
    models: Any,
    leader: int,
    used: int,
    instance: Instance,
    decision: Decision,
    reward: float,
) -> int:
    arm: int = decision.action
    row = min(arm + 1, len(watch.last) - 1)
    error, width = _error(watch, params, models, leader, instance, arm, reward)
    if used > 1 and watch.age[leader] >= _RIPE:
        _compare(watch, params, models, leader, used, instance, arm, row, reward, error, width)
    won = NOTHING
    if row > 0:
        watch.last[row] = instance.t
    if not decision.propensity < min(_MEANT / count_available(instance.available), 0.5):
        if row > 0:
            _enter(watch, leader, row, error, width, instance.t)
            if largest(watch.book, row) >= (_WON_YOUNG if _is_young(watch, leader, row) else _WON):
                won = row
        _enter(watch, leader, _ALL, error, width, instance.t)
        if largest(watch.book, _ALL) >= _WON:
            won = _ALL
    watch.age[leader] += 1.0
    watch.led[0] += 1.0
    if watch.led[0] == _CALM:
        for model in range(len(watch.tried)):
            watch.tried[model] = False
    return won


@routine
def _error(
    watch: ErrorWatch, params: Any, models: Any, model: int, instance: Instance, arm: int, reward: float
) -> tuple[float, float]:
    """Return how far a model's prediction of one arm is off, and the width of it."""
    only = watch.scratch_only[: len(instance.available)]
    only[arm] = True
    alone = Instance(instance.t, instance.context, only)
    protocol.appraise(params, row_of(models, model), alone, watch.scratch_score, watch.scratch_width)
    only[arm] = False
    score, width = watch.scratch_score[arm], watch.scratch_width[arm]
    return (reward - score if abs(score) <= _FAR else reward), (width if width == width else 0.0)


@kernel
def _enter(watch: ErrorWatch, leader: int, row: int, error: float, width: float, number: int) -> None:
    """Bet on an error of the leader in one row, and count it there, where the model knows what it says."""
    errors = watch.errors
    total, square, level = errors.total[leader, row], errors.square[leader, row], errors.level[leader, row]
    of = error * error
    if total >= _FEW:
        if width * width > square > 0.0:
            return
        if level > 0.0:
            of = min(of, _MOST * level)
            _bet(watch, leader, row, of / level - 1.0, number)
    share = 1.0 / min(total + 1.0, _NEWEST)
    errors.total[leader, row] = total + 1.0
    square += (of - square) * share
    errors.square[leader, row] = square
    if total >= _FEW and _ABOVE * square < level:
        errors.level[leader, row] = _ABOVE * square
    else:
        errors.level[leader, row] += (square - level) * share


@kernel
def _bet(watch: ErrorWatch, leader: int, row: int, excess: float, number: int) -> None:
    """Stake on what a square exceeds its level by, in units of that."""
    errors = watch.errors
    variance = errors.variance[leader, row]
    total = min(errors.total[leader, row], _NEWEST)
    known = total * variance
    for i in range(len(_BETS)):
        if known * _BETS[i] * _BETS[i] >= _KNOWN and total >= _CARRY * (1.0 + variance):
            stake(watch.book, row, i, 1.0 + _BETS[i] * excess, number)
    bets_made = errors.total[leader, row] - _FEW + 1.0
    errors.variance[leader, row] += (excess * excess - variance) / min(bets_made, _NEWEST)


@kernel
def _compare(
    watch: ErrorWatch,
    params: Any,
    models: Any,
    leader: int,
    used: int,
    instance: Instance,
    arm: int,
    row: int,
    reward: float,
    error: float,
    width: float,
) -> None:
    """Bet that rivals are nearer to what was paid."""
    most = _NEARER * (watch.errors.square[leader, row] + width * width)
    if not most > 0.0:
        return
    for model in range(used):
        if model != leader:
            other, _ = _error(watch, params, models, model, instance, arm, reward)
            nearer = min(max(error * error - other * other, -most), most) / most
            for i in range(len(_RIVALS)):
                watch.nearer[model, i] = max(watch.nearer[model, i], 1.0) * (1.0 + _RIVALS[i] * nearer)


@kernel
def _rival(watch: ErrorWatch, leader: int, used: int, won: bool, number: int, n_worlds: int) -> int:
    if won:
        watch.tried[leader] = True
    most = _TRIED if won else _CHANCE * (number + 1.0) / n_worlds
    found = NOTHING
    for model in range(used):
        if model != leader and not watch.tried[model]:
            for i in range(len(_RIVALS)):
                if watch.nearer[model, i] > most:
                    most = watch.nearer[model, i]
                    found = model
    return found


@kernel
def _numbered(watch: ErrorWatch) -> int:
    return len(watch.last) - 1


@kernel
def _is_young(watch: ErrorWatch, leader: int, row: int) -> bool:
    return row != _ALL and watch.age[leader] < _YOUNG


@kernel
def _begin(watch: ErrorWatch, model: int, leader: int, row: int) -> int:
    fresh = _sort(watch, leader, row)
    reset(row_of(watch.errors, model), row_of(watch.errors, leader))
    _clear(watch, model, _ALL)
    for arm in range(_numbered(watch)):
        if watch.scratch_fresh[arm]:
            _clear(watch, model, arm + 1)
    watch.age[model] = 0.0
    watch.tried[model] = False
    return fresh if _numbered(watch) > 0 else len(watch.scratch_fresh)


@kernel
def _sort(watch: ErrorWatch, leader: int, row: int) -> int:
    """Write which arms are to be learned anew, and return how many: those that have changed, or may have."""
    since = place_of(watch.book, row)
    played, changed = 0, 0
    for arm in range(_numbered(watch)):
        has_changed = arm + 1 == row or largest(watch.book, arm + 1) > _CHANGED
        watch.scratch_fresh[arm] = has_changed
        if _has_bets(watch, leader, arm, since):
            played += 1
            changed += 1 if has_changed else 0
    fresh = 0
    for arm in range(_numbered(watch)):
        if 2 * changed >= played and not _has_bets(watch, leader, arm, since):
            watch.scratch_fresh[arm] = True
        fresh += 1 if watch.scratch_fresh[arm] else 0
    return fresh


@kernel
def _has_bets(watch: ErrorWatch, leader: int, arm: int, since: int) -> bool:
    """Tell whether there were bets on an arm since a decision."""
    return bool(watch.last[arm + 1] >= since and watch.errors.total[leader, arm + 1] > _FEW)


@kernel
def _is_fresh(watch: ErrorWatch, arm: int) -> bool:
    return bool(watch.scratch_fresh[arm])


@kernel
def _renew(watch: ErrorWatch, leader: int, arm: int) -> None:
    _clear(watch, leader, arm + 1)
    call_off(watch.book, arm + 1)


@kernel
def _clear(watch: ErrorWatch, model: int, row: int) -> None:
    watch.errors.total[model, row] = 0.0
    watch.errors.square[model, row] = 0.0
    watch.errors.variance[model, row] = 0.0


@kernel
def _forget(watch: ErrorWatch, model: int) -> None:
    for row in range(len(watch.last)):
        _clear(watch, model, row)
    watch.age[model] = 0.0
    watch.tried[model] = False


@kernel
def _follow(watch: ErrorWatch, model: int) -> None:
    call_off_all(watch.book)
    watch.led[0] = 0.0
    for other in range(len(watch.age)):
        for i in range(len(_RIVALS)):
            watch.nearer[other, i] = 1.0


register_watch(
    ErrorWatch,
    examine=_examine,
    rival=_rival,
    numbered=_numbered,
    is_young=_is_young,
    is_fresh=_is_fresh,
    begin=_begin,
    renew=_renew,
    forget=_forget,
    follow=_follow,
)
