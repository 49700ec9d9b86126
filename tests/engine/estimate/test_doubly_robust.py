"""Estimators with a model: the formulas of the papers, what must be equal, and exact expectations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support import small_world

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.doubly_robust import (
    dm,
    dr,
    dros,
    mrdr,
    mrdr_weight,
    sndr,
    switch_dr,
    tuned_dros,
    tuned_switch_dr,
)
from onearm.engine.estimate.terms import Terms
from onearm.engine.estimate.weighting import ips, snips
from onearm.engine.vocabulary import Array

WRONG = np.array([[0.1, 1.0, -1.0], [2.0, 0.0, 0.5]])  # a model
Log = tuple[Array, Array, Array, Array, Array]
ALL: dict[str, Callable[..., Terms]] = {
    "dr": dr,
    "sndr": sndr,
    "mrdr": mrdr,
    "switch_dr": lambda *log: switch_dr(*log, 2.0),
    "dros": lambda *log: dros(*log, 2.0),
}


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Draw the columns reward, propensity, target, predicted and expected."""
    n = draw(st.integers(1, 30))
    ranges = ((-100, 100), (0.01, 1), (0, 1), (-100, 100), (-100, 100))
    reward, *others = (draw(arrays(np.float64, n, elements=st.floats(low, high))) for low, high in ranges)
    return (reward, *others)


@given(logs(), st.floats(0, 200), st.floats(0.01, 1e4))
def test_they_are_the_formulas_of_the_papers(log: Log, weight_max: float, shrinkage: float) -> None:
    terms: dict[str, list[float]] = {name: [] for name in ALL}
    total = whole = 0.0
    for r, p, t, q, e in zip(*log, strict=True):
        w = t / p
        terms["dr"].append(w * (r - q) + e)
        terms["switch_dr"].append((w * (r - q) if w <= weight_max else 0.0) + e)
        terms["dros"].append(shrinkage / (w**2 + shrinkage) * w * (r - q) + e)
        total, whole = total + w * (r - q), whole + w
    assert dr(*log).base == pytest.approx(terms["dr"], abs=1e-9)
    assert mrdr(*log).base == pytest.approx(terms["dr"], abs=1e-9)
    assert switch_dr(*log, weight_max).base == pytest.approx(terms["switch_dr"], abs=1e-9)
    assert dros(*log, shrinkage).base == pytest.approx(terms["dros"], abs=1e-9)
    assert dm(log[4]).base == pytest.approx(log[4])
    if whole > 1e-3:
        assert sndr(*log).value == pytest.approx(log[4].mean() + total / whole, rel=1e-9, abs=1e-9)


@given(logs())
def test_where_the_model_is_exact_all_are_the_direct_method(log: Log) -> None:
    _, propensity, target, predicted, expected = log
    assume(target.sum() > 0.01)
    for name, make in ALL.items():
        found = make(predicted, propensity, target, predicted, expected)
        assert found.value == pytest.approx(dm(expected).value, abs=1e-10), name


@given(logs())
def test_where_the_target_is_the_log_and_the_model_knows_no_actions_they_are_the_mean(log: Log) -> None:
    reward, propensity, _, predicted, _ = log
    for make in (dr, sndr, mrdr, lambda *log: switch_dr(*log, 1.0), lambda *log: dros(*log, math.inf)):
        found = make(reward, propensity, propensity, predicted, predicted)
        assert found.value == pytest.approx(reward.mean(), abs=1e-9)


@given(logs())
def test_a_model_of_zeros_leaves_the_weights_alone(log: Log) -> None:
    reward, propensity, target, _, _ = log
    zeros = np.zeros(len(reward))
    assert dr(reward, propensity, target, zeros, zeros).value == ips(reward, propensity, target).value
    assume(target.sum() > 0.01)
    assert sndr(reward, propensity, target, zeros, zeros).value == snips(reward, propensity, target).value


@given(logs())
def test_switching_ends_at_dr_and_at_the_direct_method(log: Log) -> None:
    assert np.array_equal(switch_dr(*log, math.inf).base, dr(*log).base)
    assert np.array_equal(switch_dr(*log, 0.0).base, dm(log[4]).base)


@given(logs())
def test_shrinking_ends_at_dr_and_at_the_direct_method(log: Log) -> None:
    assert np.array_equal(dros(*log, math.inf).base, dr(*log).base)
    assert np.array_equal(dros(*log, 0.0).base, dm(log[4]).base)
    assert dros(*log, 1e300).base == pytest.approx(dr(*log).base, rel=1e-12)


@given(logs(), st.floats(1e-300, 1e300))
def test_a_shrunk_weight_is_at_most_the_weight_and_half_the_root(log: Log, shrinkage: float) -> None:
    weight = dros(*log, shrinkage).weight
    assert (weight <= log[2] / log[1] * (1 + 1e-12)).all()
    assert (weight <= math.sqrt(shrinkage) / 2 * (1 + 1e-12)).all()


@given(logs())
def test_sndr_is_dr_where_the_weights_average_1(log: Log) -> None:
    reward, propensity, target, predicted, expected = log
    mean = (target / propensity).mean()
    assume(mean > 0.01)
    target = target / mean
    assume(target.max() <= 1.0)
    log = (reward, propensity, target, predicted, expected)
    assert sndr(*log).value == pytest.approx(dr(*log).value, abs=1e-8)


def test_true_propensities_leave_no_bias_whatever_the_model() -> None:
    found = small_world.outcomes()
    predicted, expected = small_world.predictions(WRONG, found)
    for make in (dr, mrdr):
        terms = make(found.reward, found.propensity, found.target, predicted, expected)
        assert terms.base @ found.probability == pytest.approx(small_world.TRUTH, abs=1e-12)
    assert abs(dm(expected).base @ found.probability - small_world.TRUTH) > 0.1


def test_a_true_model_leaves_no_bias_whatever_the_propensities() -> None:
    found = small_world.outcomes()
    predicted, expected = small_world.predictions(small_world.MEAN, found)
    false = np.array([[0.1, 0.4, 1.0], [0.2, 0.9, 0.3]])[found.context, found.action]
    for name, make in ALL.items():
        terms = make(found.reward, false, found.target, predicted, expected)
        if name != "sndr":  # a ratio has no exact expectation; its numerator has the mean 0
            assert terms.base @ found.probability == pytest.approx(small_world.TRUTH, abs=1e-12), name
        else:
            assert terms.part @ found.probability == pytest.approx(0.0, abs=1e-12)
            assert terms.base @ found.probability == pytest.approx(small_world.TRUTH, abs=1e-12)
    assert abs(ips(found.reward, false, found.target).base @ found.probability - small_world.TRUTH) > 0.1


def test_the_bias_of_switching_and_shrinking_is_that_of_the_model_where_weights_were_cut() -> None:
    found = small_world.outcomes()
    predicted, expected = small_world.predictions(WRONG, found)
    weight = found.target / found.propensity
    error = small_world.MEAN[found.context, found.action] - predicted
    log = (found.reward, found.propensity, found.target, predicted, expected)
    for terms, kept in (
        (switch_dr(*log, 2.0), weight * (weight <= 2.0)),
        (dros(*log, 3.0), weight * 3.0 / (weight**2 + 3.0)),
    ):
        bias = terms.base @ found.probability - small_world.TRUTH
        assert bias == pytest.approx(((kept - weight) * error) @ found.probability, abs=1e-12)
        assert abs(bias) > 0.01
        assert terms.weight == pytest.approx(kept)


@pytest.mark.parametrize("arm", [0, 1, 2])
def test_the_weights_of_mrdr_are_the_variance_of_an_error_in_one_arm(arm: int) -> None:
    """Where the model is off by 1 at one arm, the terms of dr without noise vary by what the weights say."""
    found = small_world.outcomes()
    off = np.zeros((2, 3))
    off[:, arm] = 1.0
    predicted, expected = small_world.predictions(small_world.MEAN + off, found)
    mean = small_world.MEAN[found.context, found.action]
    terms = dr(mean, found.propensity, found.target, predicted, expected).base
    true = (small_world.TARGET * small_world.MEAN).sum(axis=1)[found.context]
    variance = (terms - true) ** 2 @ found.probability
    error = off[found.context, found.action] ** 2
    assert mrdr_weight(found.propensity, found.target) * error @ found.probability == pytest.approx(variance, abs=1e-12)


def test_the_weights_of_mrdr_for_a_policy_that_does_not_draw_are_those_of_the_paper() -> None:
    propensity, target = np.array([0.5, 0.2, 0.1, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    assert mrdr_weight(propensity, target) == pytest.approx([0.5 / 0.25, 0.0, 0.9 / 0.01, 0.0])


def test_terms_bear_the_name_of_their_estimator() -> None:
    one = np.ones(1)
    log = (one, one, one, one, one)
    assert {name: make(*log).method for name, make in ALL.items()} == {name: name for name in ALL}
    assert [tuned_switch_dr(*log).terms.method, tuned_dros(*log).terms.method] == ["switch_dr", "dros"]
    assert (dm(one).method, dm(one).matched) == ("dm", 1)


def test_without_decisions_there_is_no_value() -> None:
    none = np.zeros(0)
    made = [make(none, none, none, none, none) for make in ALL.values()]
    tuned = [make(none, none, none, none, none).terms for make in (tuned_dros, tuned_switch_dr)]
    for terms in (*made, *tuned, dm(none)):
        assert math.isnan(terms.value)
        assert terms.matched == 0


def test_without_a_match_what_needs_no_sum_is_the_model() -> None:
    one, zero = np.ones(2), np.zeros(2)
    log = (one, one, zero, one, np.array([0.25, 0.75]))
    assert dr(*log).value == tuned_dros(*log).terms.value == tuned_switch_dr(*log).terms.value == 0.5
    assert math.isnan(sndr(*log).value)


@pytest.mark.parametrize("name", [*ALL, "tuned_switch_dr", "tuned_dros"])
@pytest.mark.parametrize(
    ("column", "value", "code", "words"),
    [
        (0, math.nan, "not_finite", "reward of row 1 is nan"),
        (1, math.nan, "unknown_propensity", "propensity of row 1 is unknown"),
        (1, 0.0, "bad_propensity", "propensity of row 1 is 0"),
        (2, 2.0, "bad_target", "target of row 1 is 2"),
        (3, math.inf, "not_finite", "predicted of row 1 is inf"),
        (4, math.nan, "not_finite", "expected of row 1 is nan"),
    ],
)
def test_what_is_no_column_is_refused_by_row(name: str, column: int, value: float, code: str, words: str) -> None:
    log: list[Any] = [np.full(3, 0.5) for _ in range(5)]
    log[column][1] = value
    make = {**ALL, "tuned_switch_dr": tuned_switch_dr, "tuned_dros": tuned_dros}[name]
    with pytest.raises(InvalidInput, match=words) as refused:
        make(*log)
    assert refused.value.code == code
    log[column] = np.full(2, 0.5)
    with pytest.raises(InvalidInput, match="has the shape"):
        make(*log)


@pytest.mark.parametrize("make", [switch_dr, dros])
@pytest.mark.parametrize("limit", [-1.0, math.nan])
def test_a_limit_that_is_none_is_refused(make: Callable[..., Terms], limit: float) -> None:
    half = np.full(2, 0.5)
    with pytest.raises(InvalidInput, match=r"must be a number in \[0, inf\]"):
        make(half, half, half, half, half, limit)


def test_a_direct_method_without_numbers_is_refused() -> None:
    with pytest.raises(InvalidInput, match="expected of row 0 is nan"):
        dm(np.array([math.nan]))
