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
By how much each computed point misses the best one is added, so that it holds whatever the rounding.

State: the secondary point, H and its inverse (kept by rank-one updates, and made anew every 100 feedbacks, or every d).
Cost: O(d^2) per decision and per feedback; O(d^3) for each projection that a limit takes part in, as all do on a
simplex. Domains: any product with at most one ball, of up to 2000 dimensions.
Late feedback is learned as it comes, as one whose hint was worse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onearm.engine.constants import as_given
from onearm.engine.domain import Domain, Region
from onearm.engine.errors import InvalidInput
from onearm.engine.hints import check_forecast, check_hint, hinted
from onearm.engine.kernel import kernel, routine
from onearm.engine.matrix_projection import MatrixWork, invert, matrix_work, project_by, shortfall
from onearm.engine.problem import check_param
from onearm.engine.projection import inside
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import (
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

_RENEW = 100  # feedbacks between two inversions, at the least


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
    matrix: Array  # float64[d, d] H
    inverse: Array  # float64[d, d]
    count: Array  # int64[1] feedbacks learned
    variation: Array  # float64[1] V
    error: Array  # float64[1] the sum of |g - M|^2 by the norm of the inverse of H
    proven: Array  # float64[1] the certificate
    beta: Array  # float64[1]
    region: Region
    scratch_point: Array  # float64[d] what is decided
    scratch_next: Array  # float64[d]
    scratch_aim: Array  # float64[d] where a step leads without limits
    scratch_along: Array  # float64[d] H^-1 g, then H (y' - y)
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
        "optimistic_newton", params, init, actions=("vector",), feedbacks=("gradient", "losses"), constants=constants
    )


def init(params: OptimisticNewtonParams, problem: Problem) -> OptimisticNewtonState:
    """Return the state before any feedback: the middle of the domain, and a multiple of the identity."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    check_forecast(params.hint, problem, d)
    work = matrix_work(domain)
    if domain.diameter == 0.0:
        raise InvalidInput("bad_domain", "the domain is a single point: there is nothing to decide")
    beta = params.beta or 0.5 * min(1.0 / (4.0 * params.gradient_max * domain.diameter), params.alpha)
    scale = params.identity + 0.5 * beta * params.gradient_max**2
    return OptimisticNewtonState(
        domain.start,
        np.zeros(d),
        scale * np.eye(d),
        np.eye(d) / scale,
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(1),
        np.array([0.5 * scale * _reach_squared(domain)]),
        np.array([beta]),
        domain.region(),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d),
        work,
    )


def _reach_squared(domain: Domain) -> float:
    """Return the square of the largest distance from the middle of the domain."""
    total = 0.0
    for part in domain.parts:
        if part.kind == "simplex":
            total += part.size**2 * (1.0 - 1.0 / len(part.low))
        else:
            total += 0.25 * part.diameter**2
    return total


def constants(params: OptimisticNewtonParams, state: OptimisticNewtonState) -> dict[str, Constant]:
    """Return G and beta, which the params say, or which follows from alpha, G and D."""
    return {"gradient_max": as_given(params.gradient_max), "beta": as_given(state.beta[0])}


@kernel
def select(params: OptimisticNewtonParams, state: OptimisticNewtonState, instance: Instance, key: Key) -> Decision:
    """Step ahead along the hint."""
    for i in range(len(state.point)):
        total = 0.0
        for j in range(len(state.point)):
            total += state.inverse[i, j] * hinted(params.hint, state.last, instance.context, j)
        state.scratch_aim[i] = state.point[i] + total
    _land(state, state.scratch_point)
    return Decision(state.scratch_point, 1.0)


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
    gradient, along, d = feedback.detail, state.scratch_along, len(state.point)
    _add_error(params, state, instance.context, gradient)
    square = 0.0
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += state.inverse[i, j] * gradient[j]
        along[i] = total
        state.scratch_aim[i] = state.point[i] + total
        square += gradient[i] * total
    weight = 0.5 * state.beta[0]
    part = weight / (1.0 + weight * square)
    for i in range(d):  # Sherman and Morrison
        for j in range(d):
            state.inverse[i, j] -= part * along[i] * along[j]
    _land(state, state.scratch_next)
    _prove(state, decision.action, gradient)
    for i in range(d):
        for j in range(d):
            state.matrix[i, j] += weight * gradient[i] * gradient[j]
        state.last[i] = gradient[i]
        state.point[i] = state.scratch_next[i]
    state.count[0] += 1
    if state.count[0] % max(_RENEW, d) == 0:
        invert(state.matrix, state.scratch_work.factor, state.inverse)


@kernel
def certify(params: OptimisticNewtonParams, state: OptimisticNewtonState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point, for losses that have this beta."""
    return Certificate(state.proven[0], state.variation[0])


@routine
def _land(state: OptimisticNewtonState, point: Array) -> None:
    """Write the point of the domain that is nearest to the aim, by the norm of H."""
    if inside(state.region, state.scratch_aim):
        for j in range(len(point)):
            point[j] = state.scratch_aim[j]
        return
    for j in range(len(point)):
        point[j] = state.point[j]
    project_by(state.matrix, state.region, state.scratch_work, state.scratch_aim, point)


@kernel
def _add_error(params: OptimisticNewtonParams, state: OptimisticNewtonState, context: Array, gradient: Array) -> None:
    """Add up how far the hint was off."""
    d, wrong = len(gradient), state.scratch_next
    for j in range(d):
        wrong[j] = gradient[j] - hinted(params.hint, state.last, context, j)
        state.variation[0] += wrong[j] * wrong[j]
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += state.inverse[i, j] * wrong[j]
        state.error[0] += wrong[i] * total


@kernel
def _prove(state: OptimisticNewtonState, action: Array, gradient: Array) -> None:
    """Add what a step from y to y' proves of the decision; the gradient is that of the reward."""
    d, slope, following = len(gradient), state.scratch_along, state.scratch_next
    ahead, passed = 0.0, 0.0
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += state.matrix[i, j] * (following[j] - state.point[j])
        passed += total * (following[i] - state.point[i])
        slope[i] = total - gradient[i]
        ahead += gradient[i] * (following[i] - action[i])
    state.proven[0] += ahead + 0.5 * state.beta[0] * ahead * ahead - 0.5 * passed
    state.proven[0] += max(shortfall(state.region, slope, following), 0.0)


register_policy(OptimisticNewtonParams, select=select, update=update, certify=certify)
