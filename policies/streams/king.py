"""King: one arm is kept, and a newcomer has to beat the king's record in every round that he can pay for.

The first arm is king unseen, with the record eps / 2. Each newcomer pays u pulls into the budget. Round l = 0, 1, ..
costs 2^l u of it, pulls of the newcomer alone, afresh: a mean of at most the record less eps / 5 drops it. Once the
budget does not suffice, or after floor(10 ln ln K) rounds, it is crowned: its record is its mean over 1.2 u more pulls,
but better than the record before by `gap` / 2 at least, and the budget begins at 1.2 u again. As a newcomer pays in
what its first round costs, no second one can be paid for, and the full stream costs K u to 2.2 K u; only where K or T
is unknown, and u changes, there are more rounds.

`thinned` adds the second stream of the experiments, for which a second slot is needed: of all arms, each with
probability 1.5 / ln K, the one with the largest mean over u ln K pulls. It is committed to only where the full stream
was given up, after 10 K u pulls, which does not happen: the thinned one only costs, 1.5 u an arm.

THE PAPER'S VARIANT, for comparison: where the gap is not known, eps takes its place, and then a crowning lifts the
record by eps / 2 even where the newcomer is no better, so the record can pass the best mean and lock all others out.
Take `early_drop`.

Source: the program of the experiments in Wang, "Tight regret bounds for single-pass streaming multi-armed bandits",
ICML 2023 ("game of arms"), which builds on Assadi and Wang, STOC 2020.
Departs from it: the gap is the user's or eps, and not the true one; a newcomer that wins all rounds is crowned, where
the program stops with an error; where the full stream was given up and the thinned one holds nothing, the king stays,
where the program pulls an arm that is not there; a thinned arm may be the king as well, in one slot; and u counts as
T / (3 K) at the most. Rewards in [0, scale].
State: places and records of the two, and the newcomer's round. Cost: O(1) a move.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.actions import PULL, READ, pull, read
from ...engine.draws import uniform
from ...engine.elementary import log
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.streams import (
    Stream,
    accuracy,
    advance,
    affordable_unit,
    arms_of,
    batch_of_kept,
    begin,
    log_arms,
    place_to_pull,
    readable,
    there,
    whole,
)
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

CHALLENGE, CROWNING, THINNED, JUDGED = range(4)
_START = 1.2  # of a budget, in u
_GIVEN_UP = 10.0  # pulls of the full stream, in K u
_THINNED = 1.5  # arms of the thinned stream, in K / ln K


class KingParams(NamedTuple):
    """Numbers fixed at creation."""

    gap: float  # twice what a crowning adds to the record, > 0; 0 stands for eps
    thinned: bool  # whether there is a second, thinned stream
    scale: float  # unit of the rewards, > 0: the length of their range


class KingState(NamedTuple):
    """The king, the best of the thinned stream, and the newcomer."""

    stream: Stream
    king: Array  # int64[1] the king's place, -1 while there is none; the last place where it has not been stored yet
    record: Array  # float64[2] what it is judged by, and the pulls of it
    budget: Array  # float64[1] in pulls
    spent: Array  # int64[1] pulls of the full stream
    thin: Array  # int64[1] the place of the best arm of the thinned stream, as `king`
    thin_record: Array  # float64[2] its mean, and the pulls of it
    phase: Array  # int64[1] what the newcomer is pulled for
    level: Array  # int64[1] the round of its challenge
    taken: Array  # int64[1] 1 where the thinned stream takes it too
    pulls: Array  # int64[1] of it in this round
    total: Array  # float64[1] of its rewards in this round
    scratch_move: Array  # int64[3]


def king(gap: float | None = None, thinned: bool = False, scale: float = 1.0) -> Policy:
    """Keep one arm as the paper's experiments do, and let newcomers beat its record; for comparison with other rules.

    Without a `gap` between the two best arms it is taken to be (K / T)^(1/3). `thinned` adds the second stream, for
    which a second slot is needed. Rewards lie between 0 and `scale`.
    """
    if not isinstance(thinned, bool):
        raise InvalidInput("bad_param", f"thinned is {as_seen(thinned)}: it must be true or false")
    params = KingParams(
        0.0 if gap is None else check_param("gap", gap, low=0.0, low_open=True),
        thinned,
        check_param("scale", scale, low=0.0, low_open=True),
    )
    return Policy("king", params, init, actions=("move",))


def init(params: KingParams, problem: Problem) -> KingState:
    """Return the state before the first arm; refuse a thinned stream where there is no second slot."""
    if params.thinned and (problem.slots or 0) < 2:
        raise InvalidInput(
            "policy_does_not_fit",
            f"a king with a thinned stream needs 2 slots, and this problem has {problem.slots}: ask for more slots, "
            "or leave thinned out",
        )
    return KingState(
        stream=begin(problem),
        king=np.full(1, -1),
        record=np.zeros(2),
        budget=np.zeros(1),
        spent=np.zeros(1, np.int64),
        thin=np.full(1, -1),
        thin_record=np.zeros(2),
        phase=np.zeros(1, np.int64),
        level=np.zeros(1, np.int64),
        taken=np.zeros(1, np.int64),
        pulls=np.zeros(1, np.int64),
        total=np.zeros(1),
        scratch_move=np.zeros(3, np.int64),
    )


@kernel
def rounds(stream: Stream) -> int:
    """Return how many rounds a challenge has at the most: floor(10 ln ln K), at least 1."""
    return int(max(np.floor(10.0 * log(max(log_arms(stream), 1.0))), 1.0))


@kernel
def size(params: KingParams, state: KingState) -> float:
    """Return the pulls of what the newcomer is in."""
    u = affordable_unit(state.stream)
    if state.phase[0] == CROWNING:
        return _START * u
    if state.phase[0] == THINNED:
        return u * log_arms(state.stream)
    return u * 2.0 ** state.level[0]


@kernel
def given_up(params: KingParams, state: KingState) -> bool:
    """Tell whether the full stream has had its pulls."""
    return state.spent[0] > _GIVEN_UP * arms_of(state.stream) * affordable_unit(state.stream)


@kernel
def recommend(params: KingParams, state: KingState, key: Key) -> int:
    """Return the king's place; that of the thinned stream's best arm where the full one was given up."""
    if state.thin[0] >= 0 and given_up(params, state):
        return state.thin[0]
    return state.king[0]


@kernel
def select(params: KingParams, state: KingState, instance: Instance, key: Key) -> Decision:
    """Pull the newcomer until it is judged; then read the next one, or where there is none pull what is kept."""
    arrived = len(instance.available) - 2
    move, stream = state.scratch_move, state.stream
    if there(instance.available, arrived) and state.phase[0] != JUDGED:
        return Decision(pull(move, arrived, whole(stream, size(params, state) - state.pulls[0])), 1.0)
    if readable(instance.available):
        return Decision(read(move, _place(state, arrived)), 1.0)
    return Decision(
        pull(move, place_to_pull(instance.available, recommend(params, state, key)), batch_of_kept(stream)), 1.0
    )


@kernel
def _place(state: KingState, arrived: int) -> int:
    """Return where the newcomer goes: into the slot of what it replaced, and nowhere where it replaced nothing."""
    if state.king[0] != arrived and state.thin[0] != arrived:
        return arrived
    return 1 if state.king[0] == 0 or state.thin[0] == 0 else 0


@kernel
def update(
    params: KingParams, state: KingState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Judge the newcomer after a round; let the next one pay in after a read."""
    arrived = len(instance.available) - 2
    move = decision.action
    advance(state.stream, decision, feedback)
    if move[0] == READ:
        if state.king[0] == arrived:
            state.king[0] = move[1]
        if state.thin[0] == arrived:
            state.thin[0] = move[1]
        state.taken[0] = 1 if params.thinned and uniform(key, 0) * log_arms(state.stream) < _THINNED else 0
        _arrive(params, state, arrived)
    elif move[0] == PULL and move[1] == arrived and state.phase[0] != JUDGED:
        state.pulls[0] += int(feedback.detail[0])
        state.total[0] += feedback.reward
        if state.phase[0] != THINNED:
            state.spent[0] += int(feedback.detail[0])
        if state.pulls[0] >= size(params, state):
            _judge(params, state, arrived)


@kernel
def _arrive(params: KingParams, state: KingState, arrived: int) -> None:
    """Begin with a newcomer."""
    u = affordable_unit(state.stream)
    if state.king[0] < 0:
        state.king[0] = arrived
        state.record[0] = 0.5 * params.scale * accuracy(state.stream)
        state.budget[0] = _START * u
        _leave(state)
    elif given_up(params, state):
        _leave(state)
    else:
        state.budget[0] += u
        _challenge(params, state, 0, arrived)


@kernel
def _judge(params: KingParams, state: KingState, arrived: int) -> None:
    """End a round of the newcomer."""
    mean = state.total[0] / max(state.pulls[0], 1)
    eps = params.scale * accuracy(state.stream)
    if state.phase[0] == CHALLENGE:
        if mean <= state.record[0] - eps / 5.0:
            _leave(state)
        else:
            _challenge(params, state, state.level[0] + 1, arrived)
    elif state.phase[0] == CROWNING:
        gap = params.gap if params.gap > 0.0 else eps
        state.record[0] = min(params.scale, max(mean, state.record[0] + 0.5 * gap))
        state.record[1] = state.pulls[0]
        _leave(state)
    else:
        if state.thin[0] < 0 or mean > state.thin_record[0]:
            state.thin[0] = arrived
            state.thin_record[0] = mean
            state.thin_record[1] = state.pulls[0]
        _enter(state, JUDGED)


@kernel
def _challenge(params: KingParams, state: KingState, level: int, arrived: int) -> None:
    """Let the king pay for a round; where he cannot, or there are no more, crown the newcomer."""
    _enter(state, CHALLENGE)
    state.level[0] = level
    cost = size(params, state)
    if state.budget[0] < cost or level >= rounds(state.stream):
        state.king[0] = arrived
        state.budget[0] = _START * affordable_unit(state.stream)
        _enter(state, CROWNING)
    else:
        state.budget[0] -= cost


@kernel
def _leave(state: KingState) -> None:
    """End the newcomer's part in the full stream."""
    _enter(state, THINNED if state.taken[0] == 1 else JUDGED)


@kernel
def _enter(state: KingState, phase: int) -> None:
    state.phase[0] = phase
    state.pulls[0] = 0
    state.total[0] = 0.0


register_policy(KingParams, select=select, update=update, recommend=recommend)
