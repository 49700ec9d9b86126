"""Point gradient: a wrapper that estimates gradients from rewards of one point or of two, for a policy of gradients.

Source: one point: Flaxman, Kalai, McMahan, "Online convex optimization in the bandit setting", SODA 2005, and less the
reward before: Zhang, Zhou, Ji, Zavlanos, "A new one-point residual-feedback oracle for black-box learning and control",
Automatica 2022. Two points: Agarwal, Dekel, Xiao, "Optimal algorithms for online convex optimization with multi-point
bandit feedback", COLT 2010. Regret O(d T^(3/4)) with one point, O(d sqrt(T)) with two, around `gradient_descent`.
The inner policy decides y in the whole domain X. What is played lies around x = m + (1 - delta) (y - m), m the middle
of X: at x + delta W s, and with two points at x - delta W s too, s uniform on the unit sphere and W what fits around m,
the radius of a ball, half the width of each side of a box, the inner radius of a simplex, so that all stay in X
(derived). Within a simplex, s adds up to 0. With n the dimension of the sphere's space the gradient of the reward in x
is estimated as (n / delta) (r - r') s / W, r' the reward learned before; or (n / (2 delta)) (r+ - r-) s / W. Both are
unbiased where the loss is linear, the first one after the first reward, which only serves as r'.
State: the inner policy's, and the last reward. Cost: the inner policy's, and d normal draws per decision and feedback.
Late feedback: s is drawn again from the key of its decision. The propensity is NaN: a density has no probability.
Draws: from number 2^31 on, far from those of inner policies. It has no certificate: the inner one's is of estimates.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from ...engine import protocol
from ...engine.domain import SIMPLEX, Domain, Region
from ...engine.draws import normal
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_param, check_wrapped
from ...engine.vectors.constants import as_given, of_problem
from ...engine.vectors.projection import project
from ...engine.vocabulary import Array, Constant, Decision, Feedback, Instance, Key, Policy, Problem

_VERSION = 1  # of the wrapper's own bits; the inner policy's is added
_DRAW = 2**31


class PointGradientParams(NamedTuple):
    """Numbers fixed at creation, and the inner policy's."""

    delta: float  # part of the way from the middle to the walls, in (0, 1); 0 where it follows from the horizon
    inner: Any  # the inner policy's params


class PointGradientState(NamedTuple):
    """The inner policy's state, the reward before, and working space."""

    inner: Any
    reward: Array  # float64[1] the last reward learned
    count: Array  # int64[1] feedbacks learned
    delta: Array  # float64[1]
    middle: Array  # float64[d] m
    width: Array  # float64[d] W; 0 where a coordinate cannot move
    region: Region
    scratch_sphere: Array  # float64[d] s
    scratch_point: Array  # float64[d], or float64[2 d]: what is decided
    scratch_inner: Array  # float64[d] y
    scratch_gradient: Array  # float64[d]


def point_gradient(policy: Policy, delta: float | None = None) -> Policy:
    """Let `policy`, which learns from gradients, learn from the rewards of points beside its own.

    `delta` is how far they lie from it, as a part of the way from the middle of the domain to its walls. By default it
    follows from the horizon T: sqrt(d) / T^(1/4), at most 1/2, with one point; 1 / (2 sqrt(T)) with two, where values
    are exact. With noise in the values of two points take a larger one.
    """
    check_wrapped(policy, example="optimistic_omd")
    if "vector" not in policy.actions or "gradient" not in policy.feedbacks:
        raise InvalidInput(
            "no_gradients",
            f"policy {policy.name!r} does not decide vectors from gradients: wrap one that does, like 'optimistic_omd'",
        )
    if protocol.marks(policy.params):
        raise InvalidInput(
            "policy_takes_note",
            f"policy {policy.name!r} takes note of its decisions, and others are made here: wrap one that only learns",
        )
    if delta is not None:
        check_param("delta", delta, low=1e-6, high=1.0, high_open=True)

    def init(params: PointGradientParams, problem: Problem) -> PointGradientState:
        return _first(policy, params, problem)

    def constants(params: PointGradientParams, state: PointGradientState) -> dict[str, Constant]:
        delta = as_given(params.delta) if params.delta else of_problem(state.delta[0])
        return {"delta": delta} | ({} if policy.constants is None else policy.constants(params.inner, state.inner))

    return Policy(
        "point_gradient",
        PointGradientParams(float(delta or 0.0), policy.params),
        init,
        _VERSION - 1 + policy.version,
        policy.contexts,
        policy.context_length_max,
        actions=("vector",),
        feedbacks=("reward", "two_rewards"),
        constants=constants,
    )


def _first(policy: Policy, params: PointGradientParams, problem: Problem) -> PointGradientState:
    """Return the state before any feedback."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    inner = policy.init(params.inner, dataclasses.replace(problem, feedback="gradient"))
    delta = params.delta or _delta(problem, d)
    return PointGradientState(
        inner,
        np.zeros(1),
        np.zeros(1, np.int64),
        np.array([delta]),
        domain.start,
        _widths(domain),
        domain.region(),
        np.zeros(d),
        np.zeros(problem.dimension),
        np.zeros(d),
        np.zeros(d),
    )


def _delta(problem: Problem, d: int) -> float:
    """Return the delta that follows from the horizon."""
    if problem.horizon is None:
        raise InvalidInput(
            "no_horizon",
            "policy 'point_gradient' takes its delta from the horizon, and there is none: state a delta or a horizon",
        )
    root = math.sqrt(problem.horizon)
    return 0.5 / root if problem.feedback == "two_rewards" else min(0.5, math.sqrt(d) / math.sqrt(root))


def _widths(domain: Domain) -> Array:
    """Return W, float64[d]."""
    widths: list[float] = []
    for part in domain.parts:
        n = len(part.low)
        if part.kind == "box":
            widths += [0.5 * (high - low) for low, high in zip(part.low, part.high, strict=True)]
        elif part.kind == "ball":
            widths += [part.size] * n
        else:
            widths += [part.size / math.sqrt(n * (n - 1.0)) if n > 1 else 0.0] * n
    return np.array(widths)


@kernel
def select(params: PointGradientParams, state: PointGradientState, instance: Instance, key: Key) -> Decision:
    """Step aside from what the inner policy decides, to one side or to both."""
    inside = protocol.select(params.inner, state.inner, instance, key).action
    sphere, middle, delta, point = state.scratch_sphere, state.middle, state.delta[0], state.scratch_point
    d = len(middle)
    _draw_sphere(state, key)
    for j in range(d):
        centre = middle[j] + (1.0 - delta) * (inside[j] - middle[j])
        aside = delta * state.width[j] * sphere[j]
        point[j] = centre + aside
        if len(point) > d:
            point[d + j] = centre - aside
    project(state.region, point[:d])  # against rounding
    if len(point) > d:
        project(state.region, point[d:])
    return Decision(point, math.nan)


@kernel
def update(
    params: PointGradientParams,
    state: PointGradientState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Estimate the gradient, and let the inner policy learn it."""
    sphere, middle, delta, action = state.scratch_sphere, state.middle, state.delta[0], decision.action
    d = len(middle)
    n = _draw_sphere(state, key)
    if len(action) > d:
        rise = 0.5 * (feedback.detail[0] - feedback.detail[1])
    else:
        rise = feedback.reward - state.reward[0] if state.count[0] > 0 else 0.0
    state.reward[0] = feedback.reward
    state.count[0] += 1
    for j in range(d):
        aside = delta * state.width[j] * sphere[j]
        centre = 0.5 * (action[j] + action[d + j]) if len(action) > d else action[j] - aside
        state.scratch_inner[j] = middle[j] + (centre - middle[j]) / (1.0 - delta)
        slope = n * rise * sphere[j] / (delta * state.width[j]) if state.width[j] > 0.0 else 0.0
        state.scratch_gradient[j] = (1.0 - delta) * slope  # of y, which moves what is played by 1 - delta
    inside = Decision(state.scratch_inner, math.nan)
    known = Feedback(feedback.reward, state.scratch_gradient)
    protocol.update(params.inner, state.inner, instance, inside, known, key)


@kernel
def _draw_sphere(state: PointGradientState, key: Key) -> int:
    """Write s, uniform on the unit sphere of the directions that the domain has; return their dimension."""
    sphere, region = state.scratch_sphere, state.region
    n = 0
    square = 0.0
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        mean = 0.0
        for j in range(first, stop):
            sphere[j] = normal(key, _DRAW + j) if state.width[j] > 0.0 else 0.0
            n += 1 if state.width[j] > 0.0 else 0
            mean += sphere[j] / (stop - first)
        if region.kind[part] == SIMPLEX and stop - first > 1:
            n -= 1
            for j in range(first, stop):
                sphere[j] -= mean
        for j in range(first, stop):
            square += sphere[j] * sphere[j]
    size = math.sqrt(square)
    for j in range(len(sphere)):
        sphere[j] /= size
    return n


protocol.register_policy(PointGradientParams, select=select, update=update)
