"""LinUCB: play the action with the highest optimistic prediction of a ridge regression.

Source: Li, Chu, Langford, Schapire, "A contextual-bandit approach to personalized news article recommendation", WWW
2010, algorithm 1: one regression per arm ("disjoint"). Where actions have features of their own, all share one
regression over these. Abbasi-Yadkori, Pal, Szepesvari 2011 prove O(d sqrt(T) ln T) for an alpha that grows with
sqrt(d ln T); no bound is known for a fixed one.
Departs from the paper: contexts are shifted and scaled to a length of about 1 and have an intercept, unless `scaling`
is "none"; old feedbacks may be forgotten. A standard error is in units of the noise, which is as large as the root mean
square of the oracle's errors: the paper's is `noise` = 1. Rewards may have any unit and any origin: they are measured
from the first one, and errors with heavy tails are cut, or they are measured from `origin`
(`engine/oracles/relative.py`); neither is so with `scaling` "none", where there is no intercept. Ties go to the lowest
action.
State: the sums, the inverse and the coefficients of each regression (`engine/oracles/ridge.py`), origin, errors; with
`wait` a second model (`engine/oracles/awaiting.py`).
Propensities: 1, as nothing is drawn.
Cost: O(K d^2) per decision and O(d^2) per feedback; O(K d^3) at feedbacks 1, 2, 4, 8 ..., which find the scale anew.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.awaited import check_wait
from ...engine.oracles.awaiting import awaiting
from ...engine.oracles.choice import oracle
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.measured import measured
from ...engine.oracles.oracle import expect, fit, note, predict, settle, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.oracles.ridge import check_scaling
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class LinucbParams(NamedTuple):
    """Numbers fixed at creation."""

    alpha: float  # width of the bonus, >= 0, in units of the model's widths
    regularisation: float  # precision of the prior, > 0
    half_life: float  # in feedbacks; inf for never
    scaled: bool  # whether the model finds the units of the features
    measured: bool  # whether it measures its errors, so that its widths have the unit of the reward
    origin: float  # what rewards are measured from; NaN where it is the first of them
    wait: int  # for so many further decisions one counts whose feedback has not come


class LinucbState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose; `Measured` where nobody said how large the noise is
    scratch_score: Array  # float64[k]
    scratch_width: Array  # float64[k]


@earlier(noise=1.0, origin=0.0)
def linucb(
    alpha: float = 0.9,
    regularisation: float = 0.3,
    half_life: float | None = None,
    scaling: str = "online",
    noise: float | None = None,
    origin: float | None = None,
    wait: int = 0,
) -> Policy:
    """Play the action with the highest prediction plus `alpha` standard errors, of noise as large as it is measured.

    Where feedback is late, a decision counts as explored for `wait` further ones.
    """
    unit = 1.0 if noise is None else check_param("noise", noise, low=1e-100, high=1e100)
    params = LinucbParams(
        check_param("alpha", alpha, low=0.0, high=1e100) * unit,
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
        check_scaling(scaling) == "online",
        noise is None,
        check_origin(origin),
        check_wait(wait),
    )
    return Policy(
        "linucb",
        params,
        init,
        version=2 if noise is None else version_of(origin),
        contexts=("dense", "actions"),
        grow=by_padding(init),
        deterministic=True,
    )


def init(params: LinucbParams, problem: Problem) -> LinucbState:
    """Return the state before any feedback."""

    def make() -> Any:
        return oracle(
            problem,
            regularisation=params.regularisation,
            half_life=params.half_life,
            scaling="online" if params.scaled else "none",
            origin=params.origin,
        )

    model = awaiting(make, problem, params.wait, params.half_life)
    if params.measured:
        model = measured(model, params.half_life)
    return LinucbState(model, np.zeros(problem.n_arms), np.zeros(problem.n_arms))


@kernel
def select(params: LinucbParams, state: LinucbState, instance: Instance, key: Key) -> Decision:
    """Take the lowest available action of the highest upper bound."""
    score = state.scratch_score
    width = state.scratch_width
    predict(state.model, instance.context, instance.available, score)
    spread(state.model, instance.context, instance.available, width)
    best = -math.inf
    action = -1
    for a in range(len(instance.available)):
        if instance.available[a]:
            bound = score[a] + params.alpha * width[a]
            if bound > best:
                best = bound
                action = a
    return Decision(action, 1.0)


@kernel
def mark(params: LinucbParams, state: LinucbState, instance: Instance, decision: Decision, key: Key) -> None:
    """Count the decision as explored while its feedback is awaited."""
    note(state.model, instance.context, decision.action, key.t)


@kernel
def update(
    params: LinucbParams, state: LinucbState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Learn the reward of the action that was played."""
    settle(state.model, key.t)
    fit(state.model, instance.context, decision.action, feedback.reward, 1.0)


@kernel
def probability(params: LinucbParams, state: LinucbState, instance: Instance, action: int) -> float:
    """Return 1 for the action that `select` takes, else 0."""
    return 1.0 if select(params, state, instance, Key(np.uint64(0), 0)).action == action else 0.0


@kernel
def write_law(params: LinucbParams, state: LinucbState, instance: Instance, law: Array) -> None:
    """Write the law of `select`."""
    leader = select(params, state, instance, Key(np.uint64(0), 0)).action
    for a in range(len(instance.available)):
        if instance.available[a]:
            law[a] = 1.0 if a == leader else 0.0


@kernel
def foretell(params: LinucbParams, state: LinucbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(params: LinucbParams, state: LinucbState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the predictions, and the bonuses that are added to them."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    for a in range(len(instance.available)):
        if instance.available[a]:
            widths[a] *= params.alpha


@kernel
def attribute(params: LinucbParams, state: LinucbState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the prediction."""
    split(state.model, instance.context, action, parts)


register_policy(
    LinucbParams,
    select=select,
    mark=mark,
    update=update,
    probability=probability,
    write_law=write_law,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
