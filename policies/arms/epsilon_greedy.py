"""Epsilon-greedy: play the arm with the highest mean, and with probability epsilon any arm.

Source: Sutton, Barto, "Reinforcement learning", 2nd ed. 2018, section 2.4; ties go to the lowest arm.
Epsilon does not shrink, so regret grows linearly: by epsilon times the mean gap a step once the best arm leads.
State: count and mean per arm, the leader and a ceiling for the others.
Cost: O(K) per decision, for the count of available arms; O(1) per feedback, O(K) where the leader falls to the ceiling.
An arm that was never learned has the mean 0: where rewards are negative, each arm is tried before one is repeated.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.laws.availability import count_available, nth_available
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class EpsilonGreedyParams(NamedTuple):
    """Numbers fixed at creation."""

    epsilon: float  # probability of a uniform draw, in [0, 1]


class EpsilonGreedyState(NamedTuple):
    """Arrays that `update` writes."""

    count: Array  # int64[k] feedbacks learned per arm
    mean: Array  # float64[k] mean reward per arm
    leader: Array  # int64[1] the lowest arm of the highest mean, over all arms
    ceiling: Array  # float64[1] no other arm's mean is above it: while the leader's is, it still leads
    scratch_uniform: UniformBlock


def epsilon_greedy(epsilon: float = 0.1) -> Policy:
    """Play the arm with the highest mean, and with probability `epsilon` any available arm."""
    params = EpsilonGreedyParams(check_param("epsilon", epsilon, low=0.0, high=1.0))
    return Policy("epsilon_greedy", params, init, grow=grow)


def init(params: EpsilonGreedyParams, problem: Problem) -> EpsilonGreedyState:
    """Return the state before any feedback."""
    k = problem.n_arms
    return EpsilonGreedyState(np.zeros(k, np.int64), np.zeros(k), np.zeros(1, np.int64), np.zeros(1), uniform_block())


def grow(params: EpsilonGreedyParams, state: EpsilonGreedyState, problem: Problem) -> EpsilonGreedyState:
    """Return the state with new arms, whose means of 0 may lead."""
    more = padded(state, init(params, problem))
    _search(more)
    return more


@kernel
def select(params: EpsilonGreedyParams, state: EpsilonGreedyState, instance: Instance, key: Key) -> Decision:
    """Take the leader, or any available arm; below epsilon, one draw serves as the coin and as the arm."""
    leader = _leader(state, instance)
    count = count_available(instance.available)
    share = params.epsilon / count
    u = uniform_from(state.scratch_uniform, key)
    action = leader
    if u < params.epsilon:
        action = nth_available(instance.available, min(int(u / params.epsilon * count), count - 1))
    return Decision(action, share + (1.0 - params.epsilon if action == leader else 0.0))


@kernel
def update(
    params: EpsilonGreedyParams,
    state: EpsilonGreedyState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the mean of the arm that was played, and see whether it leads."""
    arm = decision.action
    state.count[arm] += 1
    mean = state.mean[arm] + (feedback.reward - state.mean[arm]) / state.count[arm]
    state.mean[arm] = mean
    leader = state.leader[0]
    if arm == leader:
        if mean <= state.ceiling[0]:
            _search(state)
    elif mean > state.mean[leader] or (mean == state.mean[leader] and arm < leader):
        state.leader[0] = arm
        state.ceiling[0] = state.mean[leader]
    else:
        state.ceiling[0] = max(state.ceiling[0], mean)


@kernel
def probability(params: EpsilonGreedyParams, state: EpsilonGreedyState, instance: Instance, action: int) -> float:
    """Return epsilon / k, plus 1 - epsilon for the leader, over the k available arms."""
    if not instance.available[action]:
        return 0.0
    share = params.epsilon / count_available(instance.available)
    return share + (1.0 - params.epsilon if action == _leader(state, instance) else 0.0)


@kernel
def _leader(state: EpsilonGreedyState, instance: Instance) -> int:
    """Return the lowest available arm of the highest mean; the leader of all arms, where it is available."""
    leader = state.leader[0]
    if not instance.available[leader]:
        best = -math.inf
        for a in range(len(state.mean)):
            if instance.available[a] and state.mean[a] > best:
                best = state.mean[a]
                leader = a
    return leader


@kernel
def _search(state: EpsilonGreedyState) -> None:
    """Find the leader of all arms, and the highest mean of the others."""
    leader = 0
    ceiling = -math.inf
    for a in range(1, len(state.mean)):
        if state.mean[a] > state.mean[leader]:
            ceiling = state.mean[leader]
            leader = a
        else:
            ceiling = max(ceiling, state.mean[a])
    state.leader[0] = leader
    state.ceiling[0] = ceiling


register_policy(EpsilonGreedyParams, select=select, update=update, probability=probability)
