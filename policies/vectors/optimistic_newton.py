"""Optimistic online Newton step: mirror descent by a matrix that learns which directions the gradients take.

Source: Chen, Zhang, Tu, Zhao, Zhang, "Optimistic online mirror descent for bridging stochastic and adversarial online
convex optimization", JMLR 2024, for exp-concave losses; the Newton step is that of Hazan, Agarwal, Kale, 2007. With
    H_t = (eps + beta G^2 / 2) I + beta / 2 (the sum of g g' over the gradients learned),
the secondary point y and the hint M the decision is x = P_H(y - H^-1 M), and the gradient g moves y to P_H(y - H^-1 g),
P_H the projection by the norm of H. Regret O(d ln V), V the sum of |g - M|^2, so d ln(noise + drift).
beta = min(1 / (4 G D), alpha) / 2 for alpha-exp-concave losses, or any number with f(u) >= f(x) + <g, u - x> +
beta / 2 <g, u - x>^2 over the domain. Log loss -ln(r . x) has alpha = 1, logistic loss with |a . x| <= B has e^-B; for
(a . x - y)^2 / 2 beta may be 1 / (the largest residual)^2, which is 4 to 8 times the paper's and tracks noise better.

Certificate (derived here): the sum of <g, x - u> - beta / 2 <g, x - u>^2 over the rounds learned is at most
    (eps + beta G^2 / 2) r^2 / 2 + the sum of <g, x - y'> + beta / 2 <g, x - y'>^2 - |y' - y|_H^2 / 2,
for any u in the domain, r its largest distance from where the policy begins, y' the point after the step; for late,
missing and larger gradients too. That sum is the regret, or more, of losses that have this beta: of others, like linear
ones, the bound says nothing. With feedback in time and |g| <= G it is at most the paper's
    D^2 / 2 (eps + beta G^2 / 2) + 2 the sum of |g - M|^2_(H^-1).
By how much each computed point misses the best one is added, and what rounding may take from the sums and from H, so
that it holds whatever the rounding.

State: the secondary point, H and its factors (kept by rank-one updates, which lose nothing).
Cost: O(d^2) per decision and per feedback, on a simplex too while all coordinates are above 0; O(n^3), n of the
coordinates free, for each limit that a step meets. Domains: any product with at most one ball, up to 2000 dimensions.
Late feedback is learned as it comes, as one whose hint was worse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Region
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.vectors.constants import as_given, at_most, of_problem
from ...engine.vectors.gradient_hints import check_forecast, check_hint, hinted
from ...engine.vectors.matrix_projection import MatrixWork, matrix_work, shortfall, step_by
from ...engine.vectors.metric import Metric, halve, stretch
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

_EPSILON = 2.0**-52
_CURVED = "losses with f(u) >= f(x) + <g, u - x> + beta / 2 <g, u - x>^2, g the gradient at x"


class OptimisticNewtonParams(NamedTuple):
    """Numbers fixed at creation."""

    hint: int
    gradient_max: float  # G > 0
    alpha: float  # > 0
    beta: float  # > 0; 0 where it follows from alpha, G and D
    identity: float  # eps > 0


class OptimisticNewtonState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    point: Array  # float64[d] y, the secondary point
    last: Array  # float64[d] the last gradient learned
    metric: Metric  # H
    count: Array  # int64[1] feedbacks learned
    largest: Array  # float64[1] the largest |gradient|^2 learned
    variation: Array  # float64[1] V
    error: Array  # float64[1] the sum of |g - M|^2 by the norm of the inverse of H
    proven: Array  # float64[1] the certificate
    beta: Array  # float64[1]
    region: Region
    diameter: Array  # float64[1] D
    scratch_point: Array  # float64[d] what is decided
    scratch_next: Array  # float64[d]
    scratch_push: Array  # float64[d] the hint, then H (y' - y)
    scratch_work: MatrixWork


def optimistic_newton(
    gradient_max: float = 1.0,
    alpha: float = 1.0,
    beta: float | None = None,
    identity: float = 1.0,
    hint: str = "last",
) -> Policy:
    """Take Newton steps for exp-concave losses, whose gradients are at most `gradient_max` long.

    `beta` where it is known, else `alpha`; `identity` (eps) is what H begins with; `hint` is "last", "zero" (no
    optimism) or "context".
    """
    params = OptimisticNewtonParams(
        check_hint(hint),
        check_param("gradient_max", gradient_max, low=0.0, high=1e50, low_open=True),
        check_param("alpha", alpha, low=0.0, high=1e50, low_open=True),
        0.0 if beta is None else check_param("beta", beta, low=0.0, high=1e50, low_open=True),
        check_param("identity", identity, low=0.0, high=1e50, low_open=True),
    )
    return Policy(
        "optimistic_newton",
        params,
        init,
        actions=("vector",),
        feedbacks=("gradient",),
        constants=constants,
        supposes=_CURVED,
    )


def init(params: OptimisticNewtonParams, problem: Problem) -> OptimisticNewtonState:
    """Return the state before any feedback: the middle of the domain, and a multiple of the identity."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    check_forecast(params.hint, problem, d)
    work = matrix_work(domain)
    beta = params.beta or 0.5 * min(1.0 / (4.0 * params.gradient_max * domain.diameter), params.alpha)
    scale = params.identity + 0.5 * beta * params.gradient_max**2
    return OptimisticNewtonState(
        point=domain.start,
        last=np.zeros(d),
        metric=Metric(scale * np.eye(d), np.zeros((d, d)), np.full(d, scale)),
        count=np.zeros(1, np.int64),
        largest=np.zeros(1),
        variation=np.zeros(1),
        error=np.zeros(1),
        proven=np.array([0.5 * scale * domain.reach**2]),
        beta=np.array([beta]),
        region=domain.region(),
        diameter=np.array([domain.diameter]),
        scratch_point=np.zeros(d),
        scratch_next=np.zeros(d),
        scratch_push=np.zeros(d),
        scratch_work=work,
    )


def constants(params: OptimisticNewtonParams, state: OptimisticNewtonState) -> dict[str, Constant]:
    """Return D, G and beta, which the params say, or which follows from alpha, G and D."""
    return {
        "diameter": of_problem(state.diameter[0]),
        "gradient_max": at_most(params.gradient_max, math.sqrt(state.largest[0])),
        "beta": as_given(state.beta[0]),
    }


@kernel
def select(params: OptimisticNewtonParams, state: OptimisticNewtonState, instance: Instance, key: Key) -> Decision:
    """Step ahead along the hint."""
    push, point = state.scratch_push, state.scratch_point
    for j in range(len(point)):
        push[j] = hinted(params.hint, state.last, instance.context, j)
        point[j] = state.point[j]
    step_by(state.metric, state.region, state.scratch_work, state.point, push, point)
    return Decision(point, 1.0)


@kernel
def update(
    params: OptimisticNewtonParams,
    state: OptimisticNewtonState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Step along the gradient, add what this round proves, and take the gradient into H."""
    gradient, following, d = feedback.detail, state.scratch_next, len(state.point)
    _add_error(params, state, instance.context, gradient)
    for j in range(d):
        following[j] = state.point[j]
    step_by(state.metric, state.region, state.scratch_work, state.point, gradient, following)
    _prove(state, decision.action, gradient)
    stretch(state.metric, 0.5 * state.beta[0], gradient, state.scratch_push)
    for j in range(d):
        state.last[j] = gradient[j]
        state.point[j] = following[j]
    state.count[0] += 1


@kernel
def certify(params: OptimisticNewtonParams, state: OptimisticNewtonState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point, for losses that have this beta."""
    return Certificate(state.proven[0], state.variation[0])


@kernel
def _add_error(params: OptimisticNewtonParams, state: OptimisticNewtonState, context: Array, gradient: Array) -> None:
    """Add up how far the hint was off, and keep how long the gradients were."""
    d, wrong, square = len(gradient), state.scratch_push, 0.0
    for j in range(d):
        wrong[j] = gradient[j] - hinted(params.hint, state.last, context, j)
        square += gradient[j] * gradient[j]
        state.variation[0] += wrong[j] * wrong[j]
    state.largest[0] = max(state.largest[0], square)
    halve(state.metric.factor, d, wrong)
    for j in range(d):
        state.error[0] += wrong[j] * wrong[j] / state.metric.pivot[j]


@kernel
def _prove(state: OptimisticNewtonState, action: Array, gradient: Array) -> None:
    """Add what a step from y to y' proves of the decision; the gradient is that of the reward.

    A step that proves less than none at all would, as rounding may have it, is taken back: y' becomes y.
    """
    d, slope, following, point = len(gradient), state.scratch_push, state.scratch_next, state.point
    matrix = state.metric.matrix
    for j in range(d):
        slope[j] = 0.0
    for i in range(d):
        row, moved = matrix[i], following[i] - point[i]
        for j in range(d):
            slope[j] += row[j] * moved
    ahead, passed, square, trace = 0.0, 0.0, 0.0, 0.0
    for j in range(d):
        passed += slope[j] * (following[j] - point[j])
        slope[j] -= gradient[j]
        ahead += gradient[j] * (following[j] - action[j])
        square += gradient[j] * gradient[j]
        trace += matrix[j, j]
    missed = max(shortfall(state.region, slope, following), 0.0)
    if not missed <= 0.5 * passed:
        still = 0.0
        for j in range(d):
            slope[j] = -gradient[j]
            still += gradient[j] * (point[j] - action[j])
        unmoved = max(shortfall(state.region, slope, point), 0.0)
        if not ahead - 0.5 * passed + missed <= still + unmoved:
            ahead, passed, missed = still, 0.0, unmoved
            for j in range(d):
                following[j] = point[j]
    beta, diameter = state.beta[0], state.diameter[0]
    # Rounding of the sums above, of H and of this sum itself
    trace += 0.5 * beta * square
    doubt = _EPSILON * (d + 8.0) * diameter * (math.sqrt(square) + 2.0 * trace * diameter)
    proven = state.proven[0] + (ahead + 0.5 * beta * ahead * ahead - 0.5 * passed + missed)
    state.proven[0] = proven + doubt + _EPSILON * abs(proven)


register_policy(OptimisticNewtonParams, select=select, update=update, certify=certify)
