"""Follow the regularised leader: the best point so far for linear losses, held back by its distance from the middle.

Source: McMahan, "A survey of algorithms and analysis for adaptive online learning", JMLR 2017 (dual averaging with an
adaptive step). With x_0 the middle of the domain, S the sum of all gradients g of the loss and
eta = D / sqrt(2 (G^2 + sum of |g|^2)) the decision is P(x_0 - eta S), which minimises S . x + |x - x_0|^2 / (2 eta).
Without G it is the largest gradient learned.
Certificate (derived): the regret against u is the sum of g . x less S . u, and -S . u is at most
|u - x_0|^2 / (2 eta) - min over w of (S . w + |w - x_0|^2 / (2 eta)), whatever had been decided and whatever eta is.
What rounding may take from these sums is added: gradients of 1e28 may cancel, and leave a regret of 1e17.
State: S, the last gradient, sums. Cost: O(d) and one projection per decision, O(d) per feedback.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Region
from ...engine.kernel import kernel
from ...engine.problem import check_known
from ...engine.protocol import register_policy
from ...engine.vectors.constants import at_most, of_problem
from ...engine.vectors.projection import project
from ...engine.vectors.rounding import rounding_bound
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


class FtrlParams(NamedTuple):
    """Numbers fixed at creation."""

    gradient_max: float  # G > 0, what |gradient| is at most; 0 where that is not known


class FtrlState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    total: Array  # float64[d] the sum of the gradients of the reward: -S
    last: Array  # float64[d] the last gradient learned
    count: Array  # int64[1] feedbacks learned
    earned: Array  # float64[1] the sum of gradient . (x - x_0)
    squares: Array  # float64[1] the sum of |gradient|^2
    largest: Array  # float64[1] the largest |gradient|^2 learned
    variation: Array  # float64[1] the sum of |gradient - last gradient|^2
    region: Region
    start: Array  # float64[d] x_0
    diameter: Array  # float64[1] D
    reach: Array  # float64[1] the largest |u - x_0|
    scratch_point: Array  # float64[d] what is decided
    scratch_leader: Array  # float64[d]


def ftrl(gradient_max: float | None = None) -> Policy:
    """Follow the regularised leader on any domain; nothing has to be known beforehand."""
    params = FtrlParams(check_known("gradient_max", gradient_max))
    return Policy("ftrl", params, init, actions=("vector",), feedbacks=("gradient", "losses"), constants=constants)


def init(params: FtrlParams, problem: Problem) -> FtrlState:
    """Return the state before any feedback."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    return FtrlState(
        total=np.zeros(d),
        last=np.zeros(d),
        count=np.zeros(1, np.int64),
        earned=np.zeros(1),
        squares=np.zeros(1),
        largest=np.zeros(1),
        variation=np.zeros(1),
        region=domain.region(),
        start=domain.start,
        diameter=np.array([domain.diameter]),
        reach=np.array([domain.reach]),
        scratch_point=np.zeros(d),
        scratch_leader=np.zeros(d),
    )


def constants(params: FtrlParams, state: FtrlState) -> dict[str, Constant]:
    """Return D and G, and where they are from."""
    gradient_max = at_most(params.gradient_max, math.sqrt(state.largest[0]))
    return {"diameter": of_problem(state.diameter[0]), "gradient_max": gradient_max}


@kernel
def select(params: FtrlParams, state: FtrlState, instance: Instance, key: Key) -> Decision:
    """Decide the regularised leader."""
    _lead(params, state, state.scratch_point)
    return Decision(state.scratch_point, 1.0)


@kernel
def update(
    params: FtrlParams,
    state: FtrlState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add the gradient of the reward."""
    gradient = feedback.detail
    square = 0.0
    for j in range(len(gradient)):
        change = gradient[j] - state.last[j]
        square += gradient[j] * gradient[j]
        state.variation[0] += change * change
        state.earned[0] += gradient[j] * (decision.action[j] - state.start[j])
        state.total[j] += gradient[j]
        state.last[j] = gradient[j]
    state.count[0] += 1
    state.squares[0] += square
    state.largest[0] = max(state.largest[0], square)


@kernel
def certify(params: FtrlParams, state: FtrlState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    leader = state.scratch_leader
    _lead(params, state, leader)
    eta = _step(params, state)
    if eta == 0.0:  # all gradients are 0, or so small that their squares are
        bound = -state.earned[0]
        for j in range(len(leader)):
            bound += state.reach[0] * abs(state.total[j])
        return Certificate(bound, state.variation[0])
    bound = state.reach[0] * state.reach[0] / (2.0 * eta) - state.earned[0]
    for j in range(len(leader)):
        away = leader[j] - state.start[j]
        bound += state.total[j] * away - away * away / (2.0 * eta)
    bound += rounding_bound(state.count[0], len(leader), state.reach[0] * math.sqrt(state.largest[0]))
    return Certificate(bound, state.variation[0])


@kernel
def _step(params: FtrlParams, state: FtrlState) -> float:
    """Return eta; 0 while no gradient is known of."""
    square = params.gradient_max * params.gradient_max if params.gradient_max > 0.0 else state.largest[0]
    below = 2.0 * (square + state.squares[0])
    return state.diameter[0] / math.sqrt(below) if below > 0.0 else 0.0


@kernel
def _lead(params: FtrlParams, state: FtrlState, point: Array) -> None:
    """Write the regularised leader."""
    eta = _step(params, state)
    for j in range(len(point)):
        point[j] = state.start[j] + eta * state.total[j]
    project(state.region, point)


register_policy(FtrlParams, select=select, update=update, certify=certify)
