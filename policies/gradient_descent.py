"""Online gradient descent: step against the gradient of each loss, and project back onto the domain.

Source: Zinkevich, "Online convex programming and generalized infinitesimal gradient ascent", ICML 2003; with strong
convexity Hazan, Agarwal, Kale, "Logarithmic regret algorithms for online convex optimization", 2007. The step after
feedback t is D / (G sqrt(t)), regret at most 3/2 D G sqrt(T); or 1 / (lambda t), at most G^2 (1 + ln T) / (2 lambda).
State: the point. Cost: O(d) per decision and per feedback, and one projection.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.domain import Region
from onearm.engine.kernel import kernel
from onearm.engine.problem import check_param
from onearm.engine.projection import project
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class GradientDescentParams(NamedTuple):
    """Numbers fixed at creation."""

    gradient_max: float  # > 0; what |gradient| is at most
    convexity: float  # lambda >= 0; 0 where the losses are not known to be strongly convex


class GradientDescentState(NamedTuple):
    """Arrays that `update` writes."""

    point: Array  # float64[d]
    region: Region
    diameter: Array  # float64[1]
    count: Array  # int64[1] feedbacks learned
    scratch_point: Array  # float64[d] what was decided


def gradient_descent(gradient_max: float = 1.0, convexity: float = 0.0) -> Policy:
    """Descend with steps D / (gradient_max sqrt(t)), or 1 / (convexity t) where losses are strongly convex."""
    params = GradientDescentParams(
        check_param("gradient_max", gradient_max, low=0.0, high=1e100, low_open=True),
        check_param("convexity", convexity, low=0.0, high=1e100),
    )
    return Policy("gradient_descent", params, init, actions=("vector",), feedbacks=("gradient", "losses"))


def init(params: GradientDescentParams, problem: Problem) -> GradientDescentState:
    """Return the state before any feedback: the middle of the domain."""
    assert problem.domain is not None
    domain = problem.domain
    diameter = np.array([domain.diameter])
    return GradientDescentState(domain.start, domain.region(), diameter, np.zeros(1, np.int64), domain.start)


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
    """Step along the gradient of the reward."""
    state.count[0] += 1
    t = float(state.count[0])
    if params.convexity > 0.0:
        step = 1.0 / (params.convexity * t)
    else:
        step = state.diameter[0] / (params.gradient_max * math.sqrt(t))
    for j in range(len(state.point)):
        state.point[j] += step * feedback.detail[j]
    project(state.region, state.point)


register_policy(GradientDescentParams, select=select, update=update)
