"""Record ladder: one arm is kept, the king; a newcomer climbs rungs of fresh pulls, each above the king's record.

The rungs have `low` u pulls, then `growth` times as many each, up to `high` u ln(K). The first one whose mean is not
above the record by `margin` eps ends the climb, and the newcomer is dropped; the last one crowns it, and its mean is
the new record. The first arm is crowned after one batch of the last rung's size.
A record, unlike a duel, does not forget: a slow descent of the means cannot lead the king astray.

Source: ours, in the model of Assadi and Wang, STOC 2020. It stands where Wang, "Tight regret bounds for single-pass
streaming multi-armed bandits", ICML 2023, cites Jin, Huang, Tang, Xiao, "Optimal streaming algorithms for multi-armed
bandits", ICML 2021, and is not their algorithm. That it costs O(K u) pulls is measured, not proved.
Where the trials are few, u counts as T / (3 K) at the most.
State: the king's place and record, and the size, count and sum of the newcomer's rung. Cost: O(1) a move.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.actions import PULL, READ, pull
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.streams import (
    Stream,
    accuracy,
    advance,
    affordable_unit,
    begin,
    go_on,
    log_arms,
    recommend_king,
    there,
    whole,
)
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class RecordLadderParams(NamedTuple):
    """Numbers fixed at creation."""

    low: float  # pulls of the first rung, in u, > 0
    high: float  # pulls of the last rung, in u ln(K), > 0
    growth: float  # of the rungs, > 1
    margin: float  # above the record, in eps, >= 0
    scale: float  # unit of the rewards, > 0: the length of their range


class RecordLadderState(NamedTuple):
    """The king, and the newcomer's rung."""

    stream: Stream
    king: Array  # int64[1] the king's place, -1 while there is none; the last place where it has not been stored yet
    record: Array  # float64[2] mean at which it was crowned, and the pulls of it
    size: Array  # float64[1] pulls of this rung
    pulls: Array  # int64[1] of the newcomer on this rung
    total: Array  # float64[1] of its rewards there
    judged: Array  # int64[1] 1 where nothing more is to be learned of the newcomer
    scratch_move: Array  # int64[3]


def record_ladder(
    low: float = 0.5, high: float = 0.5, growth: float = 1.5, margin: float = 0.25, scale: float = 1.0
) -> Policy:
    """Keep one arm, and let newcomers climb from `low` u pulls to `high` u ln(K), each rung `growth` times as many.

    They stay while their mean is above the record by `margin` eps. `scale` is the range of the rewards.
    """
    params = RecordLadderParams(
        check_param("low", low, low=0.0, low_open=True),
        check_param("high", high, low=0.0, low_open=True),
        check_param("growth", growth, low=1.0, low_open=True),
        check_param("margin", margin, low=0.0),
        check_param("scale", scale, low=0.0, low_open=True),
    )
    return Policy("record_ladder", params, init, actions=("move",))


def init(params: RecordLadderParams, problem: Problem) -> RecordLadderState:
    """Return the state before the first arm."""
    return RecordLadderState(
        stream=begin(problem),
        king=np.full(1, -1),
        record=np.zeros(2),
        size=np.zeros(1),
        pulls=np.zeros(1, np.int64),
        total=np.zeros(1),
        judged=np.zeros(1, np.int64),
        scratch_move=np.zeros(3, np.int64),
    )


@kernel
def top(params: RecordLadderParams, stream: Stream) -> float:
    """Return the pulls of the last rung: at least those of the first."""
    return max(params.low, params.high * log_arms(stream)) * affordable_unit(stream)


@kernel
def select(params: RecordLadderParams, state: RecordLadderState, instance: Instance, key: Key) -> Decision:
    """Pull the newcomer until it is judged; then read the next one, or pull the king where there is none to read."""
    arrived = len(instance.available) - 2
    king, move, stream = state.king[0], state.scratch_move, state.stream
    if there(instance.available, arrived) and state.judged[0] == 0:
        return Decision(pull(move, arrived, whole(stream, state.size[0] - state.pulls[0])), 1.0)
    return go_on(stream, instance.available, king, move)


@kernel
def update(
    params: RecordLadderParams,
    state: RecordLadderState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Judge the newcomer after a rung; show the next one its first rung after a read."""
    arrived = len(instance.available) - 2
    move = decision.action
    advance(state.stream, decision, feedback)
    if move[0] == READ:
        if state.king[0] == arrived:
            state.king[0] = move[1]
        first = top(params, state.stream) if state.king[0] < 0 else params.low * affordable_unit(state.stream)
        _begin_rung(state, first)
        state.judged[0] = 0
    elif move[0] == PULL and move[1] == arrived and state.judged[0] == 0:
        state.pulls[0] += int(feedback.detail[0])
        state.total[0] += feedback.reward
        if state.pulls[0] >= state.size[0]:
            _judge(params, state, arrived)


@kernel
def _judge(params: RecordLadderParams, state: RecordLadderState, arrived: int) -> None:
    mean = state.total[0] / state.pulls[0]
    bar = state.record[0] + params.margin * params.scale * accuracy(state.stream)
    last = top(params, state.stream)
    if state.king[0] >= 0 and mean <= bar:
        state.judged[0] = 1
    elif state.king[0] >= 0 and state.size[0] < last:
        _begin_rung(state, min(params.growth * state.size[0], last))
    else:
        state.king[0] = arrived
        state.record[0] = mean
        state.record[1] = state.pulls[0]
        state.judged[0] = 1


@kernel
def _begin_rung(state: RecordLadderState, size: float) -> None:
    state.size[0] = size
    state.pulls[0] = 0
    state.total[0] = 0.0


register_policy(RecordLadderParams, select=select, update=update, recommend=recommend_king)
