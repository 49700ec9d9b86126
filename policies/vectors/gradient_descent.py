"""Online gradient descent: step against the gradient of each loss, and project back onto the domain.

Source: Zinkevich, "Online convex programming and generalized infinitesimal gradient ascent", ICML 2003; with strong
convexity Hazan, Agarwal, Kale, "Logarithmic regret algorithms for online convex optimization", 2007. The step after
feedback t is D / (G sqrt(t)), regret at most 3/2 D G sqrt(T); or 1 / (lambda t), at most G^2 (1 + ln T) / (2 lambda).
Without G it is the largest gradient learned.
Certificate (derived): with y the point when a gradient g of the loss is learned, y' the next one, and x what had been
decided, <g, x - u> <= <g, x - y'> - |y' - y|^2 / (2 eta) + (|u - y|^2 - |u - y'|^2) / (2 eta). Steps never grow, so the
last terms add up to D^2 / (2 eta_T) at most. A strongly convex loss pays lambda |u - x|^2 / 2 of them, which leaves
lambda (|u - y|^2 - |u - x|^2) / 2 <= lambda |x - y| (D - |x - y| / 2): nothing where feedback is in time, x = y.
State: the point, the last gradient, sums. Cost: O(d) per decision and per feedback, and one projection.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Region
from ...engine.kernel import kernel
from ...engine.problem import check_known
from ...engine.protocol import register_policy
from ...engine.vectors.constants import UNUSED, at_most, known, of_problem
from ...engine.vectors.curvature import revealed, supposed
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


class GradientDescentParams(NamedTuple):
    """Numbers fixed at creation."""

    gradient_max: float  # G > 0, what |gradient| is at most; 0 where that is not known
    convexity: float  # lambda > 0; 0 where the losses are not known to be strongly convex


class GradientDescentState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    point: Array  # float64[d]
    last: Array  # float64[d] the last gradient learned
    count: Array  # int64[1] feedbacks learned
    largest: Array  # float64[1] the largest |gradient|^2 learned
    variation: Array  # float64[1] the sum of |gradient - last gradient|^2
    proven: Array  # float64[1] what the certificate adds up, but for the distances to u
    step: Array  # float64[1] the last step
    region: Region
    diameter: Array  # float64[1]
    scratch_point: Array  # float64[d] what was decided
    scratch_next: Array  # float64[d]


def gradient_descent(gradient_max: float | None = None, convexity: float | None = None) -> Policy:
    """Descend with steps D / (gradient_max sqrt(t)), or 1 / (convexity t) where losses are strongly convex."""
    params = GradientDescentParams(
        check_known("gradient_max", gradient_max),
        check_known("convexity", convexity),
    )
    return Policy(
        "gradient_descent",
        params,
        init,
        actions=("vector",),
        feedbacks=revealed(params.convexity),
        constants=constants,
        supposes=supposed(params.convexity),
    )


def init(params: GradientDescentParams, problem: Problem) -> GradientDescentState:
    """Return the state before any feedback: the middle of the domain."""
    assert problem.domain is not None
    domain = problem.domain
    d = domain.dimension
    return GradientDescentState(
        point=domain.start,
        last=np.zeros(d),
        count=np.zeros(1, np.int64),
        largest=np.zeros(1),
        variation=np.zeros(1),
        proven=np.zeros(1),
        step=np.zeros(1),
        region=domain.region(),
        diameter=np.array([domain.diameter]),
        scratch_point=np.zeros(d),
        scratch_next=np.zeros(d),
    )


def constants(params: GradientDescentParams, state: GradientDescentState) -> dict[str, Constant]:
    """Return D, G and lambda, and where they are from."""
    gradient_max = at_most(params.gradient_max, math.sqrt(state.largest[0]))
    return {
        "diameter": of_problem(state.diameter[0]),
        "gradient_max": UNUSED if params.convexity else gradient_max,
        "convexity": known(params.convexity),
    }


@kernel
def select(params: GradientDescentParams, state: GradientDescentState, instance: Instance, key: Key) -> Decision:
    """Decide the point."""
    for j in range(len(state.point)):
        state.scratch_point[j] = state.point[j]
    return Decision(state.scratch_point, 1.0)


@kernel
def update(
    params: GradientDescentParams,
    state: GradientDescentState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Step along the gradient of the reward, and add what this round proves."""
    point, following, gradient, action = state.point, state.scratch_next, feedback.detail, decision.action
    square = 0.0
    for j in range(len(point)):
        change = gradient[j] - state.last[j]
        square += gradient[j] * gradient[j]
        state.variation[0] += change * change
    state.count[0] += 1
    state.largest[0] = max(state.largest[0], square)
    step = _step(params, state)
    for j in range(len(point)):
        following[j] = point[j] + step * gradient[j]
    project(state.region, following)
    ahead, moved, late, sizes = 0.0, 0.0, 0.0, 0.0
    for j in range(len(point)):
        sizes += abs(gradient[j])
        ahead += gradient[j] * (following[j] - action[j])
        moved += (following[j] - point[j]) * (following[j] - point[j])
        late += (action[j] - point[j]) * (action[j] - point[j])
        point[j] = following[j]
        state.last[j] = gradient[j]
    if step > 0.0:
        state.proven[0] += ahead - moved / (2.0 * step)
    else:  # all gradients are 0, or so small that their squares are
        state.proven[0] += sizes * state.diameter[0]
    if params.convexity > 0.0:
        state.proven[0] += params.convexity * (math.sqrt(late) * state.diameter[0] - 0.5 * late)
    state.step[0] = step


@kernel
def certify(params: GradientDescentParams, state: GradientDescentState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    if params.convexity > 0.0 or state.step[0] == 0.0:
        return Certificate(state.proven[0], state.variation[0])
    square = state.diameter[0] * state.diameter[0]
    return Certificate(state.proven[0] + square / (2.0 * state.step[0]), state.variation[0])


@kernel
def _step(params: GradientDescentParams, state: GradientDescentState) -> float:
    """Return the step along the gradient that was just counted."""
    t = float(state.count[0])
    if params.convexity > 0.0:
        return 1.0 / (params.convexity * t)
    gradient_max = params.gradient_max if params.gradient_max > 0.0 else math.sqrt(state.largest[0])
    return state.diameter[0] / (gradient_max * math.sqrt(t)) if gradient_max > 0.0 else 0.0


register_policy(GradientDescentParams, select=select, update=update, certify=certify)
