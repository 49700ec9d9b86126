"""Intervals at one moment: closed forms, SciPy, notes where they do not apply, and how often they cover."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from onearm.engine.draws import NATURE, RESAMPLING, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.binomial import clopper_pearson
from onearm.engine.estimate.bootstrap import bootstrap, poisson_table, resample
from onearm.engine.estimate.interval import Z95, empirical_bernstein, normal, sample_of
from onearm.engine.estimate.likelihood import empirical_likelihood, weighted_likelihood
from onearm.engine.estimate.terms import Interval, Terms
from onearm.engine.vocabulary import Array, Key

TRUTH = 0.3


def plain(base: Array) -> Terms:
    return Terms("ips", base, None, None, np.ones(len(base)))


def matched(reward: Array, agrees: Array) -> Terms:
    return Terms("match", None, reward * agrees, agrees, agrees)


def some(n: int, seed: int = 0) -> list[Terms]:
    """Return terms of each shape: a mean, a ratio, a base and a ratio; weights average 1, the value is 0.3."""
    rng = np.random.default_rng(seed)
    action = rng.random(n) < 0.25
    weight = np.where(action, 2.8, 0.4)
    reward = (rng.random(n) < np.where(action, 0.2, 0.5333333333333333)).astype(float)
    base = 0.25 + 0.1 * rng.random(n) - 0.05
    return [
        Terms("ips", weight * reward, None, None, weight),
        Terms("snips", None, weight * reward, weight, weight),
        Terms("sndr", base, weight * (reward - 0.25), weight, weight),
    ]


ALL: dict[str, Callable[[Terms, float], Interval]] = {
    "normal": normal,
    "bootstrap": lambda terms, level: bootstrap(terms, level, 3, 200),
    "empirical_bernstein": lambda terms, level: empirical_bernstein(terms, -20.0, 20.0, level),
    "clopper_pearson": clopper_pearson,
    "empirical_likelihood": empirical_likelihood,
    "weighted_likelihood": weighted_likelihood,
}


def test_the_quantile_is_the_normal_one() -> None:
    assert pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-15) == Z95
    found = normal(plain(np.array([1.0, 2.0, 6.0])))
    assert found.high - 3.0 == pytest.approx(Z95 * math.sqrt(14 / 3 / 3), rel=1e-14)
    assert found.high + found.low == pytest.approx(6.0, rel=1e-15)


def test_the_normal_interval_of_a_ratio_by_hand() -> None:
    """Weights 2, 4, 1: value 3/7; the sum of (w (r - v))^2 = (8/7)^2 + (12/7)^2 + (4/7)^2 = 224/49; over 7."""
    weight = np.array([2.0, 4.0, 1.0, 0.0])
    found = normal(Terms("snips", None, weight * [1.0, 0.0, 1.0, 3.0], weight, weight), 0.9)
    reach = scipy.stats.norm.ppf(0.95) * math.sqrt(224) / 49
    assert found[1:3] == pytest.approx((3 / 7 - reach, 3 / 7 + reach), rel=1e-13)


def test_empirical_bernstein_is_the_published_bound_on_each_side() -> None:
    sample = np.array([0.0, 1.0, 1.0, 0.5] * 50)
    bound = math.log(2 / 0.05)  # theorem 4 with delta = 0.05, for the scaled sample, gives 90 % on two sides
    reach = math.sqrt(2 * sample.var(ddof=1) * bound / 200) + 7 * bound / 3 / 199
    found = empirical_bernstein(plain(10 * sample - 3), -3.0, 7.0, 0.9)
    assert found.low == pytest.approx(10 * (0.625 - reach) - 3, rel=1e-12)
    assert found.high == pytest.approx(10 * (0.625 + reach) - 3, rel=1e-12)


def test_of_match_only_the_matched_rewards_are_the_sample() -> None:
    agrees = np.array([1.0, 0.0, 1.0, 1.0])
    terms = matched(np.array([3.0, 9.0, 0.0, 5.0]), agrees)
    assert sample_of(terms) is not None
    assert np.asarray(sample_of(terms)).tolist() == [3.0, 0.0, 5.0]
    alone = empirical_bernstein(plain(np.array([3.0, 0.0, 5.0])), 0.0, 9.0)
    assert empirical_bernstein(terms, 0.0, 9.0)[1:3] == pytest.approx(alone[1:3], rel=1e-15)
    assert sample_of(some(9)[1]) is None


@pytest.mark.parametrize("name", ALL)
def test_a_higher_level_is_a_wider_interval_around_the_value(name: str) -> None:
    for terms in [*some(60), matched(np.tile([1.0, 0.0, 0.0], 20), np.tile([1.0, 1.0, 0.0, 0.0], 15))]:
        before = None
        for level in (0.5, 0.8, 0.95, 0.99):
            found = ALL[name](terms, level)
            if math.isnan(found.low):
                assert found.note
                continue
            if before is not None:
                assert found.low <= before.low <= before.high <= found.high
                assert found.high - found.low > before.high - before.low
            before = found


@pytest.mark.parametrize("name", ALL)
def test_rewards_in_other_units_move_the_interval_with_them(name: str) -> None:
    """Cents for euros: 100 times the terms; the draws of the bootstrap depend on the seed alone."""
    for terms in [*some(60), matched(np.tile([1.0, 0.0, 0.0], 20), np.tile([1.0, 1.0, 0.0, 0.0], 15))]:
        other = terms._replace(
            base=None if terms.base is None else 100.0 * terms.base,
            part=None if terms.part is None else 100.0 * terms.part,
        )
        found = ALL[name](terms, 0.95)
        wide = name == "empirical_bernstein"
        moved = empirical_bernstein(other, -2000.0, 2000.0) if wide else ALL[name](other, 0.95)
        assert moved[1:3] == pytest.approx((100.0 * found.low, 100.0 * found.high), rel=1e-7, nan_ok=True)


@pytest.mark.parametrize("name", ["normal", "bootstrap", "empirical_likelihood", "weighted_likelihood"])
@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (plain(np.zeros(0)), "never takes"),
        (plain(np.array([2.0])), "the same"),
        (plain(np.full(50, 0.1)), "the same"),
        (plain(np.array([1.0, math.inf])), "finite"),
        (Terms("snips", None, np.zeros(4), np.zeros(4), np.zeros(4)), "never takes"),
        (Terms("snips", None, np.full(30, 0.3) * np.arange(30), np.arange(30.0), np.arange(30.0)), "the same"),
    ],
)
def test_where_nothing_can_be_told_the_note_says_why(name: str, terms: Terms, words: str) -> None:
    with np.errstate(invalid="ignore"):
        found = ALL[name](terms, 0.95)
    assert np.isnan(found[1:3]).all()
    assert words in str(found.note)
    assert found.method == name


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (some(9)[1], "ratio of two means"),
        (plain(np.array([0.5])), "1 terms"),
        (plain(np.array([0.0, 21.0])), "reach from 0 to 21"),
        (plain(np.array([0.0, math.nan])), "must be in"),
        (matched(np.ones(3), np.zeros(3)), "0 terms"),
    ],
)
def test_empirical_bernstein_says_what_it_needs(terms: Terms, words: str) -> None:
    found = empirical_bernstein(terms, 0.0, 20.0)
    assert np.isnan(found[1:3]).all()
    assert words in str(found.note)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
@pytest.mark.parametrize("name", ALL)
def test_a_level_that_is_none_is_refused(name: str, level: float) -> None:
    with pytest.raises(InvalidInput, match=r"it must be in \(0, 1\)"):
        ALL[name](some(9)[0], level)


def test_the_bootstrap_is_a_function_of_its_seed() -> None:
    terms = some(60)[2]
    assert bootstrap(terms, seed=1, resamples=104) == bootstrap(terms, seed=1, resamples=104)
    assert bootstrap(terms, seed=1, resamples=104) != bootstrap(terms, seed=2, resamples=104)
    with pytest.raises(InvalidInput, match="100 or more"):
        bootstrap(terms, resamples=10)


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_the_bootstrap_is_that_of_its_drawn_logs_by_the_definition(shape: int) -> None:
    """The counts of each drawn log come from sums of unit columns; each such log is estimated as a log of its own."""
    terms, n, resamples = some(30, 6)[shape], 30, 104
    counts = np.zeros((n, resamples))
    resample(np.eye(n), run_key(5, 0, RESAMPLING), poisson_table(), np.empty(resamples), counts)
    assert counts.mean() == pytest.approx(1.0, abs=0.06)
    assert counts.var() == pytest.approx(1.0, abs=0.1)
    deviations = []
    for count in counts.T.astype(int):
        base, part, share = (
            None if column is None else np.repeat(column, count) for column in (terms.base, terms.part, terms.share)
        )
        drawn = Terms("drawn", base, part, share, np.ones(count.sum()))
        error = math.sqrt(float(np.dot(drawn.influence, drawn.influence))) / count.sum()
        deviations.append((drawn.value - terms.value) / error)
    last, first = np.quantile(deviations, [0.975, 0.025])
    spread = math.sqrt(float(np.dot(terms.influence, terms.influence))) / n
    found = bootstrap(terms, seed=5, resamples=resamples)
    assert found.low == pytest.approx(terms.value - last * spread, rel=1e-9)
    assert found.high == pytest.approx(terms.value - first * spread, rel=1e-9)


def test_drawn_logs_know_nothing_of_the_draws_that_made_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of rewards that the world drew under the seed of the bootstrap: no drawn log is of the bad ones alone."""
    n, drawn = 2000, []

    def recorded(columns: Array, run: np.uint64, poisson: Array, count: Array, sums: Array) -> None:
        resample(columns, run, poisson, count, sums)
        drawn.append(sums[1] / sums[0])

    monkeypatch.setattr(sys.modules[bootstrap.__module__], "resample", recorded)
    world = run_key(0, 0, NATURE)
    reward = np.array([float(uniform(Key(world, t), 0) < 0.5) for t in range(n)])
    bootstrap(plain(reward), resamples=104)
    assert np.abs(drawn[0] - reward.mean()).max() < 5.0 * 0.5 / math.sqrt(n)


def test_the_bootstrap_refuses_where_few_decisions_count() -> None:
    weight = np.zeros(40)
    weight[:2] = 1.0, 2.0
    found = bootstrap(Terms("snips", None, weight * np.arange(40), weight, weight), resamples=200)
    assert math.isnan(found.low)
    assert "too few" in str(found.note)


def statistic(x: Array, side: Array | None, v: float) -> float:
    """Return -2 ln of the likelihood ratio at v by SciPy: the dual is minimised over the whole plane."""
    z = (x - v)[:, None] if side is None else np.column_stack([x - v, side])

    def negative(dual: Array) -> float:
        t = 1.0 + z @ dual
        return -float(np.log(t).sum()) if t.min() > 0.0 else math.inf

    found = scipy.optimize.minimize(
        negative, np.zeros(z.shape[1]), method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-13, "maxiter": 4000}
    )
    return -2.0 * float(found.fun)


def test_empirical_likelihood_ends_where_the_likelihood_ratio_is_the_quantile_of_f() -> None:
    limit = scipy.stats.f.ppf(0.95, 1, 59)
    mean, ratio, both = some(60, 4)
    found = empirical_likelihood(mean)
    for end in found[1:3]:
        assert statistic(np.asarray(mean.base), None, end) == pytest.approx(limit, rel=1e-7)
    found = empirical_likelihood(ratio)
    for end in found[1:3]:
        moved = np.asarray(ratio.part) - end * np.asarray(ratio.share)
        assert statistic(moved, None, 0.0) == pytest.approx(limit, rel=1e-7)
    found = empirical_likelihood(both)
    for end in found[1:3]:
        assert statistic(both.influence + both.value, None, end) == pytest.approx(limit, rel=1e-7)


def test_weighted_likelihood_is_that_of_laws_under_which_weights_average_1() -> None:
    limit = scipy.stats.f.ppf(0.95, 1, 59)
    mean, ratio, _ = some(60, 4)
    side = mean.weight - 1.0
    found = weighted_likelihood(mean)
    least = scipy.optimize.minimize_scalar(
        lambda v: statistic(np.asarray(mean.base), side, v), bounds=found[1:3], method="bounded"
    )
    for end in found[1:3]:
        assert statistic(np.asarray(mean.base), side, end) - least.fun == pytest.approx(limit, rel=1e-4)
    # Under such laws the sum of the weights is 1: the self-normalised estimate has the same values.
    assert weighted_likelihood(ratio)[1:3] == pytest.approx(found[1:3], rel=1e-9)
    assert found.high - found.low < empirical_likelihood(mean).high - empirical_likelihood(mean).low


def test_empirical_likelihood_of_two_values_in_closed_form() -> None:
    """A share of 12 in 40: the ratio at v is the binomial one, (v / .3)^12 ((1 - v) / .7)^28."""
    found = empirical_likelihood(plain(np.repeat([1.0, 0.0], [12, 28])))
    limit = scipy.stats.f.ppf(0.95, 1, 39)
    for end in found[1:3]:
        fall = 12 * math.log(end / 0.3) + 28 * math.log((1 - end) / 0.7)
        assert -2 * fall == pytest.approx(limit, rel=1e-9)


def test_weights_that_do_not_average_1_are_refused_and_equal_ones_change_nothing() -> None:
    clipped = some(200)[0]
    clipped = clipped._replace(weight=np.minimum(clipped.weight, 0.6))
    found = weighted_likelihood(clipped)
    assert math.isnan(found.low)
    assert "average 0.4" in str(found.note)
    same = plain(np.arange(20.0))
    assert weighted_likelihood(same)[1:3] == empirical_likelihood(same)[1:3]


@pytest.mark.jit
def test_intervals_cover_the_true_value_as_often_as_they_say() -> None:
    """120 logs of 400 decisions; of 95 % the standard error is 2 %. benchmarks/interval_coverage.py draws more."""
    covered: dict[tuple[str, str], int] = {}
    for seed in range(120):
        for terms in some(400, seed):
            for name in ("normal", "bootstrap", "empirical_likelihood", "weighted_likelihood"):
                found = bootstrap(terms, 0.95, seed, 400) if name == "bootstrap" else ALL[name](terms, 0.95)
                key = terms.method, name
                covered[key] = covered.get(key, 0) + (found.low <= TRUTH <= found.high)
    assert len(covered) == 12
    for key, hits in covered.items():
        assert 0.9 <= hits / 120 <= 0.995, (key, hits)


@pytest.mark.jit
def test_drawn_logs_have_the_mean_and_the_spread_of_the_estimate() -> None:
    """Compiled: over seeds the ends vary by a few per cent around the normal ones, which are exact here."""
    terms = some(5000, 1)[0]
    exact = normal(terms)
    ends = np.array([bootstrap(terms, seed=seed)[1:3] for seed in range(20)])
    reach = exact.high - terms.value
    assert np.abs(ends.mean(axis=0) - exact[1:3]).max() < 0.05 * reach
    assert 0.01 * reach < ends.std(axis=0).max() < 0.1 * reach


@pytest.mark.jit
def test_python_draws_the_logs_that_compiled_code_draws() -> None:
    columns = np.random.default_rng(2).normal(size=(40, 5))
    sums = []
    for run in (resample, resample.python):
        sums.append(np.zeros((5, 400)))
        run(columns, run_key(3, 0, RESAMPLING), poisson_table(), np.empty(400), sums[-1])
    np.testing.assert_array_equal(*sums)
