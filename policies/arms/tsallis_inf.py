"""Tsallis-INF: follow the leader, regularised by the Tsallis entropy of power 1/2; best of both worlds.

Source: Zimmert, Seldin, "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits", JMLR 2021,
alpha = 1/2. The loss is reward_max - reward, in [0, 1], or what the reward lacks to the highest as a part of the range
that is declared (what lies outside is clipped). Losses are estimated by importance weighting, eta_t = 2 / sqrt(t),
regret at most 4 sqrt(K T) + 1 against any adversary; or with reduced variance, eta_t = 4 / sqrt(t): half the regret on
10 arms, at the cost of one more decision per feedback. Both:
O(sum_a ln T / gap_a) where the means stand still.
With the running mean as scale losses may have any unit, such as iterations of a solver: they are divided by the mean of
the losses learned so far (Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024), in which all bounds above
are only as good as the mean bounds the losses; only losses below 0 are clipped. A factor of 2 in all rewards changes no
bit of a decision.
State: cumulative estimated loss per arm; with a scale also the baselines, and the sum and number of losses.
Cost: O(K) per decision (2 to 4 passes of Newton's method); O(1) per feedback, or O(K) with reduced variance.
An arm that is not available has probability 0, and the others share its part; the bounds hold where all arms are
available. Late feedback keeps the estimates unbiased: they use the propensity that was drawn with, and baselines of the
state that learns, which has not seen that draw. The scale of a decision is the mean of what was learned before it, and
divides all earlier losses; a loss that comes late counts in it from then on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, pick, uniform_block, uniform_from
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.laws.tsallis import (
    BASELINE,
    ScaledLosses,
    TsallisWork,
    add_reduced,
    add_weighted,
    scaled_law,
    scaled_losses,
    solve,
    tsallis_work,
)
from ...engine.problem import REWARD_MAX, check_param
from ...engine.protocol import register_policy
from ...engine.rewards import lack_of, range_up_to
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange


class TsallisInfParams(NamedTuple):
    """Numbers fixed at creation, for importance-weighted losses."""

    eta: float  # eta_t = eta / sqrt(t)
    rewards: RewardRange  # losses are parts of it


class TsallisInfReducedParams(NamedTuple):
    """Numbers fixed at creation, for losses of reduced variance."""

    eta: float
    rewards: RewardRange


class TsallisInfScaledParams(NamedTuple):
    """Numbers fixed at creation, for importance-weighted losses over their running mean."""

    eta: float
    reward_max: float  # the reward whose loss is 0


class TsallisInfScaledReducedParams(NamedTuple):
    """Numbers fixed at creation, for losses of reduced variance over their running mean."""

    eta: float
    reward_max: float


class TsallisInfState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`, for losses in [0, 1]."""

    loss: Array  # float64[k] sum of the estimated losses per arm
    scratch_gap: Array  # float64[k] eta / 2 times the distance to the lowest loss, infinite where not available
    scratch_law: Array  # float64[k] probability per arm, but for a factor
    scratch_uniform: UniformBlock


class TsallisInfScaledState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`, for losses of any unit."""

    losses: ScaledLosses
    scratch_work: TsallisWork
    scratch_uniform: UniformBlock


UnitParams = TsallisInfParams | TsallisInfReducedParams
ScaledParams = TsallisInfScaledParams | TsallisInfScaledReducedParams

_ETA = {"importance_weighted": 2.0, "reduced_variance": 4.0}
_PARAMS: dict[tuple[str, str], type[UnitParams | ScaledParams]] = {
    ("unit", "importance_weighted"): TsallisInfParams,
    ("unit", "reduced_variance"): TsallisInfReducedParams,
    ("running_mean", "importance_weighted"): TsallisInfScaledParams,
    ("running_mean", "reduced_variance"): TsallisInfScaledReducedParams,
}


def tsallis_inf(estimator: str = "importance_weighted", scale: str = "unit", reward_max: float = 1.0) -> Policy:
    """Draw an arm with probability 4 / (eta (loss - x))^2, where x makes them sum to 1.

    `estimator` of the losses: "importance_weighted" or "reduced_variance". `scale` that divides them: "unit" for losses
    in [0, 1], or "running_mean" for any. `reward_max` is the largest reward there can be, whose loss is 0: where the
    reward is minus the iterations of a solver -1, where it is minus a time 0. Where a range of rewards is declared it
    is left out.
    """
    for name, value, place in (("estimator", estimator, 1), ("scale", scale, 0)):
        if value not in (known := dict.fromkeys(each[place] for each in _PARAMS)):
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be one of {', '.join(known)}")
    params = _PARAMS[scale, estimator]
    if issubclass(params, ScaledParams):
        most = check_param("reward_max", reward_max, low=-REWARD_MAX, high=REWARD_MAX)
        return Policy("tsallis_inf", params(_ETA[estimator], most), init, contexts=NO_CONTEXT, divides=True)
    return Policy(
        "tsallis_inf", params(_ETA[estimator], range_up_to(reward_max)), init, contexts=NO_CONTEXT, divides=True
    )


def init(params: UnitParams | ScaledParams, problem: Problem) -> TsallisInfState | TsallisInfScaledState:
    """Return the state before any feedback."""
    k = problem.n_arms
    if isinstance(params, ScaledParams):
        return TsallisInfScaledState(scaled_losses(k), tsallis_work(k), uniform_block())
    return TsallisInfState(np.zeros(k), np.zeros(k), np.zeros(k), uniform_block())


@kernel
def select(params: UnitParams, state: TsallisInfState, instance: Instance, key: Key) -> Decision:
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
    loss = min(max(lack_of(params.rewards, feedback.reward), 0.0), 1.0)
    state.loss[decision.action] += loss / decision.propensity


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
    difference = min(max(lack_of(params.rewards, feedback.reward), 0.0), 1.0)
    if state.scratch_law[arm] >= enough:
        difference -= BASELINE
    for a in range(len(state.loss)):
        if state.scratch_law[a] >= enough:
            state.loss[a] += BASELINE
    state.loss[arm] += difference / decision.propensity


@kernel
def probability(params: UnitParams, state: TsallisInfState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    total = _solve(params.eta, state, instance)
    return state.scratch_law[action] / total


@kernel
def select_scaled(params: ScaledParams, state: TsallisInfScaledState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law of losses over their running mean."""
    work = state.scratch_work
    total = scaled_law(state.losses, params.eta, instance.t + 1.0, instance.available, work)
    action = pick(work.law, uniform_from(state.scratch_uniform, key) * total)
    return Decision(action, work.law[action] / total)


@kernel
def update_scaled(
    params: TsallisInfScaledParams,
    state: TsallisInfScaledState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add the loss of the arm that was played, over its propensity, and let the mean follow."""
    loss = max(params.reward_max - feedback.reward, 0.0)
    add_weighted(state.losses, decision.action, loss, decision.propensity)


@kernel
def update_scaled_reduced(
    params: TsallisInfScaledReducedParams,
    state: TsallisInfScaledState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Do the same around baselines of half the mean."""
    loss = max(params.reward_max - feedback.reward, 0.0)
    add_reduced(
        state.losses,
        params.eta,
        instance.t + 1.0,
        instance.available,
        decision.action,
        loss,
        decision.propensity,
        state.scratch_work,
    )


@kernel
def probability_scaled(params: ScaledParams, state: TsallisInfScaledState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select_scaled`."""
    total = scaled_law(state.losses, params.eta, instance.t + 1.0, instance.available, state.scratch_work)
    return state.scratch_work.law[action] / total


@kernel
def _solve(eta: float, state: TsallisInfState, instance: Instance) -> float:
    """Write the law but for a factor near 1, and return its sum."""
    scale = 0.5 * eta / math.sqrt(instance.t + 1.0)
    return solve(state.loss, instance.available, scale, state.scratch_gap, state.scratch_law)


register_policy(TsallisInfParams, select=select, update=update, probability=probability)
register_policy(TsallisInfReducedParams, select=select, update=update_reduced, probability=probability)
register_policy(TsallisInfScaledParams, select=select_scaled, update=update_scaled, probability=probability_scaled)
register_policy(
    TsallisInfScaledReducedParams, select=select_scaled, update=update_scaled_reduced, probability=probability_scaled
)
