"""What was learned of decisions that move a state: counts of what followed, shared by all policies that plan.

Kept are, for each pair of a state and an action, how often it was learned, the sums of its rewards and of their
squares, and how often each state came next (S: the unit has ended); where units began; and what was open in a state
when it was met last. Before a state is met everything counts as open there. Counts commute: late feedback in any order
comes to the same, but for what is open.
A decision whose next state is not known, as one that closed by default, teaches nothing.
Policies that make no plans need not know what followed: they keep `Visits` alone.
Cost: O(1) a feedback, and as much as the pair has successors where one is new.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..rewards import clipped_part
from ..vocabulary import Array, Decision, Feedback, Instance, Problem, RewardRange
from .transitions import Transitions, append, clear


class Experience(NamedTuple):
    """What was learned of S states and A actions."""

    learned: Array  # int64[1] transitions in all
    visits: Array  # int64[S, A] how often each pair was learned
    total: Array  # float64[S, A] sum of rewards, as parts of their range
    square: Array  # float64[S, A] sum of the squares of these
    following: Array  # int64[S, A, S + 1] how often each state came next; in the last place, how often the unit ended
    successors: Array  # int64[S, A] how many states came next at least once
    successor: Array  # int32[S, A, S + 1] which, in ascending order in the first places
    begun: Array  # int64[S] how many units began in each state
    ended: Array  # bool[1] whether a unit has ended
    open: Array  # bool[S, A] what was open when the state was met last; all before
    met: Array  # bool[S] states in which something was decided


def experience(problem: Problem) -> Experience:
    """Return the experience of somebody who has none, for a problem with states."""
    assert problem.states is not None, "only policies that read states are given such"
    states, n_arms = problem.states, problem.n_arms
    pairs, cells = (states, n_arms), (states, n_arms, states + 1)
    return Experience(
        learned=np.zeros(1, np.int64),
        visits=np.zeros(pairs, np.int64),
        total=np.zeros(pairs),
        square=np.zeros(pairs),
        following=np.zeros(cells, np.int64),
        successors=np.zeros(pairs, np.int64),
        successor=np.zeros(cells, np.int32),
        begun=np.zeros(states, np.int64),
        ended=np.zeros(1, np.bool_),
        open=np.ones(pairs, np.bool_),
        met=np.zeros(states, np.bool_),
    )


class Visits(NamedTuple):
    """What was learned of S states and A actions, but for rewards and what followed: fields of `Experience`."""

    learned: Array  # int64[1] transitions in all
    visits: Array  # int64[S, A] how often each pair was learned
    begun: Array  # int64[S] how many units began in each state
    ended: Array  # bool[1] whether a unit has ended
    open: Array  # bool[S, A] what was open when the state was met last; all before
    met: Array  # bool[S] states in which something was decided


def no_visits(problem: Problem) -> Visits:
    """Return the visits of somebody who has learned nothing, for a problem with states."""
    assert problem.states is not None, "only policies that read states are given such"
    states, pairs = problem.states, (problem.states, problem.n_arms)
    return Visits(
        learned=np.zeros(1, np.int64),
        visits=np.zeros(pairs, np.int64),
        begun=np.zeros(states, np.int64),
        ended=np.zeros(1, np.bool_),
        open=np.ones(pairs, np.bool_),
        met=np.zeros(states, np.bool_),
    )


@kernel
def count(
    seen: Experience | Visits, instance: Instance, decision: Decision, feedback: Feedback
) -> tuple[int, int, int]:
    """Count a transition, and note where a unit began or ended and what was open.

    Return its state, its action and the next state; -1 for all where that is not known: then nothing is counted.
    """
    if not feedback.detail[0] >= 0.0:  # NaN, where nobody knows
        return -1, -1, -1
    s, a, after = int(instance.context[0]), decision.action, int(feedback.detail[0])
    seen.learned[0] += 1
    seen.visits[s, a] += 1
    if instance.context[1] > 0.0:
        seen.begun[s] += 1
    if after == len(seen.met):
        seen.ended[0] = True
    seen.met[s] = True
    for b in range(len(instance.available)):
        seen.open[s, b] = instance.available[b]
    return s, a, after


@kernel
def learn(
    seen: Experience, instance: Instance, decision: Decision, feedback: Feedback, rewards: RewardRange
) -> tuple[int, int]:
    """Learn a transition. Return its state and action, or -1 for both where the next state is not known.

    A reward outside of the range counts as its nearest end.
    """
    s, a, after = count(seen, instance, decision, feedback)
    if s < 0:
        return -1, -1
    reward = clipped_part(rewards, feedback.reward)
    seen.total[s, a] += reward
    seen.square[s, a] += reward * reward
    if seen.following[s, a, after] == 0:
        _list(seen, s, a, after)
    seen.following[s, a, after] += 1
    return s, a


@kernel
def _list(seen: Experience, s: int, a: int, after: int) -> None:
    """Put a new successor into its place among the others of a pair."""
    slot = seen.successors[s, a]
    while slot > 0 and seen.successor[s, a, slot - 1] > after:
        seen.successor[s, a, slot] = seen.successor[s, a, slot - 1]
        slot -= 1
    seen.successor[s, a, slot] = after
    seen.successors[s, a] += 1


@kernel
def write_shares(laws: Transitions, seen: Experience, s: int, a: int) -> int:
    """Write how often each state came next, as a share; of a pair that was never learned, nothing. Return the work."""
    clear(laws, s, a)
    for i in range(seen.successors[s, a]):
        after = seen.successor[s, a, i]
        append(laws, s, a, after, seen.following[s, a, after] / seen.visits[s, a])
    return 2 * seen.successors[s, a]


@kernel
def mean_reward_of(seen: Experience, s: int, a: int) -> float:
    """Return the mean reward of a pair that was learned."""
    return seen.total[s, a] / seen.visits[s, a]


@kernel
def reward_variance(seen: Experience, s: int, a: int) -> float:
    """Return the variance of the rewards of a pair that was learned: that of the sample, divided by its count."""
    mean = seen.total[s, a] / seen.visits[s, a]
    return max(seen.square[s, a] / seen.visits[s, a] - mean * mean, 0.0)


@kernel
def mean_following(seen: Experience, s: int, a: int, value: Array) -> float:
    """Return the mean of `value`, float64[S + 1], over what came next after a pair that was learned."""
    mean = 0.0
    for i in range(seen.successors[s, a]):
        after = seen.successor[s, a, i]
        mean += seen.following[s, a, after] * value[after]
    return mean / seen.visits[s, a]


@kernel
def variance_following(seen: Experience, s: int, a: int, value: Array) -> float:
    """Return the variance of `value`, float64[S + 1], over what came next after a pair that was learned."""
    mean = mean_following(seen, s, a, value)
    second = 0.0
    for i in range(seen.successors[s, a]):
        after = seen.successor[s, a, i]
        off = value[after] - mean
        second += seen.following[s, a, after] * off * off
    return second / seen.visits[s, a]


@kernel
def visits_of(seen: Experience, s: int) -> int:
    """Return how many transitions from a state were learned."""
    total = 0
    for a in range(seen.visits.shape[1]):
        total += seen.visits[s, a]
    return total


@kernel
def n_open(seen: Experience, s: int) -> int:
    """Return how many actions are open in a state."""
    count = 0
    for a in range(seen.open.shape[1]):
        if seen.open[s, a]:
            count += 1
    return count


@kernel
def is_tried(seen: Experience, s: int) -> bool:
    """Tell whether a state was met, and each action that is open in it was learned at least once."""
    for a in range(seen.open.shape[1]):
        if seen.open[s, a] and seen.visits[s, a] == 0:
            return False
    return seen.met[s]
