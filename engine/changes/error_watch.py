"""The watch of policies that predict rewards from contexts: bets that less is paid than the model that leads expects.

Of each arm, and of all together, the errors of the model that leads are kept: reward less prediction. Whatever changes,
the arms that are played were those of which most was expected, so what is paid falls short of it. Errors are measured
from a level, in units of their root mean square, downwards; what lies further below it than four of these is cut, and
above it than two and a half. The level follows the centre about which errors, cut like that, balance: upwards at once,
downwards slowly, so that a model that falls behind by and by comes to lie below; and it is never above 0, for a model
that expects more as it learns is not wrong for that. Two bets multiply their wealth by 1 + bet times the deviation: on
average by at most 1 while nothing changes, whatever the law of the rewards. A bet begins once the centre is so well
known that five of its standard errors are less than what the bet needs to win by.
The unit is never cut, so where rewards are rare a click outweighs the many small errors that come before it, and what
the model learns from one click wins no bet.

A bet that is won tells of a change only if less is paid than was paid before in contexts alike (`alike.py`): if not,
the model fits badly there, and the bet is called off.

An error is bet on only where the context is familiar (`familiar.py`). Where others come than did, centre and level
forget, and are learned anew while such contexts become familiar: so contexts that shift are no change. With named
features no prediction counts as more than the best reward so far, or as less than the lowest (`reached.py`).

Where the bets of one arm are won that arm has changed, and perhaps others with it: those that are doubted, by a bet on
each arm that is made from the first errors on and tells of no change by itself. Where most of the arms that were played
since have changed, so may have all.

Rivals, the models of worlds that have been, are tried first: if one was nearer to what was paid than the leader,
since the bets began, it leads next, unless it was tried in vain a moment ago. It leads as well, whatever the bets,
once it has been nearer for so long that chance is no explanation.

Source: `bets.py`. Following the better of some models: Herbster, Warmuth, "Tracking the best expert", 1998; departs
from it: only the leader learns. The numbers are measured (`benchmarks/changes.py`).
Cost: a prediction of one arm a reward, without its width, O(d) for the context, and a prediction for each rival.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import protocol
from ..kernel import kernel, routine
from ..protocol import reset, row_of
from ..vocabulary import Array, Decision, Instance, Problem
from .alike import (
    ALIKE,
    CHANGED,
    Alike,
    alike,
    begin_anew,
    compare,
    is_due,
    is_suspected,
    judge,
    note_misfit,
    rest,
    suspect,
)
from .bets import Bets, bets, call_off, call_off_all, largest, place_of, stake, tame
from .familiar import familiarity, is_familiar, others_come
from .reached import AsTheyAre, counted, reach, rewards_so_far
from .watch import NOTHING, register_watch

_ALL = 0  # the row of all arms together
_BETS = np.array([0.18, 0.38])
_BELOW, _ABOVE = 4.0, 2.5  # root mean squares from the centre at which an error is cut; no bet is ruined by the second
_NEWEST = 1000.0  # errors that make the root mean square
_FEW = 8.0  # errors of which the centre is the mean, before any is cut
_KNOWN = 100.0  # times bet^2 and the mean square of deviations: errors before a bet begins
_STRANGE = 32.0  # errors that the centre rests on where contexts are strange
_WON = 1e8  # the wealth that tells of a change
_SUSPECTED, _CLEARED = 100.0, 10.0  # the wealth from which on rewards are compared; below which they are no more
_WON_YOUNG = 1e3  # that of the doubts of one more arm, soon after a change
_DOUBT = 0.38  # the bet by which arms are doubted
_CHANGED = 4.0  # its wealth for an arm that has changed with others
_PLAYED = 50.0  # errors of an arm that can be doubted
_RIVALS = np.array([0.1, 0.3, 0.9])  # bets that a rival is nearer
_NEARER = 2.0  # mean squares: the difference of two squares counts as at most that
_TRIED = 2.0  # wealth of a rival that is tried, where bets are won
_CHANCE = 30.0  # wealth of a rival that leads at once, in decisions for each change that was found
_RIPE = 200.0  # errors of a new model before rivals are compared with it
_YOUNG = 500.0  # errors of a new model within which further arms may belong to its change
_FAR = 1e150  # a prediction beyond that, whose square no float64 holds, is none
_CALM = 300.0  # errors of a leader after which rivals that were tried in vain may be tried again


class Errors(NamedTuple):
    """The errors of each model, of each arm and of all together, in the worlds that it has learned."""

    total: Array  # float64[models, rows] how many
    square: Array  # float64[models, rows] mean square of the newest
    known: Array  # float64[models, rows] how many the centre rests on
    centre: Array  # float64[models, rows] from which they balance
    level: Array  # float64[models, rows] what they are measured from: it follows the centre slowly downwards
    spread: Array  # float64[models, rows] mean square of deviations from it, cut, in units of `square`


class ErrorWatch(NamedTuple):
    """Errors, bets on those of the leader, and how near its rivals are."""

    book: Bets  # row 0 for all arms together, row a + 1 for arm a, where arms are numbered once for all
    doubts: Bets  # a bet in each of these rows
    errors: Errors
    seen: Any  # what contexts were like: `familiar.py`
    reached: Any  # what predictions count as: `reached.py`
    known: Alike  # what was paid in which contexts
    nearer: Array  # float64[models, 3] wealth of bets that a rival is nearer to what is paid than the leader
    age: Array  # float64[models] errors since the model began; the first is as old as can be
    led: Array  # float64[1] errors since the leader leads
    tried: Array  # bool[models] whether it was tried in vain a moment ago
    last: Array  # int64[rows] number of the last decision for an arm that was learned
    scratch_fresh: Array  # bool[k] whether an arm is to be learned anew
    scratch_only: Array  # bool[k], all False between calls
    scratch_score: Array  # float64[k]
    scratch_width: Array  # float64[k]


def error_watch(n_models: int, n_numbered: int, problem: Problem, *, within_rewards: bool = True) -> ErrorWatch:
    """Return the watch of so many models before any reward; `n_numbered` arms have a number once for all.

    With named features predictions count no further than the rewards so far, unless `within_rewards` is false.
    """
    rows, n_arms = n_numbered + 1, problem.n_arms
    return ErrorWatch(
        book=bets(rows, len(_BETS)),
        doubts=bets(rows, 1),
        errors=Errors(*(np.zeros((n_models, rows)) for _ in range(6))),
        seen=familiarity(problem),
        reached=rewards_so_far() if within_rewards and problem.context_kind == "named" else AsTheyAre(),
        known=alike(rows, problem),
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
    reach(watch.reached, reward)
    error = _error(watch, params, models, leader, instance, arm, reward)
    if used > 1 and watch.age[leader] >= _RIPE:
        _compare(watch, params, models, leader, used, instance, arm, row, reward, error)
    familiar = is_familiar(watch.seen, instance.context)
    others = others_come(watch.seen)
    won = NOTHING
    if row > 0:
        watch.last[row] = instance.t
        _enter(watch, leader, row, error, familiar, others, instance.t)
    _enter(watch, leader, _ALL, error, familiar, others, instance.t)
    most = max(largest(watch.book, _ALL), largest(watch.book, row))
    watch.known.shortfall[0] = 0
    if most >= _SUSPECTED or is_suspected(watch.known):
        _suspect(watch, row)
    if is_due(watch.known):
        compare(watch.known, instance.context, arm, row, reward, instance.t, _numbered(watch) > 0)
    if row > 0 and _is_young(watch, leader, row):
        won = row if largest(watch.doubts, row) >= _WON_YOUNG else won
    elif most >= _WON and row > 0 and _is_won(watch, row, instance.t):
        won = row
    if most >= _WON and _is_won(watch, _ALL, instance.t):
        won = _ALL
    watch.age[leader] += 1.0
    watch.led[0] += 1.0
    if watch.led[0] == _CALM:
        for model in range(len(watch.tried)):
            watch.tried[model] = False
    return won


@kernel
def _suspect(watch: ErrorWatch, row: int) -> None:
    """Suspect a change where a bet on all arms, or on this one, has won much; and none where no bet has anything."""
    for each in (_ALL, row):
        if largest(watch.book, each) >= _SUSPECTED:
            suspect(watch.known, place_of(watch.book, each))
    if is_suspected(watch.known):
        most = 0.0
        for each in range(len(watch.last)):
            most = max(most, largest(watch.book, each))
        if most < _CLEARED:
            rest(watch.known)


@kernel
def _is_won(watch: ErrorWatch, row: int, number: int) -> bool:
    """Tell whether the bets on a row are won, and less is paid in the same contexts; if not, they have lost."""
    if largest(watch.book, row) < _WON:
        return False
    found = judge(watch.known, row)
    if found != CHANGED:
        watch.known.shortfall[0] = max(number - place_of(watch.book, row), 1)
    if found == ALIKE:
        note_misfit(watch.known, number)
        call_off(watch.book, row)
    elif found != CHANGED:
        tame(watch.book, row, _WON / 10.0)
    return bool(found == CHANGED)


@routine
def _error(
    watch: ErrorWatch, params: Any, models: Any, model: int, instance: Instance, arm: int, reward: float
) -> float:
    """Return how far a model's prediction of one arm is off."""
    only = watch.scratch_only[: len(instance.available)]
    only[arm] = True
    alone = Instance(instance.t, instance.context, only, instance.unit, instance.time)
    protocol.foretell(params, row_of(models, model), alone, watch.scratch_score, watch.scratch_width)
    only[arm] = False
    score = watch.scratch_score[arm]
    return reward - counted(watch.reached, score) if abs(score) <= _FAR else reward


@kernel
def _enter(watch: ErrorWatch, leader: int, row: int, error: float, familiar: bool, others: bool, number: int) -> None:
    """Bet on an error of the leader in one row, and count it there."""
    errors = watch.errors
    total = errors.total[leader, row] + 1.0
    errors.total[leader, row] = total
    square = errors.square[leader, row]
    square += (error * error - square) / min(total, _NEWEST)
    errors.square[leader, row] = square
    known = errors.known[leader, row]
    known = known * (1.0 - 1.0 / _STRANGE) + 1.0 if others else known + 1.0
    errors.known[leader, row] = known
    centre, unit = errors.centre[leader, row], math.sqrt(square)
    if known < _FEW:
        errors.centre[leader, row] += (error - centre) / known
        errors.level[leader, row] = errors.centre[leader, row]
    elif unit > 0.0:
        if familiar:
            below = _below(min(errors.level[leader, row], 0.0), error, unit)
            _bet(watch, row, known * errors.spread[leader, row], below, number)
        below = _below(centre, error, unit)
        errors.spread[leader, row] += (below * below - errors.spread[leader, row]) / known
        centre -= below * unit / known
        errors.centre[leader, row] = centre
        level = errors.level[leader, row]
        errors.level[leader, row] = centre if others else max(centre, level + (centre - level) / known)


@kernel
def _below(centre: float, error: float, unit: float) -> float:
    """Return how far an error lies below a centre, in units, cut."""
    return min(max((centre - error) / unit, -_ABOVE), _BELOW)


@kernel
def _bet(watch: ErrorWatch, row: int, known: float, below: float, number: int) -> None:
    """Stake on how far an error lies below the centre, of which so much is known; doubts tell where bets began."""
    stake(watch.doubts, row, 0, 1.0 + _DOUBT * below, number)
    for i in range(len(_BETS)):
        if known * _BETS[i] * _BETS[i] >= _KNOWN:
            stake(watch.book, row, i, 1.0 + _BETS[i] * below, watch.doubts.start[row, 0])


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
) -> None:
    """Bet that rivals are nearer to what was paid."""
    most = _NEARER * watch.errors.square[leader, row]
    if not most > 0.0:
        return
    for model in range(used):
        if model != leader:
            other = _error(watch, params, models, model, instance, arm, reward)
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
def _lagged(watch: ErrorWatch) -> int:
    return watch.known.shortfall[0]


@kernel
def _misfits(watch: ErrorWatch) -> int:
    return watch.known.misfit[0]


@kernel
def _begin(watch: ErrorWatch, model: int, leader: int, row: int) -> int:
    fresh = _sort(watch, leader, row)
    _forget(watch, model)
    if fresh < _numbered(watch):
        _keep(watch, model, leader)
    return fresh if _numbered(watch) > 0 else len(watch.scratch_fresh)


@kernel
def _keep(watch: ErrorWatch, model: int, leader: int) -> None:
    """Let a model that forgot keep what the leader knows of arms that are not fresh."""
    reset(row_of(watch.errors, model), row_of(watch.errors, leader))
    _clear(watch, model, _ALL)
    for arm in range(_numbered(watch)):
        if watch.scratch_fresh[arm]:
            _clear(watch, model, arm + 1)


@kernel
def _sort(watch: ErrorWatch, leader: int, row: int) -> int:
    """Write which arms are to be learned anew, and return how many: those that have changed, or all."""
    since = place_of(watch.book, row)
    played, changed = 0, 0
    for arm in range(_numbered(watch)):
        has_changed = arm + 1 == row or largest(watch.doubts, arm + 1) > _CHANGED
        watch.scratch_fresh[arm] = has_changed
        changed += 1 if has_changed else 0
        played += 1 if has_changed or _was_played(watch, leader, arm, since) else 0
    if 2 * changed < played:
        return changed
    for arm in range(_numbered(watch)):
        watch.scratch_fresh[arm] = True
    return _numbered(watch)


@kernel
def _was_played(watch: ErrorWatch, leader: int, arm: int, since: int) -> bool:
    """Tell whether an arm was played since a decision, and could be doubted."""
    return bool(watch.last[arm + 1] >= since and watch.errors.total[leader, arm + 1] > _PLAYED)


@kernel
def _is_fresh(watch: ErrorWatch, arm: int) -> bool:
    return bool(watch.scratch_fresh[arm])


@kernel
def _renew(watch: ErrorWatch, leader: int, arm: int) -> None:
    _clear(watch, leader, arm + 1)
    call_off(watch.book, arm + 1)
    call_off(watch.doubts, arm + 1)


@kernel
def _clear(watch: ErrorWatch, model: int, row: int) -> None:
    watch.errors.total[model, row] = 0.0
    watch.errors.square[model, row] = 0.0
    watch.errors.known[model, row] = 0.0
    watch.errors.centre[model, row] = 0.0
    watch.errors.level[model, row] = 0.0
    watch.errors.spread[model, row] = 0.0


@kernel
def _forget(watch: ErrorWatch, model: int) -> None:
    for row in range(len(watch.last)):
        _clear(watch, model, row)
    watch.age[model] = 0.0
    watch.tried[model] = False


@kernel
def _follow(watch: ErrorWatch, model: int) -> None:
    call_off_all(watch.book)
    call_off_all(watch.doubts)
    begin_anew(watch.known)
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
    lagged=_lagged,
    misfits=_misfits,
    is_fresh=_is_fresh,
    begin=_begin,
    renew=_renew,
    forget=_forget,
    follow=_follow,
)
