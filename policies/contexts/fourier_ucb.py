"""Fourier UCB: optimism on features that bend, just wide enough for some action to promise a reward near the best seen.

Nothing needs tuning.

An oracle predicts a score s_a and its standard error w_a for each action: for float64[d] contexts ridge regressions on
the context and on random Fourier features of it (`engine/oracles/fourier_ridge.py`); for rows of actions one ridge
regression; for named features `SparseRows`. The action of the highest s_a + alpha w_a is played, where alpha
is just so large that some action promises a reward near the best seen (`engine/oracles/aspiration.py`).

Source: LinUCB, Li, Chu, Langford, Schapire 2010, with random Fourier features, Rahimi and Recht 2007, and a target.
Units and origin of rewards and of contexts do not matter: rewards are measured from the first one, or from `origin`
(`engine/oracles/relative.py`). Without an `origin` errors with heavy tails are cut (`engine/oracles/heavy_tails.py`).
Ties go to the lowest action. Propensities: 1, as nothing is drawn (`floor` around it makes a log for estimates).
State: the model, its errors, the best and the lowest reward; with `wait` a second model (`engine/oracles/awaiting.py`).
Cost: a prediction and a standard error of all actions per decision, O(K p^2) at p = 256 coordinates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.awaited import check_wait
from ...engine.laws.from_scores import Work, leader_of, work_of
from ...engine.oracles.aspiration import enter, noise, write_index
from ...engine.oracles.awaiting import awaiting
from ...engine.oracles.choice import bending_oracle, check_compared, check_second_order
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.oracle import (
    expect,
    fit,
    learned_of,
    note,
    predict_one,
    settle,
    split,
    spread,
    spread_one,
)
from ...engine.oracles.relative import check_origin, relative, version_of
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem


class FourierUcbParams(NamedTuple):
    """Numbers fixed at creation."""

    regularisation: float  # precision of the prior, > 0
    half_life: float  # in feedbacks; inf where nothing is forgotten
    widest: float  # the most that alpha comes to, in standard deviations
    wait: int  # for so many further decisions one counts whose feedback has not come
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class FourierUcbState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    model: Any  # what `bending_oracle` chose, with what stands around it
    square: Array  # float64[1] sum of squared errors, each in units of its predictive variance
    count: Array  # float64[1] feedbacks learned
    range: Array  # float64[2] the lowest and the best reward
    scratch_work: Work


@earlier(origin=0.0, widest=3.0, second_order=False, compared=False)
def fourier_ucb(
    regularisation: float = 0.3,
    half_life: float | None = None,
    wait: int = 0,
    origin: float | None = None,
    widest: float = 1.5,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Play optimistically on features that bend; nothing needs tuning, and `half_life` makes it forget.

    Where feedback is late, a decision counts as explored for `wait` further ones.
    """
    params = FourierUcbParams(
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
        check_param("widest", widest, low=0.2, high=1e6),
        check_wait(wait),
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )
    return Policy(
        "fourier_ucb",
        params,
        init,
        version=version_of(origin, second_order, compared),
        contexts=("dense", "actions", "named"),
        grow=by_padding(init),
        deterministic=True,
    )


def init(params: FourierUcbParams, problem: Problem) -> FourierUcbState:
    """Return the state before any feedback."""

    def make() -> Any:
        model = bending_oracle(
            problem,
            regularisation=params.regularisation,
            half_life=params.half_life,
            second_order=params.second_order,
            compared=params.compared,
        )
        return relative(model, params.origin, problem.n_arms)

    model = awaiting(make, problem, params.wait, params.half_life)
    return FourierUcbState(model, np.zeros(1), np.zeros(1), np.zeros(2), work_of(problem.n_arms))


@kernel
def select(params: FourierUcbParams, state: FourierUcbState, instance: Instance, key: Key) -> Decision:
    """Take the lowest available action of the highest bound."""
    return Decision(_choose(params, state, instance), 1.0)


@kernel
def mark(params: FourierUcbParams, state: FourierUcbState, instance: Instance, decision: Decision, key: Key) -> None:
    """Count the decision as explored while its feedback is awaited."""
    note(state.model, instance.context, decision.action, key.t)


@kernel
def update(
    params: FourierUcbParams,
    state: FourierUcbState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Learn the reward, and how far it was off."""
    settle(state.model, key.t)
    work = state.scratch_work
    arm = decision.action
    only = work.only[: len(instance.available)]
    score = predict_one(state.model, instance.context, arm, only, work.score)
    width = spread_one(state.model, instance.context, arm, only, work.width)
    fit(state.model, instance.context, arm, feedback.reward, 1.0)
    reward = learned_of(state.model, feedback.reward)
    enter(state.square, state.count, state.range, reward, reward - score, width)


@kernel
def probability(params: FourierUcbParams, state: FourierUcbState, instance: Instance, action: int) -> float:
    """Return 1 for the action that `select` takes, else 0."""
    return 1.0 if _choose(params, state, instance) == action else 0.0


@kernel
def foretell(
    params: FourierUcbParams, state: FourierUcbState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards."""
    expect(state.model, instance.context, instance.available, scores)


@kernel
def appraise(
    params: FourierUcbParams, state: FourierUcbState, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the predicted rewards and their standard errors, in units of the reward."""
    expect(state.model, instance.context, instance.available, scores)
    spread(state.model, instance.context, instance.available, widths)
    sd = noise(state.square, state.count, state.range)
    for a in range(len(instance.available)):
        widths[a] *= sd


@kernel
def attribute(params: FourierUcbParams, state: FourierUcbState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the predicted reward."""
    split(state.model, instance.context, action, parts)


@kernel
def _choose(params: FourierUcbParams, state: FourierUcbState, instance: Instance) -> int:
    """Return the lowest available action of the highest bound."""
    work, available = state.scratch_work, instance.available
    sd = noise(state.square, state.count, state.range)
    write_index(state.model, sd, params.widest, state.range, instance.context, available, work.score, work.width)
    return leader_of(work.score, available)


register_policy(
    FourierUcbParams,
    select=select,
    update=update,
    mark=mark,
    probability=probability,
    appraise=appraise,
    foretell=foretell,
    attribute=attribute,
)
