"""Tsallis-INF: follow the leader, regularised by the Tsallis entropy of power 1/2; best of both worlds.

Source: Zimmert, Seldin, "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits", JMLR 2021,
alpha = 1/2. Rewards in [0, 1] (others are clipped). Losses are estimated by importance weighting, eta_t = 2 / sqrt(t),
regret at most 4 sqrt(K T) + 1 against any adversary; or with reduced variance, eta_t = 4 / sqrt(t): half the regret on
10 arms, at the cost of one more decision per feedback. Both: O(sum_a ln T / gap_a) where the means stand still.
State: cumulative estimated loss per arm.
Cost: O(K) per decision (2 to 4 passes of Newton's method); O(1) per feedback, or O(K) with reduced variance.
An arm that is not available has probability 0, and the others share its part; the bounds hold where all arms are
available. Late feedback keeps the estimates unbiased: they use the propensity that was drawn with, and baselines of the
state that learns, which has not seen that draw.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.draws import UniformBlock, pick, uniform_block, uniform_from
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_TOLERANCE = 1e-9  # how far from 1 the solver may leave the sum, before the law is normalised
_PASSES_MAX = 100
_SMALL = 0.03
_BASELINE = 0.5  # the loss that is known beforehand of arms that are played often enough, in the middle of [0, 1]


class TsallisInfParams(NamedTuple):
    """Numbers fixed at creation, for importance-weighted losses."""

    eta: float  # eta_t = eta / sqrt(t)


class TsallisInfReducedParams(NamedTuple):
    """Numbers fixed at creation, for losses of reduced variance."""

    eta: float  # eta_t = eta / sqrt(t)


class TsallisInfState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    loss: Array  # float64[k] sum of the estimated losses per arm
    scratch_gap: Array  # float64[k] eta / 2 times the distance to the lowest loss, infinite where not available
    scratch_law: Array  # float64[k] probability per arm, but for a factor
    scratch_uniform: UniformBlock


Params = TsallisInfParams | TsallisInfReducedParams


def tsallis_inf(estimator: str = "importance_weighted") -> Policy:
    """Draw an arm with probability 4 / (eta (loss - x))^2, where x makes them sum to 1.

    `estimator` of the losses: "importance_weighted" or "reduced_variance".
    """
    params: dict[str, Params] = {
        "importance_weighted": TsallisInfParams(2.0),
        "reduced_variance": TsallisInfReducedParams(4.0),
    }
    if estimator not in params:
        raise InvalidInput("bad_param", f"estimator is {estimator!r}: it must be one of {', '.join(params)}")
    return Policy("tsallis_inf", params[estimator], init)


def init(params: Params, problem: Problem) -> TsallisInfState:
    """Return the state before any feedback."""
    k = problem.n_arms
    return TsallisInfState(np.zeros(k), np.zeros(k), np.zeros(k), uniform_block())


@kernel
def select(params: Params, state: TsallisInfState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    total = _solve(params.eta, state, instance)
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
def update_reduced(
    params: TsallisInfReducedParams,
    state: TsallisInfState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add every arm's baseline, and for the arm that was played what its loss differs by, over its propensity.

    An arm has a baseline where its probability is at least eta_t^2, so that no estimate falls far below 0.
    """
    total = _solve(params.eta, state, instance)
    enough = total * params.eta * params.eta / (instance.t + 1.0)
    arm = decision.action
    difference = 1.0 - min(max(feedback.reward, 0.0), 1.0)
    if state.scratch_law[arm] >= enough:
        difference -= _BASELINE
    for a in range(len(state.loss)):
        if state.scratch_law[a] >= enough:
            state.loss[a] += _BASELINE
    state.loss[arm] += difference / decision.propensity


@kernel
def probability(params: Params, state: TsallisInfState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    total = _solve(params.eta, state, instance)
    return state.scratch_law[action] / total


@kernel
def _solve(eta: float, state: TsallisInfState, instance: Instance) -> float:
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
    scale = 0.5 * eta / math.sqrt(instance.t + 1.0)
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
register_policy(TsallisInfReducedParams, select=select, update=update_reduced, probability=probability)
