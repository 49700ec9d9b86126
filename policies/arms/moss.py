"""MOSS: UCB whose bonus shrinks to nothing once an arm has had its share of the horizon; minimax optimal.

Source: Audibert, Bubeck, "Minimax policies for adversarial and stochastic bandits", COLT 2009, where the problem has a
horizon T: the bonus is sqrt(max(ln(T / (K n)), 0) / n). Rewards in [0, 1], or as parts of the range that is declared;
regret at most 49 sqrt(K T) in that unit.
Where it has none: the anytime variant of Degenne, Perchet, "Anytime optimal algorithms in stochastic multi-armed
bandits", ICML 2016, with t in the place of T and the bonus times sqrt((1 + alpha) / 2); regret at most 113 sqrt(K T).
State: horizon, count and mean per arm, ln(K count) per arm. Cost: O(K) per decision, O(1) per feedback.
Departs from the papers: ties go to the lowest arm; the clock counts decisions, so late feedback is allowed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.elementary import log
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, part_of, reward_at, width_at
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange


class MossParams(NamedTuple):
    """Numbers fixed at creation."""

    alpha: float  # widens the anytime bonus, > 0; not used where the horizon is known
    rewards: RewardRange = UNIT  # means and bonuses are parts of it


class MossState(NamedTuple):
    """Arrays that `update` writes; the horizon never changes."""

    horizon: Array  # int64[1] decisions in all, 0 if unknown
    count: Array  # int64[k] feedbacks learned per arm
    mean: Array  # float64[k] mean reward per arm
    log_share: Array  # float64[k] ln(k count), -inf before the first feedback


def moss(alpha: float = 1.35) -> Policy:
    """Play the arm with the highest mean + sqrt(max(ln(T / (K count)), 0) / count); anytime without a horizon."""
    params = MossParams(check_param("alpha", alpha, low=0.0, low_open=True))
    return Policy("moss", params, init, contexts=NO_CONTEXT, grow=grow, deterministic=True)


def init(params: MossParams, problem: Problem) -> MossState:
    """Return the state before any feedback."""
    k = problem.n_arms
    horizon = np.array([problem.horizon or 0], np.int64)
    return MossState(horizon, np.zeros(k, np.int64), np.zeros(k), np.full(k, -np.inf))


def grow(params: MossParams, state: MossState, problem: Problem) -> MossState:
    """Return the state with new arms, of which each of the others has a smaller share."""
    more = padded(state, init(params, problem))
    for arm in np.flatnonzero(more.count):
        more.log_share[arm] = log(float(problem.n_arms * more.count[arm]))
    return more


@kernel
def select(params: MossParams, state: MossState, instance: Instance, key: Key) -> Decision:
    """Take the available arm of the highest bound; an arm never learned has an infinite one."""
    return Decision(_leader(params, state, instance), 1.0)


@kernel
def update(
    params: MossParams,
    state: MossState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the mean of the arm that was played, and its share of the time."""
    arm = decision.action
    state.count[arm] += 1
    state.mean[arm] += (part_of(params.rewards, feedback.reward) - state.mean[arm]) / state.count[arm]
    state.log_share[arm] = log(float(len(state.mean) * state.count[arm]))


@kernel
def probability(params: MossParams, state: MossState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == _leader(params, state, instance) else 0.0


@kernel
def appraise(params: MossParams, state: MossState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the means, and what is added to them; an arm never learned has neither."""
    log_time, factor = _clock(params, state, instance)
    for a in range(len(state.mean)):
        scores[a] = math.nan
        widths[a] = math.nan
        if instance.available[a] and state.count[a] > 0:
            scores[a] = reward_at(params.rewards, state.mean[a])
            widths[a] = width_at(params.rewards, _bonus(state, a, log_time, factor))


@kernel
def _leader(params: MossParams, state: MossState, instance: Instance) -> int:
    log_time, factor = _clock(params, state, instance)
    best = -math.inf
    leader = -1
    for a in range(len(state.mean)):
        if instance.available[a]:
            bound = math.inf
            if state.count[a] > 0:
                bound = state.mean[a] + _bonus(state, a, log_time, factor)
            if bound > best:
                best = bound
                leader = a
    return leader


@kernel
def _clock(params: MossParams, state: MossState, instance: Instance) -> tuple[float, float]:
    """Return ln T, or ln t where there is no horizon, and by what the square of the bonus is multiplied."""
    known = state.horizon[0] > 0
    log_time = log(float(state.horizon[0] if known else max(instance.t, 1)))
    return log_time, 1.0 if known else 0.5 * (1.0 + params.alpha)


@kernel
def _bonus(state: MossState, arm: int, log_time: float, factor: float) -> float:
    excess = max(log_time - state.log_share[arm], 0.0)
    return math.sqrt(factor * excess / state.count[arm])


register_policy(MossParams, select=select, update=update, probability=probability, appraise=appraise)
