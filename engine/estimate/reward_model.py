"""Models of the reward for doubly robust estimators: they learn a log page by page, and predict every action's reward.

A row must not be predicted by a model that has learned it, or an estimator believes its own luck. With `folds` of 2 or
more, a hash of the decision's number puts each row into a fold, and it is predicted from the rows of the others
("cross-fitting": Chernozhukov et al. 2018, "Double/debiased machine learning", section 3): add all pages, then predict
them. With 1 fold a row is predicted from all that was added: predict a page first, and add it then, as `progressive`
does; such predictions know only the past, as sequences of intervals need it.

>>> from onearm.engine.columns import empty
>>> rows = empty(4, Problem(n_arms=2))
>>> rows.number[:], rows.action[:], rows.reward[:] = range(4), [0, 0, 1, 1], [1.0, 0.0, 1.0, 1.0]
>>> model = MeanModel(Problem(n_arms=2), folds=1)
>>> model.add(rows)
>>> model.predict(rows)[0].round(4).tolist()
[0.5833, 0.9167]
>>> at_action(model.predict(rows), rows.action).round(4).tolist()
[0.5833, 0.5833, 0.9167, 0.9167]
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..arrays import aligned_zeros
from ..columns import take
from ..errors import InvalidInput, as_seen
from ..features import mixed
from ..kernel import loop
from ..oracles.lanes import add_scaled
from ..problem import check_param
from ..vocabulary import Array, Columns, Problem
from .weighting import column

PAGE = 4096  # rows that `progressive` predicts at once
_FOLD = 0x666F6C64  # sets the folds apart from other uses of `mixed`
_FLAT = 1e-10  # a standard deviation of less than this of the largest distance is rounding


class RewardModel(Protocol):
    """What predicts rewards. Rows are rewarded decisions, as `engine.columns.rewarded` gives them."""

    def add(self, columns: Columns, weight: Array | None = None) -> None:
        """Learn the rows of a page; each counts as `weight`, float64[n] >= 0, such rows."""

    def predict(self, columns: Columns) -> Array:
        """Return the reward of every action at the rows' contexts, float64[n, k], those not available included."""
        ...


class RidgeModel:
    """Ridge regressions in bounded memory: one for each arm, or one for all where actions have rows of features.

    All coordinates, the intercept too, are shrunk as `regularisation` > 0 more rows would do it that earned the mean
    reward of all arms; an arm without a row predicts that mean. Features are first brought to mean 0 and deviation 1
    over the rows that a prediction learns from, so neither their units nor their zeros matter. Before any row all
    predictions are 0.

    Source: Hoerl, Kennard 1970. Refuses named features and what is no arm. Memory: folds k (d + 1)^2 numbers, without
    the k for actions with features. Cost: O(d^2) a row, O(k d^3) for the first prediction after an `add`.
    """

    def __init__(self, problem: Problem, folds: int = 2, regularisation: float = 1.0) -> None:
        _check(problem, folds)
        if problem.layout == "named":
            raise InvalidInput(
                "named_features",
                "the log has named features: this model reads rows of numbers; read the log with --dimension, or take "
                "the mean of each arm",
            )
        self.n_arms, self.folds = problem.n_arms, folds
        self.regularisation = check_param("regularisation", regularisation, low=1e-12, high=1e12)
        self.by_action = problem.layout == "actions"
        systems, p = 1 if self.by_action else problem.n_arms, problem.context_shape[-1] + 1
        self.gram = aligned_zeros(folds, systems, p, p)  # weighted sums of z z', lower triangle; z = (x - shift, 1)
        self.moment = aligned_zeros(folds, systems, p)  # weighted sums of reward z
        self.shift: Array | None = None  # float64[d], the first page's mean: sums of squares lose no digits by it
        self._theta: Array | None = None  # float64[folds, systems, p], None where it is to be found anew

    def add(self, columns: Columns, weight: Array | None = None) -> None:
        """Learn the rows of a page; each counts as `weight`, float64[n] >= 0, such rows."""
        n = len(columns.kind)
        if n == 0:
            return
        reward, weight = _checked(columns, weight, self.n_arms)
        context = columns.context
        if self.by_action:
            context = context[np.arange(n), columns.action]
        context = np.ascontiguousarray(context, np.float64)
        if not (good := np.isfinite(context).all(axis=1)).all():
            raise InvalidInput(
                "not_finite", f"the context of row {int(np.argmin(good))} is not finite: all its numbers must be"
            )
        if self.shift is None:
            self.shift = context.mean(axis=0)
        system = np.zeros(n, np.int64) if self.by_action else np.ascontiguousarray(columns.action, np.int64)
        z = aligned_zeros(self.moment.shape[2])
        _add(
            context, system, fold_of(columns.number, self.folds), reward, weight, self.shift, z, self.gram, self.moment
        )
        self._theta = None

    def predict(self, columns: Columns) -> Array:
        """Return float64[n, k]; rows of a fold from what the other folds earned."""
        context = columns.context
        n, k = len(context), context.shape[1] if self.by_action else self.n_arms
        found = np.zeros((n, k))
        if self.shift is None:
            return found
        if self._theta is None:
            self._theta = np.stack([self._solved(fold) for fold in range(self.folds)])
        folds = fold_of(columns.number, self.folds)
        for fold, theta in enumerate(self._theta):
            rows = folds == fold
            z = context[rows] - self.shift
            found[rows] = z @ theta[0, :-1] + theta[0, -1] if self.by_action else z @ theta[:, :-1].T + theta[:, -1]
        return found

    def _solved(self, fold: int) -> Array:
        """Return the coefficients of z, float64[systems, p], with which rows of a fold are predicted."""
        learned = _others(fold, self.folds)
        gram, moment = self.gram[learned].sum(axis=0), self.moment[learned].sum(axis=0)
        gram += np.tril(gram, -1).transpose(0, 2, 1)
        pooled = gram.sum(axis=0)
        rows = pooled[-1, -1]
        if not rows > 0.0:
            return np.zeros_like(moment)
        mean_reward = moment[:, -1].sum() / rows
        to_standard = _standardiser(pooled / rows)
        a = to_standard @ gram @ to_standard.T + self.regularisation * np.eye(len(pooled))
        b = (moment - mean_reward * gram[:, :, -1]) @ to_standard.T
        theta = np.linalg.solve(a, b[:, :, np.newaxis])[:, :, 0] @ to_standard
        theta[:, -1] += mean_reward
        return np.asarray(theta)


class MeanModel:
    """The mean reward of each arm, whatever the context: what `RidgeModel` is without features, and of any context.

    Refuses what is no arm. Memory: two numbers for each fold and arm.
    """

    def __init__(self, problem: Problem, folds: int = 2, regularisation: float = 1.0) -> None:
        _check(problem, folds)
        self.folds = folds
        self.regularisation = check_param("regularisation", regularisation, low=1e-12, high=1e12)
        self.count = np.zeros((folds, problem.n_arms))  # weighted rows
        self.total = np.zeros((folds, problem.n_arms))  # their weighted rewards

    def add(self, columns: Columns, weight: Array | None = None) -> None:
        """Learn the rows of a page; each counts as `weight`, float64[n] >= 0, such rows."""
        k = self.count.shape[1]
        reward, weight = _checked(columns, weight, k)
        cell = fold_of(columns.number, self.folds) * k + columns.action
        self.count += np.bincount(cell, weight, self.count.size).reshape(self.count.shape)
        self.total += np.bincount(cell, weight * reward, self.total.size).reshape(self.total.shape)

    def predict(self, columns: Columns) -> Array:
        """Return float64[n, k]; rows of a fold from what the other folds earned."""
        means = np.zeros_like(self.count)
        for fold in range(self.folds):
            learned = _others(fold, self.folds)
            count, total = self.count[learned].sum(axis=0), self.total[learned].sum(axis=0)
            if count.sum() > 0.0:
                prior = self.regularisation * (total.sum() / count.sum())
                means[fold] = (total + prior) / (count + self.regularisation)
        return np.asarray(means[fold_of(columns.number, self.folds)])


def progressive(model: RewardModel, columns: Columns) -> Array:
    """Return predictions that know only earlier rows, float64[n, k], and let a model of 1 fold learn all rows.

    Rows are predicted in pages of up to 4096, the first of 1, and each no longer than all before it.

    >>> from onearm.engine.columns import empty
    >>> rows = empty(3, Problem(n_arms=1))
    >>> rows.reward[:] = 1.0, 0.0, 0.5
    >>> progressive(MeanModel(Problem(n_arms=1), folds=1), rows).ravel().tolist()
    [0.0, 1.0, 0.5]
    """
    parts = []
    start = 0
    while start < len(columns.kind):
        page = take(columns, slice(start, start + min(max(start, 1), PAGE)))
        parts.append(model.predict(page))
        model.add(page)
        start += len(page.kind)
    return np.concatenate(parts) if parts else model.predict(columns)


def at_action(prediction: Array, action: Array) -> Array:
    """Return what was predicted of the logged actions, float64[n]: the column `predicted` of `dr`."""
    return np.asarray(prediction[np.arange(len(action)), action])


def under_law(prediction: Array, law: Array) -> Array:
    """Return the sum of `law`, float64[n, k], times what was predicted, float64[n]: the column `expected` of `dr`.

    The law is 0 where an action is not available.

    >>> under_law(np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]])).tolist()
    [0.25]
    """
    return np.asarray(np.einsum("nk,nk->n", prediction, law))


def fold_of(number: Array, folds: int) -> Array:
    """Return the fold of each decision, int64[n], by a hash of its number.

    Not by parity, which may mean something in a log, as where two users take turns.

    >>> fold_of(np.arange(8), 2).tolist()
    [1, 0, 1, 0, 0, 0, 0, 1]
    """
    hashed = mixed(number.astype(np.uint64), np.full(1, _FOLD, np.uint64))
    return np.asarray(hashed % np.uint64(folds)).astype(np.int64)


def _others(fold: int, folds: int) -> Array:
    """Return from which folds a fold is predicted: all others, or itself where there is no other."""
    return np.arange(folds) != fold if folds > 1 else np.ones(1, np.bool_)


def _standardiser(second: Array) -> Array:
    """Return float64[p, p] that takes z to mean 0 and deviation 1, of the means of z z'; flat features go to 0."""
    mean = second[-1, :-1]
    square = np.diag(second)[:-1]
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    varies = deviation > _FLAT * np.sqrt(square)
    factor = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
    to_standard = np.eye(len(second))
    to_standard[np.arange(len(factor)), np.arange(len(factor))] = factor
    to_standard[:-1, -1] = -mean * factor
    return to_standard


def _check(problem: Problem, folds: int) -> None:
    if problem.action_kind != "arm":
        raise InvalidInput("no_arms", f"an action is a {problem.action_kind} here: this model predicts rewards of arms")
    if not isinstance(folds, int) or folds < 1:
        raise InvalidInput("bad_param", f"folds is {as_seen(folds)}: it must be a whole number, 1 or more")


def _checked(columns: Columns, weight: Array | None, k: int) -> tuple[Array, Array]:
    """Return rewards and weights of a page, float64[n] each."""
    n = len(columns.kind)
    reward = column("reward", columns.reward, n)
    weight = np.ones(n) if weight is None else column("weight", weight, n)
    if n and weight.min() < 0.0:
        raise InvalidInput(
            "bad_weight", f"the weight of row {int(weight.argmin())} is {weight.min():g}: it must be >= 0"
        )
    if n and not 0 <= columns.action.min() <= columns.action.max() < k:
        row = int(np.argmax((columns.action < 0) | (columns.action >= k)))
        raise InvalidInput(
            "bad_action", f"the action of row {row} is {columns.action[row]}: actions are numbered from 0 to {k - 1}"
        )
    return reward, weight


@loop
def _add(
    context: Array,
    system: Array,
    fold: Array,
    reward: Array,
    weight: Array,
    shift: Array,
    z: Array,
    gram: Array,
    moment: Array,
) -> Any:
    """Add rows to the sums; `z` is working space, float64[p]."""
    d = len(shift)
    z[d] = 1.0
    for row in range(len(reward)):
        w = weight[row]
        for j in range(d):
            z[j] = context[row, j] - shift[j]
        of = gram[fold[row], system[row]]
        for i in range(d + 1):
            add_scaled(of[i], w * z[i], z, i + 1)
        add_scaled(moment[fold[row], system[row]], w * reward[row], z, d + 1)
