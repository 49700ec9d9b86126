"""The elementary functions against longer arithmetic, and their bits against golden values."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import special
from support.compiled import compiled

from onearm.engine.elementary import cos_turns, exp, exp_of_each, log, log1p, log_gamma, log_of_each, stirling_rest
from onearm.engine.kernel import loop
from onearm.engine.vocabulary import Array

WAYS = ["plain", pytest.param("compiled", marks=pytest.mark.jit)]


GOLDEN = [
    (exp, -3.7, "0x1.9511fc6871044p-6"),
    (exp, 0.1, "0x1.1aec7b35a00d4p+0"),
    (exp, 700.0, "0x1.d945df4f8ec8ep+1009"),
    (log, 0.3, "-0x1.34378fcbda721p+0"),
    (log, 1e-320, "-0x1.7069e3078e52dp+9"),
    (log, 1.0001, "0x1.a368d0657fcd4p-14"),
    (log1p, 1e-9, "0x1.12e0be801f1d9p-30"),
    (cos_turns, 0.1, "0x1.9e3779b97f4a8p-1"),
    (log_gamma, 0.2, "0x1.86290bf25b626p+0"),
    (log_gamma, 3.7, "0x1.6d9625e359b87p+0"),
    (log_gamma, 1e9, "0x1.25e649c8e03cep+34"),
]


def worst_ulp(function: Callable[[float], float], exact: Callable[[Decimal], Decimal], xs: Array) -> float:
    """Return the largest error in units of the last place, against 40 decimal digits."""
    worst = Decimal(0)
    with localcontext() as context:
        context.prec = 40
        for x in map(float, xs):
            truth = exact(Decimal(x))
            error = abs(Decimal(float(function(x))) - truth)
            worst = max(worst, error / Decimal(math.ulp(float(truth))))
    return float(worst)


def test_exp_is_within_one_ulp() -> None:
    generator = np.random.default_rng(1)
    xs = np.concatenate([generator.uniform(-708, 709.7, 400), generator.uniform(-1, 1, 400), [0.0, 1e-300]])
    assert worst_ulp(exp, Decimal.exp, xs) < 1.0


def test_log_is_within_one_ulp() -> None:
    generator = np.random.default_rng(2)
    wide = 10.0 ** generator.uniform(-307, 308, 300)
    xs = np.concatenate([wide, generator.uniform(0.5, 2.0, 400), 1.0 + generator.uniform(-1e-6, 1e-6, 100)])
    assert worst_ulp(log, Decimal.ln, xs[xs != 1.0]) < 1.0


def test_log1p_is_within_two_ulp() -> None:
    generator = np.random.default_rng(3)
    small = 10.0 ** generator.uniform(-15, -1, 300)
    xs = np.concatenate([small, -small, generator.uniform(-0.99, 5.0, 300)])
    assert worst_ulp(log1p, lambda x: (1 + x).ln(), xs) < 2.0


def test_edges_follow_the_usual_rules() -> None:
    assert exp(0.0) == 1.0
    assert exp(-math.inf) == 0.0
    assert exp(-708.1) == 0.0
    assert 0.0 < exp(-708.0) < 1e-307
    assert 1.79e308 < exp(709.782712893384) < math.inf
    assert exp(709.7827128933841) == math.inf == exp(math.inf)
    assert math.isnan(exp(math.nan))
    assert log(1.0) == 0.0
    assert log(0.0) == -math.inf == log(-0.0)
    assert log(math.inf) == math.inf
    assert math.isnan(log(-1.0)) and math.isnan(log(-math.inf)) and math.isnan(log(math.nan))
    assert log(5e-324) == pytest.approx(-744.4400719213812, rel=1e-16)
    assert log1p(0.0) == 0.0


def test_log_gamma_of_whole_and_half_numbers_is_exact_to_rounding() -> None:
    for n in range(1, 170):
        assert log_gamma(float(n)) == pytest.approx(math.log(math.factorial(n - 1)), rel=1e-15, abs=1e-300)
    half = Fraction(1)  # Gamma(n + 1/2) / sqrt(pi)
    for n in range(60):
        assert log_gamma(n + 0.5) == pytest.approx(math.log(half) + 0.5 * math.log(math.pi), rel=2e-15, abs=1e-15)
        half *= Fraction(2 * n + 1, 2)


def test_log_gamma_agrees_with_scipy() -> None:
    generator = np.random.default_rng(4)
    for low, high in ((-300, 0), (0, 1.2), (1, 4), (4, 300)):
        xs = 10.0 ** generator.uniform(low, high, 300)
        mine = np.array([log_gamma(x) for x in map(float, xs)])
        np.testing.assert_allclose(mine, special.gammaln(xs), rtol=2e-15, atol=3e-16)


def test_log_gamma_near_its_zeros_has_the_slope_of_the_digamma_function() -> None:
    for zero, slope in ((1.0, -0.5772156649015329), (2.0, 0.42278433509846714)):
        assert log_gamma(zero) == 0.0
        for step in (2.0**-30, -(2.0**-30)):
            assert log_gamma(zero + step) / step == pytest.approx(slope, rel=2e-9)


def test_stirling_rest_completes_stirlings_formula() -> None:
    with localcontext() as context:
        context.prec = 40
        for n in (10, 11, 20, 100, 5000):
            whole = Decimal(n)
            formula = whole * whole.ln() - whole + (2 * Decimal("3.14159265358979323846264338327950288") * n).ln() / 2
            exact = Decimal(math.factorial(n)).ln() - formula
            assert stirling_rest(float(n)) == pytest.approx(float(exact), rel=4e-15)


@pytest.mark.parametrize("way", WAYS)
def test_bits_are_the_golden_ones(way: str) -> None:
    assert [float(compiled(function)(x)).hex() for function, x, _ in GOLDEN] == [golden for _, _, golden in GOLDEN]


@loop
def fill_exp(x: Array, y: Array) -> None:
    for a in range(len(x)):
        y[a] = exp(x[a])


@loop
def fill_log(x: Array, y: Array) -> None:
    for a in range(len(x)):
        y[a] = log(x[a])


@pytest.mark.jit
@pytest.mark.parametrize("fill, one, low", [(fill_exp, exp, -800.0), (fill_log, log, 0.0)])
def test_a_loop_is_vector_code_with_the_bits_of_single_calls(fill: Any, one: Any, low: float) -> None:
    x = np.random.default_rng(5).uniform(low, 800.0, 1001)
    y = np.empty_like(x)
    fill(x, y)
    compiled_one = compiled(one)
    assert y.tobytes() == np.array([compiled_one(v) for v in x]).tobytes()
    assert "x double>" in next(iter(fill._jitted.inspect_llvm().values()))


@pytest.mark.jit
def test_what_python_runs_for_a_kernel_gives_its_bits() -> None:
    """exp and log are written twice: as vector code, and in operations that are cheap in Python."""
    generator = np.random.default_rng(6)
    near_one = 1.0 + generator.normal(size=2000) * 1e-9
    edges = [0.0, -0.0, 1.0, 5e-324, 2.2250738585072014e-308, -708.0, -708.1, 709.782712893384, 709.79]
    halves = np.sqrt(0.5) * np.array([0.5, 1.0, 2.0, 4.0])  # where the logarithm turns to the next power of 2
    halves = np.concatenate([halves, np.nextafter(halves, 0.0), np.nextafter(halves, 9.0)])
    outside = [math.inf, -math.inf, math.nan, -1.0]
    for fill, one, xs in (
        (fill_exp, exp, [generator.uniform(-710.0, 711.0, 20_000), generator.normal(size=5000) * 1e-3]),
        (fill_log, log, [10.0 ** generator.uniform(-323.0, 308.0, 20_000), generator.uniform(0.3, 3.0, 5000)]),
    ):
        x = np.concatenate([*xs, near_one, edges, halves, outside, 2.0 ** np.arange(-1074.0, 1024.0)])
        y = np.empty_like(x)
        fill(x, y)
        np.testing.assert_array_equal(np.array([one(v) for v in x]), y)
        np.testing.assert_array_equal(np.array([one(v) for v in x.tolist()]), y)
        np.testing.assert_array_equal((exp_of_each if one is exp else log_of_each)(x), y)


@pytest.mark.parametrize("way", WAYS)
def test_cos_turns_is_the_cosine_of_whole_and_broken_turns(way: str) -> None:
    cosine = compiled(cos_turns)
    xs = np.concatenate([np.random.default_rng(5).uniform(-1.0, 1.0, 300), [0.0, 0.125, 0.25, 0.5, -0.75, 1e-300]])
    for x in xs.tolist():
        turn = abs(Fraction(x) - round(Fraction(x)))  # exact
        exact = math.sin(2.0 * math.pi * float(Fraction(1, 4) - turn))
        for turns in (0, 3, -1000):
            moved = x + turns
            if Fraction(moved) == Fraction(x) + turns:
                assert abs(cosine(moved) - exact) <= 4e-16
    assert cosine(0.25) == cosine(-0.75) == 0.0
