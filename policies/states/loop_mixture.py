"""LOOP in a mixture of known worlds: believe the best shares of its parts that squared errors leave possible.

Source: He, Zhong, Yang, "Sample-efficient learning of infinite-horizon average-reward MDPs with general function
approximation", ICLR 2024, for P = sum of theta_i phi_i with known phi and rewards. Of all theta within beta of the
estimate (`engine/states/mixture.py`) the one of the largest gain is followed (`engine/states/mixture_search.py`), until
its squared error exceeds that of the estimate by 3 beta.
Departs from the paper: sigma^2 in beta is the mean of the squared errors, and span^2 / 4 as one more; half the span,
as is proved, learns nothing for very long. The error is compared with the least on the simplex, not on all of R^d,
beside which it would exceed 3 beta for ever once the estimate lies on the border. Targets are learned by the values of
the plan that was held when they came. A unit that ends teaches nothing.
State: sums of the regression, the plan that is held, the one that is made; phi itself, which never changes.
Propensities: 1, as nothing is drawn. Cost: O(A) per decision, O(d (S + d)) per feedback; plans of at most 1e6
multiply-adds in an update, the rest follows with the next ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...engine.arrays import copy_numbers
from ...engine.kernel import kernel, routine
from ...engine.kernel import loop as compiled
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT
from ...engine.states.counts import Visits, count, no_visits
from ...engine.states.learned import told
from ...engine.states.mixture import (
    KnownParts,
    Mixture,
    Regression,
    budget,
    centre,
    check_parts,
    learn_transition,
    loss_beyond,
    mixture_of,
    regression,
)
from ...engine.states.mixture_search import ENDED, Search, begin_search, no_search, search
from ...engine.states.of_states import of_states
from ...engine.states.planning import WORK, greedy
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Learned, Policy, Problem

FACTOR = 3.0  # budgets that the hypothesis may miss by until there is another
HOLDING, SEARCHING = range(2)


class LoopMixtureParams(NamedTuple):
    """Numbers fixed at creation."""

    span: float  # of the world's bias at most, > 0
    delta: float  # how likely what is believed may miss the truth, from (0, 1)


class LoopMixtureState(NamedTuple):
    """Arrays that `update` writes, and the mixture."""

    mixture: Mixture
    seen: Visits
    known: Regression  # what is learned
    planned: Regression  # what was known when the plan that is made was begun
    search: Search
    theta: Array  # float64[d] that is held
    q: Array  # float64[S, A] what each action is worth by it, less the gain
    value: Array  # float64[S + 1] centred, by which targets are learned
    gain: Array  # float64[1]
    off: Array  # float64[2] Y, and beta
    plans: Array  # int64[1]
    stage: Array  # int64[1]


def loop_mixture(
    span: float,
    model: str | Sequence[Sequence[Sequence[Sequence[float]]]] = "arrivals",
    reward: Sequence[Sequence[float]] | None = None,
    delta: float = 0.05,
) -> Policy:
    """Follow the best world among the mixtures that are believed.

    `model` is phi, [S][A][d][S]: how likely each state comes next in each of d parts, and `reward`, [S][A], what is
    paid in the mean. Or it is a name, "arrivals" or "river" (`engine/states/known_mixtures.py`), for as many states as
    there are. `span` is what somebody knows: how much more it is worth at most to begin in the best state than in the
    worst.
    """
    params = LoopMixtureParams(
        check_param("span", span, low=0.0, low_open=True, high=1e6),
        check_param("delta", delta, low=1e-300, high=1.0, high_open=True),
    )
    return of_states("loop_mixture", params, _beginning(check_parts(model, reward)), learned=learned)


def learned(params: LoopMixtureParams, state: LoopMixtureState) -> Learned:
    """Return the hypothesis that is held, for people."""
    since = int(state.known.learned[0] - state.planned.learned[0])
    bias = state.q.max(axis=1, where=state.search.model.open, initial=-math.inf)
    planned = float(state.gain[0]), bias, state.q, int(state.plans[0])
    found = told(UNIT, state.seen, *planned, int(state.seen.learned[0]) - since)
    return found._replace(error=float(state.off[0]), error_max=FACTOR * float(state.off[1]))


def _beginning(parts: KnownParts) -> Callable[[LoopMixtureParams, Problem], LoopMixtureState]:
    """Return the `init` of what is known."""

    def init(params: LoopMixtureParams, problem: Problem) -> LoopMixtureState:
        """Return the state before any feedback, with a plan: that of the best of all mixtures."""
        mixture = mixture_of(parts, problem)
        (states, n_arms), d = mixture.reward.shape, mixture.chance.shape[3]
        state = LoopMixtureState(
            mixture=mixture,
            seen=no_visits(problem),
            known=regression(d),
            planned=regression(d),
            search=no_search(mixture),
            theta=np.full(d, 1.0 / d),
            q=np.zeros((states, n_arms)),
            value=np.zeros(states + 1),
            gain=np.zeros(1),
            off=np.zeros(2),
            plans=np.zeros(1, np.int64),
            stage=np.zeros(1, np.int64),
        )
        _first_plan.now(params, state)
        return state

    return init


@compiled
def _first_plan(params: LoopMixtureParams, state: LoopMixtureState) -> None:
    _begin(params, state, 0)
    while state.stage[0] == SEARCHING:
        _go_on(state)


@kernel
def select(params: LoopMixtureParams, state: LoopMixtureState, instance: Instance, key: Key) -> Decision:
    """Take the available action that is worth the most by the hypothesis."""
    return Decision(greedy(state.q[int(instance.context[0])], instance.available), 1.0)


@kernel
def update(
    params: LoopMixtureParams,
    state: LoopMixtureState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn where the world went, and go on with a plan where one is due or not finished."""
    s, states = int(instance.context[0]), len(state.q)
    _, _, after = count(state.seen, instance, decision, feedback)
    for a in range(len(instance.available)):
        state.search.model.open[s, a] = instance.available[a] or state.search.model.open[s, a]
    if 0 <= after < states:
        learn_transition(state.known, state.mixture, s, decision.action, after, state.value)
        state.off[0] = loss_beyond(state.known, state.theta)
        state.off[1] = budget(state.known, params.span, params.delta)
        if state.stage[0] == HOLDING and state.off[0] > FACTOR * state.off[1]:
            _begin(params, state, after)
    if state.stage[0] == SEARCHING:
        _go_on(state)


@kernel
def _begin(params: LoopMixtureParams, state: LoopMixtureState, place: int) -> None:
    """Begin a plan by what is known now."""
    known, planned = state.known, state.planned
    copy_numbers(known.sigma, planned.sigma)
    copy_numbers(known.inverse, planned.inverse)
    copy_numbers(known.theta, planned.theta)
    planned.learned[0] = known.learned[0]
    beta = budget(known, params.span, params.delta)
    state.search.place[0] = place
    begin_search(state.search, planned, beta, max(1e-4, 0.1 / math.sqrt(max(known.learned[0], 1))))
    state.stage[0] = SEARCHING


@routine
def _go_on(state: LoopMixtureState) -> None:
    """Go on with a plan by so much work as an update may do; hold what it found."""
    found = state.search
    search(found, state.mixture, state.planned, WORK)
    if found.stage[0] == ENDED:
        copy_numbers(found.best, state.theta)
        copy_numbers(found.plan.q, state.q)
        centre(found.plan.bias, len(state.q), state.value)
        state.gain[0] = found.plan.gain[0]
        state.plans[0] += 1
        state.stage[0] = HOLDING


@kernel
def probability(params: LoopMixtureParams, state: LoopMixtureState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == greedy(state.q[int(instance.context[0])], instance.available) else 0.0


register_policy(LoopMixtureParams, select=select, update=update, probability=probability)
