"""KL-UCB: UCB whose bounds are exact for coins: the highest mean that the Kullback-Leibler divergence still allows.

Source: Garivier, Cappe, "The KL-UCB algorithm for bounded stochastic bandits and beyond", COLT 2011. Rewards in [0, 1],
or as parts of the range that is declared (what lies outside is clipped); regret (1 + epsilon) sum_a gap_a ln T /
kl(mean_a, best mean) + O(ln ln T) in that unit, proved for c = 3; c = 0 is what its authors recommend in practice.
State: count and mean per arm, what is awaited. Cost: O(K) divergences per decision, two logarithms each, and about ln K
times a bound by Newton's method, some 5 divergences; O(1) per feedback.
Departs from the paper: ties go to the lowest arm; the clock counts decisions, so late feedback is allowed, and with
`wait` an arm's count has what is awaited (`engine/laws/awaited.py`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.elementary import exp, log, log1p
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.awaited import awaited, check_wait, count_of, note, settle
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, clipped_part, reward_at, width_at
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

_PASSES_MAX = 100


class KlUcbParams(NamedTuple):
    """Numbers fixed at creation."""

    c: float  # factor of ln ln t, >= 0
    wait: int = 0  # for so many further decisions one counts whose feedback has not come
    rewards: RewardRange = UNIT  # means and bounds are parts of it


class KlUcbState(NamedTuple):
    """Arrays that `update` writes."""

    count: Array  # int64[k] feedbacks learned per arm
    mean: Array  # float64[k] mean reward per arm, a part of the range
    awaited: Any  # decisions that count as learned: `Awaited` or `Unawaited`


def kl_ucb(c: float = 0.0, wait: int = 0) -> Policy:
    """Play the arm with the highest q such that count kl(mean, q) <= ln t + c ln ln t.

    Where feedback is late, a decision adds to the count for `wait` further ones, until it is learned.
    """
    params = KlUcbParams(check_param("c", c, low=0.0), check_wait(wait))
    return Policy("kl_ucb", params, init, contexts=NO_CONTEXT, grow=by_padding(init), deterministic=True)


def init(params: KlUcbParams, problem: Problem) -> KlUcbState:
    """Return the state before any feedback."""
    k = problem.n_arms
    return KlUcbState(np.zeros(k, np.int64), np.zeros(k), awaited(params.wait, k))


@kernel
def select(params: KlUcbParams, state: KlUcbState, instance: Instance, key: Key) -> Decision:
    """Take the available arm of the highest bound; an arm never learned comes before all others."""
    return Decision(_leader(params, state, instance), 1.0)


@kernel
def mark(params: KlUcbParams, state: KlUcbState, instance: Instance, decision: Decision, key: Key) -> None:
    """Count the decision while its feedback is awaited."""
    note(state.awaited, key.t, decision.action)


@kernel
def update(
    params: KlUcbParams,
    state: KlUcbState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the mean of the arm that was played."""
    settle(state.awaited, key.t)
    arm = decision.action
    reward = clipped_part(params.rewards, feedback.reward)
    state.count[arm] += 1
    mean = state.mean[arm] + (reward - state.mean[arm]) / state.count[arm]
    state.mean[arm] = min(max(mean, 0.0), 1.0)


@kernel
def probability(params: KlUcbParams, state: KlUcbState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == _leader(params, state, instance) else 0.0


@kernel
def appraise(params: KlUcbParams, state: KlUcbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the means, and how far above them the bounds are; an arm never learned has neither."""
    budget = _budget(params, instance)
    for a in range(len(state.mean)):
        scores[a] = math.nan
        widths[a] = math.nan
        if instance.available[a] and state.count[a] > 0:
            bound = upper_bound(state.mean[a], budget / _count(state, a))
            scores[a] = reward_at(params.rewards, state.mean[a])
            widths[a] = width_at(params.rewards, bound - state.mean[a])


@kernel
def _count(state: KlUcbState, arm: int) -> int:
    """Return the count with what is awaited."""
    return state.count[arm] + count_of(state.awaited, arm)


@kernel
def _budget(params: KlUcbParams, instance: Instance) -> float:
    """Return what count times divergence may come to."""
    log_time = log(float(max(instance.t, 1)))
    return log_time + params.c * log(max(log_time, 1.0))


@kernel
def _leader(params: KlUcbParams, state: KlUcbState, instance: Instance) -> int:
    """Return the arm of the highest bound; a bound is only worked out where it is above the best one so far."""
    budget = _budget(params, instance)
    best = -1.0
    leader = -1
    for a in range(len(state.mean)):
        if instance.available[a]:
            count = _count(state, a)
            if count == 0:
                return a
            allowed = budget / count
            if best < state.mean[a] or divergence(state.mean[a], best - state.mean[a]) < allowed:
                bound = upper_bound(state.mean[a], allowed)
                if bound > best:
                    best = bound
                    leader = a
    return leader


@kernel
def upper_bound(mean: float, allowed: float) -> float:
    """Return the highest q in [mean, 1] with kl(mean, q) <= allowed, `mean` in [0, 1], `allowed` >= 0.

    The divergence is convex in q, so Newton's method from above comes down to q without passing it. It starts from the
    lower of two ceilings: Pinsker's, and the one that leaves out the positive term -mean ln q.
    """
    rest = 1.0 - mean
    if rest <= 0.0 or allowed <= 0.0:
        return mean
    if mean <= 0.0:
        return 1.0 - exp(-allowed)
    entropy = -(mean * log(mean) + rest * log(rest))
    distance = min(math.sqrt(0.5 * allowed), rest - exp(-(allowed + entropy) / rest))
    for _ in range(_PASSES_MAX):
        room = (mean + distance) * (rest - distance)
        if room <= 0.0 or distance <= 0.0:
            break
        step = (divergence(mean, distance) - allowed) * room / distance
        if step <= 1e-15 * distance:
            break
        distance -= step
    return mean + distance


@kernel
def divergence(mean: float, distance: float) -> float:
    """Return kl(mean, mean + distance) of two coins, in nats; 0 <= distance <= 1 - mean."""
    rest = 1.0 - mean
    if distance <= 0.0:
        return 0.0
    if distance >= rest:
        return math.inf if rest > 0.0 else 0.0
    if mean <= 0.0:
        return -log1p(-distance)
    return -mean * log1p(distance / mean) - rest * log1p(-distance / rest)


register_policy(KlUcbParams, select=select, mark=mark, update=update, probability=probability, appraise=appraise)
