"""Exp3-IX: exponential weights whose losses are divided by a little more than the propensity (implicit exploration).

Source: Neu, "Explore no more: improved high-probability regret bounds for non-stochastic bandits", NIPS 2015,
eta_t = 2 gamma_t = sqrt(ln K / (K t)). Rewards in [0, 1], or as parts of the range that is declared (what lies outside
is clipped); against any adversary the regret is at most 4 sqrt(K T ln K) + (2 sqrt(K T / ln K) + 1) ln(2 / delta) with
probability 1 - delta.
State: cumulative loss estimate per arm. Cost: O(K) per decision, O(1) per feedback.
An arm that is not available has probability 0, and the others share its part; the bound holds where all arms are
available.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, pick, uniform_block, uniform_from
from ...engine.elementary import exp, log
from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, clipped_part
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange


class Exp3IxParams(NamedTuple):
    """What is fixed at creation."""

    rewards: RewardRange = UNIT  # losses are parts of it


class Exp3IxState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    loss: Array  # float64[k] sum of the estimated losses per arm
    scratch_law: Array  # float64[k] probability per arm
    scratch_uniform: UniformBlock


def exp3_ix() -> Policy:
    """Draw an arm with probability proportional to exp(-eta loss)."""
    return Policy("exp3_ix", Exp3IxParams(), init, contexts=NO_CONTEXT, divides=True)


def init(params: Exp3IxParams, problem: Problem) -> Exp3IxState:
    """Return the state before any feedback."""
    k = problem.n_arms
    return Exp3IxState(np.zeros(k), np.zeros(k), uniform_block())


@kernel
def select(params: Exp3IxParams, state: Exp3IxState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    _weigh(state, instance)
    action = pick(state.scratch_law, uniform_from(state.scratch_uniform, key))
    return Decision(action, state.scratch_law[action])


@kernel
def update(
    params: Exp3IxParams,
    state: Exp3IxState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add the loss of the arm that was played, over its propensity plus gamma of its own time."""
    reward = clipped_part(params.rewards, feedback.reward)
    gamma = 0.5 * _eta(len(state.loss), instance.t)
    state.loss[decision.action] += (1.0 - reward) / (decision.propensity + gamma)


@kernel
def probability(params: Exp3IxParams, state: Exp3IxState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    _weigh(state, instance)
    return state.scratch_law[action]


@kernel
def write_law(params: Exp3IxParams, state: Exp3IxState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    _weigh(state, instance)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = state.scratch_law[a]


@kernel
def _eta(k: int, t: int) -> float:
    return math.sqrt(log(float(k)) / (k * (t + 1.0)))


@kernel
def _weigh(state: Exp3IxState, instance: Instance) -> None:
    """Write the law; the lowest loss is subtracted, so that the largest weight is 1 and none overflows."""
    law = state.scratch_law
    k = len(law)
    lowest = math.inf
    for a in range(k):
        if instance.available[a]:
            lowest = min(lowest, state.loss[a])
    eta = _eta(k, instance.t)
    for a in range(k):
        weight = exp(eta * (lowest - state.loss[a]))
        law[a] = weight if instance.available[a] else 0.0
    total = 0.0
    for a in range(k):
        total += law[a]
    share = 1.0 / total
    for a in range(k):
        law[a] *= share


register_policy(Exp3IxParams, select=select, update=update, probability=probability, write_law=write_law)
