"""Weights by categories of actions: exact expectations, the two ends, and what a regression may know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support import small_world

from onearm.engine.columns import empty
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.doubly_robust import dr
from onearm.engine.estimate.embedding import categories, marginal_weights, mips, regressed_weights
from onearm.engine.estimate.interval import empirical_bernstein, normal
from onearm.engine.estimate.likelihood import empirical_likelihood
from onearm.engine.estimate.reward_model import fold_of
from onearm.engine.estimate.terms import Terms
from onearm.engine.estimate.weighting import ips
from onearm.engine.vocabulary import Array, Columns, Problem

EMBEDDING = np.array([0, 0, 0, 1, 1, 1])


@st.composite
def laws(draw: st.DrawFn) -> tuple[Array, Array, Array, Array]:
    """Draw a law, a target, actions, and the categories of the arms."""
    n, k = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    law, target = (draw(arrays(np.float64, (n, k), elements=st.floats(0.01, 1))) for _ in range(2))
    action, embedding = (draw(arrays(np.int64, m, elements=st.integers(0, k - 1))) for m in (n, k))
    return law / law.sum(axis=1, keepdims=True), target / target.sum(axis=1, keepdims=True), action, embedding


@given(laws())
def test_they_are_the_formula_of_the_paper(drawn: tuple[Array, Array, Array, Array]) -> None:
    law, target, action, embedding = drawn
    same = embedding[action][:, np.newaxis] == embedding
    expected = (target * same).sum(axis=1) / (law * same).sum(axis=1)
    assert marginal_weights(law, target, action, embedding) == pytest.approx(expected, rel=1e-12)


@given(laws())
def test_a_category_for_each_arm_gives_their_own_weights_and_one_for_all_gives_1(
    drawn: tuple[Array, Array, Array, Array],
) -> None:
    law, target, action, _ = drawn
    rows, k = np.arange(len(law)), law.shape[1]
    own = target[rows, action] / law[rows, action]
    assert marginal_weights(law, target, action, np.arange(k)) == pytest.approx(own, rel=1e-12)
    assert marginal_weights(law, target, action, np.zeros(k, int)) == pytest.approx(np.ones(len(law)), rel=1e-12)
    assert marginal_weights(law, law, action, np.arange(k) // 2) == pytest.approx(np.ones(len(law)), rel=1e-12)


def test_there_is_no_bias_where_actions_earn_through_their_category_alone() -> None:
    """Arms 0 and 2 share a category; the small world's arms earn other than that, and there it has a bias."""
    found = small_world.outcomes()
    law, target = small_world.LAW[found.context], small_world.TARGET[found.context]
    embedding = np.array([5, 7, 5])
    weight = marginal_weights(law, target, found.action, embedding)
    by_category = np.array([[0.5, -1.0, 0.5], [2.0, 0.25, 2.0]])
    truth = float((small_world.CONTEXT[:, np.newaxis] * small_world.TARGET * by_category).sum())
    reward = found.reward - small_world.MEAN[found.context, found.action] + by_category[found.context, found.action]
    terms = mips(reward, weight)
    assert terms.base @ found.probability == pytest.approx(truth, abs=1e-12)
    assert terms.weight @ found.probability == pytest.approx(1.0, abs=1e-12)
    own = ips(reward, found.propensity, found.target)
    assert (terms.base - truth) ** 2 @ found.probability < 0.6 * ((own.base - truth) ** 2 @ found.probability)
    assert abs(mips(found.reward, weight).base @ found.probability - small_world.TRUTH) > 0.1


def skewed_categories(seed: int) -> tuple[Terms, Terms]:
    """Return the terms of mips and of dr on a log of three banners: two share a category, and pay .05 and .15."""
    rng = np.random.default_rng(seed)
    shown, half = rng.integers(0, 3, 1000), rng.integers(0, 2, 1000)
    reward = (rng.random(1000) < np.array([0.05, 0.05, 0.15])[shown]).astype(float)
    of_half = np.array([[reward[(half != h) & (shown == a)].mean() for a in range(3)] for h in range(2)])
    law, target = np.full((1000, 3), 1 / 3), np.tile([0.0, 0.0, 1.0], (1000, 1))
    by_dr = dr(reward, law[:, 0], (shown == 2).astype(float), of_half[half, shown], of_half[half, 2])
    return mips(reward, marginal_weights(law, target, shown, np.array([0, 1, 1])), by_dr.base), by_dr


def test_where_actions_of_a_category_differ_the_truth_is_in_the_interval_as_often_as_in_that_of_dr() -> None:
    hits = {"mips": 0, "dr": 0, "the spread of mips": 0}
    for seed in range(60):
        by_mips, by_dr = skewed_categories(seed)
        named = {"mips": by_mips, "dr": by_dr, "the spread of mips": by_mips._replace(corrected=None)}
        for name, terms in named.items():
            found = normal(terms)
            hits[name] += found.low <= 0.15 <= found.high
    assert hits["mips"] >= hits["dr"] >= 54 > 6 > hits["the spread of mips"]


def test_the_interval_contains_the_value_and_that_of_dr() -> None:
    by_mips, by_dr = skewed_categories(1)
    for interval in (normal, empirical_likelihood, lambda terms: empirical_bernstein(terms, -3.0, 4.0)):
        sure, found = interval(by_dr), interval(by_mips)
        assert found.low <= min(sure.low, by_mips.value) <= max(sure.high, by_mips.value) <= found.high
    found = normal(mips(np.array([1.0, 0.0]), np.ones(2)))
    assert math.isnan(found.low) and found.note is not None
    assert found.note.startswith("mips is as wrong as what it assumes, and only dr can tell how wrong that is")


def test_several_numbers_make_one_category() -> None:
    category, count = categories(np.array([[1, 2], [1, 3], [1, 2], [0, 2]]), 4)
    assert (category.tolist(), count) == ([1, 2, 1, 0], 3)
    assert categories(np.array([9, 9, -4]), 3)[0].tolist() == [1, 1, 0]
    assert categories(np.array([True, False]), 2)[0].tolist() == [1, 0]


def many_arms(n: int, seed: int) -> tuple[Columns, Array, Array, Array]:
    """Return a log of 6 arms in 2 categories whose laws are linear in the context; the weights of arms; laws."""
    rng = np.random.default_rng(seed)
    columns = empty(n, Problem(n_arms=6, context_shape=(1,)))
    x = rng.uniform(-1, 1, n)
    law = np.full((n, 6), 1 / 6)
    share = 0.5 + 0.3 * x  # of the policy in the arms 0 to 2
    target = np.column_stack([share * 0.7, share * 0.2, share * 0.1, *[(1 - share) / 3] * 3])
    columns.number[:], columns.context[:, 0] = range(n), x
    columns.action[:] = rng.integers(0, 6, n)
    rows = np.arange(n)
    return columns, target[rows, columns.action] / law[rows, columns.action], law, target


def test_regressed_weights_come_to_the_marginal_ones_where_these_are_linear() -> None:
    columns, weight, law, target = many_arms(2000, 1)
    true = marginal_weights(law, target, columns.action, EMBEDDING)
    found = regressed_weights(columns, weight, EMBEDDING, Problem(n_arms=6, context_shape=(1,)))
    assert math.sqrt(np.square(found - true).mean()) < 0.08
    assert math.sqrt(np.square(weight - true).mean()) > 0.4
    assert abs(found.mean() - 1.0) < 0.02


def test_a_row_is_not_weighed_by_what_was_learned_of_itself() -> None:
    columns, weight, *_ = many_arms(50, 2)
    found = []
    for own in (0.0, 90.0):
        weight[7] = own
        found.append(regressed_weights(columns, weight, EMBEDDING, Problem(n_arms=6, context_shape=(1,))))
    fold = fold_of(columns.number, 2)
    assert (found[1] >= 0.0).all()
    same = fold == fold[7]
    assert np.array_equal(found[0][same], found[1][same])
    assert (found[0][~same] != found[1][~same]).any()


def test_the_rewards_of_the_log_have_no_part_in_the_regression() -> None:
    columns, weight, *_ = many_arms(20, 3)
    problem = Problem(n_arms=6, context_shape=(1,))
    before = regressed_weights(columns, weight, EMBEDDING, problem)
    columns.reward[:] = np.nan
    assert np.array_equal(regressed_weights(columns, weight, EMBEDDING, problem), before)


@pytest.mark.parametrize(
    ("law", "target", "action", "embedding", "code", "words"),
    [
        (
            [[0.5, 0.4]],
            [[0.5, 0.5]],
            [0],
            [0, 1],
            "bad_law",
            "law of row 0 has probabilities from 0.4, and they sum to",
        ),
        ([[0.5, 0.5]], [[1.5, -0.5]], [0], [0, 1], "bad_law", "target of row 0 has probabilities from -0.5"),
        ([[0.5, 0.5]], [[math.nan, 1.0]], [0], [0, 1], "bad_law", "target of row 0"),
        ([[0.0, 1.0]], [[0.5, 0.5]], [0], [0, 1], "bad_propensity", "category of row 0's action 0 with probability 0"),
        ([[0.5, 0.5]], [[0.5, 0.5]], [2], [0, 1], "bad_action", "action of row 0 is 2: it must be from 0 to 1"),
        ([[0.5, 0.5]], [[0.5, 0.5]], [-1], [0, 1], "bad_action", "action of row 0 is -1"),
        ([[0.5, 0.5]], [[0.5, 0.5]], [0, 1], [0, 1], "bad_column", "action has the shape"),
        ([0.5, 0.5], [0.5, 0.5], [0], [0, 1], "bad_column", r"law has the shape \(2,\)"),
        ([[0.5, 0.5]], [[0.5, 0.25, 0.25]], [0], [0, 1], "bad_column", "both must be"),
        ([[0.5, 0.5]], [[0.5, 0.5]], [0], [0], "bad_embedding", "for each of 2 arms"),
        ([[0.5, 0.5]], [[0.5, 0.5]], [0], [0.5, 1.0], "bad_embedding", "must be whole numbers"),
    ],
)
def test_what_makes_no_weights_is_refused_by_row(law, target, action, embedding, code, words) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        marginal_weights(np.array(law), np.array(target), np.array(action), np.array(embedding))
    assert refused.value.code == code


def test_weights_and_rewards_that_are_none_are_refused_by_row() -> None:
    with pytest.raises(InvalidInput, match="weight of row 1 is -1"):
        mips(np.ones(2), np.array([1.0, -1.0]))
    with pytest.raises(InvalidInput, match="reward of row 0 is nan"):
        mips(np.array([math.nan, 1.0]), np.ones(2))
    assert math.isnan(mips(np.zeros(0), np.zeros(0)).value)


def test_actions_with_features_of_their_own_have_no_categories() -> None:
    problem = Problem(n_arms=2, context_shape=(2, 3))
    with pytest.raises(InvalidInput, match="the actions have features of their own"):
        regressed_weights(empty(1, problem), np.ones(1), np.array([0, 1]), problem)


@pytest.mark.jit
def test_the_compiled_weights_are_the_formula() -> None:
    rng = np.random.default_rng(4)
    law, target = (rng.dirichlet(np.ones(7), 1000) for _ in range(2))
    action, embedding = rng.integers(0, 7, 1000), np.array([2, 0, 2, 1, 0, 2, 5])
    same = embedding[action][:, np.newaxis] == embedding
    expected = (target * same).sum(axis=1) / (law * same).sum(axis=1)
    assert marginal_weights(law, target, action, embedding) == pytest.approx(expected, rel=1e-12)
