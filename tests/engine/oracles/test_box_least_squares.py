"""Least squares within a box: SciPy's BVLS, every set of bounds tried out, NumPy's smallest solution, and long runs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from support.compiled import compiled
from support.every_run import every_run

from onearm.engine.oracles import box_least_squares as box
from onearm.engine.oracles.box_least_squares import BoxFit, box_fit
from onearm.engine.vocabulary import Array

fit_within, residual_square = compiled(box.fit_within), compiled(box.residual_square)
take_in, value_of = compiled(box.take_in), compiled(box.value_of)
PRIOR = 1e-6
KINDS = ("normal", "narrow", "constant", "corner", "few", "collinear", "whole")


def features(z: Array, m: int) -> Array:
    return np.polynomial.chebyshev.chebvander(z, m - 1)


def problem(rng: np.random.Generator, kind: str, m: int) -> tuple[Array, Array, Array]:
    """Return rows [n, m], targets [n] and bounds [m]; from no bound that holds to all of them."""
    n = int(rng.integers(1, 50))
    largest = rng.choice([1.0, 0.1, 0.01])
    if kind == "normal":
        rows, y = rng.normal(size=(n, m)), rng.normal(size=n)
    elif kind == "narrow":  # shifts of the low variance, and costs that rise steeply at the end
        shift = 0.6 * rng.beta(2, 6, n)
        rows, y = features(shift / 0.4 - 1.0, m), 20 + 3000 * np.exp(-30 * shift) * (1 + 0.1 * rng.normal(size=n))
    elif kind == "constant":
        rows, y = features(np.full(n, rng.uniform(-1, 1)), m), 20 + rng.normal(size=n)
    elif kind == "corner":  # all contexts next to an end, and an outlier
        rows, y = features(-1 + 0.01 * rng.beta(0.5, 1.5, n), m), np.where(rng.random(n) < 0.1, 1e4, 20.0)
    elif kind == "few":
        rows, y = features(rng.choice(rng.uniform(-1, 1, 3), n), m), 100 * rng.normal(size=n)
    elif kind == "collinear":
        rows, y = rng.normal(size=(n, 1)) + 1e-4 * rng.normal(size=(n, m)), rng.normal(size=n)
    else:  # solutions that lie on bounds exactly, pulls of 0, and equal columns
        rows = rng.integers(-2, 3, (n, m)).astype(float)
        rows[:, rng.integers(m)] = rows[:, 0]
        bound = rng.choice([0.5, 1.0, 2.0], m)
        return rows, rng.choice([1.0, 1.5]) * rows @ (bound * rng.choice([-1.0, 0.0, 0.5, 1.0], m)), bound
    scale = np.abs(y).max() * largest
    return rows, y, np.array([scale, *(2 * scale / j for j in range(1, m))])


def taught(rows: Array, y: Array, systems: int = 1, system: int = 0) -> BoxFit:
    fit = box_fit(systems, rows.shape[1])
    for row, target in zip(rows, y, strict=True):
        take_in(fit, system, row, float(target))
    return fit


def with_prior(rows: Array, y: Array) -> tuple[Array, Array]:
    """Return the rows and targets with the prior's, of the weight of all rows up to the last power of two."""
    n, m = rows.shape
    prior = PRIOR * np.sqrt(2.0 ** (n.bit_length() - 1)) * np.eye(m)
    return np.vstack([rows, prior]), np.concatenate([y, np.zeros(m)])


def left(rows: Array, y: Array, theta: Array) -> float:
    return float(((rows @ theta - y) ** 2).sum())


def check_against_scipy(rng: np.random.Generator, kind: str) -> bool:
    """Fit one problem, halfway within a box of half the size too; return whether a bound holds."""
    m = int(rng.integers(1, 9))
    rows, y, bound = problem(rng, kind, m)
    half = len(y) // 2
    fit = taught(rows[:half], y[:half])
    fit_within(fit, 0, 0.5 * bound)
    for row, target in zip(rows[half:], y[half:], strict=True):
        take_in(fit, 0, row, float(target))
    held = fit_within(fit, 0, bound)
    theta = fit.theta[0]
    assert (np.abs(theta) <= bound).all()
    free = np.linalg.lstsq(*with_prior(rows, y), rcond=1e-15)[0]
    if held != (np.abs(free) > bound).any():  # rounding may say otherwise only next to the border
        assert (np.abs(free) - bound).max() == pytest.approx(0.0, abs=1e-2 * bound.max())
    known = lsq_linear(*with_prior(rows, y), (-bound, bound), method="bvls", tol=1e-15, max_iter=300).x
    size = np.abs(y).max()
    assert left(*with_prior(rows, y), theta) <= left(*with_prior(rows, y), known) + 1e-14 * size**2 * len(y)
    assert rows @ theta == pytest.approx(rows @ known, abs=1e-11 * size)
    assert residual_square(fit, 0) == pytest.approx(left(rows, y, theta), abs=1e-10 * size**2 * len(y))
    return held


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_solution_of_scipy(kind: str) -> None:
    rng = np.random.default_rng(2)
    held = sum(check_against_scipy(rng, kind) for _ in range(25))
    assert 5 <= held < 25  # both ways are taken


@pytest.mark.jit
@pytest.mark.parametrize("kind", every_run(KINDS, KINDS[:2]))
def test_it_is_the_solution_of_scipy_hundreds_of_times(kind: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        check_against_scipy(rng, kind)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_no_set_of_bounds_is_better(m: int) -> None:
    """All 3^m ways to put coefficients on a bound or leave them free: the best one within the box."""
    rng = np.random.default_rng(m)
    for kind in ("normal", "narrow", "corner", "few"):
        for _ in range(4):
            rows, y, bound = problem(rng, kind, m)
            fit = taught(rows, y)
            fit_within(fit, 0, bound)
            best, theta = best_of_all_sets(*with_prior(rows, y), bound)
            size = np.abs(y).max()
            assert left(*with_prior(rows, y), fit.theta[0]) == pytest.approx(best, abs=1e-13 * size**2 * len(y))
            assert rows @ fit.theta[0] == pytest.approx(rows @ theta, abs=1e-9 * size)


def best_of_all_sets(rows: Array, y: Array, bound: Array) -> tuple[float, Array]:
    found: list[tuple[float, Array]] = []
    for sides in itertools.product((-1.0, 0.0, 1.0), repeat=len(bound)):
        theta = np.array(sides) * bound
        free = np.array(sides) == 0.0
        theta[free] = np.linalg.lstsq(rows[:, free], y - rows @ theta, rcond=1e-15)[0]
        if (np.abs(theta) <= bound * (1 + 1e-12)).all():
            found.append((left(rows, y, theta), theta))
    return min(found, key=lambda one: one[0])


def test_with_fewer_rows_than_coefficients_it_is_numpys_smallest_solution() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 3, 4, 5):
        z = np.cos(np.pi * (np.arange(n) + rng.random()) / n)
        rows, y = features(z, 6), 100 * rng.random(n)
        fit = taught(rows, y)
        assert not fit_within(fit, 0, np.full(6, 1e6))
        assert fit.theta[0] == pytest.approx(np.linalg.lstsq(rows, y, rcond=None)[0], abs=1e-7 * 100)


def test_with_a_constant_context_it_predicts_the_mean_from_numpys_smallest_solution() -> None:
    rng = np.random.default_rng(4)
    for n in (1, 5, 400, 3000):
        rows, y = features(np.full(n, 0.3), 6), 50 + rng.normal(size=n)
        fit = taught(rows, y)
        assert not fit_within(fit, 0, np.full(6, 1e6))
        known = np.linalg.lstsq(rows, y, rcond=None)[0]
        assert value_of(fit, 0, rows[0]) == pytest.approx(rows[0] @ known, rel=1e-10)
        assert value_of(fit, 0, rows[0]) == pytest.approx(y.mean(), rel=1e-10)
        assert fit.theta[0] == pytest.approx(known, abs=1e-3)  # what no row says: up to rounding / PRIOR^2


def test_large_targets_do_not_blur_small_ones() -> None:
    """A curve that rises to ten thousand keeps its valley at twenty."""
    z = np.linspace(-1, 1, 300)
    theta = np.array([2505.0, -4980.0, 2490.0, 3.0, -2.0, 1.0])
    rows = features(z, 6)
    y = rows @ theta
    assert y.max() > 9e3
    assert np.abs(y).min() < 30
    fit = taught(rows, y)
    fit_within(fit, 0, np.full(6, 1e4))
    assert [value_of(fit, 0, row) for row in rows] == pytest.approx(y.tolist(), abs=1e-7)


def test_all_bounds_can_hold_at_once() -> None:
    rows = np.eye(5)
    fit = taught(rows, np.array([9.0, -9.0, 9.0, -9.0, 9.0]))
    assert fit_within(fit, 0, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert fit.theta[0].tolist() == [1.0, -2.0, 3.0, -4.0, 5.0]
    assert fit.side[0].tolist() == [1, -1, 1, -1, 1]
    assert residual_square(fit, 0) == pytest.approx(8**2 + 7**2 + 6**2 + 5**2 + 4**2, rel=1e-9)


def test_a_system_without_rows_is_0_and_others_leave_it_alone() -> None:
    fit = taught(np.ones((3, 2)), np.ones(3), systems=3, system=1)
    for i in range(3):
        fit_within(fit, i, np.ones(2))
    assert fit.theta[0].tolist() == fit.theta[2].tolist() == [0.0, 0.0]
    assert fit.theta[1] == pytest.approx([0.5, 0.5], abs=1e-9)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each pass adds how many coefficients were free."""
    made: list[int] = []
    solve = box._solve_free

    def counted(*arguments: Any) -> int:
        made.append(solve(*arguments))
        return made[-1]

    monkeypatch.setattr(box, "_solve_free", counted)
    return made


@pytest.mark.parametrize("kind", every_run(KINDS, KINDS[:3]))
def test_a_few_passes_are_enough_and_from_the_last_bounds_one_or_two(kind: str, passes: list[int]) -> None:
    rng = np.random.default_rng(6)
    for _ in range(60):
        m = int(rng.integers(2, 9))
        rows, y, bound = problem(rng, kind, m)
        fit = taught(rows, y)
        passes.clear()
        fit_within(fit, 0, bound)
        assert len(passes) <= 3 * m
        passes.clear()
        fit_within(fit, 0, bound)
        assert len(passes) <= 2


def test_a_pull_of_rounding_is_not_followed_twice(passes: list[int]) -> None:
    """The best solution lies on two bounds that do not press: what pulls there is rounding, of either sign."""
    fit = taught(np.array([[-2.0, 0.0, 0.0], [-2.0, 1.0, 2.0]]), np.array([-3.0, -4.5]))
    fit_within(fit, 0, np.full(3, 0.3))
    passes.clear()
    assert fit_within(fit, 0, np.ones(3))
    assert fit.theta[0] == pytest.approx([1.0, -0.5, -1.0], abs=1e-9)
    assert len(passes) <= 6


@pytest.mark.jit
def test_a_hundred_thousand_rows_leave_no_drift() -> None:
    rng = np.random.default_rng(7)
    rows = features(0.6 * rng.beta(2, 6, 100_000) / 0.4 - 1.0, 6)
    y = 20 + 100 * rng.random(100_000)
    fit = taught(rows, y)
    fit_within(fit, 0, np.full(6, 1e6))
    predicted = [value_of(fit, 0, row) for row in rows[:200]]
    known = np.linalg.lstsq(*with_prior(rows, y), rcond=1e-15)[0]
    assert predicted == pytest.approx((rows[:200] @ known).tolist(), rel=1e-11)
    known = np.linalg.lstsq(rows, y, rcond=None)[0]
    assert predicted == pytest.approx((rows[:200] @ known).tolist(), rel=1e-7)  # and the prior is next to nothing
    assert residual_square(fit, 0) == pytest.approx(left(rows, y, known), rel=1e-10)
