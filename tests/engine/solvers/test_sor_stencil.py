"""SOR on a grid in red-black order: the published mean counts, a dense reference, and one sweep at a time."""

from __future__ import annotations

import numpy as np
import pytest
from support.sor_systems import dense, jacobi_radius, shifted, young_omega

from onearm.engine.solvers.sor_stencil import Stencil, join, solve_stencil, split, stencil_work
from onearm.engine.solvers.stopping import CAPPED, CONVERGED, STAGNATED, Outcome
from onearm.engine.vocabulary import Array

LAPLACIAN = Stencil(4.0, -1.0, -1.0)


def solve(stencil: Stencil, b: Array, x: Array, omega: float, tolerance: float = 1e-8, most: int = 10_000) -> Outcome:
    return Outcome(*solve_stencil(stencil, b, x, omega, tolerance, most, stencil_work(*b.shape)))


def matrix_of(stencil: Stencil, rows: int, columns: int) -> Array:
    """Return the matrix of a grid in natural order."""
    beside, above = (np.eye(n, k=1) + np.eye(n, k=-1) for n in (columns, rows))
    return (
        stencil.centre * np.eye(rows * columns)
        + stencil.beside * np.kron(np.eye(rows), beside)
        + stencil.above * np.kron(above, np.eye(columns))
    )


def reference_sweep(matrix: Array, b: Array, x: Array, omega: float) -> None:
    """Relax the red points of a grid, then the black ones, one by one."""
    for colour in (0, 1):
        for i, j in np.ndindex(b.shape):
            if (i + j) % 2 == colour:
                p = i * b.shape[1] + j
                x[i, j] += omega * (b[i, j] - matrix[p] @ x.ravel()) / matrix[p, p]


def test_the_laplacian_is_that_of_the_sparse_solvers() -> None:
    assert np.array_equal(matrix_of(LAPLACIAN, 5, 5), dense(shifted(0.0, 5)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (2, 2), (4, 5), (5, 4), (3, 7), (6, 6)])
@pytest.mark.parametrize("omega", [1.0, 1.6])
def test_every_sweep_is_that_of_a_reference(shape: tuple[int, int], omega: float) -> None:
    stencil = Stencil(5.0, -1.5, -0.75)
    matrix = matrix_of(stencil, *shape)
    rng = np.random.default_rng(1)
    b, x = rng.normal(size=shape), rng.normal(size=shape)
    expected = x.copy()
    for _ in range(4):
        outcome = solve(stencil, b, x, omega, tolerance=0.0, most=1)
        reference_sweep(matrix, b, expected, omega)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-13)
        residual = np.linalg.norm(b.ravel() - matrix @ x.ravel())
        assert outcome.residual_norm == pytest.approx(residual, rel=1e-10, abs=1e-14)
        assert (outcome.iterations, outcome.reason) in {(1, CAPPED), (0, CONVERGED)}


def test_the_stopping_rule_reads_the_residual_of_the_sweep_that_was_just_made() -> None:
    b = np.random.default_rng(2).normal(size=(6, 7))
    matrix, expected = matrix_of(LAPLACIAN, 6, 7), np.zeros((6, 7))
    norms = []
    for _ in range(12):
        reference_sweep(matrix, b, expected, 1.4)
        norms.append(np.linalg.norm(b.ravel() - matrix @ expected.ravel()))
    for k, norm in enumerate(norms, start=1):
        # The residual falls from sweep to sweep here, so a tolerance just above it is first met by this one.
        assert solve(LAPLACIAN, b, np.zeros((6, 7)), 1.4, float(norm) * (1.0 + 1e-9)).iterations == k
    assert norms == sorted(norms, reverse=True)


def test_one_sweep_at_a_time_gives_the_bits_of_all_at_once() -> None:
    b = np.random.default_rng(3).normal(size=(5, 6))
    at_once, x = np.zeros((5, 6)), np.zeros((5, 6))
    outcome = solve(LAPLACIAN, b, at_once, 1.5)
    sweeps = sum(solve(LAPLACIAN, b, x, 1.5, most=1).iterations for _ in range(outcome.iterations))
    assert sweeps == outcome.iterations > 20
    assert x.tobytes() == at_once.tobytes()


def test_working_space_may_be_used_again() -> None:
    work, rng = stencil_work(4, 5), np.random.default_rng(4)
    first, second = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    x, alone = np.zeros((4, 5)), np.zeros((4, 5))
    solve_stencil(LAPLACIAN, first, np.zeros((4, 5)), 1.3, 1e-8, 10_000, work)
    outcome = Outcome(*solve_stencil(LAPLACIAN, second, x, 1.3, 1e-8, 10_000, work))
    assert outcome == solve(LAPLACIAN, second, alone, 1.3)
    assert x.tobytes() == alone.tobytes()


def test_colours_part_and_join() -> None:
    whole = np.arange(1.0, 21.0).reshape(4, 5)
    work, back = stencil_work(4, 5), np.empty((4, 5))
    split(whole, work.red, work.black)
    join(work.red, work.black, back)
    assert np.array_equal(back, whole)
    assert work.red.sum() + work.black.sum() == whole.sum()
    assert work.red[1, 1:4].tolist() == [1.0, 3.0, 5.0]
    assert work.black[2, 1:4].tolist() == [6.0, 8.0, 10.0]


def test_a_tolerance_below_what_can_be_attained_stagnates() -> None:
    x = np.zeros((5, 5))
    outcome = solve(LAPLACIAN, np.ones((5, 5)), x, 1.3, 1e-18)
    assert outcome.reason == STAGNATED
    assert 1e-18 < outcome.residual_norm < 1e-14


@pytest.mark.jit
@pytest.mark.parametrize(
    ("omega", "expected"), [(1.0, 184.8), (1.2, 122.0), (1.4, 74.3), (young_omega(0.0), 35.3), (1.8, 83.7)]
)
def test_mean_counts_are_the_published_ones(omega: float, expected: float) -> None:
    rng = np.random.default_rng(5)
    counts = []
    for _ in range(400):
        b = rng.normal(size=(10, 10))
        counts.append(solve(LAPLACIAN, b, np.zeros((10, 10)), omega, 1e-8 * float(np.linalg.norm(b))).iterations)
    # The published means are of 10 right-hand sides: their error is the larger one.
    assert np.mean(counts) == pytest.approx(expected, abs=4.0 * np.std(counts) * (1 / 10 + 1 / 400) ** 0.5)


@pytest.mark.jit
def test_the_rate_is_that_of_the_natural_order() -> None:
    b, omega = np.random.default_rng(6).normal(size=(10, 10)), 1.3
    x, norms = np.zeros((10, 10)), []
    for _ in range(60):
        norms.append(solve(LAPLACIAN, b, x, omega, 0.0, 1).residual_norm)
    beta = jacobi_radius(0.0)
    rate = (omega * beta + (omega**2 * beta**2 - 4.0 * (omega - 1.0)) ** 0.5) ** 2 / 4.0
    assert norms[-1] / norms[-2] == pytest.approx(rate, rel=1e-4)
