"""What every policy of a stream of arms keeps: how much is known of its length and of the trials, and how far it is.

Arms come once. The batch sizes of all rules are multiples of one unit, u = (T / K)^(2/3) for K arms and T trials: then
K u pulls to explore cost as much as an error of eps = (K / T)^(1/3) in each trial after it (Wang 2023).

Where K is unknown, the i-th arm counts as the last: u = (T / i)^(2/3), which sums up to three times as much. Where T is
unknown, it counts as 1024 for each arm, doubled while that is below the pulls made; what is seen early is judged more
coarsely then.

>>> state = begin(Problem(n_arms=1000, horizon=1_000_000_000, slots=1))
>>> float(unit(state))
10000.0
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .actions import PULL, READ, pull, read
from .elementary import exp, log
from .kernel import kernel
from .problem import PULLS_MAX
from .vocabulary import Array, Decision, Feedback, Instance, Key, Problem

TRIALS_MIN = 1 << 10  # for each arm: what unknown trials count as at the least
TRIALS_COUNTED = 1 << 61  # of a stream, at the most


class Stream(NamedTuple):
    """Where a stream is."""

    arms: Array  # int64[1] K; 0 while it is unknown
    trials: Array  # int64[1] T; 0 where it is unknown
    read: Array  # int64[1] arms that were read
    made: Array  # int64[1] pulls that were made
    over: Array  # int64[1] 1 once there is nothing more to read


class Contest(NamedTuple):
    """The state of a rule that pulls every arm equally often, once, and keeps the one of the largest mean."""

    stream: Stream
    king: Array  # int64[1] place of the arm kept, -1 while there is none; the last one where it is not stored yet
    record: Array  # float64[2] mean at which it was crowned, and the pulls of it
    pulls: Array  # int64[1] of the newcomer
    most: Array  # int64[1] how many it gets
    total: Array  # float64[1] of its rewards
    scratch_move: Array  # int64[3]


def begin(problem: Problem) -> Stream:
    """Return a stream before its first arm."""
    known = np.array([problem.n_arms]), np.array([problem.horizon or 0])
    return Stream(*known, np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))


def begin_contest(params: Any, problem: Problem) -> Contest:
    """Return a contest before its first arm: an `init`."""
    return Contest(
        stream=begin(problem),
        king=np.full(1, -1),
        record=np.zeros(2),
        pulls=np.zeros(1, np.int64),
        most=np.zeros(1, np.int64),
        total=np.zeros(1),
        scratch_move=np.zeros(3, np.int64),
    )


@kernel
def advance(stream: Stream, decision: Decision, feedback: Feedback) -> None:
    """Count what a move did."""
    stream.made[0] += int(feedback.detail[0])
    if decision.action[0] == READ:
        if feedback.detail[1] < 0.0:
            stream.over[0] = 1
            stream.arms[0] = stream.read[0]
        else:
            stream.read[0] += 1


@kernel
def arms_of(stream: Stream) -> int:
    """Return K, at least 1; where it is unknown how many arms were read."""
    return max(stream.arms[0], 1) if stream.arms[0] > 0 else max(stream.read[0], 1)


@kernel
def trials_of(stream: Stream) -> int:
    """Return T; where it is unknown 1024 K, doubled until it is above the pulls made."""
    if stream.trials[0] > 0:
        return stream.trials[0]
    trials = min(TRIALS_MIN * arms_of(stream), TRIALS_COUNTED)
    while trials <= stream.made[0] and trials < TRIALS_COUNTED:
        trials *= 2
    return trials


@kernel
def trials_left(stream: Stream) -> int:
    """Return how many pulls are left, where that is unknown of the most that can be counted."""
    return max((stream.trials[0] if stream.trials[0] > 0 else TRIALS_COUNTED) - stream.made[0], 0)


@kernel
def unit(stream: Stream) -> float:
    """Return u = (T / K)^(2/3), in pulls."""
    root = cube_root(trials_of(stream) / arms_of(stream))
    return root * root


@kernel
def share_of_arm(stream: Stream) -> float:
    """Return T / (3 K): the pulls of an arm where all of them together get a third of the trials.

    Where K is unknown, more will come: a sixth of the trials that are left, by the i arms so far. If all take that,
    T i^(-1/6) are left after i arms, however many there are.
    """
    if stream.arms[0] > 0 or stream.trials[0] == 0:
        return trials_of(stream) / (3.0 * arms_of(stream))
    return trials_left(stream) / (6.0 * arms_of(stream))


@kernel
def affordable_unit(stream: Stream) -> float:
    """Return u, at the most the share of an arm."""
    return min(unit(stream), share_of_arm(stream))


@kernel
def accuracy(stream: Stream) -> float:
    """Return eps = (K / T)^(1/3), the error that u pulls of an arm leave."""
    return 1.0 / cube_root(trials_of(stream) / arms_of(stream))


@kernel
def cube_root(x: float) -> float:
    """Return the cube root of x > 0; a whole number where there is one: a batch is rounded up."""
    root = exp(log(x) / 3.0)
    for _ in range(2):
        root -= (root * root * root - x) / (3.0 * root * root)
    return root


@kernel
def log_arms(stream: Stream) -> float:
    """Return ln K."""
    return log(float(arms_of(stream)))


@kernel
def whole(stream: Stream, pulls: float) -> int:
    """Return a batch of `pulls`, rounded up and cut to the trials that are left: at least 1, at most 2^53."""
    return min(rounded_up(pulls), max(trials_left(stream), 1))


@kernel
def rounded_up(pulls: float) -> int:
    """Return the whole number of pulls that is not below `pulls`: at least 1, at most 2^53."""
    return int(min(max(np.ceil(pulls), 1.0), float(PULLS_MAX)))


@kernel
def batch_of_kept(stream: Stream) -> int:
    """Return how often to pull what is kept: u, as more may come; once the stream is over all that is left.

    Where that is unknown, as often as anything was pulled so far.
    """
    if stream.over[0] == 0:
        return whole(stream, unit(stream))
    return whole(stream, float(PULLS_MAX if stream.trials[0] > 0 else stream.made[0]))


@kernel
def affordable(stream: Stream, pulls: float) -> float:
    """Return `pulls` of each arm, where those of all arms fit into the trials; else the share of an arm.

    Where K is unknown and T is not, no more than that share in any case.
    """
    if stream.arms[0] == 0 and stream.trials[0] > 0:
        return min(pulls, share_of_arm(stream))
    return pulls if pulls * arms_of(stream) <= trials_of(stream) else share_of_arm(stream)


@kernel
def there(available: Array, place: int) -> bool:
    """Tell whether a place holds an arm; place -1 holds none."""
    return place >= 0 and available[place]


@kernel
def readable(available: Array) -> bool:
    """Tell whether the next arm can be read."""
    return available[len(available) - 1]


@kernel
def place_to_pull(available: Array, kept: int) -> int:
    """Return the place of what is kept; where none is there that of the arm that arrived, or any that holds an arm.

    After a commit one arm alone is there, whatever a policy comes to think best.
    """
    place = len(available) - 2
    if there(available, kept):
        return kept
    while place > 0 and not available[place]:
        place -= 1
    return place


@kernel
def go_on(stream: Stream, available: Array, king: int, move: Array) -> Decision:
    """Read the next arm, and store the king where it just arrived; pull the king where there is nothing to read."""
    arrived = len(available) - 2
    if readable(available):
        return Decision(read(move, 0 if king == arrived else arrived), 1.0)
    return Decision(pull(move, place_to_pull(available, king), batch_of_kept(stream)), 1.0)


@kernel
def recommend_king(params: Any, state: Any, key: Key) -> int:
    """Return the place of `state.king`: the `recommend` of rules that keep one arm."""
    return state.king[0]


@kernel
def contest(params: Any, state: Contest, instance: Instance, key: Key) -> Decision:
    """Pull the newcomer until it has its pulls; then read the next one, or pull the king: a `select`."""
    arrived = len(instance.available) - 2
    king, move, stream = state.king[0], state.scratch_move, state.stream
    missing = state.most[0] - state.pulls[0]
    if missing > 0 and there(instance.available, arrived):
        return Decision(pull(move, arrived, whole(stream, float(missing))), 1.0)
    return go_on(stream, instance.available, king, move)


@kernel
def settle(state: Contest, instance: Instance, decision: Decision, feedback: Feedback) -> bool:
    """Count what a move did, crown a newcomer that has all its pulls and a larger mean.

    Returns whether the pulls of a new one have to be worked out: where T and K are known, all get those of the first.
    """
    arrived = len(instance.available) - 2
    move = decision.action
    advance(state.stream, decision, feedback)
    if move[0] == READ:
        if state.king[0] == arrived:
            state.king[0] = move[1]
        state.pulls[0] = 0
        state.total[0] = 0.0
        return state.most[0] == 0 or state.stream.trials[0] == 0 or state.stream.arms[0] == 0
    if move[0] == PULL and move[1] == arrived and state.pulls[0] < state.most[0]:
        state.pulls[0] += int(feedback.detail[0])
        state.total[0] += feedback.reward
        mean = state.total[0] / max(state.pulls[0], 1)
        if state.pulls[0] >= state.most[0] and (state.king[0] < 0 or mean > state.record[0]):
            state.king[0] = arrived
            state.record[0] = mean
            state.record[1] = state.pulls[0]
    return False
