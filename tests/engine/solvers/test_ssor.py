"""SSOR: the published counts, a dense reference step by step, PyAMG's sweeps, and solving in parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyamg import amg_core
from support.sor_systems import COUNTS, SHIFTS, csr, dense, half_from, omegas_of, random_spd, shifted

from onearm.engine.solvers.sor import Half, residual, sweep
from onearm.engine.solvers.ssor import go_on_ssor, solve_ssor, sweep_back
from onearm.engine.solvers.stopping import CONVERGED, FRESH, RUNNING


def count(half: Half, omega: float) -> int:
    """Return the iterations for b = ones from x = 0."""
    n = len(half.diagonal)
    outcome = solve_ssor(half, np.ones(n), np.zeros(n), omega, 1e-8 * math.sqrt(n), 10_000, np.empty(n), np.empty(n))
    assert outcome.reason == CONVERGED
    return int(outcome.iterations)


@pytest.mark.parametrize(("shift", "place"), [(0.0, 2), (0.0, 3), (0.45, 0), (0.45, 2), (0.45, 4)])
def test_counts_are_the_published_ones(shift: float, place: int) -> None:
    assert count(shifted(shift), omegas_of(shift)[place]) == COUNTS["ssor"][shift][place]


@pytest.mark.jit
@pytest.mark.parametrize("shift", SHIFTS)
def test_all_counts_are_the_published_ones(shift: float) -> None:
    assert tuple(count(shifted(shift), omega) for omega in omegas_of(shift)) == COUNTS["ssor"][shift]


@pytest.mark.parametrize("seed", range(5))
def test_every_iteration_is_that_of_a_dense_reference(seed: int) -> None:
    matrix = random_spd(11, seed, density=(0.1, 0.2, 0.4, 0.7, 1.0)[seed])
    half, omega = half_from(matrix), 0.8 + 0.25 * seed
    b = np.random.default_rng(seed).normal(size=11)
    x, r, d = np.full(11, -0.5), np.empty(11), np.empty(11)
    expected = x.copy()
    residual(half, b, x, r)
    diagonal = np.diag(np.diag(matrix))
    lower = np.tril(matrix, -1) + diagonal / omega
    for _ in range(6):
        half_way = np.linalg.solve(lower, b - matrix @ expected)
        expected += (2.0 - omega) / omega * np.linalg.solve(lower.T, diagonal @ half_way)
        sweep(half, omega, x, r, d)
        norm = sweep_back(half, omega, x, r, d)
        np.testing.assert_allclose(x, expected, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(r, b - matrix @ x, rtol=1e-9, atol=1e-13)
        assert norm == pytest.approx(np.linalg.norm(r), rel=1e-14)


@pytest.mark.parametrize("omega", [0.7, 1.0, 1.5, 1.9])
def test_a_backward_sweep_is_that_of_pyamg(omega: float) -> None:
    half = shifted(0.1, 7)
    rng = np.random.default_rng(4)
    b, x, r = rng.normal(size=49), rng.normal(size=49), np.empty(49)
    start, index, value = csr(dense(half))
    expected = x.copy()
    residual(half, b, x, r)
    for _ in range(3):
        sweep_back(half, omega, x, r, np.empty(49))
        amg_core.sor_gauss_seidel(start.astype(np.int32), index.astype(np.int32), value, expected, b, 48, -1, -1, omega)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("part", [1, 4])
def test_solving_in_parts_gives_the_bits_of_solving_at_once(part: int) -> None:
    half, b = shifted(0.45, 5), np.random.default_rng(5).normal(size=25)
    at_once, x = np.zeros(25), np.zeros(25)
    r, d, monitor = np.empty(25), np.empty(25), FRESH
    outcome = solve_ssor(half, b, at_once, 1.6, 1e-10, 10_000, r, d)
    while monitor.reason == RUNNING:
        monitor = go_on_ssor(half, b, x, 1.6, 1e-10, 10_000, r, d, max(monitor.iterations, 0) + part, monitor)
    assert outcome.iterations > 10
    assert x.tobytes() == at_once.tobytes()
    assert tuple(outcome) == (monitor.iterations, monitor.reason, monitor.residual_norm)
