"""Models of the reward: against scikit-learn on the halves of a log, in pages, and in what a row may not know."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from support import small_world

from onearm.engine.columns import empty, take
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.doubly_robust import dr, mrdr_weight
from onearm.engine.estimate.reward_model import (
    MeanModel,
    RewardModel,
    RidgeModel,
    at_action,
    fold_of,
    progressive,
    under_law,
)
from onearm.engine.vocabulary import Array, Columns, Problem

DENSE = Problem(n_arms=3, context_shape=(4,))
ROWS = Problem(n_arms=3, context_shape=(3, 4))


def log(problem: Problem, n: int = 60, seed: int = 1) -> Columns:
    """Return rewarded decisions with contexts of several units, where no arm is chosen alike."""
    rng = np.random.default_rng(seed)
    columns = empty(n, problem)
    columns.number[:] = 7 * np.arange(n)
    columns.action[:] = rng.choice(problem.n_arms, n, p=np.arange(1, problem.n_arms + 1) / 6)
    columns.context[...] = rng.normal(size=columns.context.shape) * [1.0, 50.0, 1e-3, 2.0] + [0.0, 1e4, 0.0, -3.0]
    columns.reward[:] = 5.0 + columns.action + rng.normal(size=n)
    return columns


def scikit(x: Array, y: Array, weight: Array, mean: Array, deviation: Array, level: float, at: Array) -> Array:
    """Return what scikit-learn predicts at `at`, of standard features and an intercept shrunk towards `level`."""

    def standard(rows: Array) -> Array:
        return np.column_stack([(rows - mean) / deviation, np.ones(len(rows))])

    model = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky")
    return np.asarray(model.fit(standard(x), y - level, sample_weight=weight).predict(standard(at)) + level)


def halves(problem: Problem, columns: Columns, weight: Array) -> Array:
    """Return what scikit-learn predicts of each half by the other one."""
    found = np.empty((len(columns.kind), problem.n_arms))
    folds = fold_of(columns.number, 2)
    for fold in (0, 1):
        learned, asked = np.flatnonzero(folds != fold), folds == fold
        x, y, w, action = (c[learned] for c in (columns.context, columns.reward, weight, columns.action))
        if problem.context_kind == "actions":
            x = x[np.arange(len(x)), action]
        mean = np.average(x, axis=0, weights=w)
        units = (mean, np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w)), np.average(y, weights=w))
        for a in range(problem.n_arms):
            if problem.context_kind == "actions":
                found[asked, a] = scikit(x, y, w, *units, columns.context[asked, a])
            else:
                of = action == a
                found[asked, a] = scikit(x[of], y[of], w[of], *units, columns.context[asked])
    return found


@pytest.mark.parametrize("problem", [DENSE, ROWS], ids=["dense", "actions"])
@pytest.mark.parametrize("weighed", [False, True])
def test_each_half_is_predicted_as_scikit_learn_does_from_the_other(problem: Problem, weighed: bool) -> None:
    columns = log(problem)
    weight = np.random.default_rng(2).exponential(size=60) if weighed else None
    model = RidgeModel(problem)
    for start in range(0, 60, 17):
        page = slice(start, start + 17)
        model.add(take(columns, page), None if weight is None else weight[page])
    expected = halves(problem, columns, np.ones(60) if weight is None else weight)
    assert model.predict(columns) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.jit
@pytest.mark.parametrize("problem", [DENSE, ROWS], ids=["dense", "actions"])
def test_the_compiled_sums_are_those_of_scikit_learn(problem: Problem) -> None:
    columns = log(problem, 5000)
    model = RidgeModel(problem)
    model.add(columns)
    assert model.predict(columns) == pytest.approx(halves(problem, columns, np.ones(5000)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("make", [RidgeModel, MeanModel])
def test_a_row_knows_nothing_of_its_own_fold(make: Any) -> None:
    """Another reward of one row moves the predictions of the other folds' rows, and no other."""
    columns = log(DENSE)
    found = []
    for reward in (0.0, 100.0):
        columns.reward[5] = reward
        model = make(DENSE, folds=3)
        model.add(columns)
        found.append(model.predict(columns))
    folds = fold_of(columns.number, 3)
    moved = (found[0] != found[1]).any(axis=1)
    assert np.array_equal(moved, folds != folds[5])
    assert set(folds.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("make", [RidgeModel, MeanModel])
def test_progressive_predictions_know_only_the_past(make: Any) -> None:
    columns = log(DENSE, 40)
    before = progressive(make(DENSE, folds=1), columns)
    columns.reward[20:] = 1000.0
    after = progressive(make(DENSE, folds=1), columns)
    assert before.shape == (40, 3)
    assert not before[0].any()
    assert np.array_equal(before[:21], after[:21])
    assert (before[32:] != after[32:]).all()
    assert progressive(make(DENSE, folds=1), take(columns, slice(0, 0))).shape == (0, 3)


def test_progressive_pages_double() -> None:
    """Rows 0, 1, 2-3, 4-7 ... are predicted from all before their page."""
    columns = log(Problem(n_arms=3, context_shape=(4,)), 16)
    found = progressive(MeanModel(DENSE, folds=1), columns)
    for start, stop in ((1, 2), (2, 4), (4, 8), (8, 16)):
        model = MeanModel(DENSE, folds=1)
        model.add(take(columns, slice(0, start)))
        assert np.array_equal(found[start:stop], model.predict(take(columns, slice(start, stop))))


def test_neither_units_nor_zeros_nor_pages_matter() -> None:
    columns = log(DENSE)
    moved = columns._replace(context=columns.context * [1e-6, 1.0, 1e6, 3.0] + [1e-3, -1e4, 5.0, 1e8])
    found = []
    for rows, length in ((columns, 60), (columns, 7), (moved, 60)):
        model = RidgeModel(DENSE)
        for start in range(0, 60, length):
            model.add(take(rows, slice(start, start + length)))
        found.append(model.predict(rows))
    assert found[1] == pytest.approx(found[0], rel=1e-10)
    assert found[2] == pytest.approx(found[0], rel=1e-6)


def test_an_arm_without_a_row_earns_the_mean_of_all() -> None:
    columns = log(DENSE)
    columns.action[columns.action == 1] = 0
    model = RidgeModel(DENSE, folds=1)
    model.add(columns)
    assert model.predict(columns)[:, 1] == pytest.approx(columns.reward.mean(), rel=1e-12)
    assert np.ptp(model.predict(columns)[:, 0]) > 0.1


def test_features_that_never_vary_are_left_out() -> None:
    columns = log(DENSE)
    columns.context[:, 1:] = [3.3, 0.0, -1e9]
    model = RidgeModel(DENSE, folds=1)
    model.add(columns)
    alone = RidgeModel(Problem(n_arms=3, context_shape=(1,)), folds=1)
    alone.add(columns._replace(context=columns.context[:, :1]))
    one = columns._replace(context=columns.context[:, :1])
    assert model.predict(columns) == pytest.approx(alone.predict(one), rel=1e-9)


def test_the_mean_of_each_arm_is_the_ridge_without_features() -> None:
    columns = log(DENSE)
    weight = np.random.default_rng(3).exponential(size=60)
    ridge, mean = RidgeModel(Problem(n_arms=3)), MeanModel(Problem(n_arms=3))
    bare = columns._replace(context=np.zeros((60, 0)))
    ridge.add(bare, weight)
    mean.add(columns, weight)
    assert mean.predict(columns) == pytest.approx(ridge.predict(bare), rel=1e-12)


def test_the_mean_of_each_arm_by_hand() -> None:
    """Rewards 1, 0, 1 of arm 0 and 4 of arm 1 have the mean 1.5, which counts as one more reward of each arm."""
    columns = empty(4, DENSE)
    columns.action[:], columns.reward[:] = [0, 0, 0, 1], [1.0, 0.0, 1.0, 4.0]
    model = MeanModel(DENSE, folds=1)
    model.add(columns)
    assert model.predict(columns).tolist() == [[3.5 / 4, 5.5 / 2, 1.5]] * 4


def test_actions_that_are_not_available_are_predicted_and_change_nothing() -> None:
    columns = log(ROWS)
    found = []
    for padding in (0.0, 123.0):
        padded = columns._replace(available=np.ones((60, 3), np.bool_), context=columns.context.copy())
        away = (columns.action + 1) % 3
        padded.available[np.arange(60), away] = False
        padded.context[np.arange(60), away] = padding
        model = RidgeModel(ROWS)
        model.add(padded)
        prediction = model.predict(padded)
        law = np.where(padded.available, 0.5, 0.0)
        found.append((at_action(prediction, padded.action), under_law(prediction, law)))
        assert np.isfinite(prediction).all()
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_before_any_row_all_is_0() -> None:
    columns = log(DENSE, 5)
    for model in (RidgeModel(DENSE), MeanModel(DENSE)):
        model.add(take(columns, slice(0, 0)))
        assert model.predict(columns).tolist() == np.zeros((5, 3)).tolist()
    unweighed = RidgeModel(DENSE)
    unweighed.add(columns, np.zeros(5))
    assert not unweighed.predict(columns).any()


def test_cross_fitting_leaves_dr_without_bias_where_learning_from_itself_does_not() -> None:
    """300 logs of 6 decisions each: the mean of the estimates is the truth, up to 4 standard errors."""
    problem = Problem(n_arms=3, context_shape=(0,))
    values: dict[int, list[float]] = {1: [], 2: []}
    for seed in range(300):
        drawn = small_world.drawn(6, seed)
        columns = empty(6, problem)
        columns.number[:], columns.action[:], columns.reward[:] = range(6), drawn.action, drawn.reward
        for folds, found in values.items():
            model = MeanModel(problem, folds, regularisation=0.01)
            model.add(columns)
            prediction = model.predict(columns)
            law = small_world.TARGET[drawn.context]
            log = (drawn.reward, drawn.propensity, drawn.target, at_action(prediction, drawn.action))
            found.append(dr(*log, under_law(prediction, law)).value)
    bias = {folds: np.mean(found) - small_world.TRUTH for folds, found in values.items()}
    error = np.std(values[2]) / math.sqrt(300)
    assert abs(bias[2]) < 4 * error
    assert abs(bias[1]) > 4 * np.std(values[1]) / math.sqrt(300)


def test_the_weights_of_mrdr_make_dr_vary_less() -> None:
    """The reward is a parabola, the model a line, and the log takes action 1 ever less as x grows."""
    rng = np.random.default_rng(5)
    problem = Problem(n_arms=2, context_shape=(1,))
    columns = empty(3000, problem)
    x = rng.uniform(0, 1, 3000)
    second = np.exp(-3.0 * x)
    columns.number[:], columns.context[:, 0] = range(3000), x
    columns.action[:] = rng.random(3000) < second
    columns.reward[:] = columns.action * 4.0 * x**2 + 0.1 * rng.normal(size=3000)
    propensity, target = np.where(columns.action == 1, second, 1 - second), (columns.action == 1).astype(float)
    spread = []
    for weight in (None, mrdr_weight(propensity, target)):
        model = RidgeModel(problem)
        model.add(columns, weight)
        prediction = model.predict(columns)
        terms = dr(columns.reward, propensity, target, at_action(prediction, columns.action), prediction[:, 1])
        spread.append(terms.base.std())
    assert spread[1] < 0.9 * spread[0]


def test_folds_are_a_fair_hash_of_the_decision_number() -> None:
    numbers = np.arange(100_000)
    for folds in (1, 2, 5):
        counts = np.bincount(fold_of(numbers, folds), minlength=folds)
        assert abs(counts - 100_000 / folds).max() < 500
    even = fold_of(numbers[::2], 2)
    assert abs(even.mean() - 0.5) < 0.01


@pytest.mark.parametrize("make", [RidgeModel, MeanModel])
def test_what_cannot_be_learned_is_refused_by_row_and_nothing_is_changed(make: Any) -> None:
    columns = log(DENSE, 5)
    model: RewardModel = make(DENSE)
    model.add(columns)
    before = model.predict(columns)
    for field, value, words in (
        ("reward", math.nan, "reward of row 2 is nan"),
        ("action", 3, "action of row 2 is 3: actions are numbered from 0 to 2"),
        ("action", -1, "action of row 2 is -1"),
    ):
        bad = columns._replace(**{field: getattr(columns, field).copy()})
        getattr(bad, field)[2] = value
        with pytest.raises(InvalidInput, match=words):
            model.add(bad)
    for weight, words in (([1, 1, -1, 1, 1], "weight of row 2 is -1"), ([1, 1], "one number for each of 5 rows")):
        with pytest.raises(InvalidInput, match=words):
            model.add(columns, np.array(weight, float))
    assert np.array_equal(model.predict(columns), before)


def test_contexts_that_are_not_finite_are_refused_by_row() -> None:
    columns = log(DENSE, 5)
    columns.context[3, 1] = math.inf
    with pytest.raises(InvalidInput, match="context of row 3 is not finite"):
        RidgeModel(DENSE).add(columns)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RidgeModel(Problem(3, (3, 2**18), nonzeros=100)), "read the log with --dimension"),
        (lambda: RidgeModel(Problem(0, slots=2)), "an action is a move here"),
        (lambda: MeanModel(Problem(0, slots=2)), "an action is a move here"),
        (lambda: RidgeModel(DENSE, folds=0), "folds is 0"),
        (lambda: MeanModel(DENSE, folds=1.5), "folds is 1.5"),
        (lambda: RidgeModel(DENSE, regularisation=0.0), "regularisation is 0.0"),
    ],
)
def test_what_has_no_such_model_is_refused(make: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        make()
