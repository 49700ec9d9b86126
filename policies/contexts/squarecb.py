"""SquareCB: play what an oracle expects most of, and others the less often the further they lie below (inverse gap).

Source: Foster and Rakhlin, "Beyond UCB: optimal and efficient contextual bandits with regression oracles", 2020. Over k
available actions p = 1 / (k + gamma_n (best - score)) for all but the best, who takes the rest; ties go to the lowest.
gamma_n = gamma n^exponent / sd, where n counts the feedbacks learned (with a half-life the older ones less). Their
gamma is sqrt(k T / regret of the oracle), which nobody knows: here sd is the root mean square of the oracle's errors,
so rewards may have any unit. With `noise` given it stands for sd: 1 gives the textbook's gamma, in units of 1 / reward.
Nor does their origin matter: they are measured from the first one, or from `origin` (`engine/oracles/relative.py`).
Regret O(sqrt(k T Reg)) where the model holds and gamma is the paper's.
State: the model (ridge on dense contexts and rows of actions, `SparseRows` on named features), its errors.
Cost: a prediction of all actions and O(K) per decision; one fit per feedback.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, inverse_gap, power, span_of, work_of
from ...engine.oracles.choice import check_compared, check_second_order, oracle
from ...engine.oracles.forgetting import check_half_life, kept
from ...engine.oracles.oracle import expect, fit, predict, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.oracles.residuals import Residuals, add_residual, residual_sd, residuals
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class SquareCbParams(NamedTuple):
    """Numbers fixed at creation."""

    gamma: float  # > 0; how soon gaps count: in units of 1 / sd, after one feedback
    exponent: float  # in [0, 1], of the number of feedbacks
    noise: float  # in units of the reward; 0 where it is estimated
    keep: float  # what one more feedback leaves of the weight of the others, in (0, 1]
    regularisation: float
    half_life: float  # in feedbacks; inf where nothing is forgotten
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class SquareCbState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose
    errors: Residuals
    gamma: Array  # float64[1] gamma_n
    scratch_work: Work
    scratch_uniform: UniformBlock


@earlier(origin=0.0, second_order=False, compared=False)
def squarecb(
    gamma: float = 10.0,
    exponent: float = 0.5,
    noise: float | None = None,
    regularisation: float = 0.2,
    half_life: float | None = None,
    origin: float | None = None,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Play by inverse gap weighting over a linear oracle; nothing needs tuning, and `half_life` makes it forget."""
    forgetting = check_half_life(half_life)
    params = SquareCbParams(
        check_param("gamma", gamma, low=0.0, high=1e100, low_open=True),
        check_param("exponent", exponent, low=0.0, high=1.0),
        0.0 if noise is None else check_param("noise", noise, low=1e-100, high=1e100),
        kept(forgetting),
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        forgetting,
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )
    return Policy(
        "squarecb",
        params,
        init,
        version_of(origin, second_order, compared),
        ("dense", "actions", "named"),
        grow=by_padding(init),
    )


def init(params: SquareCbParams, problem: Problem) -> SquareCbState:
    """Return the state before any feedback: uniform."""
    model = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        origin=params.origin,
        second_order=params.second_order,
        compared=params.compared,
    )
    return SquareCbState(model, residuals(), np.zeros(1), work_of(problem.n_arms), uniform_block())


@kernel
def select(params: SquareCbParams, state: SquareCbState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(instance.available), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: SquareCbParams,
    state: SquareCbState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, and from how far it was off how soon gaps count."""
    error = fit(state.model, instance.context, decision.action, feedback.reward, 1.0)
    add_residual(state.errors, error, params.keep)
    sd = params.noise if params.noise > 0.0 else residual_sd(state.errors)
    # Without any error all rewards were 0, and so are all scores: the law is uniform in any case.
    state.gamma[0] = params.gamma * power(state.errors.weight[0], params.exponent) / sd if sd > 0.0 else 0.0


@kernel
def probability(params: SquareCbParams, state: SquareCbState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law of `select`."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: SquareCbParams, state: SquareCbState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def write_law(params: SquareCbParams, state: SquareCbState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    _weigh(params, state, instance)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = state.scratch_work.law[a]


@kernel
def foretell(params: SquareCbParams, state: SquareCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(params: SquareCbParams, state: SquareCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards and their standard errors, in units of the reward."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    sd = params.noise if params.noise > 0.0 else residual_sd(state.errors)
    for a in range(len(instance.available)):
        widths[a] *= sd


@kernel
def attribute(params: SquareCbParams, state: SquareCbState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the predicted reward."""
    split(state.model, instance.context, action, parts)


@kernel
def _weigh(params: SquareCbParams, state: SquareCbState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    score = state.scratch_work.score
    predict(state.model, instance.context, instance.available, score)
    law = state.scratch_work.law
    # With an origin of 0 it sums over all, as in specs that were stored without one: their logs hold these bits.
    end = len(instance.available) if params.origin == 0.0 else span_of(instance.available, law)
    return inverse_gap(score[:end], instance.available[:end], state.gamma[0], law[:end])


register_policy(
    SquareCbParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    write_law=write_law,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
