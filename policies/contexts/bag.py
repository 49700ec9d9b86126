"""Bag: models, each taught a bootstrap sample of the feedbacks; play what one of them, drawn at random, deems best.

Source: Agarwal et al., "Taming the monster", ICML 2014, and Bietti, Agarwal, Langford, "A contextual bandit bake-off",
JMLR 2021 (bag); the online bootstrap is Oza and Russell's, 2001: each model learns each feedback Poisson(1) times.
The law is the share of the models that would play an action; actions that tie within a model share its vote, and so do
those arms of dense contexts that a model never learned, which come first. Before any feedback the law is uniform. What
all models agree on has the probability 1, so a log of it says nothing of other actions: wrap it in `floor` for that.
Rewards may have any unit and any origin: each model measures them from the first one that it learned, or all from
`origin` (`engine/oracles/relative.py`).
State: `models` models of one kind (ridge, or `SparseRows` on named features), stacked.
Cost: `models` times a prediction of all actions per decision, and up to `models` fits per feedback.
Draws: number 0 decides; at a feedback, draws 1 to `models` of its decision say how often each model learns it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, pick, uniform, uniform_block, uniform_from
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.laws.from_scores import Work, work_of
from ...engine.oracles.choice import check_compared, check_second_order, oracle
from ...engine.oracles.forgetting import check_half_life
from ...engine.oracles.oracle import fit, origin_of, predict, split
from ...engine.oracles.relative import check_origin, version_of
from ...engine.problem import check_param
from ...engine.protocol import register_policy, row_of
from ...engine.registry import earlier
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

MODELS_MAX = 1000


class BagParams(NamedTuple):
    """Numbers fixed at creation."""

    models: int
    regularisation: float
    half_life: float  # in times that a model learns; inf where nothing is forgotten
    origin: float  # what rewards are measured from; NaN where it is the first of them
    second_order: bool  # how named features are learned: `SparseRows`, or `SparseLinear` as in specs stored before
    compared: bool  # whether the first of these compares words, which it did not in specs stored before


class BagState(NamedTuple):
    """Arrays that `update` writes, and working space of `select`."""

    models: Any  # what `oracle` chose, stacked along a first axis
    learned: (
        Array  # bool[models, k] whether a model learned an arm; bool[models, 0] where actions have no lasting number
    )
    scratch_work: Work
    scratch_part: Array  # float64[m + 1] what each feature adds to one model's prediction
    scratch_uniform: UniformBlock


@earlier(origin=0.0, second_order=False, compared=False)
def bag(
    models: int = 8,
    regularisation: float = 0.2,
    half_life: float | None = None,
    origin: float | None = None,
    second_order: bool = True,
    compared: bool = True,
) -> Policy:
    """Play what a model drawn at random among `models` bootstrapped ones expects most of."""
    if isinstance(models, bool) or not isinstance(models, int) or not 1 <= models <= MODELS_MAX:
        raise InvalidInput(
            "bad_param", f"models is {as_seen(models)}: it must be a whole number from 1 to {MODELS_MAX}"
        )
    params = BagParams(
        models,
        check_param("regularisation", regularisation, low=1e-12, high=1e12),
        check_half_life(half_life),
        check_origin(origin),
        check_second_order(second_order),
        check_compared(compared),
    )
    return Policy(
        "bag",
        params,
        init,
        version_of(origin, second_order, compared),
        ("dense", "actions", "named"),
        grow=by_padding(init),
    )


def init(params: BagParams, problem: Problem) -> BagState:
    """Return the state before any feedback."""
    model = oracle(
        problem,
        regularisation=params.regularisation,
        half_life=params.half_life,
        origin=params.origin,
        second_order=params.second_order,
        compared=params.compared,
    )
    m = problem.nonzeros or problem.context_shape[-1]
    learned = np.zeros((params.models, problem.n_arms if problem.layout == "dense" else 0), np.bool_)
    work = work_of(problem.n_arms)
    return BagState(stacked(model, params.models), learned, work, np.zeros(m + 1), uniform_block())


def stacked(model: Any, n: int) -> Any:
    """Return n copies of a model along a new first axis of all its arrays."""
    return type(model)(*(stacked(part, n) if isinstance(part, tuple) else np.stack([part] * n) for part in model))


@kernel
def select(params: BagParams, state: BagState, instance: Instance, key: Key) -> Decision:
    """Draw an action from the law."""
    _weigh(params, state, instance)
    law = state.scratch_work.law
    action = pick(law[: len(instance.available)], uniform_from(state.scratch_uniform, key))
    return Decision(action, law[action])


@kernel
def update(
    params: BagParams,
    state: BagState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Let each model learn the reward as many times as its draw says."""
    for b in range(params.models):
        times = poisson_one(uniform(key, 1 + b))
        if times > 0:
            if state.learned.shape[1] > 0:
                state.learned[b, decision.action] = True
            fit(row_of(state.models, b), instance.context, decision.action, feedback.reward, float(times))


@kernel
def probability(params: BagParams, state: BagState, instance: Instance, action: int) -> float:
    """Return the share of the models that would play the action."""
    _weigh(params, state, instance)
    return state.scratch_work.law[action]


@kernel
def recall(params: BagParams, state: BagState, instance: Instance, action: int) -> float:
    """Return the probability of the action in the law that `select` has left."""
    return state.scratch_work.law[action]


@kernel
def appraise(params: BagParams, state: BagState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write the mean of the models' predictions, and their standard deviation."""
    k = len(instance.available)
    score = state.scratch_work.score
    for a in range(k):
        scores[a] = 0.0
        widths[a] = 0.0
    for b in range(params.models):
        model = row_of(state.models, b)
        predict(model, instance.context, instance.available, score)
        for a in range(k):
            if instance.available[a]:
                score[a] += origin_of(model)
                step = score[a] - scores[a]
                scores[a] += step / (b + 1)
                widths[a] += step * (score[a] - scores[a])
    for a in range(k):
        widths[a] = math.sqrt(max(widths[a], 0.0) / params.models)


@kernel
def attribute(params: BagParams, state: BagState, instance: Instance, action: int, parts: Array) -> None:
    """Write what each feature adds to the mean of the models' predictions."""
    part = state.scratch_part
    for j in range(len(parts)):
        parts[j] = 0.0
    for b in range(params.models):
        split(row_of(state.models, b), instance.context, action, part)
        for j in range(min(len(part), len(parts))):
            parts[j] += part[j] / params.models


@kernel
def poisson_one(u: float) -> int:
    """Return a draw from Poisson(1), by inversion of a uniform; above 17 lies less than 2^-53."""
    share = 0.36787944117144233
    total = share
    count = 0
    while u >= total and count < 17:
        count += 1
        share /= count
        total += share
    return count


@kernel
def _weigh(params: BagParams, state: BagState, instance: Instance) -> None:
    """Write the law: each model gives 1 / models to what it expects most of."""
    k = len(instance.available)
    score = state.scratch_work.score
    law = state.scratch_work.law
    for a in range(k):
        law[a] = 0.0
    for b in range(params.models):
        predict(row_of(state.models, b), instance.context, instance.available, score)
        for a in range(state.learned.shape[1]):
            if not state.learned[b, a]:
                score[a] = math.inf
        best = -math.inf
        ties = 0
        for a in range(k):
            if instance.available[a]:
                if score[a] > best:
                    best = score[a]
                    ties = 1
                elif score[a] == best:
                    ties += 1
        for a in range(k):
            if instance.available[a] and score[a] == best:
                law[a] += 1.0 / (ties * params.models)


register_policy(
    BagParams,
    select=select,
    update=update,
    probability=probability,
    recall=recall,
    appraise=appraise,
    attribute=attribute,
)
