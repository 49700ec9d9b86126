"""Thompson sampling with normal posteriors: play each arm as often as it is believed to be the best.

Source: Thompson 1933; Agrawal and Goyal, "Further optimal regret bounds for Thompson sampling", 2013. For
normal rewards of a known standard deviation `noise_sd`. Their bound O(sqrt(K T ln K)) is for rewards in [0, 1] and
posteriors of width 1 / sqrt(count + 1): prior mean 0, prior and noise sd 1; it does not cover others.
The prior and the noise are in units of the reward, and yours to know: `thompson_any` learns both.
State: mean, precision and standard deviation of the posterior of each arm's mean.
Propensities: the law P(this arm's mean is the largest) is computed by quadrature (`engine/laws/largest.py`) and drawn
from. With `propensities=False` one mean per arm is drawn and the largest played: faster, and the propensity is NaN.
Cost: O(K) a decision; about 2 us an arm with propensities (20 us at K = 10, 2 ms at K = 1000) and 0.02 us without. O(1)
per feedback.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import categorical, normal
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.largest import MaximumWorkspace, check_arms, normal_law, workspace
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem


class ThompsonNormalParams(NamedTuple):
    """Numbers fixed at creation."""

    prior_mean: float
    prior_sd: float  # > 0, in units of the reward
    noise_sd: float  # > 0, standard deviation of a reward around its arm's mean


class ThompsonNormalSampledParams(NamedTuple):
    """The same, for the kernels without propensities."""

    prior_mean: float
    prior_sd: float
    noise_sd: float


class ThompsonNormalState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    mean: Array  # float64[k] posterior mean
    precision: Array  # float64[k] 1 / posterior variance
    sd: Array  # float64[k] posterior standard deviation
    scratch_maximum: MaximumWorkspace


class ThompsonNormalSampledState(NamedTuple):
    """Arrays that `update` writes."""

    mean: Array  # float64[k]
    precision: Array  # float64[k]
    sd: Array  # float64[k]


def thompson_normal(
    prior_mean: float = 0.0, prior_sd: float = 1.0, noise_sd: float = 1.0, propensities: bool = True
) -> Policy:
    """Play each arm with the probability that its mean is the largest, for normal rewards of known spread."""
    numbers = (
        check_param("prior_mean", prior_mean, low=-1e100, high=1e100),
        check_param("prior_sd", prior_sd, low=1e-100, high=1e100),
        check_param("noise_sd", noise_sd, low=1e-100, high=1e100),
    )
    if not isinstance(propensities, bool):
        raise InvalidInput("bad_param", f"propensities is {as_seen(propensities)}: it must be true or false")
    if propensities:
        return Policy(
            "thompson_normal", ThompsonNormalParams(*numbers), init, contexts=NO_CONTEXT, grow=by_padding(init)
        )
    sampled = ThompsonNormalSampledParams(*numbers)
    return Policy("thompson_normal", sampled, init_sampled, contexts=NO_CONTEXT, grow=by_padding(init_sampled))


def init(params: ThompsonNormalParams, problem: Problem) -> ThompsonNormalState:
    """Return the priors; up to 2000 arms."""
    check_arms(problem.n_arms)
    return ThompsonNormalState(*_priors(params, problem.n_arms), workspace(problem.n_arms))


def init_sampled(params: ThompsonNormalSampledParams, problem: Problem) -> ThompsonNormalSampledState:
    """Return the priors."""
    return ThompsonNormalSampledState(*_priors(params, problem.n_arms))


def _priors(params: ThompsonNormalParams | ThompsonNormalSampledParams, k: int) -> tuple[Array, Array, Array]:
    precision = 1.0 / (params.prior_sd * params.prior_sd)
    return np.full(k, params.prior_mean), np.full(k, precision), np.full(k, params.prior_sd)


@kernel
def select(params: ThompsonNormalParams, state: ThompsonNormalState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    work = state.scratch_maximum
    normal_law(work, state.mean, state.sd, instance.available)
    arm = categorical(key, 0, work.law)
    return Decision(arm, work.law[arm])


@kernel
def select_sampled(
    params: ThompsonNormalSampledParams, state: ThompsonNormalSampledState, instance: Instance, key: Key
) -> Decision:
    """Draw a mean for every available arm and take the largest."""
    best = -math.inf
    leader = -1
    for a in range(len(state.mean)):
        if instance.available[a]:
            mean = state.mean[a] + state.sd[a] * normal(key, a)
            if mean > best:
                best = mean
                leader = a
    return Decision(leader, np.nan)


@kernel
def update(
    params: ThompsonNormalParams,
    state: ThompsonNormalState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the arm's mean towards the reward by the reward's share of the precision."""
    arm = decision.action
    gained = 1.0 / (params.noise_sd * params.noise_sd)
    precision = state.precision[arm] + gained
    state.mean[arm] += (feedback.reward - state.mean[arm]) * (gained / precision)
    state.precision[arm] = precision
    state.sd[arm] = 1.0 / math.sqrt(precision)


@kernel
def probability(params: ThompsonNormalParams, state: ThompsonNormalState, instance: Instance, action: int) -> float:
    """Return the probability that the arm's mean is the largest."""
    normal_law(state.scratch_maximum, state.mean, state.sd, instance.available)
    return state.scratch_maximum.law[action]


@kernel
def appraise(params: Any, state: Any, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the mean of what is believed of each arm's mean, and its standard deviation."""
    for a in range(len(state.mean)):
        scores[a] = state.mean[a] if instance.available[a] else math.nan
        widths[a] = state.sd[a] if instance.available[a] else math.nan


register_policy(ThompsonNormalParams, select=select, update=update, probability=probability, appraise=appraise)
register_policy(ThompsonNormalSampledParams, select=select_sampled, update=update, appraise=appraise)
