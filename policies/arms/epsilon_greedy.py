"""Epsilon-greedy: play the arm with the highest mean, and with probability epsilon any arm.

Source: Sutton, Barto, "Reinforcement learning", 2nd ed. 2018, section 2.4; ties go to the lowest arm.
Epsilon does not shrink, so regret grows linearly: by epsilon times the mean gap a step once the best arm leads.
Rewards may have any unit and any origin: an arm that was never learned counts as the first reward there was. Or it
counts as `origin`, where that is given: one below all rewards lets no arm be tried but by chance, and one above them
lets each be tried before any is repeated.
State: count and mean per arm, less the origin; the origin; the leader and a ceiling for the others.
Cost: O(K) per decision, for the count of available arms; O(1) per feedback, O(K) where the leader falls to the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.laws.availability import count_available, nth_available
from ...engine.problem import REWARD_MAX, check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem


class EpsilonGreedyParams(NamedTuple):
    """Numbers fixed at creation."""

    epsilon: float  # probability of a uniform draw, in [0, 1]


class EpsilonGreedyGivenParams(NamedTuple):
    """The same, for the kernels of an origin that is given."""

    epsilon: float
    origin: float  # what an arm that was never learned counts as


class EpsilonGreedyState(NamedTuple):
    """Arrays that `update` writes, where the origin is given."""

    count: Array  # int64[k] feedbacks learned per arm
    mean: Array  # float64[k] mean reward per arm, less the origin
    leader: Array  # int64[1] the lowest arm of the highest mean, over all arms
    ceiling: Array  # float64[1] no other arm's mean is above it: while the leader's is, it still leads
    scratch_uniform: UniformBlock


class EpsilonGreedyLearnedState(NamedTuple):
    """The same, and the origin."""

    count: Array
    mean: Array
    leader: Array
    ceiling: Array
    origin: Array  # float64[1] the first reward
    known: Array  # bool[1] whether there was one
    scratch_uniform: UniformBlock


Params = EpsilonGreedyParams | EpsilonGreedyGivenParams
State = EpsilonGreedyState | EpsilonGreedyLearnedState


@earlier(origin=0.0)
def epsilon_greedy(epsilon: float = 0.1, origin: float | None = None) -> Policy:
    """Play the arm with the highest mean, and with probability `epsilon` any available arm."""
    epsilon = check_param("epsilon", epsilon, low=0.0, high=1.0)
    start: Any = init if origin is None else init_given
    params: Params = EpsilonGreedyParams(epsilon)
    if origin is not None:
        params = EpsilonGreedyGivenParams(epsilon, check_param("origin", origin, low=-REWARD_MAX, high=REWARD_MAX))
    version = 1 if origin == 0.0 else 2  # with 0 it decides as it did without one
    return Policy(
        "epsilon_greedy",
        params,
        start,
        version,
        contexts=NO_CONTEXT,
        grow=_growing(start),
        deterministic=epsilon == 0.0,
    )


def init(params: EpsilonGreedyParams, problem: Problem) -> EpsilonGreedyLearnedState:
    """Return the state before any feedback."""
    return EpsilonGreedyLearnedState(*_nothing(problem.n_arms), np.zeros(1), np.zeros(1, np.bool_), uniform_block())


def init_given(params: EpsilonGreedyGivenParams, problem: Problem) -> EpsilonGreedyState:
    """Return the state before any feedback."""
    return EpsilonGreedyState(*_nothing(problem.n_arms), uniform_block())


def _nothing(k: int) -> tuple[Array, Array, Array, Array]:
    return np.zeros(k, np.int64), np.zeros(k), np.zeros(1, np.int64), np.zeros(1)


def _growing(init: Callable[[Any, Problem], Any]) -> Callable[[Any, Any, Problem], Any]:
    """Return what gives a state more arms: new ones may lead."""

    def grow(params: Any, state: Any, problem: Problem) -> Any:
        more = padded(state, init(params, problem))
        _search(more)
        return more

    return grow


@kernel
def select(params: Params, state: State, instance: Instance, key: Key) -> Decision:
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
    state: EpsilonGreedyLearnedState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward less the origin, which the first one becomes."""
    if not state.known[0]:
        state.origin[0] = feedback.reward
        state.known[0] = True
    _learn(state, decision.action, feedback.reward - state.origin[0])


@kernel
def update_given(
    params: EpsilonGreedyGivenParams,
    state: EpsilonGreedyState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward less the origin."""
    _learn(state, decision.action, feedback.reward - params.origin)


@kernel
def probability(params: Params, state: State, instance: Instance, action: int) -> float:
    """Return epsilon / k, plus 1 - epsilon for the leader, over the k available arms."""
    if not instance.available[action]:
        return 0.0
    share = params.epsilon / count_available(instance.available)
    return share + (1.0 - params.epsilon if action == _leader(state, instance) else 0.0)


@kernel
def appraise(
    params: EpsilonGreedyParams, state: EpsilonGreedyLearnedState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the means; an arm never learned has what it counts as, and before the first reward none has any."""
    _write_means(state, instance, state.origin[0] if state.known[0] else math.nan, scores, widths)


@kernel
def appraise_given(
    params: EpsilonGreedyGivenParams, state: EpsilonGreedyState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the means; an arm never learned has what it counts as."""
    _write_means(state, instance, params.origin, scores, widths)


@kernel
def _write_means(state: State, instance: Instance, origin: float, scores: Array, widths: Array) -> None:
    """Write mean rewards, and NaN for how sure they are, which is not known."""
    for a in range(len(state.mean)):
        scores[a] = state.mean[a] + origin if instance.available[a] else math.nan
        widths[a] = math.nan


@kernel
def _learn(state: State, arm: int, reward: float) -> None:
    """Move the mean of the arm that was played, and see whether it leads."""
    state.count[arm] += 1
    mean = state.mean[arm] + (reward - state.mean[arm]) / state.count[arm]
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
def _leader(state: State, instance: Instance) -> int:
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
def _search(state: State) -> None:
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


register_policy(EpsilonGreedyParams, select=select, update=update, probability=probability, appraise=appraise)
register_policy(
    EpsilonGreedyGivenParams, select=select, update=update_given, probability=probability, appraise=appraise_given
)
