"""Estimators without a model: by hand, by what must be equal, by exact expectation, and on the Open Bandit sample."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyarrow import csv
from support import small_world

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.weighting import clipped, ips, match, snips, tuned_clipped
from onearm.engine.vocabulary import Array

ROWS = st.integers(1, 30)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Draw the columns reward, propensity and target."""
    n = draw(ROWS)
    return (
        draw(arrays(np.float64, n, elements=st.floats(-100, 100))),
        draw(arrays(np.float64, n, elements=st.floats(0.01, 1))),
        draw(arrays(np.float64, n, elements=st.floats(0, 1))),
    )


def test_match_is_the_mean_of_the_matched_rewards() -> None:
    found = match(np.array([1.0, 0.0, 5.0, 1.0]), np.array([True, True, False, True]))
    assert found.method == "match"
    assert found.value == pytest.approx(2 / 3, rel=1e-15)
    assert (found.matched, found.effective_sample_size) == (3, 3.0)


def test_the_weights_by_hand() -> None:
    reward, propensity = np.array([1.0, 0.0, 1.0, 3.0]), np.array([0.5, 0.25, 0.2, 0.1])
    target = np.array([1.0, 1.0, 0.2, 0.0])
    # Weights 2, 4, 1, 0: their rewards sum to 3; clipped at 1.5 the weights are 1.5, 1.5, 1, 0.
    assert ips(reward, propensity, target).value == pytest.approx(3 / 4, rel=1e-15)
    assert clipped(reward, propensity, target, 1.5).value == pytest.approx(2.5 / 4, rel=1e-15)
    found = snips(reward, propensity, target)
    assert found.value == pytest.approx(3 / 7, rel=1e-15)
    assert found.matched == 3
    assert found.effective_sample_size == pytest.approx(49 / 21, rel=1e-15)


def test_terms_bear_the_name_of_their_estimator() -> None:
    one = np.ones(1)
    named = [ips(one, one, one), clipped(one, one, one, 2.0), snips(one, one, one), match(one, one == 1)]
    assert [terms.method for terms in named] == ["ips", "clipped", "snips", "match"]
    assert all(terms.weight.tolist() == [1.0] for terms in named)


@given(logs())
def test_they_are_the_formulas_of_the_papers(log: tuple[Array, Array, Array]) -> None:
    reward, propensity, target = log
    w = [t / p for t, p in zip(target, propensity, strict=True)]
    assert ips(*log).value == pytest.approx(math.fsum(a * r for a, r in zip(w, reward, strict=True)) / len(w), abs=1e-9)
    assert clipped(*log, 3.0).value == pytest.approx(
        math.fsum(min(a, 3.0) * r for a, r in zip(w, reward, strict=True)) / len(w), abs=1e-10
    )
    if math.fsum(w) > 1e-3:
        assert snips(*log).value == pytest.approx(
            math.fsum(a * r for a, r in zip(w, reward, strict=True)) / math.fsum(w), abs=1e-8
        )


@given(logs())
def test_snips_is_ips_where_the_weights_average_1(log: tuple[Array, Array, Array]) -> None:
    reward, propensity, target = log
    mean = (target / propensity).mean()
    assume(mean > 0.01)
    target = target / mean
    assume(target.max() <= 1.0)
    assert snips(reward, propensity, target).value == pytest.approx(ips(reward, propensity, target).value, abs=1e-8)


@given(logs())
def test_all_are_the_sample_mean_where_the_target_is_the_log(log: tuple[Array, Array, Array]) -> None:
    reward, propensity, _ = log
    for terms in (
        ips(reward, propensity, propensity),
        snips(reward, propensity, propensity),
        clipped(reward, propensity, propensity, 1.0),
        tuned_clipped(reward, propensity, propensity).terms,
        match(reward, np.ones(len(reward), np.bool_)),
    ):
        assert terms.value == pytest.approx(reward.mean(), abs=1e-10)
        assert terms.effective_sample_size == pytest.approx(len(reward), rel=1e-12)


@given(logs())
def test_without_a_limit_clipped_is_ips_and_with_0_nothing(log: tuple[Array, Array, Array]) -> None:
    assert np.array_equal(clipped(*log, math.inf).base, ips(*log).base)
    assert not clipped(*log, 0.0).base.any()


@given(logs(), st.floats(-5, 5))
def test_snips_moves_with_the_rewards(log: tuple[Array, Array, Array], shift: float) -> None:
    reward, propensity, target = log
    assume(target.sum() > 0.01)
    moved = snips(reward + shift, propensity, target).value
    assert moved == pytest.approx(snips(reward, propensity, target).value + shift, abs=1e-9)


def test_ips_has_no_bias() -> None:
    found = small_world.outcomes()
    terms = ips(found.reward, found.propensity, found.target)
    assert terms.base @ found.probability == pytest.approx(small_world.TRUTH, abs=1e-12)
    assert terms.weight @ found.probability == pytest.approx(1.0, abs=1e-12)


def test_a_limit_costs_what_was_clipped_off_times_the_rewards() -> None:
    found = small_world.outcomes()
    terms = clipped(found.reward, found.propensity, found.target, 2.0)
    off = np.maximum(found.target / found.propensity - 2.0, 0.0)
    bias = terms.base @ found.probability - small_world.TRUTH
    mean = small_world.MEAN[found.context, found.action]
    assert bias == pytest.approx(-(off * mean) @ found.probability, abs=1e-12)
    assert abs(bias) > 0.1


def test_match_has_no_bias_where_the_log_is_uniform() -> None:
    """Over all logs of 2 decisions on which the policy, which takes action 0 or 2, agrees with one or both."""
    taken = np.array([0, 2])
    target = np.eye(3)[taken]
    truth = float((small_world.CONTEXT[:, np.newaxis] * target * small_world.MEAN).sum())
    found = small_world.outcomes(np.full((2, 3), 1 / 3))
    agrees = found.action == taken[found.context]
    whole = total = 0.0
    for i, j in product(range(len(agrees)), repeat=2):
        if agrees[i] or agrees[j]:
            probability = found.probability[i] * found.probability[j]
            whole += probability
            total += probability * match(found.reward[[i, j]], agrees[[i, j]]).value
    assert whole == pytest.approx(1 - 4 / 9, abs=1e-12)
    assert total / whole == pytest.approx(truth, abs=1e-12)


def test_the_open_bandit_sample_is_worth_what_is_published(data_folder: Path) -> None:
    """Of the men's campaign of Thompson sampling, for a uniform target."""
    folder = data_folder / "obd" / "bts" / "men"
    wanted = ["click", "propensity_score"]
    table = csv.read_csv(folder / "men.csv.gz", convert_options=csv.ConvertOptions(include_columns=wanted))
    reward, propensity = (table[name].to_numpy().astype(float) for name in wanted)
    n_arms = csv.read_csv(folder / "item_context.csv")["item_id"].to_numpy().max() + 1
    target = np.full(len(reward), 1 / n_arms)
    assert ips(reward, propensity, target).value == pytest.approx(0.0030086263272564836, abs=1e-12)
    assert snips(reward, propensity, target).value == pytest.approx(0.003189423162277392, abs=1e-12)


def test_without_a_match_there_is_no_value() -> None:
    none = np.zeros(0)
    for terms in (
        match(np.array([1.0]), np.array([False])),
        match(none, none == 1),
        snips(np.array([1.0]), np.array([0.5]), np.array([0.0])),
        snips(none, none, none),
        ips(none, none, none),
        clipped(none, none, none, 1.0),
        tuned_clipped(none, none, none).terms,
    ):
        assert math.isnan(terms.value)
        assert terms.matched == terms.effective_sample_size == 0


@pytest.mark.parametrize("make", [ips, snips, tuned_clipped, lambda *log: clipped(*log, 2.0)])
@pytest.mark.parametrize(
    ("reward", "propensity", "target", "code", "words"),
    [
        ([1, 1], [0.5, math.nan], [1, 1], "unknown_propensity", r"row 1 is unknown \(NaN\), as are 1 of 2: \w+ needs"),
        ([1, 1], [0.0, 0.5], [1, 1], "bad_propensity", "propensity of row 0 is 0: it must be in"),
        ([1, 1], [0.5, -0.5], [1, 1], "bad_propensity", "row 1 is -0.5"),
        ([1, 1], [0.5, 1.5], [1, 1], "bad_propensity", "row 1 is 1.5"),
        ([1, 1], [0.5, math.inf], [1, 1], "bad_propensity", "row 1 is inf"),
        ([1, 1], [0.5, 0.5], [1, 1.5], "bad_target", "target of row 1 is 1.5"),
        ([1, 1], [0.5, 0.5], [-0.25, 1], "bad_target", "target of row 0 is -0.25"),
        ([1, 1], [0.5, 0.5], [1, math.nan], "bad_target", "target of row 1 is nan"),
        ([1, math.inf], [0.5, 0.5], [1, 1], "not_finite", "reward of row 1 is inf"),
        ([1, -math.inf], [0.5, 0.5], [1, 1], "not_finite", "reward of row 1 is -inf"),
        ([math.nan, 1], [0.5, 0.5], [1, 1], "not_finite", "reward of row 0 is nan"),
        (
            [1, 1, 1],
            [0.5, 0.5],
            [1, 1],
            "bad_column",
            r"reward has the shape \(3,\): it must be one number for each of 2",
        ),
        ([1, 1], [0.5, 0.5], [1], "bad_column", "target has the shape"),
        ([1, 1], [[0.5, 0.5]], [1, 1], "bad_column", "propensity has the shape"),
    ],
)
def test_what_is_no_column_is_refused_by_row(make, reward, propensity, target, code, words) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        make(np.array(reward, float), np.array(propensity), np.array(target, float))
    assert refused.value.code == code


def test_probabilities_may_be_rounded_above_1() -> None:
    above = np.array([1.0 + 1e-12])
    assert ips(np.ones(1), above, above).value == 1.0


@pytest.mark.parametrize("limit", [-1.0, math.nan])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(InvalidInput, match="weight_max is"):
        clipped(np.ones(1), np.ones(1), np.ones(1), limit)


def test_match_refuses_rewards_that_are_none() -> None:
    with pytest.raises(InvalidInput, match="reward of row 1 is nan"):
        match(np.array([1.0, math.nan]), np.array([True, False]))
