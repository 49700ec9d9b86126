"""RegCB, optimistic: play the action that could be worth most to a model whose squared loss is still nearly the least.

Source: Foster, Agarwal, Dudik, Luo, Schapire, "Practical contextual bandits with regression oracles", ICML 2018. The
highest score that a model can give while its squared loss exceeds the least by at most delta is, for ridge regression
exactly, score + width sqrt(delta), with width the standard error in units of the noise: no search is needed.
delta_n = mellowness sd^2 ln(n + 2), where n counts the feedbacks learned (with a half-life the older ones less) and sd
is the root mean square of the oracle's errors, so rewards may have any unit; `noise` given stands for sd. Nor does
their origin matter: they are measured from the first one, or from `origin` (`engine/oracles/relative.py`). A mellowness
that covers the truth (1 and more) is too careful in practice, as Bietti, Agarwal, Langford, JMLR 2021, found as well.
On named features the width is the oracle's diagonal one, which stays wide as new words come: there .05 earns more than
.1 on text, and more than .01 on tables of numbers. Of a few categories, whose regression is exact, where rewards are
rare it finds the best action nearly as often as .1, and more often than .03 does. Ties go to the lowest; the
propensity is 1.
State: the model (ridge on dense contexts and rows of actions, `SparseRows` on named features), its errors.
Cost: prediction and width of all actions per decision, O(K p^2) with p features; one fit per feedback.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...engine.elementary import log
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, leader_of, work_of
from ...engine.oracles.choice import check_compared, check_second_order, oracle
from ...engine.oracles.forgetting import check_half_life, kept
from ...engine.oracles.oracle import expect, fit, predict, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.oracles.residuals import Residuals, add_residual, residual_sd, residuals
from ...engine.problem import check_param, settled
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_MELLOWNESS, _NAMED_MELLOWNESS = 0.1, 0.05


class RegCbParams(NamedTuple):
    """Numbers fixed at creation."""

    mellowness: float  # >= 0, dimensionless; 0 is greedy
    noise: float  # in units of the reward; 0 where it is estimated
    keep: float  # what one more feedback leaves of the weight of the others, in (0, 1]
    regularisation: float
    half_life: float  # in feedbacks; inf where nothing is forgotten
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class RegCbState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose
    errors: Residuals
    scratch_work: Work


@earlier(origin=0.0, second_order=False, compared=False)
def regcb(
    mellowness: float | None = None,
    noise: float | None = None,
    regularisation: float = 0.2,
    half_life: float | None = None,
    origin: float | None = None,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Play the action of the highest optimistic score; nothing needs tuning, and `half_life` makes it forget.

    A `mellowness` that is left out is .1, and .05 with named features.
    """
    forgetting = check_half_life(half_life)
    params = RegCbParams(
        _MELLOWNESS if mellowness is None else check_param("mellowness", mellowness, low=0.0, high=1e100),
        0.0 if noise is None else check_param("noise", noise, low=1e-100, high=1e100),
        kept(forgetting),
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        forgetting,
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )

    asked = {
        "mellowness": mellowness,
        "noise": noise,
        "regularisation": regularisation,
        "half_life": half_life,
        "origin": origin,
        "second_order": second_order,
        "compared": compared,
    }

    def resolve(problem: Problem) -> Policy:
        named = second_order and problem.context_kind == "named"
        return settled(policy, asked, mellowness=_NAMED_MELLOWNESS if named else _MELLOWNESS)

    policy = Policy(
        "regcb",
        params,
        init,
        version=version_of(origin, second_order, compared),
        contexts=("dense", "actions", "named"),
        grow=by_padding(init),
        deterministic=True,
        resolve=resolve if mellowness is None else None,
    )
    return policy


def init(params: RegCbParams, problem: Problem) -> RegCbState:
    """Return the state before any feedback."""
    model = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        origin=params.origin,
        second_order=params.second_order,
        compared=params.compared,
    )
    return RegCbState(model, residuals(), work_of(problem.n_arms))


@kernel
def select(params: RegCbParams, state: RegCbState, instance: Instance, key: Key) -> Decision:
    """Take the action of the highest optimistic score."""
    return Decision(_optimist(params, state, instance), 1.0)


@kernel
def update(
    params: RegCbParams,
    state: RegCbState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, and how far it was off."""
    error = fit(state.model, instance.context, decision.action, feedback.reward, 1.0)
    add_residual(state.errors, error, params.keep)


@kernel
def probability(params: RegCbParams, state: RegCbState, instance: Instance, action: int) -> float:
    """Return 1 for the action of the highest optimistic score, else 0."""
    return 1.0 if action == _optimist(params, state, instance) else 0.0


@kernel
def foretell(params: RegCbParams, state: RegCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(params: RegCbParams, state: RegCbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards, and how far above them the optimistic ones lie."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    reach = _reach(params, state)
    for a in range(len(instance.available)):
        widths[a] *= reach


@kernel
def attribute(params: RegCbParams, state: RegCbState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the predicted reward."""
    split(state.model, instance.context, action, parts)


@kernel
def _optimist(params: RegCbParams, state: RegCbState, instance: Instance) -> int:
    """Return the lowest available action of the highest optimistic score."""
    k = len(instance.available)
    score = state.scratch_work.score
    width = state.scratch_work.width
    predict(state.model, instance.context, instance.available, score)
    spread(state.model, instance.context, instance.available, width)
    reach = _reach(params, state)
    for a in range(k):
        score[a] += reach * width[a]
    return leader_of(score, instance.available)


@kernel
def _reach(params: RegCbParams, state: RegCbState) -> float:
    """Return sqrt(delta). Before any error all scores are 0: then any positive number leads to the same decisions."""
    sd = params.noise if params.noise > 0.0 else residual_sd(state.errors)
    sd = sd if sd > 0.0 else 1.0
    return math.sqrt(params.mellowness * log(state.errors.weight[0] + 2.0)) * sd


register_policy(
    RegCbParams,
    select=select,
    update=update,
    probability=probability,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
