"""Optimistic online mirror descent: step ahead along the gradient that is expected, then along the one that came.

Source: Chen, Zhang, Tu, Zhao, Zhang, "Optimistic online mirror descent for bridging stochastic and adversarial online
convex optimization", JMLR 2024; two-step form of Rakhlin and Sridharan, COLT 2013. With the secondary point y, the hint
M and a step eta the decision is x = P(y - eta M), and the gradient g moves y to P(y - eta g).
Convex losses: eta_t = D / sqrt(10 D^2 L^2 + 4 G^2 + c V), V the sum of |g - M|^2 so far. The paper has c = 1; the
regret grows like sqrt(V), which is the noise and the drift of the losses and not their number.
Strongly convex losses (`convexity` lambda): eta_t = 2 / (lambda t), regret logarithmic in V.
Without G it is the largest gradient learned, without L it is G / D; where half of |g - M| was ever more than G, as a
forecast can make it, that is taken for G. The bound below holds with any steps that never grow; with c = 8 it is at
most 2.13 D sqrt(V) + O(D G + D^2 L), with c = 1 the paper's 2.5 (derived).
A fixed `step` is for those who know better, and for comparison.
Certificate: for any u in the domain <g, x - u> <= <g, x - y'> + (|u - y|^2 - |u - y'|^2 - |y' - y|^2) / (2 eta), y' the
point after the step, whatever x was; added up, with D^2 / (2 eta_T) for the distances to u. Where x was made from the
present y and M the paper's <g - M, x - y'> - (|y' - x|^2 + |x - y|^2) / (2 eta) is this or more (derived): not needed.
State: the secondary point, the last gradient, sums. Cost: O(d) and one projection per decision, and per feedback.
Late feedback is learned as it comes, by the step of then: as one whose hint was worse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Region
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_known, check_param
from ...engine.protocol import register_policy
from ...engine.vectors.constants import UNUSED, as_given, estimated, given_or, known, of_problem, raised
from ...engine.vectors.curvature import revealed, supposed
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

PAPER = 1.0  # the paper's c
_STEADY = 10.0  # times D^2 L^2
_GRADIENT = 4.0  # times G^2


class OptimisticOmdParams(NamedTuple):
    """Numbers fixed at creation."""

    hint: int
    gradient_max: float  # G > 0; 0 where it is not known
    smoothness: float  # L >= 0; NaN where it is not known
    caution: float  # c > 0
    convexity: float  # lambda > 0; 0 where the losses are not known to be strongly convex
    step: float  # > 0 where it is fixed, else 0


class OptimisticOmdState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    point: Array  # float64[d] y, the secondary point
    last: Array  # float64[d] the last gradient learned
    count: Array  # int64[1] feedbacks learned
    largest: Array  # float64[1] the largest |gradient|^2 learned, or |gradient - hint|^2 / 4: G^2 as estimated
    variation: Array  # float64[1] V
    proven: Array  # float64[1] what the certificate adds up, but for the distances to u
    step: Array  # float64[1] the last step
    upcoming: Array  # float64[1] the step of the next feedback
    tail: Array  # float64[1] lambda / 2 |x - y'|^2 of the last feedback
    region: Region
    diameter: Array  # float64[1] D
    scratch_point: Array  # float64[d] what is decided
    scratch_next: Array  # float64[d]


def optimistic_omd(
    hint: str = "last",
    gradient_max: float | None = None,
    smoothness: float | None = None,
    caution: float = 8.0,
    convexity: float | None = None,
    step: float | None = None,
) -> Policy:
    """Descend optimistically on any domain; nothing has to be known beforehand.

    `hint` is "last", "zero" or "context". `gradient_max` (G) and `smoothness` (L) make it the paper's where they are
    known, with `caution` = 1. A `step` that is given stays.
    """
    if smoothness is not None:
        check_param("smoothness", smoothness, low=0.0, high=1e100)
    if step is not None and convexity:
        raise InvalidInput("bad_param", "both step and convexity are given, and either sets the step: leave one out")
    params = OptimisticOmdParams(
        check_hint(hint),
        check_known("gradient_max", gradient_max),
        math.nan if smoothness is None else float(smoothness),
        check_param("caution", caution, low=0.0, high=1e6, low_open=True),
        check_known("convexity", convexity),
        check_known("step", step),
    )
    return Policy(
        "optimistic_omd",
        params,
        init,
        actions=("vector",),
        feedbacks=revealed(params.convexity),
        constants=constants,
        supposes=supposed(params.convexity),
    )


def init(params: OptimisticOmdParams, problem: Problem) -> OptimisticOmdState:
    """Return the state before any feedback: the middle of the domain."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    check_forecast(params.hint, problem, d)
    return OptimisticOmdState(
        point=domain.start,
        last=np.zeros(d),
        count=np.zeros(1, np.int64),
        largest=np.zeros(1),
        variation=np.zeros(1),
        proven=np.zeros(1),
        step=np.zeros(1),
        upcoming=np.zeros(1),
        tail=np.zeros(1),
        region=domain.region(),
        diameter=np.array([domain.diameter]),
        scratch_point=np.zeros(d),
        scratch_next=np.zeros(d),
    )


def constants(params: OptimisticOmdParams, state: OptimisticOmdState) -> dict[str, Constant]:
    """Return D, G, L, lambda and the last step, and where they are from."""
    diameter = float(state.diameter[0])
    gradient_max, smoothness = UNUSED, UNUSED
    if not (params.step or params.convexity):
        gradient_max = raised(params.gradient_max, math.sqrt(state.largest[0]))
        if math.isnan(params.smoothness):
            smoothness = estimated(gradient_max.value / diameter)
        else:
            smoothness = as_given(params.smoothness)
    return {
        "diameter": of_problem(diameter),
        "gradient_max": gradient_max,
        "smoothness": smoothness,
        "convexity": known(params.convexity),
        "step": given_or(params.step, state.step[0]),
    }


@kernel
def select(params: OptimisticOmdParams, state: OptimisticOmdState, instance: Instance, key: Key) -> Decision:
    """Step ahead along the hint."""
    eta, ahead = state.upcoming[0], state.scratch_point
    if state.count[0] == 0:  # no gradient is known of, and the hint alone says how large they are
        largest = 0.0
        for j in range(len(ahead)):
            expected = hinted(params.hint, state.last, instance.context, j)
            largest += expected * expected
        eta = _step(params, state, largest)
    for j in range(len(ahead)):
        ahead[j] = state.point[j] + eta * hinted(params.hint, state.last, instance.context, j)
    project(state.region, ahead)
    return Decision(ahead, 1.0)


@kernel
def update(
    params: OptimisticOmdParams,
    state: OptimisticOmdState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Step along the gradient, and add what this round proves."""
    point, following, gradient, action = state.point, state.scratch_next, feedback.detail, decision.action
    square, error = 0.0, 0.0
    for j in range(len(point)):
        wrong = gradient[j] - hinted(params.hint, state.last, instance.context, j)
        square += gradient[j] * gradient[j]
        error += wrong * wrong
    largest = max(state.largest[0], square, 0.25 * error)
    # The first step may follow from the first gradient that is not 0: the point that it starts from is fixed.
    eta = state.upcoming[0] if state.largest[0] > 0.0 else _step(params, state, largest)
    for j in range(len(point)):
        following[j] = point[j] + eta * gradient[j]
    project(state.region, following)
    ahead, left, moved = 0.0, 0.0, 0.0
    for j in range(len(point)):
        ahead += gradient[j] * (following[j] - action[j])
        left += (following[j] - action[j]) * (following[j] - action[j])
        moved += (following[j] - point[j]) * (following[j] - point[j])
        point[j] = following[j]
        state.last[j] = gradient[j]
    if eta > 0.0:
        state.proven[0] += ahead - moved / (2.0 * eta)
    else:
        state.proven[0] += state.diameter[0] * _size(gradient)
    if params.convexity > 0.0:
        state.proven[0] += state.tail[0]
        state.tail[0] = 0.5 * params.convexity * left
    state.step[0] = eta
    state.count[0] += 1
    state.largest[0] = largest
    state.variation[0] += error
    state.upcoming[0] = _step(params, state, largest)


@kernel
def certify(params: OptimisticOmdParams, state: OptimisticOmdState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    if state.count[0] == 0:
        return Certificate(0.0, 0.0)
    square = state.diameter[0] * state.diameter[0]
    if params.convexity > 0.0:
        return Certificate(state.proven[0] + 0.25 * params.convexity * square, state.variation[0])
    distances = square / (2.0 * state.step[0]) if state.step[0] > 0.0 else 0.0
    return Certificate(state.proven[0] + distances, state.variation[0])


@kernel
def _step(params: OptimisticOmdParams, state: OptimisticOmdState, largest: float) -> float:
    """Return the step of the next feedback; `largest` is the square of the largest gradient that may be used.

    It is 0 while all gradients are 0, or so small that their squares are.
    """
    if params.step > 0.0:
        return params.step
    if params.convexity > 0.0:
        return 2.0 / (params.convexity * (state.count[0] + 1.0))
    diameter = state.diameter[0]
    square = max(params.gradient_max * params.gradient_max, largest)
    bend = params.smoothness * params.smoothness * diameter * diameter
    if math.isnan(bend):
        bend = square
    below = _STEADY * bend + _GRADIENT * square + params.caution * state.variation[0]
    return diameter / math.sqrt(below) if below > 0.0 else 0.0


@kernel
def _size(gradient: Array) -> float:
    """Return the sum of the sizes: what no regret of a round is above, in units of the diameter."""
    total = 0.0
    for j in range(len(gradient)):
        total += abs(gradient[j])
    return total


register_policy(OptimisticOmdParams, select=select, update=update, certify=certify)
