"""Linear Thompson sampling: play each action as often as its score is believed to be the highest.

Source: Agrawal and Goyal, "Thompson sampling for contextual bandits with linear payoffs", ICML 2013, with a prediction
and a standard error from ridge regression: one per arm, or one that all actions share where these have features.
Departs from the paper: it draws a coefficient vector, and so do others; here the score of each action is drawn, by
itself, from N(x'theta, v^2 x'A^-1 x). Each score has the law that it has in the paper, but the scores of actions that
share coefficients are independent, which explores more; the law of the largest can then be computed. Their bound,
O(d sqrt(T) min(sqrt d, sqrt(ln K)) ln T) for a v that grows with sqrt(d ln T), is not proved for this variant, and for
no fixed v. Contexts are shifted and scaled, and have an intercept, unless `scaling` is "none". v is in units of the
noise, which is as large as the root mean square of the oracle's errors; with `noise` = 1 it is the paper's. Rewards may
have any unit and any origin: they are measured from the first one, or from `origin` (`engine/oracles/relative.py`), but
not with `scaling` "none", where there is no intercept.
State: the sums, the inverse and the coefficients of each regression (`engine/oracles/ridge.py`), origin, errors.
Propensities: the law is computed by quadrature (`engine/laws/largest.py`) and drawn from. With `propensities=False` one
score per action is drawn and the largest played: faster, and the propensity is NaN.
Cost: O(K d^2) a decision, and about 2 us an action more with propensities; O(d^2) per feedback.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import categorical, normal
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.largest import MaximumWorkspace, check_arms, normal_law, workspace
from ...engine.oracles.choice import oracle
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.measured import measured
from ...engine.oracles.oracle import expect, fit, predict, split, spread
from ...engine.oracles.relative import check_origin, version_of
from ...engine.oracles.ridge import check_scaling
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

_NARROWEST = 1e-9  # of the widest: a score that is as good as known still has a density


class LinearThompsonParams(NamedTuple):
    """Numbers fixed at creation."""

    v: float  # > 0, standard deviation of a score in units of the model's widths
    regularisation: float  # precision of the prior, > 0
    half_life: float  # in feedbacks; inf for never
    scaled: bool  # whether the model finds the units of the features
    measured: bool  # whether it measures its errors, so that its widths have the unit of the reward
    origin: float  # what rewards are measured from; NaN where it is the first of them


class LinearThompsonSampledParams(NamedTuple):
    """The same, for the kernels without propensities."""

    v: float
    regularisation: float
    half_life: float
    scaled: bool
    measured: bool
    origin: float


class LinearThompsonState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `oracle` chose; `Measured` where nobody said how large the noise is
    scratch_score: Array  # float64[k]
    scratch_width: Array  # float64[k]
    scratch_maximum: MaximumWorkspace


class LinearThompsonSampledState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any
    scratch_score: Array  # float64[k]
    scratch_width: Array  # float64[k]


@earlier(noise=1.0, origin=0.0)
def linear_thompson(
    v: float = 0.2,
    regularisation: float = 0.2,
    half_life: float | None = None,
    scaling: str = "online",
    propensities: bool = True,
    noise: float | None = None,
    origin: float | None = None,
) -> Policy:
    """Play each action with the probability that its score is the largest, for scores of `v` standard errors."""
    unit = 1.0 if noise is None else check_param("noise", noise, low=1e-100, high=1e100)
    numbers = (
        check_param("v", v, low=1e-100, high=1e100) * unit,
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
        check_scaling(scaling) == "online",
        noise is None,
        check_origin(origin),
    )
    if not isinstance(propensities, bool):
        raise InvalidInput("bad_param", f"propensities is {as_seen(propensities)}: it must be true or false")
    params = LinearThompsonParams(*numbers) if propensities else LinearThompsonSampledParams(*numbers)
    start = init if propensities else init_sampled
    version = 2 if noise is None else version_of(origin)
    return Policy("linear_thompson", params, start, version, ("dense", "actions"), grow=by_padding(start))


def init(params: LinearThompsonParams, problem: Problem) -> LinearThompsonState:
    """Return the state before any feedback; up to 2000 arms."""
    check_arms(problem.n_arms)
    return LinearThompsonState(*init_sampled(params, problem), workspace(problem.n_arms))


def init_sampled(
    params: LinearThompsonParams | LinearThompsonSampledParams, problem: Problem
) -> LinearThompsonSampledState:
    """Return the state before any feedback."""
    model: Any = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        scaling="online" if params.scaled else "none",
        origin=params.origin,
    )
    if params.measured:
        model = measured(model, params.half_life)
    return LinearThompsonSampledState(model, np.zeros(problem.n_arms), np.zeros(problem.n_arms))


@kernel
def select(params: LinearThompsonParams, state: LinearThompsonState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    _write_law(params, state, instance)
    law = state.scratch_maximum.law
    action = categorical(key, 0, law)
    return Decision(action, law[action])


@kernel
def select_sampled(
    params: LinearThompsonSampledParams, state: LinearThompsonSampledState, instance: Instance, key: Key
) -> Decision:
    """Draw a score for every available action and take the largest."""
    score = state.scratch_score
    width = state.scratch_width
    predict(state.model, instance.context, instance.available, score)
    spread(state.model, instance.context, instance.available, width)
    best = -math.inf
    action = -1
    for a in range(len(instance.available)):
        if instance.available[a]:
            drawn = score[a] + params.v * width[a] * normal(key, a)
            if drawn > best:
                best = drawn
                action = a
    return Decision(action, np.nan)


@kernel
def update(
    params: LinearThompsonParams,
    state: LinearThompsonState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward of the action that was played."""
    fit(state.model, instance.context, decision.action, feedback.reward, 1.0)


@kernel
def probability(params: LinearThompsonParams, state: LinearThompsonState, instance: Instance, action: int) -> float:
    """Return the probability that the action's score is the largest."""
    _write_law(params, state, instance)
    return state.scratch_maximum.law[action]


@kernel
def foretell(
    params: LinearThompsonParams, state: LinearThompsonState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(
    params: LinearThompsonParams, state: LinearThompsonState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the means of the scores, and their standard deviations."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    for a in range(len(instance.available)):
        if instance.available[a]:
            widths[a] *= params.v


@kernel
def attribute(
    params: LinearThompsonParams, state: LinearThompsonState, instance: Instance, action: int, parts: Array
) -> None:
    """Write what each feature adds to the mean of the score."""
    split(state.model, instance.context, action, parts)


@kernel
def _write_law(params: LinearThompsonParams, state: LinearThompsonState, instance: Instance) -> None:
    """Compute the law; scores of no width at all, as with a context of zeros and no intercept, are given a little."""
    score = state.scratch_score
    width = state.scratch_width
    k = len(instance.available)
    predict(state.model, instance.context, instance.available, score)
    spread(state.model, instance.context, instance.available, width)
    widest = 0.0
    for a in range(k):
        if instance.available[a]:
            width[a] *= params.v
            widest = max(widest, max(width[a], 1e-6 * abs(score[a])))
    for a in range(k):
        width[a] = max(width[a], _NARROWEST * widest if widest > 0.0 else 1.0)
    high = state.scratch_maximum.high
    for a in range(k, len(high)):  # room for the actions of a larger set
        high[a] = -math.inf
    normal_law(state.scratch_maximum, score[:k], width[:k], instance.available)


register_policy(
    LinearThompsonParams,
    select=select,
    update=update,
    probability=probability,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
register_policy(
    LinearThompsonSampledParams, select=select_sampled, update=update, appraise=appraise, attribute=attribute
)
