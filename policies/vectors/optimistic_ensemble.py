"""Optimistic ensemble: learners with steps of all sizes, mixed by an optimistic Hedge, for comparators that move.

Source: Chen, Zhang, Tu, Zhao, Zhang, "Optimistic online mirror descent for bridging stochastic and adversarial online
convex optimization", JMLR 2024, dynamic regret; its two layers are those of Zhao, Zhang, Zhang, Zhou, "Adaptivity and
non-stationarity: problem-dependent dynamic regret", JMLR 2024. Learner i has the step eta_i = min(1 / (8 L),
2^i D / (G sqrt(8 T))), i = 0, 1 ..., a secondary point y_i and the point x_i = P(y_i - eta_i M) for the hint M. All get
the gradient g at the decision, the mean of the x_i with weights exp(-eps (losses of i + what is expected of i)). The
loss of i is <g, x_i> + 2 L |x_i - its point before|^2, and <M, x_i> + the same is expected; eps = min(1 / (8 D^2 L),
sqrt(ln n / (1 + D^2 V))) (the 1 is ours), V the sum of |g - M|^2. The dynamic regret in expectation is of the order
P + sqrt((1 + P)(noise + drift)) where the comparator's path has the length P.
Certificate (derived): for each i, <g, x - u> <= <g, x - y'> + (|u - y|^2 - |u - y'|^2 - |y' - y|^2) / (2 eta_i) for any
decision x and any u, y = y_i before the step and y' after it; what the mixing cost is in it, to the last bit. The least
over i is reported; a comparator that moves adds D P / eta_i to each (`dynamic_certificate`).
State: of n learners two points, the sums of their losses and proofs; n = 2 + log2(G^2 T / (8 L^2 D^2)) / 2 at most.
Cost: O(n d) and n projections per decision, 2 n per feedback.
Needs the horizon. Late feedback is learned as it comes, by the points of then: as one whose hint was worse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Domain, Region
from ...engine.elementary import exp, log
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.vectors.constants import as_given, at_most, of_problem
from ...engine.vectors.gradient_hints import check_forecast, check_hint, hinted
from ...engine.vectors.projection import project
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


class OptimisticEnsembleParams(NamedTuple):
    """Numbers fixed at creation."""

    hint: int
    gradient_max: float  # G > 0
    smoothness: float  # L > 0


class OptimisticEnsembleState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    points: Array  # float64[n, d] y_i, the secondary points
    before: Array  # float64[n, d] x_i of the last feedback learned
    loss: Array  # float64[n] sum of the losses of i, beyond those of the middle of the domain
    proven: Array  # float64[n] what each certificate adds up, but for the distances to u
    last: Array  # float64[d] the last gradient learned
    count: Array  # int64[1] feedbacks learned
    largest: Array  # float64[1] the largest |gradient|^2 learned
    variation: Array  # float64[1] V
    step: Array  # float64[n] eta_i
    middle: Array  # float64[d]
    region: Region
    diameter: Array  # float64[1] D
    scratch_hint: Array  # float64[d] M
    scratch_ahead: Array  # float64[n, d] x_i
    scratch_weight: Array  # float64[n] the weights of the decision
    scratch_point: Array  # float64[d] what is decided
    scratch_next: Array  # float64[d]


def optimistic_ensemble(gradient_max: float, smoothness: float, hint: str = "last") -> Policy:
    """Follow a minimiser that moves, without knowing how far; the horizon has to be known.

    `gradient_max` (G) bounds the gradients, `smoothness` (L) how fast they change from point to point; `hint` is
    "last", "zero" or "context". The certificate holds where G and L are wrong, too.
    """
    params = OptimisticEnsembleParams(
        check_hint(hint),
        check_param("gradient_max", gradient_max, low=1e-100, high=1e100),
        check_param("smoothness", smoothness, low=1e-100, high=1e100),
    )
    return Policy(
        "optimistic_ensemble", params, init, actions=("vector",), feedbacks=("gradient", "losses"), constants=constants
    )


def init(params: OptimisticEnsembleParams, problem: Problem) -> OptimisticEnsembleState:
    """Return the state before any feedback: all learners in the middle of the domain."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    check_forecast(params.hint, problem, d)
    if problem.horizon is None:
        raise InvalidInput(
            "no_horizon",
            "policy 'optimistic_ensemble' needs the horizon, which its steps depend on: state one (a guess that is too "
            "large costs little), or take 'optimistic_omd'",
        )
    step = _pool(params, domain, problem.horizon)
    n = len(step)
    return OptimisticEnsembleState(
        points=np.tile(domain.start, (n, 1)),
        before=np.zeros((n, d)),
        loss=np.zeros(n),
        proven=np.zeros(n),
        last=np.zeros(d),
        count=np.zeros(1, np.int64),
        largest=np.zeros(1),
        variation=np.zeros(1),
        step=step,
        middle=domain.start,
        region=domain.region(),
        diameter=np.array([domain.diameter]),
        scratch_hint=np.zeros(d),
        scratch_ahead=np.zeros((n, d)),
        scratch_weight=np.zeros(n),
        scratch_point=np.zeros(d),
        scratch_next=np.zeros(d),
    )


def _pool(params: OptimisticEnsembleParams, domain: Domain, horizon: int) -> Array:
    """Return the steps, float64[n]: each twice the one before, and the last 1 / (8 L)."""
    g, bend, diameter = params.gradient_max, params.smoothness, domain.diameter
    doublings = math.log2(g) - math.log2(bend) - math.log2(diameter) + 0.5 * math.log2(horizon) - 1.5
    least = diameter / (g * math.sqrt(8.0 * horizon))
    n = math.ceil(max(doublings, 0.0)) + 1
    return np.array([min(1.0 / (8.0 * bend), math.ldexp(least, i)) for i in range(n)])


def dynamic_certificate(
    params: OptimisticEnsembleParams, state: OptimisticEnsembleState, path_length: float
) -> Certificate:
    """Bound the regret of the rounds learned against any points whose path, in the order learned, has that length.

    The path length is the sum of |u_t - u_{t-1}|.
    """
    check_param("path_length", path_length, low=0.0, high=1e100)
    return Certificate(_least(state, path_length), float(state.variation[0]))


def constants(params: OptimisticEnsembleParams, state: OptimisticEnsembleState) -> dict[str, Constant]:
    """Return D, G and L, and where they are from."""
    return {
        "diameter": of_problem(state.diameter[0]),
        "gradient_max": at_most(params.gradient_max, math.sqrt(state.largest[0])),
        "smoothness": as_given(params.smoothness),
    }


@kernel
def select(params: OptimisticEnsembleParams, state: OptimisticEnsembleState, instance: Instance, key: Key) -> Decision:
    """Let each learner step ahead along the hint, and mix them by what is expected of them."""
    weight, point = state.scratch_weight, state.scratch_point
    n, d = state.points.shape
    lowest = math.inf
    _expect(params, state, instance.context)
    for i in range(n):
        _look_ahead(state, i)
        weight[i] = state.loss[i] + _charge(params, state, i, state.scratch_hint)
        lowest = min(lowest, weight[i])
    rate = _rate(params, state)
    total = 0.0
    for i in range(n):
        weight[i] = exp(-rate * (weight[i] - lowest))
        total += weight[i]
    for j in range(d):
        point[j] = 0.0
    for i in range(n):
        weight[i] /= total
        ahead, share = state.scratch_ahead[i], weight[i]
        for j in range(d):
            point[j] += share * ahead[j]
    return Decision(point, 1.0)


@kernel
def update(
    params: OptimisticEnsembleParams,
    state: OptimisticEnsembleState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Charge each learner its loss, let it step along the gradient, and add what this round proves."""
    gradient, action, following = feedback.detail, decision.action, state.scratch_next
    n, d = state.points.shape
    _expect(params, state, instance.context)
    for i in range(n):
        _look_ahead(state, i)
        state.loss[i] += _charge(params, state, i, gradient)
        ahead, before, point, eta = state.scratch_ahead[i], state.before[i], state.points[i], state.step[i]
        for j in range(d):
            before[j] = ahead[j]
            following[j] = point[j] + eta * gradient[j]
        project(state.region, following)
        gained, moved = 0.0, 0.0
        for j in range(d):
            gained += gradient[j] * (following[j] - action[j])
            moved += (following[j] - point[j]) * (following[j] - point[j])
            point[j] = following[j]
        state.proven[i] += gained - moved / (2.0 * eta)
    square, error = 0.0, 0.0
    for j in range(d):
        wrong = gradient[j] - state.scratch_hint[j]
        square += gradient[j] * gradient[j]
        error += wrong * wrong
        state.last[j] = gradient[j]
    state.largest[0] = max(state.largest[0], square)
    state.variation[0] += error
    state.count[0] += 1


@kernel
def certify(params: OptimisticEnsembleParams, state: OptimisticEnsembleState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    return Certificate(_least(state, 0.0), state.variation[0])


@kernel
def _least(state: OptimisticEnsembleState, path_length: float) -> float:
    """Return the least bound that a learner proves, against a comparator of that path length."""
    if state.count[0] == 0:
        return 0.0
    diameter = state.diameter[0]
    distances = diameter * diameter + 2.0 * diameter * path_length
    least = math.inf
    for i in range(len(state.step)):
        least = min(least, state.proven[i] + distances / (2.0 * state.step[i]))
    return least


@kernel
def _rate(params: OptimisticEnsembleParams, state: OptimisticEnsembleState) -> float:
    """Return eps."""
    square = state.diameter[0] * state.diameter[0]
    slow = log(float(len(state.step))) / (1.0 + square * state.variation[0])
    return min(1.0 / (8.0 * square * params.smoothness), math.sqrt(slow))


@kernel
def _expect(params: OptimisticEnsembleParams, state: OptimisticEnsembleState, context: Array) -> None:
    """Write the hint."""
    for j in range(len(state.scratch_hint)):
        state.scratch_hint[j] = hinted(params.hint, state.last, context, j)


@kernel
def _look_ahead(state: OptimisticEnsembleState, i: int) -> None:
    """Write where the hint leads learner i."""
    ahead, point, hint, eta = state.scratch_ahead[i], state.points[i], state.scratch_hint, state.step[i]
    for j in range(len(ahead)):
        ahead[j] = point[j] + eta * hint[j]
    project(state.region, ahead)


@kernel
def _charge(params: OptimisticEnsembleParams, state: OptimisticEnsembleState, i: int, gradient: Array) -> float:
    """Return what learner i loses by a gradient of the reward, beyond the middle, and is charged for having moved."""
    ahead, before = state.scratch_ahead[i], state.before[i]
    lost, square = 0.0, 0.0
    for j in range(len(ahead)):
        lost -= gradient[j] * (ahead[j] - state.middle[j])
        square += (ahead[j] - before[j]) * (ahead[j] - before[j])
    return lost if state.count[0] == 0 else lost + 2.0 * params.smoothness * square


register_policy(OptimisticEnsembleParams, select=select, update=update, certify=certify)
