"""Tsallis-INF: follow the leader, regularised by the Tsallis entropy of power 1/2; best of both worlds.

Source: Zimmert, Seldin, "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits", JMLR 2021,
alpha = 1/2, importance-weighted losses, eta_t = 2 / sqrt(t). Rewards in [0, 1] (others are clipped); regret at most
4 sqrt(K T) + 1 against any adversary, and O(sum_a ln T / gap_a) where the means do not change.
State: cumulative importance-weighted loss per arm.
Cost: O(K) per decision (2 to 4 passes of Newton's method), O(1) per feedback.
An arm that is not available has probability 0, and the others share its part; the bounds hold where all arms are
available.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.draws import UniformBlock, pick, uniform_block, uniform_from
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_TOLERANCE = 1e-9  # how far from 1 the solver may leave the sum, before the law is normalised
_PASSES_MAX = 100
_SMALL = 0.03


class TsallisInfParams(NamedTuple):
    """Nothing is fixed at creation."""


class TsallisInfState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    loss: Array  # float64[k] sum of the estimated losses per arm
    scratch_gap: Array  # float64[k] eta / 2 times the distance to the lowest loss, infinite where not available
    scratch_law: Array  # float64[k] probability per arm, but for a factor
    scratch_uniform: UniformBlock


def tsallis_inf() -> Policy:
    """Draw an arm with probability 4 / (eta (loss - x))^2, where x makes them sum to 1."""
    return Policy("tsallis_inf", TsallisInfParams(), init)


def init(params: TsallisInfParams, problem: Problem) -> TsallisInfState:
    """Return the state before any feedback."""
    k = problem.n_arms
    return TsallisInfState(np.zeros(k), np.zeros(k), np.zeros(k), uniform_block())


@kernel
def select(params: TsallisInfParams, state: TsallisInfState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    total = _solve(state, instance)
    action = pick(state.scratch_law, uniform_from(state.scratch_uniform, key) * total)
    return Decision(action, state.scratch_law[action] / total)


@kernel
def update(
    params: TsallisInfParams,
    state: TsallisInfState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add the loss of the arm that was played, over its propensity."""
    reward = min(max(feedback.reward, 0.0), 1.0)
    state.loss[decision.action] += (1.0 - reward) / decision.propensity


@kernel
def probability(params: TsallisInfParams, state: TsallisInfState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    total = _solve(state, instance)
    return state.scratch_law[action] / total


@kernel
def _solve(state: TsallisInfState, instance: Instance) -> float:
    """Write the law but for a factor near 1, and return its sum.

    It is 1 / (gap + y)^2 with gap = eta / 2 (loss - lowest loss) and y so that the sum f is 1. y lies in [1, sqrt(K)].
    The function f(y)^(-1/2) rises and is concave (a straight line for equal gaps), so Newton's method on f^(-1/2) = 1
    climbs from y = 1 to the root and never passes it.
    """
    gap = state.scratch_gap
    law = state.scratch_law
    loss = state.loss
    k = len(loss)
    lowest = math.inf
    for a in range(k):
        if instance.available[a] and loss[a] < lowest:
            lowest = loss[a]
    scale = 1.0 / math.sqrt(instance.t + 1.0)
    y = 1.0
    total = 0.0
    slope = 0.0
    for a in range(k):
        gap[a] = (loss[a] - lowest) * scale if instance.available[a] else math.inf
        root = 1.0 / (gap[a] + y)
        law[a] = root * root
        total += law[a]
        slope += law[a] * root
    for _ in range(_PASSES_MAX):
        rest = total - 1.0
        if rest <= _TOLERANCE:
            break
        if rest < _SMALL:  # the first terms of the step below: a square root would be waited for
            y += rest * (0.5 + rest * (0.375 - 0.0625 * rest)) / slope
        else:
            y += total * (math.sqrt(total) - 1.0) / slope
        total = 0.0
        slope = 0.0
        for a in range(k):
            root = 1.0 / (gap[a] + y)
            law[a] = root * root
            total += law[a]
            slope += law[a] * root
    return total


register_policy(TsallisInfParams, select=select, update=update, probability=probability)
