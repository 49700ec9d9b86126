"""Softmax: play each action with a probability that grows exponentially with what an oracle expects of it (Boltzmann).

Source: Cesa-Bianchi, Gentile, Lugosi, Neu, "Boltzmann exploration done right", NIPS 2017, on what it can and cannot do;
p in proportion to exp(sharpness score / sd), as Vowpal Wabbit's softmax with lambda = sharpness and sd = 1.
sd is the root mean square of the oracle's errors, so rewards may have any unit; with `noise` given it stands for sd.
Nor does their origin matter: they are measured from the first one, or from `origin` (`engine/oracles/relative.py`).
The sharpness is constant, so regret grows linearly: actions within sd / sharpness of the best are played nearly as
often, which is what one wants of a share for each, not of the highest reward.
Of dense data sets, 8 earns more than 4 on wine, breast_cancer and segment, and less on digits; 2 earns less on all.
With named features 16 earns more than 8 on text and strings, and more than 24 where banners are seldom clicked.
State: the model (ridge on dense contexts and rows of actions, `SparseRows` on named features), its errors.
Cost: a prediction of all actions and an exponential for each per decision; one fit per feedback.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...engine.draws import UniformBlock, uniform_block, uniform_from
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, draw, span_of, work_of
from ...engine.laws.from_scores import softmax as softmax_law
from ...engine.oracles.choice import check_compared, check_second_order, oracle
from ...engine.oracles.forgetting import check_half_life, kept
from ...engine.oracles.oracle import expect, fit, predict, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.oracles.residuals import Residuals, add_residual, residual_sd, residuals
from ...engine.problem import check_param, settled
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_SHARPNESS, _NAMED_SHARPNESS = 8.0, 16.0


class SoftmaxParams(NamedTuple):
    """Numbers fixed at creation."""

    sharpness: float  # >= 0, in units of 1 / sd; 0 is uniform
    noise: float  # in units of the reward; 0 where it is estimated
    keep: float  # what one more feedback leaves of the weight of the others, in (0, 1]
    regularisation: float
    half_life: float  # in feedbacks; inf where nothing is forgotten
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class SoftmaxState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose
    errors: Residuals
    scratch_work: Work
    scratch_uniform: UniformBlock


@earlier(origin=0.0, second_order=False, compared=False)
def softmax(
    sharpness: float | None = None,
    noise: float | None = None,
    regularisation: float = 0.2,
    half_life: float | None = None,
    origin: float | None = None,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Draw each action in proportion to exp(sharpness score / sd) over a linear oracle.

    A `sharpness` that is left out is 8, and 16 with named features.
    """
    forgetting = check_half_life(half_life)
    params = SoftmaxParams(
        _SHARPNESS if sharpness is None else check_param("sharpness", sharpness, low=0.0, high=1e100),
        0.0 if noise is None else check_param("noise", noise, low=1e-100, high=1e100),
        kept(forgetting),
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        forgetting,
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )

    asked = {
        "sharpness": sharpness,
        "noise": noise,
        "regularisation": regularisation,
        "half_life": half_life,
        "origin": origin,
        "second_order": second_order,
        "compared": compared,
    }

    def resolve(problem: Problem) -> Policy:
        named = second_order and problem.context_kind == "named"
        return settled(policy, asked, sharpness=_NAMED_SHARPNESS if named else _SHARPNESS)

    policy = Policy(
        "softmax",
        params,
        init,
        version=version_of(origin, second_order, compared),
        contexts=("dense", "actions", "named"),
        grow=by_padding(init),
        resolve=resolve if sharpness is None else None,
    )
    return policy


def init(params: SoftmaxParams, problem: Problem) -> SoftmaxState:
    """Return the state before any feedback: uniform."""
    model = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        origin=params.origin,
        second_order=params.second_order,
        compared=params.compared,
    )
    return SoftmaxState(model, residuals(), work_of(problem.n_arms), uniform_block())


@kernel
def select(params: SoftmaxParams, state: SoftmaxState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    leader = _weigh(params, state, instance)
    law = state.scratch_work.law
    action = draw(law, leader, len(instance.available), uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: SoftmaxParams,
    state: SoftmaxState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, and how far it was off."""
    error = fit(state.model, instance.context, decision.action, feedback.reward, 1.0)
    add_residual(state.errors, error, params.keep)


@kernel
def probability(params: SoftmaxParams, state: SoftmaxState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law of `select`."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: SoftmaxParams, state: SoftmaxState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def write_law(params: SoftmaxParams, state: SoftmaxState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    _weigh(params, state, instance)
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = state.scratch_work.law[a]


@kernel
def foretell(params: SoftmaxParams, state: SoftmaxState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(params: SoftmaxParams, state: SoftmaxState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards and their standard errors, in units of the reward."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    sd = params.noise if params.noise > 0.0 else residual_sd(state.errors)
    for a in range(len(instance.available)):
        widths[a] *= sd


@kernel
def attribute(params: SoftmaxParams, state: SoftmaxState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the predicted reward."""
    split(state.model, instance.context, action, parts)


@kernel
def _weigh(params: SoftmaxParams, state: SoftmaxState, instance: Instance) -> int:
    """Write the law, and return its leader."""
    score = state.scratch_work.score
    predict(state.model, instance.context, instance.available, score)
    sd = params.noise if params.noise > 0.0 else residual_sd(state.errors)
    # Without any error all rewards were 0, and so are all scores: the law is uniform in any case.
    sharpness = params.sharpness / sd if sd > 0.0 else 0.0
    law = state.scratch_work.law
    # With an origin of 0 it sums over all, as in specs that were stored without one: their logs hold these bits.
    end = len(instance.available) if params.origin == 0.0 else span_of(instance.available, law)
    return softmax_law(score[:end], instance.available[:end], sharpness, law[:end])


register_policy(
    SoftmaxParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    write_law=write_law,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
