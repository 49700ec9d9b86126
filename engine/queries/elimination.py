"""Rounds in which the worst arms are rejected: what successive rejects and sequential halving share.

In round r each arm that is still in is asked until it has `quota[r]` visits; then the worst are rejected, by their mean
answers, until `keep[r]` are left. In the last round those that are left are asked until the budget is spent.
A round ends when all open arms that are in have their visits and an answer at least: none is rejected unheard, unless
it is closed, for a round does not wait for closed arms. Of equal means the arm with the smaller lot goes; lots are
drawn when arms are asked, so that a state says who goes, and the law of the next query is known.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..draws import uniform
from ..kernel import kernel
from ..vocabulary import Array, Key
from .evidence import Evidence, mean_of
from .query_index import visits

_LOT = 1  # index of the draw


class Elimination(NamedTuple):
    """Who is still in, as of the last decision."""

    alive: Array  # bool[k]
    round: Array  # int64[1]
    lot: Array  # float64[k] of [0, 1), drawn when the arm was asked last
    scratch_quota: Array  # int64[rounds - 1] visits; fixed by the problem
    scratch_keep: Array  # int64[rounds - 1] arms; fixed by the problem
    scratch_alive: Array  # bool[k] as of the decision that is made
    scratch_index: Array  # float64[k]


def begin_rounds(arms: int, quota: list[int], keep: list[int]) -> Elimination:
    """Return the first round, with all arms."""
    return Elimination(
        alive=np.ones(arms, np.bool_),
        round=np.zeros(1, np.int64),
        lot=np.zeros(arms),
        scratch_quota=np.array(quota, np.int64),
        scratch_keep=np.array(keep, np.int64),
        scratch_alive=np.ones(arms, np.bool_),
        scratch_index=np.zeros(arms),
    )


@kernel
def rank_survivors(evidence: Evidence, rounds: Elimination, available: Array) -> None:
    """Write into `scratch_index` minus the visits of those that are in, and -inf for the others.

    Where none of those that are in is open, all arms get minus their visits.
    """
    _close_rounds(evidence, rounds, available)
    alive, index = rounds.scratch_alive, rounds.scratch_index
    some = False
    for a in range(len(alive)):
        some = some or (alive[a] and available[a])
    for a in range(len(alive)):
        index[a] = -math.inf if some and not alive[a] else -float(visits(evidence, a))


@kernel
def note_survivors(evidence: Evidence, rounds: Elimination, available: Array, arm: int, key: Key) -> None:
    """Write down who is in when a decision is made, and draw the lot of the arm that is asked."""
    rounds.round[0] = _close_rounds(evidence, rounds, available)
    for a in range(len(rounds.alive)):
        rounds.alive[a] = rounds.scratch_alive[a]
    rounds.lot[arm] = uniform(key, _LOT)


@kernel
def _close_rounds(evidence: Evidence, rounds: Elimination, available: Array) -> int:
    """End each round that is over, in `scratch_alive`; return the number of the round that is on."""
    n_alive = 0
    for a in range(len(rounds.alive)):
        rounds.scratch_alive[a] = rounds.alive[a]
        n_alive += rounds.alive[a]
    now = rounds.round[0]
    while now < len(rounds.scratch_quota) and _is_over(evidence, rounds, now, available):
        while n_alive > rounds.scratch_keep[now]:
            _reject_worst(evidence, rounds)
            n_alive -= 1
        now += 1
    return int(now)


@kernel
def _is_over(evidence: Evidence, rounds: Elimination, now: int, available: Array) -> bool:
    some = False
    for a in range(len(available)):
        if available[a] and rounds.scratch_alive[a]:
            some = True
            if evidence.count[a] == 0 or visits(evidence, a) < rounds.scratch_quota[now]:
                return False
    return some


@kernel
def _reject_worst(evidence: Evidence, rounds: Elimination) -> None:
    worst = -1
    for a in range(len(rounds.scratch_alive)):
        if rounds.scratch_alive[a] and (worst < 0 or _is_worse(evidence, rounds, a, worst)):
            worst = a
    rounds.scratch_alive[worst] = False


@kernel
def _is_worse(evidence: Evidence, rounds: Elimination, arm: int, other: int) -> bool:
    mean, than = mean_of(evidence, arm), mean_of(evidence, other)
    return mean < than or (mean == than and rounds.lot[arm] < rounds.lot[other])
