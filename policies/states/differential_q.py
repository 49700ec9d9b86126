"""Differential Q-learning: values and the gain are moved a little by each transition, and no world is modelled.

Source: Wan, Naik, Sutton, "Learning and planning in average-reward Markov decision processes", ICML 2021. With
d = r - gain + max Q(s', .) - Q(s, a): Q(s, a) grows by alpha d, and the gain by eta alpha d. The action of the largest
Q is taken, and with probability epsilon any action that is available.
Departs from the paper: where a unit ends, the next state is one in which units were seen to begin, in the mean. All Q
begin at 0; ties go to the lowest action. Rewards in [0, 1], or as parts of the range that is declared.
State: Q, the gain, and how often each pair was learned: S A numbers, where policies that plan need S^2 A.
Propensities: epsilon / k each of k available actions, and 1 - epsilon more of the best one.
Cost: O(A) per decision and per feedback; O(S A) where a unit ended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.draws import uniform
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.availability import count_available, nth_available
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, clipped_part
from ...engine.states.counts import Visits, count, no_visits
from ...engine.states.learned import learned_by_values
from ...engine.states.of_states import of_states
from ...engine.states.planning import greedy
from ...engine.states.values import appraise_values, best_after
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Learned, Policy, Problem, RewardRange


class DifferentialQParams(NamedTuple):
    """Numbers fixed at creation."""

    epsilon: float  # probability of any action, in [0, 1]
    alpha: float  # step of Q, in (0, 1]
    eta: float  # step of the gain beside that of Q, in [0, 1]
    rewards: RewardRange = UNIT  # what is learned are parts of it


class DifferentialQState(NamedTuple):
    """Arrays that `update` writes."""

    seen: Visits
    q: Array  # float64[S, A]
    gain: Array  # float64[1] reward of a decision in the long run


def differential_q(epsilon: float = 0.1, alpha: float = 0.1, eta: float = 0.1) -> Policy:
    """Take the action of the largest Q, and with probability `epsilon` any; move Q by steps of `alpha`."""
    epsilon = check_param("epsilon", epsilon, low=0.0, high=1.0)
    params = DifferentialQParams(
        epsilon,
        check_param("alpha", alpha, low=0.0, low_open=True, high=1.0),
        check_param("eta", eta, low=0.0, high=1.0),
    )
    return of_states(
        "differential_q", params, init, grow=by_padding(init), deterministic=epsilon == 0.0, learned=learned
    )


def init(params: DifferentialQParams, problem: Problem) -> DifferentialQState:
    """Return the state before any feedback."""
    seen = no_visits(problem)
    return DifferentialQState(seen, np.zeros(seen.visits.shape), np.zeros(1))


def learned(params: DifferentialQParams, state: DifferentialQState) -> Learned:
    """Return the gain and Q as they are, for people."""
    return learned_by_values(params.rewards, state.seen, float(state.gain[0]), state.q)


@kernel
def select(params: DifferentialQParams, state: DifferentialQState, instance: Instance, key: Key) -> Decision:
    """Take the action of the largest Q, or any; below epsilon, one draw serves as the coin and as the action."""
    k = count_available(instance.available)
    action = greedy(state.q[int(instance.context[0])], instance.available)
    u = uniform(key, 0)
    if u < params.epsilon:
        action = nth_available(instance.available, min(int(u / params.epsilon * k), k - 1))
    return Decision(action, probability(params, state, instance, action))


@kernel
def update(
    params: DifferentialQParams,
    state: DifferentialQState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Move Q and the gain by a transition; one whose next state is not known teaches nothing."""
    s, a, after = count(state.seen, instance, decision, feedback)
    if s < 0:
        return
    reward = clipped_part(params.rewards, feedback.reward)
    off = reward - state.gain[0] + best_after(state.seen, state.q, after) - state.q[s, a]
    state.q[s, a] += params.alpha * off
    state.gain[0] += params.eta * params.alpha * off


@kernel
def probability(params: DifferentialQParams, state: DifferentialQState, instance: Instance, action: int) -> float:
    """Return epsilon / k, plus 1 - epsilon for the action of the largest Q, over the k available ones."""
    if not instance.available[action]:
        return 0.0
    best = greedy(state.q[int(instance.context[0])], instance.available)
    return params.epsilon / count_available(instance.available) + (1.0 - params.epsilon if action == best else 0.0)


@kernel
def appraise(
    params: DifferentialQParams, state: DifferentialQState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the gain, less what is lost by choosing an action once: see `appraise_values`."""
    appraise_values(params.rewards, state.seen, state.q, state.gain[0], instance, scores, widths)


register_policy(DifferentialQParams, select=select, update=update, probability=probability, appraise=appraise)
