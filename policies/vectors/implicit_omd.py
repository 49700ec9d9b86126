"""Implicit mirror descent: minimise the last loss itself, near where one stands, instead of following its gradient.

Source: Chen, Zhang, Tu, Zhao, Zhang, "Optimistic online mirror descent for bridging stochastic and adversarial online
convex optimization", JMLR 2024, the part on losses that are not smooth. A feedback is an example (a, b), and its loss
f(x) = phi(a . x, b) is known by name: `engine/vectors/prox.py`. With the secondary point y the decision minimises
f_{t-1}(x) + |x - y|^2 / (2 eta), so the whole last loss is the hint, and y moves to the minimiser of f_t(x) + |x -
y|^2 / (2 eta). eta_t = D / sqrt(1 + 4 G^2 + V), V the sum of v^2, where (derived) v = max(c, 0) / |x - y'|, y' the
point after the step and c the fall of f_t - f_{t-1} from x to y': never more than the largest distance of two
gradients. Regret at most (3 D / 2) sqrt(1 + 4 G^2 + V). Without G, the largest v^2 seen stands in for 4 G^2.
Certificate (derived): f(x) - f(u) <= f(x) - f(y') + (|u - y|^2 - |u - y'|^2 - |y' - y|^2) / (2 eta) for any decision x
and any u. It bounds the regret itself, not that of linear losses, also of decisions whose feedback was late.
State: the secondary point, the last example, sums. Cost: O(d) and 2 to 6 projections per decision and per feedback.
Late feedback is learned as it comes, by the step of then: as one whose hint was worse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Region
from ...engine.kernel import kernel
from ...engine.problem import check_known
from ...engine.protocol import register_policy
from ...engine.vectors.constants import given_or, of_problem
from ...engine.vectors.prox import check_loss, loss_at, prox
from ...engine.vocabulary import (
    Array,
    Certificate,
    Constant,
    Decision,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)

_SQUARE_MAX = 1e200  # of v: with larger ones steps would be 0, and stay so


class ImplicitOmdParams(NamedTuple):
    """Numbers fixed at creation."""

    loss: int
    gradient_max: float  # G > 0; 0 where it is not known


class ImplicitOmdState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    point: Array  # float64[d] y, the secondary point
    last: Array  # float64[d + 1] the last example learned
    count: Array  # int64[1] feedbacks learned
    variation: Array  # float64[1] V
    largest: Array  # float64[1] the largest v^2
    proven: Array  # float64[1] what the certificate adds up, but for the distances to u
    step: Array  # float64[1] the last step
    region: Region
    diameter: Array  # float64[1] D
    scratch_point: Array  # float64[d] what is decided
    scratch_next: Array  # float64[d]


def implicit_omd(loss: str = "absolute", gradient_max: float | None = None) -> Policy:
    """Learn from examples (a, b) of a `loss`: "absolute", "square", "hinge" or "logistic".

    `gradient_max` (G) bounds the gradients of the losses where that is known.
    """
    params = ImplicitOmdParams(
        check_loss(loss),
        check_known("gradient_max", gradient_max),
    )
    return Policy(
        "implicit_omd", params, init, actions=("vector",), feedbacks=("example",), constants=constants, version=2
    )


def init(params: ImplicitOmdParams, problem: Problem) -> ImplicitOmdState:
    """Return the state before any feedback: the middle of the domain."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    return ImplicitOmdState(
        domain.start,
        np.zeros(d + 1),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(1),
        np.zeros(1),
        np.zeros(1),
        domain.region(),
        np.array([domain.diameter]),
        np.zeros(d),
        np.zeros(d),
    )


def constants(params: ImplicitOmdParams, state: ImplicitOmdState) -> dict[str, Constant]:
    """Return D and G, and where they are from."""
    gradient_max = given_or(params.gradient_max, 0.5 * math.sqrt(state.largest[0]))
    return {"diameter": of_problem(state.diameter[0]), "gradient_max": gradient_max}


@kernel
def select(params: ImplicitOmdParams, state: ImplicitOmdState, instance: Instance, key: Key) -> Decision:
    """Minimise the last loss near the secondary point."""
    point = state.scratch_point
    if state.count[0] > 0:
        prox(state.region, params.loss, state.last, _step(params, state), state.point, point)
    else:
        for j in range(len(point)):
            point[j] = state.point[j]
    return Decision(point, 1.0)


@kernel
def update(
    params: ImplicitOmdParams,
    state: ImplicitOmdState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Minimise the new loss near the secondary point, and add what this round proves."""
    point, following, action, example = state.point, state.scratch_next, decision.action, feedback.detail
    eta = _step(params, state)
    prox(state.region, params.loss, example, eta, point, following)
    fall = _loss(params.loss, example, action) - _loss(params.loss, example, following)
    unexpected = fall
    if state.count[0] > 0:
        unexpected -= _loss(params.loss, state.last, action) - _loss(params.loss, state.last, following)
    left, moved = 0.0, 0.0
    for j in range(len(point)):
        left += (action[j] - following[j]) * (action[j] - following[j])
        moved += (following[j] - point[j]) * (following[j] - point[j])
        point[j] = following[j]
    for j in range(len(example)):
        state.last[j] = example[j]
    square = min(unexpected * unexpected / left, _SQUARE_MAX) if unexpected > 0.0 and left > 0.0 else 0.0
    shown = fall - moved / (2.0 * eta)
    state.proven[0] += shown if shown < math.inf else math.inf  # of losses beyond 1e308 nothing is known
    state.step[0] = eta
    state.count[0] += 1
    state.variation[0] += square
    state.largest[0] = max(state.largest[0], square)


@kernel
def certify(params: ImplicitOmdParams, state: ImplicitOmdState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    if state.count[0] == 0:
        return Certificate(0.0, 0.0)
    square = state.diameter[0] * state.diameter[0]
    return Certificate(state.proven[0] + square / (2.0 * state.step[0]), state.variation[0])


@kernel
def _step(params: ImplicitOmdParams, state: ImplicitOmdState) -> float:
    """Return the step of the next feedback. It never grows."""
    square = 4.0 * params.gradient_max * params.gradient_max if params.gradient_max > 0.0 else state.largest[0]
    return state.diameter[0] / math.sqrt(1.0 + square + state.variation[0])


@kernel
def _loss(loss: int, example: Array, x: Array) -> float:
    """Return phi(a . x, b)."""
    z = 0.0
    for j in range(len(x)):
        z += example[j] * x[j]
    return loss_at(loss, z, example[len(x)])


register_policy(ImplicitOmdParams, select=select, update=update, certify=certify)
