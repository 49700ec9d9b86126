"""Game of coins: one arm is kept, the king, and has to win against every newcomer from a budget that these pay in.

A newcomer brings 4 units into the king's budget, of (4 / gap^2) ln(1 / delta) pulls each. In round l both are pulled
3^l units, afresh, for which the king pays 3^l of the budget: where his mean is larger he stays, else the next round
begins; where he cannot pay for it the newcomer is king, with nothing in his budget.

Right where the best arm is better than every other one by `gap` at least: it is king at the end with probability
1 - delta, after 8 K units of pulls at the most; the number K of arms need not be known then.

WRONG where there is no such gap, not only slow: the king is judged by duels alone, a newcomer that is slightly worse
wins many of them, and the loss adds up. Of 1000 means or more that fall evenly from 0.7 to 0.3, at eps = 0.1, it ends
on the last one, 4 eps below the best. Without a gap of yours eps = (K / T)^(1/3) takes its place: take `early_drop`.

Source: Assadi, Wang, "Exploration with limited memory: streaming algorithms for coin tossing, noisy comparisons, and
multi-armed bandits", STOC 2020, the algorithm for the best coin, with its constant C = 1.
Departs from the paper: a unit is `size` = 1/4 of the printed one, which keeps the promise at a quarter of the price:
400 streams each of 100, 1000 and 10 000 arms (gap 0.1, the others at 0.5, delta 0.1) all ended on the best arm, after
6.0 K ln(1 / delta) / gap^2 pulls; with a twelfth of the printed unit 85 of 100 did. And where the trials are known,
units shrink until a third of the trials suffices for all.
State: the king's place and budget, and the round's size, counts and sums. Cost: O(1) a move.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.actions import PULL, READ, pull
from ...engine.elementary import log
from ...engine.kernel import kernel
from ...engine.problem import PULLS_MAX, check_param
from ...engine.protocol import register_policy
from ...engine.streams import (
    Stream,
    accuracy,
    advance,
    begin,
    go_on,
    recommend_king,
    share_of_arm,
    there,
    whole,
)
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

KING, NEWCOMER = 0, 1
_PAID_IN = 4.0  # units that a newcomer brings
_SPENT = 8.0  # units that it costs, on average and at the most: king and newcomer are pulled as often


class GameOfCoinsParams(NamedTuple):
    """Numbers fixed at creation."""

    gap: float  # between the best arm and every other, > 0; 0 stands for eps
    delta: float  # chance of an error, within (0, 1)
    size: float  # of the unit, > 0: 1 is the printed one
    scale: float  # unit of the rewards, > 0: the length of their range


class GameOfCoinsState(NamedTuple):
    """The king, and the round that is played."""

    stream: Stream
    king: Array  # int64[1] the king's place, -1 while there is none; the last place where it has not been stored yet
    budget: Array  # float64[1] what the king can pay, in pulls
    size: Array  # float64[1] pulls of each of the two in this round
    pulls: Array  # int64[2] of the king and of the newcomer in this round
    total: Array  # float64[2] of their rewards
    judged: Array  # int64[1] 1 where nothing more is to be learned of the newcomer
    scratch_move: Array  # int64[3]


def game_of_coins(gap: float | None = None, delta: float = 0.1, size: float = 0.25, scale: float = 1.0) -> Policy:
    """Find the best arm with probability 1 - `delta` where it is better than every other one by `gap`.

    Without a `gap` it is taken to be (K / T)^(1/3). `size` 1 takes the printed number of pulls. `scale` is the range of
    the rewards.
    """
    params = GameOfCoinsParams(
        0.0 if gap is None else check_param("gap", gap, low=0.0, low_open=True),
        check_param("delta", delta, low=0.0, high=1.0, low_open=True, high_open=True),
        check_param("size", size, low=0.0, low_open=True),
        check_param("scale", scale, low=0.0, low_open=True),
    )
    return Policy("game_of_coins", params, init, actions=("move",))


def init(params: GameOfCoinsParams, problem: Problem) -> GameOfCoinsState:
    """Return the state before the first arm."""
    return GameOfCoinsState(
        stream=begin(problem),
        king=np.full(1, -1),
        budget=np.zeros(1),
        size=np.zeros(1),
        pulls=np.zeros(2, np.int64),
        total=np.zeros(2),
        judged=np.zeros(1, np.int64),
        scratch_move=np.zeros(3, np.int64),
    )


@kernel
def unit_pulls(params: GameOfCoinsParams, stream: Stream) -> float:
    """Return how many pulls a unit is: a third at least, as the first round has three."""
    gap = params.gap / params.scale if params.gap > 0.0 else accuracy(stream)
    pulls = params.size * 4.0 / (gap * gap) * log(1.0 / params.delta)
    most = share_of_arm(stream) / _SPENT if stream.trials[0] > 0 else float(PULLS_MAX)
    return max(min(pulls, most), 1.0 / 3.0)


@kernel
def select(params: GameOfCoinsParams, state: GameOfCoinsState, instance: Instance, key: Key) -> Decision:
    """Pull the king and the newcomer until the round is over; then read the next one, or pull the king."""
    arrived = len(instance.available) - 2
    king, move, stream = state.king[0], state.scratch_move, state.stream
    if there(instance.available, arrived) and there(instance.available, king) and state.judged[0] == 0:
        who = KING if state.pulls[KING] < state.size[0] else NEWCOMER
        batch = whole(stream, state.size[0] - state.pulls[who])
        return Decision(pull(move, king if who == KING else arrived, batch), 1.0)
    return go_on(stream, instance.available, king, move)


@kernel
def update(
    params: GameOfCoinsParams,
    state: GameOfCoinsState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Judge the two after a round; let the newcomer pay in after a read."""
    arrived = len(instance.available) - 2
    move = decision.action
    advance(state.stream, decision, feedback)
    if move[0] == READ:
        if state.king[0] == arrived:
            state.king[0] = move[1]
        unit = unit_pulls(params, state.stream)
        state.budget[0] += _PAID_IN * unit
        _begin_round(state, 3.0 * unit, arrived)
    elif move[0] == PULL and state.judged[0] == 0:
        who = NEWCOMER if move[1] == arrived else KING
        state.pulls[who] += int(feedback.detail[0])
        state.total[who] += feedback.reward
        if min(state.pulls[KING], state.pulls[NEWCOMER]) >= state.size[0]:
            _judge(state, arrived)


@kernel
def _judge(state: GameOfCoinsState, arrived: int) -> None:
    if state.total[KING] / state.pulls[KING] > state.total[NEWCOMER] / state.pulls[NEWCOMER]:
        state.judged[0] = 1
    else:
        _begin_round(state, 3.0 * state.size[0], arrived)


@kernel
def _begin_round(state: GameOfCoinsState, size: float, arrived: int) -> None:
    """Let the king pay for a round; where he cannot, or is none, crown the newcomer."""
    state.judged[0] = 1 if state.king[0] < 0 or state.budget[0] < size else 0
    if state.judged[0] == 1:
        state.king[0] = arrived
        state.budget[0] = 0.0
        return
    state.budget[0] -= size
    state.size[0] = size
    for who in range(2):
        state.pulls[who] = 0
        state.total[who] = 0.0


register_policy(GameOfCoinsParams, select=select, update=update, recommend=recommend_king)
