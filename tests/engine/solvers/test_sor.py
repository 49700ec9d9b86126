"""SOR: the published counts and rates, a dense reference step by step, PyAMG's sweeps, and solving in parts."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from pyamg import amg_core
from support.sor_systems import (
    COUNTS,
    SHIFTS,
    csr,
    dense,
    half_from,
    jacobi_radius,
    omegas_of,
    random_spd,
    shifted,
    young_omega,
)

from onearm.engine.solvers.sor import Half, go_on_sor, residual, solve_sor, sweep
from onearm.engine.solvers.stopping import CAPPED, CONVERGED, FRESH, RUNNING, Outcome
from onearm.engine.vocabulary import Array

GOLDEN = "4d5def62bae44524"  # of solutions: `digest`


def solve(half: Half, omega: float, b: Array, x: Array, rtol: float = 1e-8, most: int = 10_000) -> Outcome:
    n = len(b)
    return Outcome(*solve_sor(half, b, x, omega, rtol * float(np.linalg.norm(b)), most, np.empty(n), np.empty(n)))


def count(half: Half, omega: float) -> int:
    """Return the sweeps for b = ones from x = 0, and check what is claimed."""
    n = len(half.diagonal)
    x = np.zeros(n)
    outcome = solve(half, omega, np.ones(n), x)
    assert outcome.reason == CONVERGED
    assert outcome.residual_norm <= 1e-8 * math.sqrt(n)
    return outcome.iterations


def sweep_matrix(half: Half, omega: float) -> Array:
    """Return the matrix that takes a residual to the next, from sweeps of unit vectors."""
    n = len(half.diagonal)
    columns = np.eye(n)
    for column in columns:
        sweep(half, omega, np.zeros(n), column, np.empty(n))
    return columns.T


@pytest.mark.parametrize(("shift", "place"), [(0.0, 2), (0.0, 3), (0.45, 2), (0.45, 3), (0.45, 4)])
def test_counts_are_the_published_ones(shift: float, place: int) -> None:
    assert count(shifted(shift), omegas_of(shift)[place]) == COUNTS["sor"][shift][place]


@pytest.mark.jit
@pytest.mark.parametrize("shift", SHIFTS)
def test_all_counts_are_the_published_ones(shift: float) -> None:
    assert tuple(count(shifted(shift), omega) for omega in omegas_of(shift)) == COUNTS["sor"][shift]


@pytest.mark.jit
@pytest.mark.parametrize(
    ("side", "omega", "expected"),
    [
        (32, 1.826390542, 124),
        (32, 1.5, 661),
        (32, 1.9, 198),
        (32, 1.95, 396),
        (100, 1.939676333, 389),
        (100, 1.5, 6268),
        (100, 1.9, 917),
        (100, 1.95, 408),
    ],
)
def test_counts_on_larger_grids_are_the_published_ones(side: int, omega: float, expected: int) -> None:
    assert count(shifted(0.0, side), omega) == expected


@pytest.mark.parametrize("omega", [1.0, 1.2, 1.5, 1.7])
def test_the_rate_is_youngs(omega: float) -> None:
    beta, best = jacobi_radius(0.0), young_omega(0.0)
    root = omega * beta + math.sqrt(max(omega**2 * beta**2 - 4.0 * (omega - 1.0), 0.0))
    expected = omega - 1.0 if omega >= best else root**2 / 4.0
    assert np.abs(np.linalg.eigvals(sweep_matrix(shifted(0.0), omega))).max() == pytest.approx(expected, abs=1e-9)


def test_the_rate_and_the_tenth_residual_at_one_and_a_half_are_the_published_ones() -> None:
    half, r, x = shifted(0.0), np.ones(100), np.zeros(100)
    assert np.abs(np.linalg.eigvals(sweep_matrix(half, 1.5))).max() == pytest.approx(0.728006873, abs=1e-9)
    for _ in range(10):
        norm = sweep(half, 1.5, x, r, np.empty(100))
    assert norm / 10.0 == pytest.approx(0.107765385, abs=1e-9)


def test_the_solution_is_the_published_one() -> None:
    x = np.zeros(100)
    solve(shifted(0.0), 1.5604, np.ones(100), x, rtol=1e-13)
    assert x.sum() == pytest.approx(501.009133, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_every_sweep_is_that_of_a_dense_reference(seed: int) -> None:
    matrix = random_spd(13, seed, density=(0.05, 0.1, 0.2, 0.4, 0.7, 1.0)[seed])
    half, omega = half_from(matrix), 1.0 + 0.15 * seed
    b = np.random.default_rng(seed).normal(size=13)
    x, r, d = np.full(13, 0.5), np.empty(13), np.empty(13)
    expected = x.copy()
    assert residual(half, b, x, r) == pytest.approx(np.linalg.norm(b - matrix @ x), rel=1e-13)
    lower = np.tril(matrix, -1) + np.diag(np.diag(matrix)) / omega
    for _ in range(8):
        expected += np.linalg.solve(lower, b - matrix @ expected)
        norm = sweep(half, omega, x, r, d)
        np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(r, b - matrix @ x, rtol=1e-10, atol=1e-13)
        assert norm == pytest.approx(np.linalg.norm(r), rel=1e-14)


@pytest.mark.parametrize("omega", [0.7, 1.0, 1.5, 1.9])
def test_a_sweep_is_that_of_pyamg(omega: float) -> None:
    half = shifted(0.1, 7)
    rng = np.random.default_rng(3)
    b, x, r = rng.normal(size=49), rng.normal(size=49), np.empty(49)
    start, index, value = csr(dense(half))
    expected = x.copy()
    residual(half, b, x, r)
    for _ in range(3):
        sweep(half, omega, x, r, np.empty(49))
        amg_core.sor_gauss_seidel(start.astype(np.int32), index.astype(np.int32), value, expected, b, 0, 49, 1, omega)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-13)


def in_parts(half: Half, omega: float, b: Array, x: Array, tolerance: float, most: int, part: int) -> tuple[int, ...]:
    """Solve a few sweeps at a time; return the counts at which it stopped."""
    r, d, monitor, stops = np.empty(len(b)), np.empty(len(b)), FRESH, []
    while monitor.reason == RUNNING:
        until = max(monitor.iterations, 0) + part
        monitor = go_on_sor(half, b, x, omega, tolerance, most, r, d, until, monitor)
        stops.append(monitor.iterations)
    at_once = np.zeros(len(b))
    outcome = solve_sor(half, b, at_once, omega, tolerance, most, r, d)
    assert x.tobytes() == at_once.tobytes()
    assert tuple(outcome) == (monitor.iterations, monitor.reason, monitor.residual_norm)
    return tuple(stops)


@pytest.mark.parametrize(("part", "most"), [(1, 10_000), (7, 10_000), (5, 30), (4, 30)])
def test_solving_in_parts_gives_the_bits_of_solving_at_once(part: int, most: int) -> None:
    half = shifted(0.45, 5)
    b = np.random.default_rng(part).normal(size=25)
    stops = in_parts(half, 1.7, b, np.zeros(25), 1e-9, most, part)
    assert stops[:2] == (part, 2 * part)
    assert len(stops) == -(-stops[-1] // part)


def test_an_end_below_what_can_be_attained_is_the_same_in_parts() -> None:
    half = shifted(0.0, 5)
    stops = in_parts(half, 1.3, np.ones(25), np.zeros(25), 1e-17, 10_000, 1)
    assert stops == tuple(range(1, stops[-1] + 1))


def test_a_system_that_is_solved_needs_no_sweep() -> None:
    half = shifted(0.0, 4)
    assert solve(half, 1.5, np.zeros(16), np.zeros(16)) == Outcome(0, CONVERGED, 0.0)
    b = np.ones(16)
    solution = np.linalg.solve(dense(half), b)
    near = solution.copy()
    outcome = solve(half, 1.5, b, near)
    assert (outcome.iterations, outcome.reason) == (0, CONVERGED)
    assert near.tobytes() == solution.tobytes()


def test_a_cap_counts_all_sweeps_and_tells_the_true_residual() -> None:
    half, b, x = shifted(0.0, 6), np.ones(36), np.zeros(36)
    outcome = solve(half, 1.1, b, x, most=9)
    assert outcome[:2] == (9, CAPPED)
    assert outcome.residual_norm == pytest.approx(np.linalg.norm(b - dense(half) @ x), rel=1e-12)
    assert outcome.residual_norm > 1e-3


def test_a_matrix_of_one_row_is_solved_in_one_sweep() -> None:
    x = np.zeros(1)
    assert solve(half_from(np.array([[4.0]])), 1.0, np.array([2.0]), x) == Outcome(1, CONVERGED, 0.0)
    assert x[0] == 0.5


def digest() -> str:
    """Return the digest of solutions of matrices with all kinds of rows, whose numbers are exact in any order."""
    sha = hashlib.sha256()
    b = np.arange(-7.0, 8.0)
    for seed in range(4):
        half = half_from(np.round(random_spd(15, seed, density=0.15 + 0.25 * seed) * 64.0) / 64.0)
        x = np.zeros(15)
        outcome = solve_sor(half, b, x, 1.1 + 0.2 * seed, 1e-9, 10_000, np.empty(15), np.empty(15))
        sha.update(x.tobytes() + np.array(outcome).tobytes())
    return sha.hexdigest()[:16]


def test_solutions_have_the_same_bits_everywhere() -> None:
    assert digest() == GOLDEN


@pytest.mark.jit
def test_compiled_solutions_have_the_same_bits() -> None:
    assert digest() == GOLDEN
