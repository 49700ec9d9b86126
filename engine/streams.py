"""What every policy of a stream of arms keeps: how much is known of its length and of the trials, and how far it is.

Arms come once. The batch sizes of all rules are multiples of one unit, u = (T / K)^(2/3) for K arms and T trials: then
K u pulls to explore cost as much as an error of eps = (K / T)^(1/3) in each trial after it (Wang 2023).

Where K is unknown, the i-th arm counts as the last: u = (T / i)^(2/3), which sums up to three times as much. Where T is
unknown, it counts as the next power of two above the pulls made, so that what is seen early is judged more coarsely.

>>> state = begin(Problem(n_arms=1000, horizon=1_000_000_000, slots=1))
>>> float(unit(state))
10000.0
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onearm.engine.actions import READ
from onearm.engine.elementary import exp, log
from onearm.engine.kernel import kernel
from onearm.engine.problem import PULLS_MAX
from onearm.engine.vocabulary import Array, Decision, Feedback, Problem

TRIALS_MIN = 1 << 10  # what unknown trials count as at the least


class Stream(NamedTuple):
    """Where a stream is."""

    arms: Array  # int64[1] K; 0 while it is unknown
    trials: Array  # int64[1] T; 0 where it is unknown
    read: Array  # int64[1] arms that were read
    made: Array  # int64[1] pulls that were made
    over: Array  # int64[1] 1 once there is nothing more to read


def begin(problem: Problem) -> Stream:
    """Return a stream before its first arm."""
    known = np.array([problem.n_arms]), np.array([problem.horizon or 0])
    return Stream(*known, np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))


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
    """Return T; where it is unknown a power of two above the pulls made."""
    if stream.trials[0] > 0:
        return stream.trials[0]
    trials = TRIALS_MIN
    while trials <= stream.made[0]:
        trials *= 2
    return trials


@kernel
def trials_left(stream: Stream) -> int:
    """Return how many pulls are left, where that is unknown as many as a move may have."""
    return max(stream.trials[0] - stream.made[0], 0) if stream.trials[0] > 0 else PULLS_MAX


@kernel
def unit(stream: Stream) -> float:
    """Return u = (T / K)^(2/3), in pulls."""
    root = cube_root(trials_of(stream) / arms_of(stream))
    return root * root


@kernel
def share_of_arm(stream: Stream) -> float:
    """Return T / (3 K): the pulls of an arm where all of them together get a third of the trials."""
    return trials_of(stream) / (3.0 * arms_of(stream))


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
    most = min(trials_left(stream), PULLS_MAX)
    return int(min(max(np.ceil(pulls), 1.0), float(max(most, 1))))


@kernel
def batch_of_kept(stream: Stream) -> int:
    """Return how often to pull what is kept: all that is left once the stream is over; else u, as more may come."""
    if stream.over[0] == 1 and stream.trials[0] > 0:
        return whole(stream, float(PULLS_MAX))
    return whole(stream, unit(stream))


@kernel
def there(available: Array, place: int) -> bool:
    """Tell whether a place holds an arm; place -1 holds none."""
    return place >= 0 and available[place]


@kernel
def readable(available: Array) -> bool:
    """Tell whether the next arm can be read."""
    return available[len(available) - 1]
