"""Weights of what actions have in common: fewer and smaller ones than those of the actions, where these are many.

Source: Saito, Joachims 2022, "Off-policy evaluation for large action spaces via embeddings" (marginalised inverse
propensity scores, MIPS). Assumes: an action earns through its embedding alone ("no direct
effect"): given the context and the category, the reward does not depend on which action it was; and the log takes each
category wherever the policy does. Where the first fails there is a bias, which the spread of the terms does not show:
so the intervals of mips contain those of `dr`, as those of what leans on a model do (`leaning.py`).

A category is what actions share: `embedding` is int64[k], or int64[k, m], where the m numbers together are one.

>>> law, target = np.array([[0.5, 0.25, 0.25]]), np.array([[0.0, 0.0, 1.0]])
>>> weight = marginal_weights(law, target, np.array([1]), np.array([0, 1, 1]))  # action 2 is as good as action 1
>>> mips(np.array([1.0]), weight).value
2.0
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..kernel import loop
from ..vocabulary import Array, Columns, Problem
from .reward_model import RidgeModel, at_action
from .terms import Terms
from .weighting import column

_ROUNDING = 1e-6  # by which the probabilities of a row may miss 1


def mips(reward: Array, weight: Array, corrected: Array | None = None) -> Terms:
    """Estimate by the mean of reward times weight, of `marginal_weights` or `regressed_weights`.

    Columns: `reward` and `weight`, float64[n] each; and `corrected`, float64[n], the base of `dr`: its intervals
    contain those of `dr`, and without `corrected` there is none.
    Refuses: rewards and weights that are not finite, and negative weights.
    """
    weight = column("weight", weight)
    if len(weight) and weight.min() < 0.0:
        raise InvalidInput(
            "bad_weight", f"the weight of row {int(weight.argmin())} is {weight.min():g}: it must be >= 0"
        )
    n = len(weight)
    by_dr = np.full(n, math.nan) if corrected is None else column("corrected", corrected, n)
    return Terms("mips", weight * column("reward", reward, n), None, None, weight, by_dr)


def marginal_weights(law: Array, target: Array, action: Array, embedding: Array) -> Array:
    """Return how much likelier the policy takes the logged category than the log, float64[n].

    `law` and `target` are float64[n, k], with which probability the log and the policy take each arm; `action` is
    int64[n]. Where the log's law is not known, see `regressed_weights`. Refuses, by row: laws that are negative or do
    not sum to 1 within 1e-6, and an action whose category the log never takes.

    >>> uniform = np.full((1, 4), 0.25)
    >>> marginal_weights(uniform, np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([3]), np.array([0, 0, 1, 1])).round(4)
    array([1.4])
    """
    law, target = _law("law", law), _law("target", target)
    n, k = law.shape
    category, _ = categories(embedding, k)
    action = _actions(action, n, k)
    if target.shape != law.shape:
        raise InvalidInput(
            "bad_column", f"the target has the shape {target.shape}, the law {law.shape}: both must be [n, k]"
        )
    weight = np.empty(n)
    _marginal(law, target, action, category, weight)
    if not (good := np.isfinite(weight)).all():
        row = int(np.argmin(good))
        raise InvalidInput(
            "bad_propensity",
            f"the log takes the category of row {row}'s action {action[row]} with probability 0: it must be positive",
        )
    return weight


def regressed_weights(columns: Columns, weight: Array, embedding: Array, problem: Problem) -> Array:
    """Return the mean of `weight` = target / propensity given context and category, float64[n], none below 0.

    For logs that tell the propensity of the logged action alone. The mean is a ridge regression on the context per
    category, `RidgeModel` with 2 folds: rows are not weighed by what was learned of themselves. Assumes beside what
    this file's first lines tell that the mean is linear in the context; where it is not there is a bias. Refuses what
    `RidgeModel` does, and actions with rows of features, which have no numbers to give categories to.

    >>> from onearm.engine.columns import empty
    >>> rows = empty(400, Problem(n_arms=2))
    >>> rows.number[:], rows.action[:] = range(400), np.arange(400) % 2
    >>> weight = np.where(rows.action == 1, 2.0, 0.0)  # the log is uniform, and the policy takes action 1
    >>> regressed_weights(rows, weight, np.array([0, 0]), Problem(n_arms=2))[:2].round(2)
    array([0.99, 1.01])
    """
    if problem.layout != "dense":
        raise InvalidInput(
            "no_categories", "the actions have features of their own: categories are for arms that are numbered for all"
        )
    category, count = categories(embedding, problem.n_arms)
    weight = column("weight", weight, len(columns.kind))
    action = category[_actions(columns.action, len(weight), problem.n_arms)]
    model = RidgeModel(replace(problem, n_arms=count))
    rows = columns._replace(action=action, reward=weight)
    model.add(rows)
    return np.maximum(at_action(model.predict(rows), action), 0.0)


def categories(embedding: Array, k: int) -> tuple[Array, int]:
    """Return the category of each arm, int64[k] from 0, and how many there are.

    >>> categories(np.array([[7, 1], [7, 2], [7, 1]]), 3)
    (array([0, 1, 0]), 2)
    """
    embedding = np.asarray(embedding)
    if embedding.ndim not in (1, 2) or len(embedding) != k or embedding.dtype.kind not in "biu":
        raise InvalidInput(
            "bad_embedding",
            f"the embedding has the shape {embedding.shape} and the type {embedding.dtype}: it must be whole numbers, "
            f"one or more for each of {k} arms",
        )
    known, category = np.unique(embedding.reshape(k, -1), axis=0, return_inverse=True)
    return category.reshape(k).astype(np.int64), len(known)


def _law(name: str, law: Array) -> Array:
    law = np.ascontiguousarray(law, np.float64)
    if law.ndim != 2:
        raise InvalidInput("bad_column", f"the {name} has the shape {law.shape}: it must be [n, k]")
    good = (law >= 0.0).all(axis=1) & (abs(law.sum(axis=1) - 1.0) <= _ROUNDING)
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidInput(
            "bad_law",
            f"the {name} of row {row} has probabilities from {law[row].min():g}, and they sum to {law[row].sum():g}: "
            "none may be negative, and the sum must be 1",
        )
    return law


def _actions(action: Array, n: int, k: int) -> Array:
    action = np.ascontiguousarray(action, np.int64)
    if action.shape != (n,):
        raise InvalidInput(
            "bad_column", f"the action has the shape {action.shape}: it must be one for each of {n} rows"
        )
    if not (good := (action >= 0) & (action < k)).all():
        row = int(np.argmin(good))
        raise InvalidInput("bad_action", f"the action of row {row} is {action[row]}: it must be from 0 to {k - 1}")
    return action


@loop
def _marginal(law: Array, target: Array, action: Array, category: Array, weight: Array) -> Any:
    """Write the target's probability of the logged category over the law's; NaN where that is 0."""
    for row in range(len(action)):
        of = category[action[row]]
        logged = 0.0
        wanted = 0.0
        for a in range(len(category)):
            if category[a] == of:
                logged += law[row, a]
                wanted += target[row, a]
        weight[row] = wanted / logged if logged > 0.0 else math.nan
