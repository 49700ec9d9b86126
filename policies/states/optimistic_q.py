"""Optimistic Q-learning: discounted values that only fall, from the largest that there can be, with a bonus each time.

Source: Wei, Jafarnia-Jahromi, Luo, Sharma, Jain, "Model-free reinforcement learning in infinite-horizon average-reward
Markov decision processes", ICML 2020, algorithm 2. With H the smaller one of sqrt(span T / (S A)) and
(T / (S A ln(4 T / delta)))^(1/3) rewards are discounted by 1 - 1/H. The n-th visit of a pair moves its value by
(H + 1) / (H + n) toward r + (1 - 1/H) V(s') + b, with b = scale 4 span sqrt(H ln(2 T / delta) / n). Q is the least that
this value ever was, V its maximum over the actions, and the action of the largest Q is taken. With `scale` 1 the regret
is O((span S A)^(1/3) T^(2/3)) up to logarithms. The horizon T and a bound on the span of the world's bias must be
known. With the published bonus nothing is learned in 100,000 decisions of a few states: it is far above any reward. So
`scale` is a param; .01 learns, and has no proof.
Departs from the paper: H is at least 1; where a unit ends, the next state is one in which units were seen to begin, in
the mean. Ties go to the lowest action. Rewards in [0, 1], or as parts of the range that is declared.
State: values, Q, and how often each pair was learned: S A numbers, where policies that plan need S^2 A.
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision and per feedback; O(S A) where a unit ended.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.elementary import exp, log
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import padded
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, clipped_part
from ...engine.states.counts import Visits, count, no_visits
from ...engine.states.learned import learned_by_values
from ...engine.states.of_states import of_states
from ...engine.states.planning import greedy
from ...engine.states.values import appraise_values, best_after, best_of
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Learned, Policy, Problem, RewardRange

HORIZON_MAX = 2**53


class OptimisticQParams(NamedTuple):
    """Numbers fixed at creation."""

    horizon: int  # T, decisions in all
    span: float  # of the world's bias at most, > 0
    delta: float  # how likely Q may be too small, in (0, 1)
    scale: float  # of the bonus, >= 0; 1 is what is proved
    rewards: RewardRange = UNIT  # what is learned are parts of it


class OptimisticQState(NamedTuple):
    """Arrays that `update` writes, and H, which never changes."""

    seen: Visits
    value: Array  # float64[S, A] as it was moved last
    q: Array  # float64[S, A] the least that it ever was
    length: Array  # float64[1] H, how many decisions count


def optimistic_q(horizon: int, span: float, delta: float = 0.05, scale: float = 1.0) -> Policy:
    """Take the action of the largest Q, which begins at the largest that there can be and only falls.

    `horizon` is how many decisions there will be. `span` is what somebody knows of the world: how much more it is worth
    at most to begin in its best state than in its worst. `scale` multiplies the published bonus.
    """
    if not isinstance(horizon, int) or isinstance(horizon, bool) or not 1 <= horizon <= HORIZON_MAX:
        raise InvalidInput(
            "bad_param",
            f"horizon is {as_seen(horizon)}: it must be a whole number from 1 to 2^53, of the decisions to come",
        )
    params = OptimisticQParams(
        horizon,
        check_param("span", span, low=0.0, low_open=True, high=1e6),
        check_param("delta", delta, low=1e-300, high=1.0, high_open=True),
        check_param("scale", scale, low=0.0, high=1e6),
    )
    return of_states("optimistic_q", params, init, grow=grow, learned=learned)


def init(params: OptimisticQParams, problem: Problem) -> OptimisticQState:
    """Return the state before any feedback: everything is worth H."""
    seen = no_visits(problem)
    share = params.horizon / seen.visits.size
    by_delta = exp(log(share / log(4.0 * params.horizon / params.delta)) / 3.0)
    length = max(min(math.sqrt(params.span * share), by_delta), 1.0)
    return OptimisticQState(
        seen, np.full(seen.visits.shape, length), np.full(seen.visits.shape, length), np.full(1, length)
    )


def grow(params: OptimisticQParams, state: OptimisticQState, problem: Problem) -> OptimisticQState:
    """Return the state with more arms; H stays, and they are worth that."""
    fresh = init(params, problem)
    fresh.value[:] = fresh.q[:] = state.length[0]
    return padded(state, fresh)


def learned(params: OptimisticQParams, state: OptimisticQState) -> Learned:
    """Return Q as it is, and V / H as the gain, in the mean over the states as they were visited, for people."""
    seen = state.seen
    best = np.where(seen.open, state.q, -np.inf).max(axis=1)
    visits = seen.visits.sum(axis=1)
    gain = float((visits * best).sum() / max(visits.sum(), 1) / state.length[0])
    return learned_by_values(params.rewards, seen, gain, state.q)


@kernel
def select(params: OptimisticQParams, state: OptimisticQState, instance: Instance, key: Key) -> Decision:
    """Take the available action of the largest Q."""
    return Decision(greedy(state.q[int(instance.context[0])], instance.available), 1.0)


@kernel
def update(
    params: OptimisticQParams,
    state: OptimisticQState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move the value of a pair by a transition; one whose next state is not known teaches nothing."""
    s, a, after = count(state.seen, instance, decision, feedback)
    if s < 0:
        return
    n, length = state.seen.visits[s, a], state.length[0]
    reward = clipped_part(params.rewards, feedback.reward)
    step = (length + 1.0) / (length + n)
    bonus = params.scale * 4.0 * params.span * math.sqrt(length / n * log(2.0 * params.horizon / params.delta))
    target = reward + (1.0 - 1.0 / length) * best_after(state.seen, state.q, after) + bonus
    state.value[s, a] += step * (target - state.value[s, a])
    state.q[s, a] = min(state.q[s, a], state.value[s, a])


@kernel
def probability(params: OptimisticQParams, state: OptimisticQState, instance: Instance, action: int) -> float:
    """Return 1 for the action of the largest Q, else 0."""
    return 1.0 if action == greedy(state.q[int(instance.context[0])], instance.available) else 0.0


@kernel
def appraise(
    params: OptimisticQParams, state: OptimisticQState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write V / H, less what is lost by choosing an action once: Q has the bonuses of all visits in it."""
    gain = best_of(state.seen, state.q, int(instance.context[0])) / state.length[0]
    appraise_values(params.rewards, state.seen, state.q, gain, instance, scores, widths)


register_policy(OptimisticQParams, select=select, update=update, probability=probability, appraise=appraise)
