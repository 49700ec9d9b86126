"""FastCB: inverse gap weighting that explores less the nearer the best action comes to the best reward there is.

Source: Foster and Krishnamurthy, "Efficient first-order contextual bandits: prediction, allocation, and triangular
discrimination", NeurIPS 2021. With losses L = top - score, over k available actions p = L* / (k L* + gamma_n (L - L*))
for all but the best, whose loss is L* and who takes the rest; ties go to the lowest. That is SquareCB with
gamma_n / L*. gamma_n = gamma n^exponent, where n counts the feedbacks learned (with a half-life the older ones less).
`top` is the highest reward learned so far, where `reward_max` doesn't name it; L* counts as at least a hundredth of sd,
the root mean square of the oracle's errors. So rewards may have any unit, and any origin: they are measured from the
first one, or from `origin` (`engine/oracles/relative.py`).
Departs from the paper: the oracle minimises the squared loss, not the log loss.
State: the model (ridge on dense contexts and rows of actions, `SparseRows` on named features), its errors.
Cost: a prediction of all actions and O(K) per decision; one fit per feedback.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, inverse_gap, leader_of, power, span_of, work_of
from ...engine.oracles.choice import check_compared, check_second_order, oracle
from ...engine.oracles.forgetting import check_half_life, kept
from ...engine.oracles.oracle import expect, fit, origin_of, predict, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.oracles.residuals import Residuals, add_residual, residual_sd, residuals
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_LOSS_MIN = 0.01  # of sd: the least that the best action is taken to lose


class FastCbParams(NamedTuple):
    """Numbers fixed at creation."""

    gamma: float  # > 0; how soon gaps count, dimensionless
    exponent: float  # in [0, 1], of the number of feedbacks
    reward_max: float  # best reward there is; -inf where it is learned
    keep: float  # what one more feedback leaves of the weight of the others, in (0, 1]
    regularisation: float
    half_life: float  # in feedbacks; inf where nothing is forgotten
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class FastCbState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose
    errors: Residuals
    top: Array  # float64[1] best reward, less the origin
    scratch_work: Work
    scratch_uniform: UniformBlock


@earlier(origin=0.0, second_order=False, compared=False)
def fastcb(
    gamma: float = 3.0,
    exponent: float = 0.5,
    reward_max: float | None = None,
    regularisation: float = 0.2,
    half_life: float | None = None,
    origin: float | None = None,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Play by inverse gap weighting, in units of the best action's loss, over a linear oracle."""
    forgetting = check_half_life(half_life)
    params = FastCbParams(
        check_param("gamma", gamma, low=0.0, high=1e100, low_open=True),
        check_param("exponent", exponent, low=0.0, high=1.0),
        -math.inf if reward_max is None else check_param("reward_max", reward_max, low=-1e100, high=1e100),
        kept(forgetting),
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        forgetting,
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )
    return Policy(
        "fastcb",
        params,
        init,
        version_of(origin, second_order, compared),
        ("dense", "actions", "named"),
        grow=by_padding(init),
    )


def init(params: FastCbParams, problem: Problem) -> FastCbState:
    """Return the state before any feedback: uniform."""
    model = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        origin=params.origin,
        second_order=params.second_order,
        compared=params.compared,
    )
    return FastCbState(model, residuals(), np.full(1, params.reward_max), work_of(problem.n_arms), uniform_block())


@kernel
def select(params: FastCbParams, state: FastCbState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(instance.available), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: FastCbParams,
    state: FastCbState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, how far it was off, and whether it is the best so far."""
    error = fit(state.model, instance.context, decision.action, feedback.reward, 1.0)
    add_residual(state.errors, error, params.keep)
    origin = origin_of(state.model)
    if params.reward_max == -math.inf:
        state.top[0] = max(state.top[0], feedback.reward - origin)
    else:
        state.top[0] = params.reward_max - origin


@kernel
def probability(params: FastCbParams, state: FastCbState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law of `select`."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: FastCbParams, state: FastCbState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def foretell(params: FastCbParams, state: FastCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(params: FastCbParams, state: FastCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards and their standard errors, in units of the reward."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    sd = residual_sd(state.errors)
    for a in range(len(instance.available)):
        widths[a] *= sd


@kernel
def attribute(params: FastCbParams, state: FastCbState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the predicted reward."""
    split(state.model, instance.context, action, parts)


@kernel
def _weigh(params: FastCbParams, state: FastCbState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    score = state.scratch_work.score
    predict(state.model, instance.context, instance.available, score)
    sd = residual_sd(state.errors)
    gamma = 0.0  # Without any error all rewards were 0, and so are all scores: the law is uniform in any case.
    if sd > 0.0:
        loss = max(state.top[0] - score[leader_of(score, instance.available)], _LOSS_MIN * sd)
        gamma = params.gamma * power(state.errors.weight[0], params.exponent) / loss
    law = state.scratch_work.law
    # With an origin of 0 it sums over all, as in specs that were stored without one: their logs hold these bits.
    end = len(instance.available) if params.origin == 0.0 else span_of(instance.available, law)
    return inverse_gap(score[:end], instance.available[:end], gamma, law[:end])


register_policy(
    FastCbParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
