"""UCB1: play the arm with the highest optimistic mean.

Source: Auer, Cesa-Bianchi, Fischer, "Finite-time analysis of the multiarmed bandit problem", 2002, fig. 1. Rewards in
[0, 1], or as parts of the range that is declared; regret at most 8 sum_a ln T / gap_a + (1 + pi^2 / 3) sum_a gap_a
(theorem 1, alpha = 1) in that unit.
State: count, mean and 1 / sqrt(count) per arm, what is awaited. Cost: O(K) per decision, O(1) per feedback.
Departs from the paper: ties go to the lowest arm; the clock counts decisions, so late feedback is allowed, and with
`wait` an arm's count has what is awaited (`engine/laws/awaited.py`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.elementary import log
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.awaited import awaited, check_wait, count_of, note, settle
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, part_of, reward_at, width_at
from ...engine.vocabulary import NO_CONTEXT, Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange


class Ucb1Params(NamedTuple):
    """Numbers fixed at creation."""

    alpha: float  # factor of the width, > 0; 1 is the paper's
    wait: int = 0  # for so many further decisions one counts whose feedback has not come
    rewards: RewardRange = UNIT  # means and bonuses are parts of it


class Ucb1State(NamedTuple):
    """Arrays that `update` writes."""

    count: Array  # int64[k] feedbacks learned per arm
    mean: Array  # float64[k] mean reward per arm, a part of the range
    width: Array  # float64[k] 1 / sqrt(count), infinite before the first feedback
    awaited: Any  # decisions that count as learned: `Awaited` or `Unawaited`


def ucb1(alpha: float = 1.0, wait: int = 0) -> Policy:
    """Play the arm with the highest mean + alpha sqrt(2 ln t / count).

    Where feedback is late, a decision adds to the count for `wait` further ones, until it is learned.
    """
    check_param("alpha", alpha, low=0.0, low_open=True)
    return Policy(
        "ucb1",
        Ucb1Params(float(alpha), check_wait(wait)),
        init,
        contexts=NO_CONTEXT,
        grow=by_padding(init),
        deterministic=True,
    )


def init(params: Ucb1Params, problem: Problem) -> Ucb1State:
    """Return the state before any feedback."""
    k = problem.n_arms
    return Ucb1State(np.zeros(k, np.int64), np.zeros(k), np.full(k, np.inf), awaited(params.wait, k))


@kernel
def select(params: Ucb1Params, state: Ucb1State, instance: Instance, key: Key) -> Decision:
    """Take the available arm of the highest bound; an arm never learned has an infinite one."""
    return Decision(_leader(params, state, instance), 1.0)


@kernel
def mark(params: Ucb1Params, state: Ucb1State, instance: Instance, decision: Decision, key: Key) -> None:
    """Count the decision while its feedback is awaited."""
    note(state.awaited, key.t, decision.action)


@kernel
def update(
    params: Ucb1Params,
    state: Ucb1State,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the mean of the arm that was played, and narrow its width."""
    settle(state.awaited, key.t)
    arm = decision.action
    state.count[arm] += 1
    share = 1.0 / state.count[arm]
    state.width[arm] = math.sqrt(share)
    state.mean[arm] += (part_of(params.rewards, feedback.reward) - state.mean[arm]) * share


@kernel
def probability(params: Ucb1Params, state: Ucb1State, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == _leader(params, state, instance) else 0.0


@kernel
def write_law(params: Ucb1Params, state: Ucb1State, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    leader = _leader(params, state, instance)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = 1.0 if a == leader else 0.0


@kernel
def appraise(params: Ucb1Params, state: Ucb1State, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the means, and what is added to them; an arm never learned has neither."""
    scale = _scale(params, instance)
    for a in range(len(state.mean)):
        known = instance.available[a] and state.count[a] > 0
        scores[a] = reward_at(params.rewards, state.mean[a]) if known else math.nan
        widths[a] = width_at(params.rewards, scale * _width(state, a)) if known else math.nan


@kernel
def _width(state: Ucb1State, arm: int) -> float:
    """Return 1 / sqrt(count) with what is awaited counted."""
    waiting = count_of(state.awaited, arm)
    return state.width[arm] if waiting == 0 else 1.0 / math.sqrt(float(state.count[arm] + waiting))


@kernel
def _scale(params: Ucb1Params, instance: Instance) -> float:
    return params.alpha * math.sqrt(2.0 * log(float(max(instance.t, 2))))


@kernel
def _leader(params: Ucb1Params, state: Ucb1State, instance: Instance) -> int:
    scale = _scale(params, instance)
    best = -math.inf
    leader = -1
    for a in range(len(state.mean)):
        if instance.available[a]:
            bound = state.mean[a] + scale * _width(state, a)
            if bound > best:
                best = bound
                leader = a
    return leader


register_policy(
    Ucb1Params, select=select, mark=mark, update=update, probability=probability, write_law=write_law, appraise=appraise
)
