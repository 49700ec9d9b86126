"""Keyed draws against known answers, against the laws they claim (scipy's), and against golden bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support.compiled import compiled

from onearm.engine import draws
from onearm.engine.draws import (
    NATURE,
    POLICY,
    beta,
    binomial,
    categorical,
    gamma,
    log_of_gamma,
    normal,
    open_unit,
    philox,
    pick,
    run_key,
    uniform,
    uniform_block,
    uniform_from,
    unit,
    words,
)
from onearm.engine.kernel import loop
from onearm.engine.vocabulary import Array, Key

RUN = run_key(20, 3, POLICY)
WAYS = ["plain", pytest.param("compiled", marks=pytest.mark.jit)]
LAW = np.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
BINS = 200


def philox_words(*numbers: int) -> list[int]:
    return [int(word) for word in philox(*(np.uint64(number) for number in numbers))]


def test_philox_gives_the_known_answers() -> None:
    """The three vectors of Philox4x32-10 in Salmon et al.'s reference implementation."""
    ones = 0xFFFFFFFF
    assert philox_words(0, 0, 0, 0, 0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox_words(*[ones] * 6) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    digits_of_pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
    assert philox_words(*digits_of_pi) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_words_are_the_block_of_run_t_i_attempt() -> None:
    run, t = 0x299F31D0A4093822, 0x85A308D3243F6A88
    first, second = words(Key(np.uint64(run), t), 0x13198A2E, 0x03707344)
    assert (int(first), int(second)) == (0x94FDCCEBD16CFE09, 0x24126EA15001E420)


def test_units_stay_inside_their_ranges() -> None:
    zeros, ones = np.uint64(0), np.uint64(2**64 - 1)
    assert (unit(zeros), unit(ones)) == (0.0, 1.0 - 2.0**-53)
    assert (open_unit(zeros), open_unit(ones)) == (2.0**-53, 1.0 - 2.0**-53)


def test_run_keys_differ_by_seed_replication_and_role() -> None:
    names = [(s, r, role) for s in (0, 1, 2**32, 2**63) for r in range(50) for role in (POLICY, NATURE)]
    assert len({int(run_key(*name)) for name in names}) == len(names)


def one_of_each(key: Key, i: int) -> list[float]:
    """One draw of every sampler, and of every branch that a sampler has."""
    drawn = np.empty(11)
    fill_one_of_each(key, i, LAW, drawn)
    return drawn.tolist()


@loop
def fill_one_of_each(key: Key, i: int, law: Array, drawn: Array) -> None:
    drawn[0] = uniform(key, i)
    drawn[1] = normal(key, i)
    drawn[2] = gamma(key, i, 0.05)
    drawn[3] = gamma(key, i, 1.0)
    drawn[4] = gamma(key, i, 1e6)
    drawn[5] = beta(key, i, 2.0, 3.0)
    drawn[6] = beta(key, i, 0.3, 5.0)
    drawn[7] = categorical(key, i, law)
    drawn[8] = binomial(key, i, 30, 0.2)
    drawn[9] = binomial(key, i, 1000, 0.7)
    drawn[10] = binomial(key, i, 10**10, 0.25)


def test_a_draw_is_a_pure_function_of_its_key() -> None:
    names = [(run, t, i) for run in (RUN, RUN + np.uint64(1)) for t in (0, 7, 2**32) for i in (0, 1)]
    forth = {name: one_of_each(Key(name[0], name[1]), name[2]) for name in names}
    back = {name: one_of_each(Key(name[0], name[1]), name[2]) for name in reversed(names)}
    assert forth == back
    assert len({values[0] for values in forth.values()}) == len(names)


# One draw of each; sums over many, which reach the rare branches; normals beyond the last edge of the ziggurat.
GOLDEN = [
    "0x1.ebbc5ebc9b458p-3",
    "0x1.04337e3a0c918p-1",
    "0x1.85f8098241623p-2",
    "0x1.2c74f0dc6085ap+0",
    "0x1.e8877ea840c3bp+19",
    "0x1.209a3d3ae66cap-2",
    "0x1.00042887d52bcp-3",
    "0x1.8000000000000p+1",
    "0x1.0000000000000p+2",
    "0x1.6400000000000p+9",
    "0x1.2a04e59c00000p+31",
]
GOLDEN_SUMS = [
    "0x1.3a974d35879f3p+6",
    "-0x1.247b42d81bf33p+1",
    "0x1.721aaa8c7d448p+2",
    "0x1.265dad51ac53bp+7",
    "0x1.1e1911db1b440p+27",
    "0x1.f2035a4322b9cp+5",
    "0x1.0a485e6d60f40p+3",
    "0x1.bb00000000000p+8",
    "0x1.ce80000000000p+9",
    "0x1.99e1000000000p+16",
    "0x1.5d3f09521c000p+38",
]
TAILS = [7386, 7958, 8984, 10388]
GOLDEN_TAILS = [
    "-0x1.058694ac399d3p+2",
    "0x1.d5921d5106c35p+1",
    "-0x1.d89f27a2b5508p+1",
    "-0x1.f02f65122901cp+1",
]


@pytest.mark.parametrize("way", WAYS)
def test_bits_are_the_golden_ones(way: str) -> None:
    assert [float(x).hex() for x in one_of_each(Key(RUN, 12345), 1)] == GOLDEN
    sums = np.zeros(len(GOLDEN_SUMS))
    for t in range(150):
        sums += one_of_each(Key(RUN, t), 0)
    assert [float(x).hex() for x in sums] == GOLDEN_SUMS
    assert [float(compiled(normal)(Key(RUN, t), 0)).hex() for t in TAILS] == GOLDEN_TAILS


def test_the_ziggurat_is_made_of_layers_of_equal_area() -> None:
    width = draws._SCALE * 2.0**52
    assert width[1] == draws._EDGE[0] == draws._TAIL_START
    np.testing.assert_allclose(draws._DENSITY, np.exp(-0.5 * np.append(width, 0.0) ** 2), rtol=1e-14)
    layers = width[1:] * (draws._DENSITY[2:] - draws._DENSITY[1:-1])
    tail = math.sqrt(2.0 * math.pi) * stats.norm.sf(draws._TAIL_START)
    base = draws._TAIL_START * draws._DENSITY[1] + tail
    np.testing.assert_allclose([*layers, width[0] * draws._DENSITY[1]], base, rtol=1e-12)


def test_pick_returns_the_index_in_whose_share_u_lies() -> None:
    points = {0.0: 1, 0.1999: 1, 0.2: 3, 0.6999: 3, 0.7001: 4, 1.0 - 2.0**-53: 4, 1.0: 4}
    assert {u: int(pick(LAW, u)) for u in points} == points


def test_binomial_at_its_edges() -> None:
    key = Key(RUN, 1)
    for n in (0, 1, 30, 10**10):
        assert binomial(key, 0, n, 0.0) == 0
        assert binomial(key, 0, n, 1.0) == n
    for t in range(100):
        assert 0 <= binomial(Key(RUN, t), 0, 20, 0.5) <= 20
        assert 10**10 - 5 <= binomial(Key(RUN, t), 0, 10**10, 1.0 - 1e-11) <= 10**10


@pytest.mark.parametrize("n, p", [(25, 0.4), (10**6, 1e-3), (10**10, 0.5), (10**10, 1e-7), (10**10, 0.123)])
def test_binomial_ratios_do_not_cancel(n: int, p: float) -> None:
    """ln P(mode + j) / P(mode) is a sum of logarithms of P(m + 1) / P(m) = (n - m) p / ((m + 1) q)."""
    mode = math.floor((n + 1) * p)
    for side in (1, -1):
        terms = []
        for j in range(min(300, mode, n - mode)):
            m = mode + j if side == 1 else mode - j - 1
            terms.append(side * math.log1p((n * p - m - (1 - p)) / ((m + 1) * (1 - p))))
            ratio = draws._log_binomial_ratio(float(mode + side * (j + 1)), float(n), p)
            assert ratio == pytest.approx(math.fsum(terms), rel=1e-9, abs=1e-10)


# ---- laws, by many draws ----


@loop
def fill_uniform(run: np.uint64, n_keys: int, out: Array) -> None:
    for j in range(len(out)):
        out[j] = uniform(Key(run, j % n_keys), j // n_keys)


@loop
def fill_normal(run: np.uint64, out: Array) -> None:
    for j in range(len(out)):
        out[j] = normal(Key(run, j >> 1), j & 1)


@loop
def fill_gamma(run: np.uint64, shape: float, out: Array) -> None:
    for j in range(len(out)):
        out[j] = gamma(Key(run, j >> 1), j & 1, shape)


@loop
def fill_beta(run: np.uint64, a: float, b: float, out: Array) -> None:
    for j in range(len(out)):
        out[j] = beta(Key(run, j >> 1), j & 1, a, b)


@loop
def fill_categorical(run: np.uint64, law: Array, out: Array) -> None:
    for j in range(len(out)):
        out[j] = categorical(Key(run, j >> 1), j & 1, law)


@loop
def fill_binomial(run: np.uint64, n: int, p: float, out: Array) -> None:
    for j in range(len(out)):
        out[j] = binomial(Key(run, j >> 1), j & 1, n, p)


@loop
def fill_tail(run: np.uint64, out: Array) -> None:
    for t in range(len(out)):
        out[t] = draws._normal_tail(Key(run, t), 0, 0, False)


@loop
def count_kept(run: np.uint64, n: int, layer: int, x: float) -> int:
    kept = 0
    for t in range(n):
        kept += draws._normal_rest(Key(run, t), 0, 0, layer, x) == x
    return kept


def check_continuous(sample: Array, law: Any) -> None:
    """Chi-square over bins of equal probability, mean and variance within 4 standard errors, extremes by their law."""
    edges = law.ppf(np.linspace(0.0, 1.0, BINS + 1)[1:-1])
    counts = np.bincount(np.searchsorted(edges, sample), minlength=BINS)
    assert stats.chisquare(counts).pvalue > 0.001
    mean, variance, excess = map(float, law.stats("mvk"))
    n = len(sample)
    assert abs(sample.mean() - mean) < 4.0 * math.sqrt(variance / n)
    assert abs(sample.var() - variance) < 4.0 * variance * math.sqrt((excess + 2.0) / n)
    far = law.isf(20.0 / n)
    assert 5 <= np.count_nonzero(sample > far) <= 42  # 20 expected
    near = law.ppf(20.0 / n)
    assert 5 <= np.count_nonzero(sample < near) <= 42


def check_whole(sample: Array, law: Any) -> None:
    """Chi-square over at most 200 ranges of whole numbers, each expecting 10 draws or more, and the moments."""
    n = len(sample)
    steps = np.unique(law.ppf(np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    steps = steps[(law.cdf(steps) * n >= 10) & (law.sf(steps) * n >= 10)]
    below = np.concatenate([[0.0], law.cdf(steps), [1.0]])
    counts = np.bincount(np.searchsorted(steps, sample), minlength=len(steps) + 1)
    assert stats.chisquare(counts, np.diff(below) / np.diff(below).sum() * n).pvalue > 0.001
    mean, variance, excess = map(float, law.stats("mvk"))
    assert abs(sample.mean() - mean) < 4.0 * math.sqrt(variance / n)
    assert abs(((sample - mean) ** 2).mean() - variance) < 4.0 * variance * math.sqrt((excess + 2.0) / n)


@pytest.mark.jit
def test_uniform_is_uniform_over_t_and_over_i() -> None:
    sample = np.empty(1_000_000)
    for n_keys in (1_000_000, 1000, 1):
        fill_uniform(RUN, n_keys, sample)
        assert sample.min() >= 0.0 and sample.max() < 1.0
        check_continuous(sample, stats.uniform())


@pytest.mark.jit
def test_neighbouring_keys_are_independent() -> None:
    """Serial correlation over t and over i, and correlation between runs, all below 4 standard errors."""
    n = 1_000_000
    over_t, over_i, other = np.empty(n), np.empty(n), np.empty(n)
    fill_uniform(RUN, n, over_t)
    fill_uniform(RUN, 1, over_i)
    pairs = [(over_t[lag:], over_t[:-lag]) for lag in (1, 2, 10)] + [(over_i[1:], over_i[:-1]), (over_t, over_i)]
    for run in (RUN + np.uint64(1), run_key(21, 3, POLICY), run_key(20, 4, POLICY), run_key(20, 3, NATURE)):
        fill_uniform(run, n, other)
        pairs.append((over_t, other.copy()))
    for x, y in pairs:
        cells = np.histogram2d(x, y, bins=10)[0]
        assert abs(np.corrcoef(x, y)[0, 1]) < 4.0 / math.sqrt(n)
        assert stats.chisquare(cells.ravel()).pvalue > 0.001


@pytest.mark.jit
def test_normal_is_normal_into_its_tail() -> None:
    sample = np.empty(2_000_000)
    fill_normal(RUN, sample)
    check_continuous(sample, stats.norm())
    beyond = np.count_nonzero(np.abs(sample) > draws._TAIL_START)
    expected = len(sample) * 2.0 * stats.norm.sf(draws._TAIL_START)
    assert abs(beyond - expected) < 4.0 * math.sqrt(expected)
    assert abs(np.corrcoef(sample[::2], sample[1::2])[0, 1]) < 4.0 / math.sqrt(len(sample) / 2)


@pytest.mark.jit
def test_normal_tail_has_its_law() -> None:
    sample = np.empty(200_000)
    fill_tail(RUN, sample)
    beyond = stats.norm.sf(sample) / stats.norm.sf(draws._TAIL_START)
    assert stats.kstest(beyond, "uniform").pvalue > 0.001


@pytest.mark.jit
@pytest.mark.parametrize("layer", [1, 2, 100, 254, 255])
def test_normal_keeps_as_much_of_a_wedge_as_lies_under_the_curve(layer: int) -> None:
    n = 100_000
    x = 0.6 * draws._EDGE[layer] + 0.4 * draws._EDGE[layer - 1]
    low, high = draws._DENSITY[layer], draws._DENSITY[layer + 1]
    share = (math.exp(-0.5 * x * x) - low) / (high - low)
    kept = count_kept(RUN, n, layer, x)
    assert abs(kept - n * share) < 4.0 * math.sqrt(n * share * (1.0 - share))


@pytest.mark.jit
@pytest.mark.parametrize("shape", [0.05, 0.5, 1.0, 2.5, 50.0, 1e6])
def test_gamma_has_its_law(shape: float) -> None:
    sample = np.empty(1_000_000)
    fill_gamma(RUN, shape, sample)
    check_continuous(sample, stats.gamma(shape))


@pytest.mark.parametrize("shape", [0.05, 1.0, 50.0])
def test_a_logarithm_of_gamma_is_that_of_the_same_draw(shape: float) -> None:
    for t in range(40):
        key = Key(RUN, t)
        assert log_of_gamma(key, 2, shape) == pytest.approx(math.log(gamma(key, 2, shape)), rel=1e-12, abs=1e-13)


def test_a_logarithm_of_gamma_is_finite_where_the_draw_is_0() -> None:
    drawn = [log_of_gamma(Key(RUN, t), 0, 1e-6) for t in range(40)]
    assert max(gamma(Key(RUN, t), 0, 1e-6) for t in range(40)) == 0.0
    assert -1e8 < min(drawn) < max(drawn) < -708.0


@pytest.mark.jit
@pytest.mark.parametrize("a, b", [(1.0, 1.0), (2.0, 3.0), (0.5, 0.5), (0.1, 4.0), (1000.0, 3.0), (1e6, 2e6)])
def test_beta_has_its_law(a: float, b: float) -> None:
    sample = np.empty(1_000_000)
    fill_beta(RUN, a, b, sample)
    check_continuous(sample, stats.beta(a, b))


@pytest.mark.jit
def test_beta_of_tiny_shapes_is_a_fair_coin() -> None:
    sample = np.empty(100_000)
    fill_beta(RUN, 1e-3, 1e-3, sample)
    assert np.isfinite(sample).all() and sample.min() >= 0.0 and sample.max() <= 1.0
    assert abs(np.count_nonzero(sample > 0.5) - 50_000) < 4.0 * math.sqrt(25_000)
    assert np.count_nonzero((sample > 0.01) & (sample < 0.99)) < 0.01 * len(sample)


@pytest.mark.jit
def test_categorical_has_its_law() -> None:
    sample = np.empty(1_000_000, np.int64)
    fill_categorical(RUN, LAW, sample)
    counts = np.bincount(sample, minlength=len(LAW))
    assert not counts[LAW == 0.0].any()
    assert stats.chisquare(counts[LAW > 0.0], LAW[LAW > 0.0] * len(sample)).pvalue > 0.001


@pytest.mark.jit
@pytest.mark.parametrize(
    "n, p",
    [
        *((1, 0.3), (10, 0.5), (25, 0.39), (25, 0.4), (25, 0.9), (100, 0.5), (1000, 0.005), (10**4, 0.7)),
        *((10**10, 1e-10), (10**10, 9e-10), (10**10, 2e-9), (10**10, 1e-4), (10**10, 0.5), (10**10, 0.999)),
    ],
)
def test_binomial_has_its_law(n: int, p: float) -> None:
    sample = np.empty(1_000_000, np.int64)
    fill_binomial(RUN, n, p, sample)
    assert sample.min() >= 0 and sample.max() <= n
    check_whole(sample, stats.binom(n, p))


@pytest.mark.jit
@pytest.mark.parametrize("p", [0.5, 0.01])
def test_binomial_of_ten_thousand_million_by_kolmogorov_and_smirnov(p: float) -> None:
    sample = np.empty(50_000, np.int64)
    fill_binomial(RUN, 10**10, p, sample)
    assert stats.kstest(sample, stats.binom(10**10, p).cdf).pvalue > 0.001
    deviation = math.sqrt(10**10 * p * (1.0 - p))
    assert stats.kstest((sample - 10**10 * p) / deviation, "norm").pvalue > 0.001


@pytest.mark.slow
@pytest.mark.jit
def test_binomial_and_gamma_have_their_laws_to_a_thousandth() -> None:
    """Ten million draws show a bias in the rare branches that one million would hide."""
    whole = np.empty(10_000_000, np.int64)
    fill_binomial(RUN, 100, 0.4, whole)
    check_whole(whole, stats.binom(100, 0.4))
    sample = np.empty(10_000_000)
    fill_gamma(RUN, 1.0, sample)
    check_continuous(sample, stats.gamma(1.0))


def test_a_block_holds_the_bits_of_single_draws() -> None:
    block, t = uniform_block(), 3 * 64 + 5
    assert uniform_from(block, Key(RUN, t)) == uniform(Key(RUN, t), 0)
    assert block.value.tolist() == [uniform(Key(RUN, 3 * 64 + j), 0) for j in range(64)]


def test_a_table_of_normals_has_the_bits_of_single_draws() -> None:
    n, first, d = 40, 1, 20
    table = draws.normals(RUN, n, first, d)
    assert table.tolist() == [[normal(Key(RUN, i), first + j) for j in range(d)] for i in range(n)]
    rest = [
        abs(table[i, j]) >= draws._EDGE[int(words(Key(RUN, i), first + j, 0)[0]) & 255] for i, j in np.ndindex(n, d)
    ]
    assert sum(rest) > 3  # which lie outside their layer's inner box
