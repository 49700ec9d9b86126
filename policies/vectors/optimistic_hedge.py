"""Optimistic Hedge: weights on a simplex, exponential in what each corner would have earned, with a hint of the next.

Source: Rakhlin, Sridharan, "Online learning with predictable sequences", COLT 2013; the step is derived here.
Over d corners the weights are proportional to exp(-eta_t (L + M)): L the sum of the losses learned, M the hint,
eta_t = sqrt(ln d / (s^2 + V)), V the sum of max_j |loss_j - hint_j|^2 so far, s the `scale` of losses. This lazy form
stands where the two-step form of mirror descent would fail: the distance of entropy has no limit, and the step changes.
Bound, derived: ln d / eta_(T+1) + sum eta_t v_t^2 / 2, v_t = max_j |loss_j - hint_j|: at most 2 sqrt(ln d (s^2 + V))
where no v_t is above s.
Certificate, derived: ln(sum_j exp(eta r_j)) / eta, r_j the regret against corner j. It is not below the largest of
them, and so not below the regret against any point, whatever was decided and whenever it was learned; and it is not
above the bound where feedback is in time. Its variation is V: in the largest coordinate, not in the Euclidean norm.
A simplex of another size is the same with losses times that size.
State: the regret against each corner, the last losses, two sums. Cost: O(d) and d exponentials per decision, O(d) per
feedback.
Late feedback is learned as it comes: as one whose hint was worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...engine.elementary import exp, log
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.vectors.constants import given_or
from ...engine.vectors.gradient_hints import check_forecast, check_hint, hinted
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


class OptimisticHedgeParams(NamedTuple):
    """Numbers fixed at creation."""

    hint: int
    scale: float  # s > 0; 0 where it is the largest loss learned


class OptimisticHedgeState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    regret: Array  # float64[d] what each corner would have earned more than the points that were decided
    last: Array  # float64[d] the last losses learned, as rewards
    largest: Array  # float64[1] the square of the largest loss learned
    variation: Array  # float64[1] V
    size: Array  # float64[1] what the coordinates add up to
    scratch_point: Array  # float64[d] what is decided


def optimistic_hedge(hint: str = "last", scale: float | None = 1.0) -> Policy:
    """Weigh the corners of a simplex, such as forecasts or assets, by what they would have earned and may earn next.

    `hint` is "last", "zero" or "context". `scale` is about how far a loss lies from its hint at most; None takes the
    largest loss learned, so that losses may have any unit.
    """
    params = OptimisticHedgeParams(
        check_hint(hint), 0.0 if scale is None else check_param("scale", scale, low=1e-100, high=1e100)
    )
    return Policy("optimistic_hedge", params, init, actions=("vector",), feedbacks=("losses",), constants=constants)


def init(params: OptimisticHedgeParams, problem: Problem) -> OptimisticHedgeState:
    """Return the state before any feedback: equal weights. Raises `InvalidInput` where the domain is no simplex."""
    domain = problem.domain
    assert domain is not None
    kinds = [part.kind for part in domain.parts]
    if kinds != ["simplex"]:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy 'optimistic_hedge' decides weights on one simplex, but this domain is {_in_words(kinds)}: "
            "take a simplex, or a policy for any domain, like optimistic_omd",
        )
    d = domain.dimension
    check_forecast(params.hint, problem, d)
    size = np.array([domain.parts[0].size])
    return OptimisticHedgeState(np.zeros(d), np.zeros(d), np.zeros(1), np.zeros(1), size, np.zeros(d))


def _in_words(kinds: Sequence[str]) -> str:
    return f"a {kinds[0]}" if len(kinds) == 1 else f"a product of {', '.join(kinds)}"


def constants(params: OptimisticHedgeParams, state: OptimisticHedgeState) -> dict[str, Constant]:
    """Return the scale of the losses, and where it is from."""
    return {"scale": given_or(params.scale, math.sqrt(state.largest[0]))}


@kernel
def select(params: OptimisticHedgeParams, state: OptimisticHedgeState, instance: Instance, key: Key) -> Decision:
    """Weigh the corners; the highest exponent is subtracted, so that the largest weight is 1 and none overflows."""
    point = state.scratch_point
    eta, size = _step(params, state), state.size[0]
    highest = -math.inf
    for j in range(len(point)):
        point[j] = eta * (state.regret[j] + size * hinted(params.hint, state.last, instance.context, j))
        highest = max(highest, point[j])
    total = 0.0
    for j in range(len(point)):
        point[j] = exp(point[j] - highest)
        total += point[j]
    share = size / total
    for j in range(len(point)):
        point[j] *= share
    return Decision(point, 1.0)


@kernel
def update(
    params: OptimisticHedgeParams,
    state: OptimisticHedgeState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Add what each corner would have earned more, and how far off the hint was."""
    gain, size = feedback.detail, state.size[0]
    earned, wrong = 0.0, 0.0
    for j in range(len(gain)):
        earned += gain[j] * decision.action[j]
        wrong = max(wrong, size * abs(gain[j] - hinted(params.hint, state.last, instance.context, j)))
        state.largest[0] = max(state.largest[0], size * gain[j] * (size * gain[j]))
    for j in range(len(gain)):
        state.regret[j] += size * gain[j] - earned
        state.last[j] = gain[j]
    state.variation[0] += wrong * wrong


@kernel
def certify(params: OptimisticHedgeParams, state: OptimisticHedgeState) -> Certificate:
    """Bound the regret of the rounds learned, against any fixed point."""
    highest = -math.inf
    for j in range(len(state.regret)):
        highest = max(highest, state.regret[j])
    eta = _step(params, state)
    if eta == 0.0:
        return Certificate(highest, state.variation[0])
    total = 0.0
    for j in range(len(state.regret)):
        total += exp(eta * (state.regret[j] - highest))
    return Certificate(highest + log(total) / eta, state.variation[0])


@kernel
def _step(params: OptimisticHedgeParams, state: OptimisticHedgeState) -> float:
    """Return eta of the next decision: 0 of a single corner, and where no loss has told the scale yet."""
    square = params.scale * params.scale if params.scale > 0.0 else state.largest[0]
    below = square + state.variation[0]
    return math.sqrt(log(float(len(state.regret))) / below) if below > 0.0 else 0.0


register_policy(OptimisticHedgeParams, select=select, update=update, certify=certify)
