"""UCRL2-VTR: optimism by value-targeted regression in a mixture of known worlds, for each pair by itself.

Source: Wu, Zhou, Gu, "Nearly minimax optimal regret for learning infinite-horizon average-reward MDPs with linear
function approximation", AISTATS 2022: the plan believes of each pair the most hopeful shares that are within the
ellipsoid (`engine/states/mixture_balls.py`), and is made anew when the determinant of Sigma has doubled.
Departs from the paper: shares lie in the simplex, and sigma^2 is the mean of the squared errors, and span^2 / 4 as one
more (`engine/states/mixture.py`), so that it can be compared with `loop_mixture`. A unit that ends teaches nothing.
State: sums of the regression, the plan, phi itself, which never changes. Propensities: 1, as nothing is drawn.
Cost: O(A) per decision, O(d (S + d)) per feedback; plans of at most 1e6 multiply-adds in an update, the rest follows
with the next ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...engine.arrays import copy_numbers
from ...engine.elementary import log
from ...engine.kernel import kernel
from ...engine.kernel import loop as compiled
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT
from ...engine.states.counts import Visits, count, no_visits
from ...engine.states.learned import told
from ...engine.states.mixture import (
    KnownParts,
    Regression,
    budget,
    centre,
    check_parts,
    learn_transition,
    mixture_of,
    regression,
)
from ...engine.states.mixture_balls import MixtureBalls, mixture_balls
from ...engine.states.of_states import of_states
from ...engine.states.planning import IDLE, SWEEPS_MAX, WORK, Model, Plan, begin, greedy, no_plan, sweep
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Learned, Policy, Problem


class Ucrl2VtrParams(NamedTuple):
    """Numbers fixed at creation."""

    span: float  # of the world's bias at most, > 0
    delta: float  # how likely what is believed may miss the truth, from (0, 1)


class Ucrl2VtrState(NamedTuple):
    """Arrays that `update` writes, and the mixture."""

    seen: Visits
    known: Regression
    laws: MixtureBalls
    model: Model
    plan: Plan
    value: Array  # float64[S + 1] centred, by which targets are learned
    log_det: Array  # float64[1] of Sigma as of the plan
    plans: Array  # int64[1] of which `value` is the last
    since: Array  # int64[1] transitions that were learned since the plan was begun


def ucrl2_vtr(
    span: float,
    model: str | Sequence[Sequence[Sequence[Sequence[float]]]] = "arrivals",
    reward: Sequence[Sequence[float]] | None = None,
    delta: float = 0.05,
) -> Policy:
    """Follow the best world in which each pair has its own mixture, among those that are believed.

    `model` is phi, [S][A][d][S]: how likely each state comes next in each of d parts, and `reward`, [S][A], what is
    paid in the mean. Or it is a name, "arrivals" or "river" (`engine/states/known_mixtures.py`), for as many states as
    there are. `span` is what somebody knows: how much more it is worth at most to begin in the best state than in the
    worst.
    """
    params = Ucrl2VtrParams(
        check_param("span", span, low=0.0, low_open=True, high=1e6),
        check_param("delta", delta, low=1e-300, high=1.0, high_open=True),
    )
    return of_states("ucrl2_vtr", params, _beginning(check_parts(model, reward)), learned=learned)


def learned(params: Ucrl2VtrParams, state: Ucrl2VtrState) -> Learned:
    """Return what the plan believes, for people."""
    plan = state.plan
    planned = float(plan.gain[0]), plan.bias[:-1], plan.q, int(state.plans[0])
    return told(UNIT, state.seen, *planned, int(state.seen.learned[0] - state.since[0]))


def _beginning(parts: KnownParts) -> Callable[[Ucrl2VtrParams, Problem], Ucrl2VtrState]:
    """Return the `init` of what is known."""

    def init(params: Ucrl2VtrParams, problem: Problem) -> Ucrl2VtrState:
        """Return the state before any feedback, with a plan: that of the best mixture in each pair."""
        mixture = mixture_of(parts, problem)
        (states, n_arms), d = mixture.reward.shape, mixture.chance.shape[3]
        laws = mixture_balls(mixture)
        model = Model(mixture.reward.copy(), np.ones((states, n_arms), np.bool_), np.zeros(states), laws)
        state = Ucrl2VtrState(
            seen=no_visits(problem),
            known=regression(d),
            laws=laws,
            model=model,
            plan=no_plan(states, n_arms),
            value=np.zeros(states + 1),
            log_det=np.zeros(1),
            plans=np.zeros(1, np.int64),
            since=np.zeros(1, np.int64),
        )
        _first_plan.now(params, state)
        return state

    return init


@compiled
def _first_plan(params: Ucrl2VtrParams, state: Ucrl2VtrState) -> None:
    _begin(params, state)
    while state.plan.stage[0] != IDLE:
        _go_on(state)


@kernel
def select(params: Ucrl2VtrParams, state: Ucrl2VtrState, instance: Instance, key: Key) -> Decision:
    """Take the available action that is worth the most by the plan."""
    return Decision(greedy(state.plan.q[int(instance.context[0])], instance.available), 1.0)


@kernel
def update(
    params: Ucrl2VtrParams, state: Ucrl2VtrState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Learn where the world went, and go on with a plan where one is due or not finished."""
    s, states = int(instance.context[0]), len(state.model.open)
    _, _, after = count(state.seen, instance, decision, feedback)
    for a in range(len(instance.available)):
        state.model.open[s, a] = instance.available[a] or state.model.open[s, a]
    if 0 <= after < states:
        state.since[0] += 1
        learn_transition(state.known, state.laws.mixture, s, decision.action, after, state.value)
        if state.plan.stage[0] == IDLE and state.known.log_det[0] > state.log_det[0] + log(2.0):
            _begin(params, state)
    if state.plan.stage[0] != IDLE:
        _go_on(state)


@kernel
def _begin(params: Ucrl2VtrParams, state: Ucrl2VtrState) -> None:
    """Begin a plan by what is known now."""
    known = state.known
    copy_numbers(known.theta, state.laws.theta)
    copy_numbers(known.inverse, state.laws.inverse)
    state.laws.beta[0] = budget(known, params.span, params.delta)
    state.log_det[0] = known.log_det[0]
    state.since[0] = 0
    begin(state.plan, max(1e-4, 0.1 / math.sqrt(max(known.learned[0], 1))), math.inf, SWEEPS_MAX)


@kernel
def _go_on(state: Ucrl2VtrState) -> None:
    """Go on with a plan by so much work as an update may do; learn by the values of the one that is finished."""
    sweep(state.plan, state.model, WORK)
    if state.plan.stage[0] == IDLE:
        centre(state.plan.bias, len(state.model.open), state.value)
        state.plans[0] += 1


@kernel
def probability(params: Ucrl2VtrParams, state: Ucrl2VtrState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == greedy(state.plan.q[int(instance.context[0])], instance.available) else 0.0


register_policy(Ucrl2VtrParams, select=select, update=update, probability=probability)
