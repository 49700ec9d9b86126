"""Off-policy estimates against hand-computed numbers, and against the truth where it is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import Z95, match, snips


def test_match_is_the_mean_of_the_matched_rewards() -> None:
    found = match(np.array([1.0, 0.0, 5.0, 1.0]), np.array([True, True, False, True]))
    # By hand: mean 2/3; squared deviations 1/9 + 4/9 + 1/9 = 2/3; variance 1/3; stderr sqrt(1/3 / 3) = 1/3.
    assert found.method == "match"
    assert found.value == pytest.approx(2 / 3, rel=1e-15)
    assert found.stderr == pytest.approx(1 / 3, rel=1e-15)
    assert found.low == pytest.approx(2 / 3 - 1.959963984540054 / 3, rel=1e-15)
    assert found.high == pytest.approx(2 / 3 + 1.959963984540054 / 3, rel=1e-15)
    assert (found.matched, found.effective_sample_size, found.note) == (3, 3.0, None)


def test_snips_by_hand() -> None:
    found = snips(
        reward=np.array([1.0, 0.0, 1.0, 3.0]),
        propensity=np.array([0.5, 0.25, 0.2, 0.1]),
        target=np.array([1.0, 1.0, 0.2, 0.0]),
    )
    # Weights 2, 4, 1, 0: value 3/7; sum of (w (r - v))^2 = (8/7)^2 + (12/7)^2 + (4/7)^2 = 224/49; stderr sqrt(224)/49.
    assert found.value == pytest.approx(3 / 7, rel=1e-15)
    assert found.stderr == pytest.approx(math.sqrt(224) / 49, rel=1e-15)
    assert found.matched == 3
    assert found.effective_sample_size == pytest.approx(49 / 21, rel=1e-15)
    assert found.high - found.value == pytest.approx(Z95 * found.stderr, rel=1e-12)


def test_the_interval_is_the_normal_one() -> None:
    assert pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-14) == Z95


def test_snips_of_the_logging_policy_itself_is_the_mean() -> None:
    rng = np.random.default_rng(1)
    reward, propensity = rng.random(100), rng.uniform(0.1, 1, 100)
    found = snips(reward, propensity, propensity)
    assert found.value == pytest.approx(reward.mean(), rel=1e-12)
    assert found.stderr == pytest.approx(reward.std() / 10, rel=1e-12)
    assert found.effective_sample_size == pytest.approx(100, rel=1e-12)


def test_both_cover_the_true_value_as_often_as_they_say() -> None:
    """2 arms with means 0.3 and 0.8, a uniform log for match and one of 0.8 / 0.2 for snips; the target takes arm 1."""
    rng = np.random.default_rng(7)
    covered = {"match": 0, "snips": 0}
    for _ in range(400):
        for method, second in (("match", 0.5), ("snips", 0.2)):
            action = (rng.random(400) < second).astype(int)
            reward = (rng.random(400) < np.where(action == 1, 0.8, 0.3)).astype(float)
            if method == "match":
                found = match(reward, action == 1)
            else:
                found = snips(reward, np.where(action == 1, second, 1 - second), (action == 1).astype(float))
            covered[method] += found.low <= 0.8 <= found.high
    for hits in covered.values():
        assert 0.92 <= hits / 400 <= 0.98  # 95 % with 4 standard errors of 400 trials


def test_without_a_match_there_is_no_value_and_the_note_says_why() -> None:
    for found in (
        match(np.array([1.0]), np.array([False])),
        match(np.array([]), np.array([], np.bool_)),
        snips(np.array([1.0]), np.array([0.5]), np.array([0.0])),
    ):
        assert math.isnan(found.value)
        assert math.isnan(found.stderr)
        assert found.matched == found.effective_sample_size == 0
        assert found.note is not None
        assert "no decision was matched" in found.note


def test_one_match_has_a_value_and_no_spread() -> None:
    found = match(np.array([1.0, 2.0]), np.array([False, True]))
    assert (found.value, found.matched) == (2.0, 1)
    assert math.isnan(found.stderr)
    assert found.note is not None


@pytest.mark.parametrize(
    ("propensity", "code", "words"),
    [
        ([0.5, math.nan], "unknown_propensity", r"row 1 is unknown \(NaN\), as are 1 of 2: snips needs"),
        ([0.0, 0.5], "bad_propensity", "row 0 is 0"),
        ([0.5, 1.5], "bad_propensity", "row 1 is 1.5"),
    ],
)
def test_propensities_that_are_none_are_refused_by_name(propensity: list[float], code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        snips(np.ones(2), np.array(propensity), np.ones(2))
    assert refused.value.code == code
