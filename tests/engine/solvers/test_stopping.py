"""How solves end: claims are true, growth at first is no divergence, each reason has a matrix that shows it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.sor_systems import dense, half_from, rows_from, shifted

from onearm.engine.solvers.cg import cg_work, solve_cg, solve_ssor_cg
from onearm.engine.solvers.sor import solve_sor, sweep
from onearm.engine.solvers.sor_rows import solve_rows
from onearm.engine.solvers.ssor import solve_ssor
from onearm.engine.solvers.stopping import (
    CAPPED,
    CONVERGED,
    DIVERGED,
    GROWTH_MAX,
    INDEFINITE,
    NOT_FINITE,
    REASONS,
    RUNNING,
    STAGNATED,
    WINDOW,
    Monitor,
    Outcome,
    advance,
    begin,
    confirm,
    judge,
)
from onearm.engine.vocabulary import Array

METHODS = ("sor", "ssor", "ssor_cg", "cg")
INDEFINITE_MATRIX = np.array([[2.0, 3.0], [3.0, 2.0]])


def solve(
    method: str, matrix: Array, b: Array, *, omega: float = 1.3, rtol: float = 1e-8, most: int = 10_000
) -> tuple[Outcome, Array]:
    """Solve from x = 0, and check the residual that is told."""
    n = len(b)
    x, tolerance = np.zeros(n), rtol * float(np.linalg.norm(b))
    if method == "rows":
        outcome = solve_rows(rows_from(matrix), b, x, omega, tolerance, most, np.empty(n))
    elif method == "cg":
        outcome = solve_cg(half_from(matrix), b, x, tolerance, most, cg_work(n))
    elif method == "ssor_cg":
        outcome = solve_ssor_cg(half_from(matrix), b, x, omega, tolerance, most, cg_work(n))
    else:
        solver = {"sor": solve_sor, "ssor": solve_ssor}[method]
        outcome = solver(half_from(matrix), b, x, omega, tolerance, most, np.empty(n), np.empty(n))
    if outcome.reason != NOT_FINITE:
        rounding = 1e-14 * float(np.abs(matrix).sum(axis=1).max() * np.abs(x).max())
        assert outcome.residual_norm == pytest.approx(np.linalg.norm(b - matrix @ x), rel=1e-6, abs=rounding)
    return Outcome(*outcome), x


def badly_conditioned() -> Array:
    """Return a matrix of ten rows whose condition number is 1e14."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    matrix = basis @ np.diag(np.logspace(-14, 0, 10)) @ basis.T
    return (matrix + matrix.T) / 2.0


@pytest.mark.parametrize("method", METHODS)
def test_a_tolerance_below_rounding_stagnates_at_what_can_be_attained(method: str) -> None:
    matrix, b = dense(shifted(0.0, 5)), np.ones(25)
    outcome, x = solve(method, matrix, b, rtol=1e-18)
    assert outcome.reason == STAGNATED
    assert 5e-18 < outcome.residual_norm < 1e-13
    assert outcome.iterations < 300
    np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-13)


@pytest.mark.jit
@pytest.mark.parametrize("method", ["ssor_cg", "cg"])
def test_a_condition_of_1e14_does_not_allow_a_tolerance_of_1e_12(method: str) -> None:
    b = np.random.default_rng(1).normal(size=10)
    outcome, _ = solve(method, badly_conditioned(), b, omega=1.2, rtol=1e-12)
    assert outcome.reason == STAGNATED
    assert outcome.residual_norm > 1e-6 * float(np.linalg.norm(b))


@pytest.mark.jit
@pytest.mark.parametrize("kappa", [1e2, 1e4])
@pytest.mark.parametrize("omega", [1.0, 1.5, 1.9])
def test_slow_is_not_stagnant(kappa: float, omega: float) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        basis = np.linalg.qr(rng.normal(size=(10, 10)))[0]
        matrix = basis @ np.diag(np.geomspace(1.0 / kappa, 1.0, 10)) @ basis.T
        for b in (rng.normal(size=10), basis[:, 0].copy(), basis[:, -1].copy()):
            outcome, _ = solve("sor", (matrix + matrix.T) / 2.0, b, omega=omega, most=100_000)
            assert outcome.reason == CONVERGED


def test_growth_at_first_is_no_divergence() -> None:
    half, x, r = shifted(0.0), np.zeros(100), np.ones(100)
    norms = [sweep(half, 1.99, x, r, np.empty(100)) for _ in range(12)]
    assert 30.0 < max(norms) < 40.0  # it was 10


@pytest.mark.jit
def test_a_residual_that_grew_at_first_converges() -> None:
    outcome, _ = solve("sor", dense(shifted(0.0)), np.ones(100), omega=1.99)
    assert outcome.reason == CONVERGED
    assert 1700 < outcome.iterations < 2000


@pytest.mark.parametrize("method", ["sor", "ssor"])
def test_sweeps_of_an_indefinite_matrix_diverge(method: str) -> None:
    b = np.array([1.0, -1.0])
    outcome, _ = solve(method, INDEFINITE_MATRIX, b, omega=1.0)
    assert outcome.reason == DIVERGED
    assert 1e4 < outcome.residual_norm / math.sqrt(2.0) < 1e5


@pytest.mark.parametrize("method", ["ssor_cg", "cg"])
def test_conjugate_gradients_tell_an_indefinite_matrix(method: str) -> None:
    outcome, x = solve(method, INDEFINITE_MATRIX, np.array([1.0, -1.0]))
    assert outcome[:2] == (0, INDEFINITE)
    assert not x.any()


def test_sweeps_that_go_round_stagnate_and_slightly_wider_ones_diverge() -> None:
    b = np.array([1.0, 2.0])
    round_, _ = solve("rows", np.array([[1.0, 1.0], [-1.0, 1.0]]), b, omega=1.0)
    assert round_.reason == STAGNATED
    assert round_.iterations == 4 * WINDOW  # the first at which two windows can be compared
    wider, _ = solve("rows", np.array([[1.0, 1.1], [-1.1, 1.0]]), b, omega=1.0)
    assert wider.reason == DIVERGED


def test_a_singular_system_without_a_solution_stagnates() -> None:
    outcome, _ = solve("sor", np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([1.0, 1.0]), omega=1.5)
    assert outcome.reason == STAGNATED


def test_a_singular_system_with_a_solution_is_solved() -> None:
    outcome, x = solve("sor", np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([1.0, -1.0]), omega=0.9)
    assert outcome.reason == CONVERGED
    assert x[0] - x[1] == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("method", [*METHODS, "rows"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_stops_at_once(method: str, bad: float) -> None:
    b = np.ones(9)
    b[4] = bad
    n = 9
    x, args = np.zeros(n), (1e-8, 10_000)
    matrix = dense(shifted(0.0, 3))
    outcome = {
        "sor": lambda: solve_sor(half_from(matrix), b, x, 1.3, *args, np.empty(n), np.empty(n)),
        "ssor": lambda: solve_ssor(half_from(matrix), b, x, 1.3, *args, np.empty(n), np.empty(n)),
        "ssor_cg": lambda: solve_ssor_cg(half_from(matrix), b, x, 1.3, *args, cg_work(n)),
        "cg": lambda: solve_cg(half_from(matrix), b, x, *args, cg_work(n)),
        "rows": lambda: solve_rows(rows_from(matrix), b, x, 1.3, *args, np.empty(n)),
    }[method]()
    assert outcome[:2] == (0, NOT_FINITE)
    assert not x.any()


@pytest.mark.parametrize("method", [*METHODS, "rows"])
def test_nothing_to_do_is_done_in_no_iteration(method: str) -> None:
    outcome, x = solve(method, dense(shifted(0.0, 3)), np.zeros(9))
    assert outcome == Outcome(0, CONVERGED, 0.0)
    assert not x.any()


@pytest.mark.parametrize("method", [*METHODS, "rows"])
@pytest.mark.parametrize("most", [0, 1, 4])
def test_a_cap_ends_a_solve_after_so_many_iterations(method: str, most: int) -> None:
    outcome, _ = solve(method, dense(shifted(0.0, 5)), np.ones(25), most=most)
    assert outcome[:2] == (most, CAPPED)


def course_of(norms: list[float], tolerance: float = 1e-9) -> Monitor:
    """Return where a solve stands whose residuals have these norms, and whether it ends on the way."""
    monitor = begin(norms[0], GROWTH_MAX, WINDOW)
    for norm in norms[1:]:
        monitor = judge(monitor, tolerance, 10**9)
        if monitor.reason != RUNNING:
            return monitor
        monitor = advance(monitor, norm, False, 0.0, 0.0)
    return judge(monitor, tolerance, 10**9)


def test_a_residual_within_ten_thousand_times_the_first_may_grow() -> None:
    assert course_of([2.0, 1.9e4]).reason == RUNNING
    assert course_of([2.0, 2.1e4]).reason == DIVERGED


def test_a_residual_stagnates_where_two_windows_are_alike() -> None:
    flat = [1.0] + [0.5, 0.7] * 2 * WINDOW
    found = course_of(flat)
    assert (found.iterations, found.reason) == (4 * WINDOW, STAGNATED)
    assert course_of(flat[: 4 * WINDOW]).reason == RUNNING
    falling = [0.5 * 0.99999**k for k in range(4 * WINDOW + 1)]  # by a hundredth in a thousand
    assert course_of(falling).reason == RUNNING
    rising = [0.5 * 1.00001**k for k in range(4 * WINDOW + 1)]
    assert course_of(rising).reason == RUNNING
    assert course_of([0.5 * 0.9999999**k for k in range(4 * WINDOW + 1)]).reason == STAGNATED


def test_all_residuals_of_a_window_count_and_not_those_at_its_ends() -> None:
    norms = [0.9 if k % WINDOW == 0 else 0.5 * 0.999**k for k in range(4 * WINDOW + 1)]
    assert course_of(norms).reason == RUNNING
    norms = [0.9 if k % WINDOW == 1 else 0.5 for k in range(WINDOW + 1)]  # what was before the first window does not
    assert course_of([*norms, *[0.5] * 3 * WINDOW]).reason == STAGNATED


@pytest.mark.parametrize("reason", [CONVERGED, CAPPED, DIVERGED, INDEFINITE])
@pytest.mark.parametrize("norm", [math.inf, math.nan])
def test_a_true_residual_that_is_not_finite_is_the_reason(reason: int, norm: float) -> None:
    monitor = begin(1.0, GROWTH_MAX, WINDOW)._replace(reason=reason, exact=False)
    assert confirm(monitor, norm, 1e-8).reason == NOT_FINITE
    assert confirm(monitor, 1e-9, 1e-8).reason == reason


def test_every_reason_has_words() -> None:
    assert [REASONS[reason] for reason in (CONVERGED, CAPPED, DIVERGED)] == ["converged", "iteration cap", "diverged"]
    assert len(REASONS) == RUNNING + 1
