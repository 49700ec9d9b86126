"""Young's rule: published values, and what it promises, against the spectra of dense matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import probability
from onearm.engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
FINE = 95_001  # arms, 1e-5 apart


def laplacian(side: int) -> Array:
    """Return the five-point Laplacian on side x side points, dense."""
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)


def sweep_radius(matrix: Array, omega: float) -> float:
    """Return the spectral radius of a sweep of SOR."""
    split = np.diag(np.diag(matrix)) / omega + np.tril(matrix, -1)
    return float(np.abs(np.linalg.eigvals(np.eye(len(matrix)) - np.linalg.solve(split, matrix))).max())


def arm_of(policy: Policy, available: Array, *shift: float) -> int:
    instance = Instance(0, np.array(shift), available)
    state = policy.init(policy.params, Problem(len(available), (len(shift),)))
    decision = Decision(*loop.decide(policy.params, state, instance, Key(RUN, 0)))
    assert decision.propensity == 1.0
    assert probability(policy.params, state, instance, decision.action) == 1.0
    return int(decision.action)


def omega_at(policy: Policy, *shift: float, arms: int = FINE) -> float:
    """Return the omega of the arm that is taken, on a grid from 1 to 1.95."""
    return 1.0 + 0.95 * arm_of(policy, np.ones(arms, np.bool_), *shift) / (arms - 1)


@pytest.mark.jit
@pytest.mark.parametrize(
    ("shift", "omega"),
    [(-0.15, 1.85359), (-0.10, 1.69831), (0.0, 1.56039), (0.15, 1.44883), (0.30, 1.37841), (0.45, 1.32792)],
)
def test_the_omegas_are_the_published_ones(shift: float, omega: float) -> None:
    assert omega_at(catalog.make("young"), shift) == pytest.approx(omega, abs=1e-5)


@pytest.mark.parametrize(
    ("shift", "omega"), [(-0.15, 1.854), (-0.10, 1.698), (0.0, 1.560), (0.15, 1.449), (0.45, 1.328)]
)
def test_the_omegas_are_the_published_ones_on_a_grid_of_thousandths(shift: float, omega: float) -> None:
    assert omega_at(catalog.make("young"), shift, arms=951) == pytest.approx(omega, abs=1e-9)


@pytest.mark.parametrize("side", [3, 10])
@pytest.mark.parametrize("shift", [-0.1, 0.0, 0.45])
def test_the_formula_is_that_of_the_spectrum_of_the_jacobi_matrix(side: int, shift: float) -> None:
    matrix = laplacian(side) + shift * np.eye(side * side)
    beta = np.abs(np.linalg.eigvalsh(np.eye(len(matrix)) - matrix / matrix[0, 0])).max()
    policy = catalog.make("young", jacobi_radius=math.cos(math.pi / (side + 1)))
    assert omega_at(policy, shift, arms=951) == pytest.approx(2 / (1 + math.sqrt(1 - beta**2)), abs=5.1e-4)


def test_the_default_is_the_laplacian_on_10_points_a_side() -> None:
    assert catalog.make("young").params.jacobi_radius == pytest.approx(math.cos(math.pi / 11), rel=1e-15)


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.5])
def test_no_other_arm_has_a_smaller_spectral_radius(shift: float) -> None:
    side, arms = 4, 96
    matrix = laplacian(side) + shift * np.eye(side * side)
    radii = [sweep_radius(matrix, omega) for omega in np.linspace(1.0, 1.95, arms)]
    policy = catalog.make("young", jacobi_radius=math.cos(math.pi / (side + 1)))
    assert abs(arm_of(policy, np.ones(arms, np.bool_), shift) - np.argmin(radii)) <= 1


@pytest.mark.parametrize("shift", [-0.1621, -0.17, -4.0, -5.0, -1e308])
def test_where_no_omega_is_optimal_the_largest_is_taken(shift: float) -> None:
    """The least eigenvalue is 0.16203: below it the matrix is not definite, and at -4 there is no diagonal left."""
    assert arm_of(catalog.make("young"), np.ones(20, np.bool_), shift) == 19


def test_an_optimum_beyond_the_grid_is_its_end() -> None:
    assert arm_of(catalog.make("young"), np.ones(20, np.bool_), -0.162) == 19
    assert arm_of(catalog.make("young", omega_min=1.4), np.ones(20, np.bool_), 1e300) == 0
    assert arm_of(catalog.make("young", jacobi_radius=0.0), np.ones(20, np.bool_), 0.0) == 0


def test_without_a_context_the_shift_is_0() -> None:
    everyone = np.ones(951, np.bool_)
    assert arm_of(catalog.make("young"), everyone) == arm_of(catalog.make("young"), everyone, 0.0) == 560


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_a_matrix_times_a_number_has_the_same_omega(factor: float) -> None:
    plain, scaled = catalog.make("young"), catalog.make("young", diagonal=4.0 * factor)
    everyone = np.ones(951, np.bool_)
    for shift in (-0.15, -0.05, 0.0, 0.3):
        assert arm_of(scaled, everyone, factor * shift) == arm_of(plain, everyone, shift)


def test_the_nearest_that_is_available_takes_its_place() -> None:
    available = np.ones(20, np.bool_)
    assert arm_of(catalog.make("young"), available, 0.0) == 11
    available[11] = False
    assert arm_of(catalog.make("young"), available, 0.0) == 12
    available[12:] = False
    assert arm_of(catalog.make("young"), available, 0.0) == 10


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"jacobi_radius": 1.0}, r"jacobi_radius is 1\.0: it must be a number in \[0, 1\)"),
        ({"jacobi_radius": -0.1}, r"jacobi_radius is -0\.1"),
        ({"diagonal": 0.0}, r"diagonal is 0\.0: it must be a number in \(0, "),
        ({"omega_min": 1.95}, "omega_min is 1.95 and omega_max 1.95: the grid must rise"),
        ({"omega_max": 2.0}, r"omega_max is 2\.0"),
    ],
)
def test_params_that_cannot_be_are_refused(params: dict[str, float], match: str) -> None:
    with pytest.raises(InvalidInput, match=match) as refused:
        catalog.make("young", **params)
    assert refused.value.code == "bad_param"


def test_a_context_of_two_numbers_does_not_fit() -> None:
    check_fit(catalog.make("young"), Problem(20, (1,)))
    with pytest.raises(InvalidInput, match="reads contexts of up to 1 numbers, but this problem has 2"):
        check_fit(catalog.make("young"), Problem(20, (2,)))
