"""Rankings: the law of the largest deviation in closed form, what is the same, and who can be the best."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from onearm.engine.draws import RESAMPLING, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import ranking
from onearm.engine.estimate.interval import normal
from onearm.engine.estimate.ranking import rank
from onearm.engine.estimate.terms import Terms
from onearm.engine.vocabulary import Array


def terms(base: Array) -> Terms:
    return Terms("ips", base, None, None, np.ones(len(base)))


def orthogonal(k: int, n: int = 64) -> list[Terms]:
    """Return terms of k policies whose influences are exactly uncorrelated, with values 0.00, 0.01, ..."""
    signs = np.array([[(-1.0) ** bin(i & j).count("1") for i in range(n)] for j in range(1, k + 1)])
    return [terms(0.01 * j + row) for j, row in enumerate(signs)]


def test_one_policy_has_the_normal_interval() -> None:
    one = terms(np.arange(30.0))
    found = rank([one])
    exact = normal(one)
    assert found.low[0] == pytest.approx(exact.low, rel=0.01)
    assert found.high[0] == pytest.approx(exact.high, rel=0.01)
    assert (found.rank_first[0], found.rank_last[0], found.can_be_best[0], found.behind[0]) == (1, 1, True, 0.0)


def test_independent_policies_have_sidaks_quantile() -> None:
    """Of 4 independent deviations the largest |z| is below q with probability (2 Phi(q) - 1)^4."""
    found = rank(orthogonal(4))
    q = scipy.stats.norm.ppf((1 + 0.95**0.25) / 2)
    assert (found.high - found.value) * 8 == pytest.approx(np.full(4, q), rel=0.02)  # the standard error is 1 / 8


def test_differences_of_two_have_the_normal_interval_of_their_difference() -> None:
    rng = np.random.default_rng(2)
    shared = rng.standard_normal(400)
    pair = [terms(shared + 0.1 * rng.standard_normal(400)), terms(0.05 + shared + 0.1 * rng.standard_normal(400))]
    found = rank(pair)
    exact = normal(terms(np.asarray(pair[1].base) - np.asarray(pair[0].base)))
    assert found.order.tolist() == [1, 0]
    assert found.behind_low[0] == pytest.approx(exact.low, rel=0.03)
    assert found.behind_high[0] == pytest.approx(exact.high, rel=0.03)
    # Each alone is known to 0.1 only: what they share says nothing of which is better.
    assert found.can_be_best.tolist() == [False, True]
    assert found.rank_first.tolist() == [2, 1]
    assert found.low[1] < found.value[0]


def test_copies_of_a_policy_cost_nothing_and_share_their_ranks() -> None:
    policies = orthogonal(3)
    found, more = rank(policies), rank([*policies, policies[2]])
    assert more.high[:3] - more.value[:3] == pytest.approx(found.high - found.value, rel=0.02)
    assert more.behind[3] == more.behind_low[3] == more.behind_high[3] == 0.0
    assert more.can_be_best[2] == more.can_be_best[3]
    assert more.rank_last.tolist() == [4, 4, 4, 4]


def test_units_do_not_matter_and_a_seed_is_one_ranking() -> None:
    policies = [terms(np.random.default_rng(seed).random(50) + 0.1 * seed) for seed in range(4)]
    found, again = (
        rank(policies, seed=1, draws=1000),
        rank([terms(100.0 * np.asarray(p.base)) for p in policies], seed=1, draws=1000),
    )
    assert again.high == pytest.approx(100.0 * found.high, rel=1e-6)
    assert again.order.tolist() == found.order.tolist()
    assert rank(policies, seed=1, draws=1000).high.tolist() == found.high.tolist()
    assert rank(policies, seed=2, draws=1000).high.tolist() != found.high.tolist()
    wider = rank(policies, 0.99, seed=1, draws=1000)
    assert (wider.high > found.high).all()
    assert (wider.rank_last >= found.rank_last).all()


def test_a_policy_without_a_value_is_ruled_out_by_nothing() -> None:
    nothing = Terms("snips", None, np.zeros(64), np.zeros(64), np.zeros(64))
    found = rank([nothing, *orthogonal(2)])
    assert found.order[-1] == 0
    assert np.isnan([found.value[0], found.low[0], found.high[0], found.behind[0]]).all()
    assert (found.rank_first[0], found.rank_last[0], found.can_be_best[0]) == (1, 3, True)
    assert np.isfinite(found.low[1:]).all()
    alone = rank([nothing])
    assert math.isnan(alone.high[0])


def test_a_value_without_spread_is_compared_by_the_others() -> None:
    found = rank([terms(np.full(64, -9.0)), orthogonal(1)[0]])
    assert math.isnan(found.low[0])
    assert found.can_be_best.tolist() == [False, True]
    assert found.rank_first.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("policies", "words"), [([], "0 policies"), ([terms(np.ones(2)), terms(np.ones(3))], r"\[2, 3\]")]
)
def test_what_is_no_comparison_is_refused(policies: list[Terms], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        rank(policies)


@pytest.mark.jit
def test_all_values_are_covered_at_once_and_the_best_is_not_ruled_out() -> None:
    """200 logs of 8 policies that share much of their rewards; of 95 % the standard error is 1.5 %."""
    covered = differences = kept = 0
    truth = 0.05 * np.array([0, 1, 2, 3, 4, 5, 6, 6])
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shared = rng.standard_normal(300)
        found = rank([terms(mean + shared + 0.5 * rng.standard_normal(300)) for mean in truth], seed=seed, draws=2000)
        covered += bool(((found.low <= truth) & (truth <= found.high)).all())
        gap = truth[found.order[0]] - truth
        differences += bool(((found.behind_low <= gap) & (gap <= found.behind_high)).all())
        kept += bool(found.can_be_best[6] and found.can_be_best[7])
    assert 0.91 <= covered / 200 <= 0.99
    assert differences / 200 >= 0.91
    assert kept / 200 >= 0.91


@pytest.mark.jit
def test_many_policies_are_ranked_by_the_draws_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    policies = [terms(rng.random(200)) for _ in range(ranking._MANY)]
    many = rank(policies, draws=500)
    monkeypatch.setattr(ranking, "_MANY", len(policies) + 1)
    few = rank(policies, draws=500)
    for one, other in zip(many, few, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_differences_are_as_wide_as_the_largest_of_all_pairs(level: float) -> None:
    rng = np.random.default_rng(5)
    shared = rng.random(300)
    policies = [terms(shared + part * rng.random(300)) for part in (0.0, 0.1, 1.0, 2.0)]
    policies.append(policies[1])  # the same policy twice: no pair
    found = rank(policies, level, seed=3, draws=400)
    covariance = ranking._covariance(policies, np.ones(5, np.bool_))
    drawn = ranking._deviations(covariance, run_key(3, 0, RESAMPLING), 400)
    variance = np.diag(covariance)
    largest = np.zeros(400)
    for i, j in set(itertools.combinations(range(5), 2)) - {(1, 4)}:
        error = math.sqrt(variance[i] + variance[j] - 2.0 * covariance[i, j])
        largest = np.maximum(largest, np.abs(drawn[:, i] - drawn[:, j]) / error)
    best = found.order[0]
    width = found.behind_high - found.behind
    for i in set(range(5)) - {best}:
        error = math.sqrt(max(variance[i] + variance[best] - 2.0 * covariance[i, best], 0.0))
        same = {i, int(best)} == {1, 4}
        assert width[i] == pytest.approx(0.0 if same else np.quantile(largest, level) * error, rel=1e-9)
