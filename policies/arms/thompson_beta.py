"""Thompson sampling with Beta posteriors: play each arm as often as it is believed to be the best.

Source: Thompson, "On the likelihood that one unknown probability exceeds another", 1933; Agrawal and Goyal, "Further
optimal regret bounds for Thompson sampling", 2013: regret O(sqrt(K T ln T)) for Bernoulli rewards and the prior (1, 1).
State: successes and failures per arm, the priors included.
Propensities: the law P(this arm's mean is the largest) is computed by quadrature (`engine/laws/largest_beta.py`) and
drawn from. With `propensities=False` one mean per arm is drawn and the largest played: faster, and the propensity is
NaN.
Cost: O(K) a decision. With propensities, and one reward between two decisions, 5 us at K = 10 and 0.2 ms at K = 1000;
up to ten times that where all arms learned. Without them 0.05 us an arm. O(1) per feedback.
Departs from the paper: a reward counts as so much of a success as its part of the range is, [0, 1] or a declared one
(the paper tosses a coin of that bias); one outside counts as the nearest end; ties go to the lowest arm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import beta, categorical
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.largest import MaximumWorkspace, beta_law, check_arms, workspace
from ...engine.laws.largest_beta import KeptLaw, kept_law, largest_beta_law
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.rewards import UNIT, clipped_part, reward_at, width_at
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange


class ThompsonBetaParams(NamedTuple):
    """Numbers fixed at creation."""

    prior_success: float  # > 0, successes believed in before any feedback
    prior_failure: float  # > 0
    rewards: RewardRange = UNIT  # a success is a part of 1


class ThompsonBetaFirstParams(NamedTuple):
    """The same, for the kernels of version 1."""

    prior_success: float
    prior_failure: float
    rewards: RewardRange = UNIT


class ThompsonBetaSampledParams(NamedTuple):
    """The same, for the kernels without propensities."""

    prior_success: float
    prior_failure: float
    rewards: RewardRange = UNIT


class ThompsonBetaKeptState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    success: Array  # float64[k] prior + sum of rewards
    failure: Array  # float64[k] prior + sum of 1 - reward
    scratch_law: KeptLaw


class ThompsonBetaState(NamedTuple):
    """The same in version 1."""

    success: Array  # float64[k]
    failure: Array  # float64[k]
    scratch_maximum: MaximumWorkspace


class ThompsonBetaSampledState(NamedTuple):
    """Arrays that `update` writes."""

    success: Array  # float64[k]
    failure: Array  # float64[k]


Params = ThompsonBetaParams | ThompsonBetaFirstParams | ThompsonBetaSampledParams
State = ThompsonBetaKeptState | ThompsonBetaState | ThompsonBetaSampledState


@earlier(grid=False)
def thompson_beta(
    prior_success: float = 1.0, prior_failure: float = 1.0, propensities: bool = True, grid: bool = True
) -> Policy:
    """Play each arm with the probability that its mean is the largest, for rewards in [0, 1] or a declared range.

    `grid=False` computes propensities as version 1 did: they differ from about the eighth digit on, and take several
    times as long.
    """
    success = check_param("prior_success", prior_success, low=0.01, high=1e8)
    failure = check_param("prior_failure", prior_failure, low=0.01, high=1e8)
    for name, value in (("propensities", propensities), ("grid", grid)):
        if not isinstance(value, bool):
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be true or false")
    if not propensities:
        sampled = ThompsonBetaSampledParams(success, failure)
        return Policy("thompson_beta", sampled, init_sampled, contexts=NO_CONTEXT, grow=by_padding(init_sampled))
    if not grid:
        first = ThompsonBetaFirstParams(success, failure)
        return Policy("thompson_beta", first, init_first, contexts=NO_CONTEXT, grow=by_padding(init_first))
    return Policy(
        "thompson_beta",
        ThompsonBetaParams(success, failure),
        init,
        contexts=NO_CONTEXT,
        version=2,
        grow=by_padding(init),
    )


def init(params: ThompsonBetaParams, problem: Problem) -> ThompsonBetaKeptState:
    """Return the priors; up to 2000 arms."""
    k = problem.n_arms
    check_arms(k)
    return ThompsonBetaKeptState(np.full(k, params.prior_success), np.full(k, params.prior_failure), kept_law(k))


def init_first(params: ThompsonBetaFirstParams, problem: Problem) -> ThompsonBetaState:
    """Return the priors; up to 2000 arms."""
    k = problem.n_arms
    check_arms(k)
    return ThompsonBetaState(np.full(k, params.prior_success), np.full(k, params.prior_failure), workspace(k))


def init_sampled(params: ThompsonBetaSampledParams, problem: Problem) -> ThompsonBetaSampledState:
    """Return the priors."""
    k = problem.n_arms
    return ThompsonBetaSampledState(np.full(k, params.prior_success), np.full(k, params.prior_failure))


@kernel
def select(params: ThompsonBetaParams, state: ThompsonBetaKeptState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    largest_beta_law(state.scratch_law, state.success, state.failure, instance.available)
    law = state.scratch_law.line.law
    arm = categorical(key, 0, law)
    return Decision(arm, law[arm])


@kernel
def select_first(params: ThompsonBetaFirstParams, state: ThompsonBetaState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law of version 1."""
    beta_law(state.scratch_maximum, state.success, state.failure, instance.available)
    law = state.scratch_maximum.law
    arm = categorical(key, 0, law)
    return Decision(arm, law[arm])


@kernel
def select_sampled(
    params: ThompsonBetaSampledParams, state: ThompsonBetaSampledState, instance: Instance, key: Key
) -> Decision:
    """Draw a mean for every available arm and take the largest."""
    best = -1.0
    leader = -1
    for a in range(len(state.success)):
        if instance.available[a]:
            mean = beta(key, a, state.success[a], state.failure[a])
            if mean > best:
                best = mean
                leader = a
    return Decision(leader, np.nan)


@kernel
def update(
    params: Params,
    state: State,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Count the reward as a part of a success and the rest as a part of a failure."""
    reward = clipped_part(params.rewards, feedback.reward)
    state.success[decision.action] += reward
    state.failure[decision.action] += 1.0 - reward


@kernel
def probability(params: ThompsonBetaParams, state: ThompsonBetaKeptState, instance: Instance, action: int) -> float:
    """Return the probability that the arm's mean is the largest."""
    largest_beta_law(state.scratch_law, state.success, state.failure, instance.available)
    return state.scratch_law.line.law[action]


@kernel
def write_law(params: ThompsonBetaParams, state: ThompsonBetaKeptState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    largest_beta_law(state.scratch_law, state.success, state.failure, instance.available)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = state.scratch_law.line.law[a]


@kernel
def probability_first(
    params: ThompsonBetaFirstParams, state: ThompsonBetaState, instance: Instance, action: int
) -> float:
    """Return the same by the law of version 1."""
    beta_law(state.scratch_maximum, state.success, state.failure, instance.available)
    return state.scratch_maximum.law[action]


@kernel
def appraise(params: Params, state: State, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the mean of what is believed of each arm's mean, and its standard deviation."""
    for a in range(len(state.success)):
        scores[a] = math.nan
        widths[a] = math.nan
        if instance.available[a]:
            total = state.success[a] + state.failure[a]
            mean = state.success[a] / total
            scores[a] = reward_at(params.rewards, mean)
            widths[a] = width_at(params.rewards, math.sqrt(mean * (1.0 - mean) / (total + 1.0)))


register_policy(
    ThompsonBetaParams, select=select, update=update, probability=probability, write_law=write_law, appraise=appraise
)
register_policy(
    ThompsonBetaFirstParams, select=select_first, update=update, probability=probability_first, appraise=appraise
)
register_policy(ThompsonBetaSampledParams, select=select_sampled, update=update, appraise=appraise)
