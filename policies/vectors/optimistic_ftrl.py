"""Optimistic follow-the-regularised-leader: lead as if the gradient that is expected had come; the one to take first.

Source: Sachs, Hadiji, van Erven, Guzman, "Between stochastic and adversarial online convex optimization: improved
regret bounds via smoothness", NeurIPS 2022. With x_0 the middle of the domain, S the sum of all gradients g of the loss
and M the hint the decision is P(x_0 - eta (S + M)). For eta there are three rules:
`steps="sachs"`      the paper's: eta = (D^2 / 2) / (nu + sum of 2 eta |g - M|^2), nu = L D^2 + D G; the half is there
                     because the paper's regulariser is |x|^2 / eta. Without L, nu = 2 D G.
`steps="confident"`  (derived) eta = D / sqrt(4 G^2 + 10 D^2 L^2 + c V), V the sum of |g - M|^2 so far, c = `caution`.
`convexity` lambda   losses that are strongly convex need no eta: Sachs' optimistic follow-the-leader,
                     P(mean of the x - (S + M) / (lambda (t - 1))).
Without G it is the largest gradient learned (or half the largest |g - M|, should that be more), without L it is 0: on a
domain where a loss bends by L all over, G >= L D / 2, so that 4 G^2 keeps the steps below 1 / L already.
Certificate (derived): the regret against u is the sum of g . x less S . u, and -S . u is at most
|u - x_0|^2 / (2 eta) - min over w of (S . w + |w - x_0|^2 / (2 eta)), whatever had been decided and whatever eta is.
Strongly convex losses: the largest sum of g . (x - u) - lambda |u - x|^2 / 2 over u, which is exact. What rounding may
take from the sums is added.
Bound (derived): with R the largest |u - x_0|, hints in time and steps that never grow, the certificate is at most
R^2 / (2 eta_T) + sum of eta_t |g - M|^2 / 2. Where x_0 is a centre, R = D / 2, that is (sqrt(c) / 8 + 1 / sqrt(c))
D sqrt(V) + O(D G + D^2 L): 0.71 D sqrt(V) with c = 8, which is the best c; the steps of optimistic mirror descent in
the paper of Chen et al. prove 2.5 D sqrt(V).
Measured (d = 10, T = 1e3 to 1e5, a box; noise of .02, .1 and 1, drift, both, random steps of .05, .2 and .8): without
G and L, regret at most 1.01 times the better of the papers' mirror descent and FTRL, which know them and come to 3.05
and 1.14 times; c = 2, 4, 6, 10 come to 1.39, 1.09, 1.04, 1.07. Certificates are a third of mirror descent's.
It weighs all losses alike: where their slopes turn round, `optimistic_omd`, which forgets at the walls, earns more.
State: S, the last gradient, sums. Cost: O(d) and one projection per decision, O(d) per feedback.
Late feedback is learned as it comes: as one whose hint was worse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.domain import Region
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_known, check_param
from ...engine.protocol import register_policy
from ...engine.vectors.constants import UNUSED, as_given, estimated, known, of_problem, raised
from ...engine.vectors.curvature import revealed, supposed
from ...engine.vectors.gradient_hints import ZERO, check_forecast, check_hint, hinted
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

CONFIDENT, SACHS = 0, 1
STEPS = ("confident", "sachs")
_STEADY = 10.0  # times D^2 L^2
_GRADIENT = 4.0  # times G^2


class OptimisticFtrlParams(NamedTuple):
    """Numbers fixed at creation."""

    hint: int
    steps: int
    gradient_max: float  # G > 0; 0 where it is not known
    smoothness: float  # L >= 0; NaN where it is not known
    caution: float  # c > 0
    convexity: float  # lambda > 0; 0 where the losses are not known to be strongly convex


class OptimisticFtrlState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    total: Array  # float64[d] the sum of the gradients of the reward: -S
    last: Array  # float64[d] the last gradient learned
    visited: Array  # float64[d] the sum of x - x_0
    count: Array  # int64[1] feedbacks learned
    earned: Array  # float64[1] the sum of gradient . (x - x_0)
    spread: Array  # float64[1] the sum of |x - x_0|^2
    largest: Array  # float64[1] the largest |gradient|^2 learned, or |gradient - hint|^2 / 4: G^2 as estimated
    variation: Array  # float64[1] V
    weighted: Array  # float64[1] the sum of 2 eta |gradient - hint|^2
    region: Region
    start: Array  # float64[d] x_0
    diameter: Array  # float64[1] D
    reach: Array  # float64[1] R
    scratch_point: Array  # float64[d] what is decided
    scratch_leader: Array  # float64[d]


def optimistic_ftrl(
    hint: str = "last",
    gradient_max: float | None = None,
    smoothness: float | None = None,
    steps: str = "confident",
    caution: float = 8.0,
    convexity: float | None = None,
) -> Policy:
    """Lead optimistically on any domain; nothing has to be known beforehand.

    `hint` is "last", "zero" or "context". `gradient_max` (G) and `smoothness` (L) are taken where they are known.
    """
    if steps not in STEPS:
        raise InvalidInput("bad_param", f"steps is {as_seen(steps)}: it must be one of {', '.join(STEPS)}")
    if smoothness is not None:
        check_param("smoothness", smoothness, low=0.0, high=1e100)
    params = OptimisticFtrlParams(
        check_hint(hint),
        STEPS.index(steps),
        check_known("gradient_max", gradient_max),
        math.nan if smoothness is None else float(smoothness),
        check_param("caution", caution, low=0.0, high=1e6, low_open=True),
        check_known("convexity", convexity),
    )
    return Policy(
        "optimistic_ftrl",
        params,
        init,
        actions=("vector",),
        feedbacks=revealed(params.convexity),
        constants=constants,
        supposes=supposed(params.convexity),
    )


def init(params: OptimisticFtrlParams, problem: Problem) -> OptimisticFtrlState:
    """Return the state before any feedback."""
    domain = problem.domain
    assert domain is not None
    d = domain.dimension
    check_forecast(params.hint, problem, d)
    return OptimisticFtrlState(
        total=np.zeros(d),
        last=np.zeros(d),
        visited=np.zeros(d),
        count=np.zeros(1, np.int64),
        earned=np.zeros(1),
        spread=np.zeros(1),
        largest=np.zeros(1),
        variation=np.zeros(1),
        weighted=np.zeros(1),
        region=domain.region(),
        start=domain.start,
        diameter=np.array([domain.diameter]),
        reach=np.array([domain.reach]),
        scratch_point=np.zeros(d),
        scratch_leader=np.zeros(d),
    )


def constants(params: OptimisticFtrlParams, state: OptimisticFtrlState) -> dict[str, Constant]:
    """Return D, G, L and lambda, and where they are from."""
    diameter = float(state.diameter[0])
    gradient_max, smoothness = UNUSED, UNUSED
    if not params.convexity:
        gradient_max = raised(params.gradient_max, math.sqrt(state.largest[0]))
        if not math.isnan(params.smoothness):
            smoothness = as_given(params.smoothness)
        elif params.steps == SACHS:
            smoothness = estimated(gradient_max.value / diameter)
    return {
        "diameter": of_problem(diameter),
        "gradient_max": gradient_max,
        "smoothness": smoothness,
        "convexity": known(params.convexity),
    }


@kernel
def select(params: OptimisticFtrlParams, state: OptimisticFtrlState, instance: Instance, key: Key) -> Decision:
    """Decide what would lead if the hint came true."""
    largest = state.largest[0]
    if state.count[0] == 0:  # no gradient is known of, and the hint alone says how large they are
        largest = 0.0
        for j in range(len(state.total)):
            expected = hinted(params.hint, state.last, instance.context, j)
            largest += expected * expected
    _lead(params, state, instance.context, params.hint, _step(params, state, largest), state.scratch_point)
    return Decision(state.scratch_point, 1.0)


@kernel
def update(
    params: OptimisticFtrlParams,
    state: OptimisticFtrlState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add the gradient of the reward, and how wrong the hint was."""
    gradient = feedback.detail
    square, error = 0.0, 0.0
    for j in range(len(gradient)):
        wrong = gradient[j] - hinted(params.hint, state.last, instance.context, j)
        square += gradient[j] * gradient[j]
        error += wrong * wrong
    largest = max(state.largest[0], square, 0.25 * error)
    # Before the first gradient that is not 0 the paper's step follows from that gradient, where G is not known.
    eta = _step(params, state, state.largest[0] if state.largest[0] > 0.0 else largest)
    state.weighted[0] += 2.0 * eta * error
    for j in range(len(gradient)):
        away = decision.action[j] - state.start[j]
        state.earned[0] += gradient[j] * away
        state.spread[0] += away * away
        state.visited[j] += away
        state.total[j] += gradient[j]
        state.last[j] = gradient[j]
    state.count[0] += 1
    state.largest[0] = largest
    state.variation[0] += error


@kernel
def certify(params: OptimisticFtrlParams, state: OptimisticFtrlState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    leader = state.scratch_leader
    eta = _step(params, state, state.largest[0])
    if state.count[0] == 0 or eta == 0.0:  # all gradients are 0, or so small that their squares are
        bound = -state.earned[0]
        for j in range(len(leader)):
            bound += state.reach[0] * abs(state.total[j])
        return Certificate(bound, state.variation[0])
    _lead(params, state, leader, ZERO, eta, leader)
    bound, square = -state.earned[0], 0.0
    for j in range(len(leader)):
        away = leader[j] - state.start[j]
        bound += (state.total[j] + params.convexity * state.visited[j]) * away
        square += away * away
    reach, size = state.reach[0], math.sqrt(state.largest[0])
    bound += rounding_bound(state.count[0], len(leader), reach * (size + params.convexity * reach))
    if params.convexity > 0.0:
        return Certificate(bound - 0.5 * (square / eta + params.convexity * state.spread[0]), state.variation[0])
    return Certificate(bound + (reach * reach - square) / (2.0 * eta), state.variation[0])


@kernel
def _step(params: OptimisticFtrlParams, state: OptimisticFtrlState, largest: float) -> float:
    """Return eta; `largest` is what is known of G^2. 0 while nothing is: then there is nothing to follow."""
    if params.convexity > 0.0:
        return 1.0 / (params.convexity * state.count[0]) if state.count[0] > 0 else 0.0
    diameter = state.diameter[0]
    gradient_max = max(params.gradient_max, math.sqrt(largest))
    bend = 0.0 if math.isnan(params.smoothness) else params.smoothness * diameter
    if params.steps == SACHS:
        if math.isnan(params.smoothness):
            bend = gradient_max
        below = diameter * (bend + gradient_max) + state.weighted[0]
        return 0.5 * diameter * diameter / below if below > 0.0 else 0.0
    below = _GRADIENT * gradient_max * gradient_max + _STEADY * bend * bend + params.caution * state.variation[0]
    return diameter / math.sqrt(below) if below > 0.0 else 0.0


@kernel
def _lead(
    params: OptimisticFtrlParams, state: OptimisticFtrlState, context: Array, hint: int, eta: float, point: Array
) -> None:
    """Write the leader if the next gradient is what a hint says."""
    for j in range(len(point)):
        ahead = state.total[j] + hinted(hint, state.last, context, j)
        point[j] = state.start[j] + eta * (ahead + params.convexity * state.visited[j])
    project(state.region, point)


register_policy(OptimisticFtrlParams, select=select, update=update, certify=certify)
