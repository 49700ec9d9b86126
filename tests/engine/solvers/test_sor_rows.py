"""SOR of any square matrix: a dense reference, PyAMG's sweeps, counts of the symmetric kernel, and solving in parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyamg import amg_core
from support.sor_systems import COUNTS, csr, dense, omegas_of, random_spd, rows_from, shifted

from onearm.engine.solvers.sor_rows import go_on_rows, rows_residual, rows_sweep, solve_rows
from onearm.engine.solvers.stopping import CONVERGED, FRESH, RUNNING
from onearm.engine.vocabulary import Array


def lopsided(seed: int, density: float) -> Array:
    """Return a matrix that is not symmetric, whose diagonal dominates and has both signs."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(12, 12)) * (rng.random((12, 12)) < density)
    np.fill_diagonal(matrix, 0.0)
    return matrix + np.diag((np.abs(matrix).sum(axis=1) + 0.5) * rng.choice([-1.0, 1.0], 12))


@pytest.mark.parametrize("seed", range(4))
def test_every_sweep_is_that_of_a_dense_reference_and_of_pyamg(seed: int) -> None:
    matrix, omega = lopsided(seed, (0.05, 0.3, 0.6, 1.0)[seed]), 0.9 + 0.1 * seed
    rows = rows_from(matrix)
    b = np.random.default_rng(seed).normal(size=12)
    x, r = np.full(12, 0.25), np.empty(12)
    by_pyamg, expected = x.copy(), x.copy()
    start, index, value = csr(matrix)
    lower = np.tril(matrix, -1) + np.diag(np.diag(matrix)) / omega
    for _ in range(6):
        expected += np.linalg.solve(lower, b - matrix @ expected)
        amg_core.sor_gauss_seidel(start.astype(np.int32), index.astype(np.int32), value, by_pyamg, b, 0, 12, 1, omega)
        rows_sweep(rows, b, omega, x)
        np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(x, by_pyamg, rtol=0, atol=1e-13)
        norm = rows_residual(rows, b, x, r)
        np.testing.assert_allclose(r, b - matrix @ x, rtol=1e-10, atol=1e-13)
        assert norm == pytest.approx(np.linalg.norm(r), rel=1e-14)


def test_a_matrix_that_is_not_symmetric_is_solved() -> None:
    matrix = lopsided(9, 0.5)
    b, x = np.arange(12.0), np.zeros(12)
    outcome = solve_rows(rows_from(matrix), b, x, 1.0, 1e-11, 10_000, np.empty(12))
    assert outcome.reason == CONVERGED
    np.testing.assert_allclose(x, np.linalg.solve(matrix, b), atol=1e-10)


@pytest.mark.parametrize("place", [2, 3])
def test_counts_of_a_symmetric_matrix_are_the_published_ones(place: int) -> None:
    rows = rows_from(dense(shifted(0.45)))
    outcome = solve_rows(
        rows, np.ones(100), np.zeros(100), omegas_of(0.45)[place], 1e-8 * math.sqrt(100), 10_000, np.empty(100)
    )
    assert outcome.iterations == COUNTS["sor"][0.45][place]


@pytest.mark.parametrize("part", [1, 4])
def test_solving_in_parts_gives_the_bits_of_solving_at_once(part: int) -> None:
    rows, b = rows_from(random_spd(12, 1)), np.arange(12.0)
    at_once, x, r, monitor = np.zeros(12), np.zeros(12), np.empty(12), FRESH
    outcome = solve_rows(rows, b, at_once, 1.3, 1e-10, 10_000, r)
    while monitor.reason == RUNNING:
        monitor = go_on_rows(rows, b, x, 1.3, 1e-10, 10_000, r, max(monitor.iterations, 0) + part, monitor)
    assert outcome.iterations > 10
    assert x.tobytes() == at_once.tobytes()
    assert tuple(outcome) == (monitor.iterations, monitor.reason, monitor.residual_norm)
