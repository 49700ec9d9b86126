"""Knobs of other solvers, tuned for real: the weight of a multigrid smoother, the drop tolerance of an ILU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyamg
import pytest
import scipy.sparse as sparse
from pyamg.relaxation.relaxation import sor as pyamg_sor
from scipy.sparse.linalg import LinearOperator, bicgstab, cg, spilu

from onearm.api.solver import Tuner, ssor_preconditioner
from onearm.engine.vocabulary import Array


def smoother(omega: float) -> tuple[Any, Any]:
    """Forward before, backward after the coarse grid: `sweep="symmetric"` of PyAMG ignores omega."""
    forward, backward = ({"omega": omega, "iterations": 1, "sweep": sweep} for sweep in ("forward", "backward"))
    return ("sor", forward), ("sor", backward)


def two_grid(A: Any, omega: float) -> Any:
    before, after = smoother(omega)
    return pyamg.ruge_stuben_solver(A, max_levels=2, presmoother=before, postsmoother=after)


def cycles(levels: Any, b: Array) -> int:
    residuals: list[float] = []
    levels.solve(b, tol=1e-8, maxiter=100, residuals=residuals)
    return len(residuals) - 1


def test_the_symmetric_sweep_of_pyamg_ignores_omega_and_two_sweeps_do_not() -> None:
    A, b = pyamg.gallery.poisson((8, 8), format="csr"), np.ones(64)
    swept = {}
    for omega in (1.0, 1.7):
        for sweeps in (("symmetric",), ("forward", "backward")):
            x = np.zeros(64)
            for sweep in sweeps:
                pyamg_sor(A, x, b, omega=omega, iterations=1, sweep=sweep)
            swept[omega, sweeps] = x
    assert (swept[1.0, ("symmetric",)] == swept[1.7, ("symmetric",)]).all()  # what the page warns of
    assert np.allclose(swept[1.0, ("forward", "backward")], swept[1.0, ("symmetric",)])
    assert np.abs(swept[1.7, ("forward", "backward")] - swept[1.0, ("forward", "backward")]).max() > 0.1


@pytest.mark.jit
def test_the_weight_of_a_multigrid_smoother_is_tuned() -> None:
    A = pyamg.gallery.poisson((16, 16), format="csr")
    rng = np.random.default_rng(1)
    weights = [0.4, 0.7, 1.0, 1.3, 1.7]
    right = rng.normal(size=(120, 256))
    levels = {weight: two_grid(A, weight) for weight in weights}
    alone = {weight: np.mean([cycles(levels[weight], b) for b in right[:5]]) for weight in weights}
    tuner = Tuner("tsallis", values=weights, seed=1)
    for b in right:
        with tuner.trial() as trial:
            trial.iterations = cycles(levels[trial.value], b)
    report = tuner.report()
    best = min(alone, key=alone.__getitem__)
    assert alone[best] < 0.7 * np.mean(list(alone.values()))
    assert report.mean_cost is not None and report.mean_cost < 0.85 * np.mean(list(alone.values()))
    shares = {arm.value: arm.share for arm in report.arms}
    near = [weight for weight in weights if alone[weight] <= alone[best] + 1]
    assert sum(shares[weight] for weight in near) > len(near) / len(weights) + 0.1


def ilu_iterations(A: Any, b: Array, drop_tolerance: float) -> tuple[int, bool]:
    """Solve with an incomplete factorisation; return the iterations and whether it converged."""
    counted: list[Array] = []
    M = LinearOperator(A.shape, spilu(A, drop_tol=drop_tolerance, fill_factor=20).solve)
    _, info = bicgstab(A, b, rtol=1e-8, maxiter=60, M=M, callback=counted.append)
    return len(counted), info == 0


def transport(side: int) -> Any:
    """Diffusion and a wind: a matrix that is not symmetric."""
    diffusion = pyamg.gallery.poisson((side, side), format="csc")
    wind = sparse.diags_array([-0.8, 0.8], offsets=[-1, 1], shape=(side * side, side * side))
    return (diffusion + wind).tocsc()


@pytest.mark.jit
def test_the_drop_tolerance_of_an_ilu_is_tuned_by_iterations() -> None:
    A, rng = transport(16), np.random.default_rng(2)
    tolerances = np.geomspace(1e-4, 1.0, 5)
    tuner = Tuner("tsallis", values=tolerances, seed=1)
    for _ in range(150):
        with tuner.trial() as trial:
            trial.iterations, trial.converged = ilu_iterations(A, rng.normal(size=256), trial.value)
    report = tuner.report()
    assert report.best == pytest.approx(tolerances[0])  # of iterations alone the fullest factors take the fewest
    assert report.arms[0].share > 0.4 > 0.1 > report.arms[4].share


@pytest.mark.jit
def test_the_drop_tolerance_of_an_ilu_is_tuned_by_seconds() -> None:
    """What is fastest depends on the machine: here the tuner's costs are the times it measured, and no more is said."""
    A, b = transport(12), np.ones(144)
    tuner = Tuner("tsallis", values=[1e-4, 1e-2, 1.0], cost="seconds", seed=1)
    for _ in range(25):
        with tuner.trial() as trial:
            _, trial.converged = ilu_iterations(A, b, trial.value)
    report = tuner.report()
    assert report.rounds == 25 and report.mean_cost is not None and 0.0 < report.mean_cost < 10.0
    assert sum(arm.probability or 0.0 for arm in report.arms) == pytest.approx(1.0)


@pytest.mark.jit
def test_the_omega_of_a_preconditioner_in_scipys_own_cg_is_tuned() -> None:
    A = pyamg.gallery.poisson((24, 24), format="csr")
    rng = np.random.default_rng(3)
    tuner = Tuner("tsallis", grid=(1.0, 1.95, 6), seed=1)
    counts: dict[float, list[int]] = {}
    for _ in range(200):
        counted: list[Array] = []
        omega = tuner.propose()
        M = ssor_preconditioner(A, omega)
        _, info = cg(A, rng.normal(size=576), rtol=1e-8, M=M, callback=counted.append)
        tuner.observe(len(counted), info == 0)
        counts.setdefault(omega, []).append(len(counted))
    means = {omega: np.mean(values) for omega, values in counts.items()}
    best = min(means, key=means.__getitem__)
    assert max(counts, key=lambda omega: len(counts[omega])) == best and means[best] < 0.8 * means[1.0]
