"""The watch of arms without contexts: bets that the mean reward of an arm has changed, by what it paid so far.

Each reward of an arm is measured from its mean, in units of the mean absolute deviation, and cut at 2.5 of these to
both sides. The mean is the one of which such deviations balance, so it is that of what is cut. Six bets, three each
way, multiply their wealth by 1 + bet times the deviation: on average by 1, whatever the law of the rewards. A bet
begins once the mean is so well known that five of its standard errors are less than what the bet needs to win by, and
only where no deviation that was seen ruins it: so rewards of two values, as clicks are, can be bet on much.

Source: `bets.py`; Huber, "Robust estimation of a location parameter", 1964. The numbers are measured
(`benchmarks/changes.py`).
Cost: O(1) a reward, about 15 ns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array, Decision, Instance
from .bets import Bets, bets, call_off_all
from .watch import NOTHING, register_watch

_BETS = np.array([0.18, 0.38, 0.9, -0.18, -0.38, -0.9])
_N = 6
_CUT = 2.5  # mean absolute deviations
_FEW = 8.0  # rewards of an arm before there is a deviation
_SELDOM = 15  # which bets are on is looked at where the number of rewards has none of these bits: each 16th time
_KNOWN = 100.0  # times bet^2 and the mean square of deviations: rewards of an arm before a bet begins
_RUIN = 0.96  # of its wealth, the most that a bet may lose by what was seen
_WON = 1e8  # the wealth that tells of a change


class MeanWatch(NamedTuple):
    """What each arm paid since the model that leads began, and the bets on it."""

    book: Bets  # a row for each arm
    rewards: Array  # float64[k] how many
    mean: Array  # float64[k] from which deviations, cut, balance
    deviation: Array  # float64[k] mean absolute deviation
    square: Array  # float64[k] mean square of deviations in units of that, cut
    low: Array  # float64[k] the lowest of these
    high: Array  # float64[k] the highest
    open: Array  # float64[k, 6] the bets that are on, as they were last looked at; 0 for those that are not


def mean_watch(n_arms: int) -> MeanWatch:
    """Return the watch of so many arms before any reward."""
    sums = [np.zeros(n_arms) for _ in range(6)]
    return MeanWatch._make([bets(n_arms, _N), *sums, np.zeros((n_arms, _N))])


@kernel
def _examine(
    watch: MeanWatch,
    params: Any,
    models: Any,
    leader: int,
    used: int,
    instance: Instance,
    decision: Decision,
    reward: float,
) -> int:
    arm: int = decision.action
    count = watch.rewards[arm] + 1.0
    watch.rewards[arm] = count
    share = 1.0 / count
    deviation = watch.deviation[arm]
    off = reward - watch.mean[arm]
    won = NOTHING
    if count > _FEW and deviation > 0.0:
        z: float = min(max(off / deviation, -_CUT), _CUT)
        if _bet(watch, arm, z, instance.t):
            won = arm
        watch.square[arm] += (z * z - watch.square[arm]) * share
        watch.deviation[arm] += (abs(off) - deviation) * share
        watch.mean[arm] += z * deviation * share
        if z < watch.low[arm] or z > watch.high[arm] or int(count) & _SELDOM == 0:
            watch.low[arm] = min(watch.low[arm], z)
            watch.high[arm] = max(watch.high[arm], z)
            _open(watch, arm)
    else:
        watch.deviation[arm] += (abs(off) - deviation) * share
        watch.mean[arm] += off * share
    return won


@kernel
def _bet(watch: MeanWatch, arm: int, z: float, number: int) -> bool:
    """Stake on a deviation, and tell whether a bet is won."""
    wealth, start, bet = watch.book.wealth[arm], watch.book.start[arm], watch.open[arm]
    for i in range(_N):
        if wealth[i] <= 1.0:
            wealth[i] = 1.0
            start[i] = number
    most = 0.0
    for i in range(_N):
        now = wealth[i] * (1.0 + bet[i] * z)
        wealth[i] = now
        most = now if now > most else most
    return most >= _WON


@kernel
def _open(watch: MeanWatch, arm: int) -> None:
    """See which bets on an arm are on: the mean is known well enough, and no deviation that was seen ruins them."""
    known = watch.rewards[arm] * watch.square[arm]
    low, high = watch.low[arm], watch.high[arm]
    for i in range(_N):
        bet = _BETS[i]
        on = known * bet * bet >= _KNOWN and -bet * low < _RUIN and -bet * high < _RUIN
        watch.open[arm, i] = bet if on else 0.0


@kernel
def _rival(watch: MeanWatch, leader: int, used: int, won: bool, number: int, n_worlds: int) -> int:
    """Return NOTHING: arms are learned anew as fast as a rival is tried."""
    return NOTHING


@kernel
def _numbered(watch: MeanWatch) -> int:
    return len(watch.rewards)


@kernel
def _is_young(watch: MeanWatch, leader: int, row: int) -> bool:
    return False


@kernel
def _lagged(watch: MeanWatch) -> int:
    return 0


@kernel
def _misfits(watch: MeanWatch) -> int:
    return 0


@kernel
def _begin(watch: MeanWatch, model: int, leader: int, row: int) -> int:
    """Say all arms, which `_follow` forgets: whether those not played have changed nobody knows; learning is quick."""
    return len(watch.rewards)


@kernel
def _is_fresh(watch: MeanWatch, arm: int) -> bool:
    return True


@kernel
def _renew(watch: MeanWatch, leader: int, arm: int) -> None:
    watch.rewards[arm] = 0.0
    watch.mean[arm] = 0.0
    watch.deviation[arm] = 0.0
    watch.square[arm] = 0.0
    watch.low[arm] = 0.0
    watch.high[arm] = 0.0
    for i in range(_N):
        watch.open[arm, i] = 0.0


@kernel
def _forget(watch: MeanWatch, model: int) -> None:
    """Do nothing: what each arm paid belongs to the model that leads."""


@kernel
def _follow(watch: MeanWatch, model: int) -> None:
    for arm in range(len(watch.rewards)):
        _renew(watch, model, arm)
    call_off_all(watch.book)


register_watch(
    MeanWatch,
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
