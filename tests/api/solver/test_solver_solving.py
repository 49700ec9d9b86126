"""SOR, SSOR and conjugate gradients from Python: SciPy's conventions, published counts, and every way to end."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pyamg
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, spsolve
from scipy.sparse.linalg import cg as scipy_cg
from support.every_run import every_run

from onearm.api.solver.matrices import prepare
from onearm.api.solver.preconditioning import ssor_preconditioner
from onearm.api.solver.solution import Solution
from onearm.api.solver.solving import cg, sor, ssor, ssor_cg
from onearm.engine.errors import InvalidInput

TUNED = (sor, ssor, ssor_cg)
ALL = (*TUNED, cg)
# Iterations for b = ones, 10 x 10 points, rtol = 1e-8, by shift: omega = 1, 1.2, 1.4, Young's, 1.8, 1.9. Source:
# a dense reference in NumPy, and the released code of Khodak, Chow, Balcan, Talwalkar, ICLR 2024.
YOUNG = {-0.15: 1.85359, 0.0: 1.56039, 0.45: 1.32792}
COUNTS = {
    sor: {
        -0.15: (2927, 1950, 1252, 147, 293, 189),
        0.0: (223, 145, 88, 41, 89, 187),
        0.45: (64, 39, 25, 23, 89, 185),
    },
    ssor: {
        -0.15: (1516, 1054, 750, 810, 654, 1122),
        0.0: (117, 81, 58, 48, 75, 152),
        0.45: (34, 24, 18, 19, 56, 117),
    },
    ssor_cg: {-0.15: (16, 14, 15, 19, 18, 20), 0.0: (13, 12, 13, 13, 15, 16), 0.45: (11, 9, 9, 9, 14, 15)},
}


def laplacian(side: int, shift: float = 0.0) -> Any:
    """Return the five-point Laplacian of a square grid plus `shift` on the diagonal, in CSR form."""
    line = sparse.diags_array([-np.ones(side - 1), 2.0 * np.ones(side), -np.ones(side - 1)], offsets=(-1, 0, 1))
    eye = sparse.eye_array(side)
    return sparse.csr_array(sparse.kron(line, eye) + sparse.kron(eye, line) + shift * sparse.eye_array(side * side))


A = laplacian(5, 0.3)
B = np.random.default_rng(1).normal(size=25)
X0 = np.random.default_rng(2).normal(size=25)
SKEW = A + sparse.diags_array([np.full(24, 0.25)], offsets=[1])  # not symmetric; its diagonal dominates


def refused(solve: Callable[..., Any], *args: Any, **how: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        solve(*args, **how)
    return caught.value


def true_norm(matrix: Any, b: np.ndarray, x: np.ndarray) -> float:
    return float(np.linalg.norm(b - matrix @ x))


# What is solved, and how SciPy says it.


@pytest.mark.parametrize("solve", ALL)
def test_the_solution_is_that_of_a_direct_solver(solve: Callable[..., Any]) -> None:
    x, info = solve(A, B, rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(x, spsolve(A.tocsc(), B), rtol=1e-10)


@pytest.mark.parametrize("solve", ALL)
def test_a_solution_says_how_it_ended(solve: Callable[..., Any]) -> None:
    solution = solve(A, B)
    assert isinstance(solution, tuple) and solution.x is solution[0] and solution.info == solution[1] == 0
    assert solution.converged and solution.reason == "converged" and 0 < solution.iterations < 100
    assert solution.residual_norm == pytest.approx(true_norm(A, B, solution.x), rel=1e-6)
    assert solution.residual_norm <= 1e-8 * np.linalg.norm(B)
    again = pickle.loads(pickle.dumps(solution))
    assert (copy.copy(again).iterations, again.reason, again.residual_norm) == (solution.iterations, *vars_of(solution))
    assert "converged after" in repr(solution)


def vars_of(solution: Solution) -> tuple[str, float]:
    return solution.reason, solution.residual_norm


def test_sweeps_are_those_of_pyamg() -> None:
    x = X0.copy()
    pyamg.relaxation.relaxation.sor(sparse.csr_matrix(A), x, B, omega=1.3, iterations=3, sweep="forward")
    ours = sor(A, B, X0, omega=1.3, maxiter=3)
    assert ours.iterations == 3
    np.testing.assert_allclose(ours.x, x, rtol=1e-13)


def test_sweeps_over_a_matrix_that_is_not_symmetric_are_those_of_pyamg() -> None:
    x = X0.copy()
    pyamg.relaxation.relaxation.sor(sparse.csr_matrix(SKEW), x, B, omega=1.3, iterations=3, sweep="forward")
    np.testing.assert_allclose(sor(SKEW, B, X0, omega=1.3, maxiter=3).x, x, rtol=1e-13)
    solved = sor(SKEW, B, rtol=1e-12)
    assert solved.converged
    np.testing.assert_allclose(solved.x, spsolve(SKEW.tocsc(), B), rtol=1e-10)


def test_ssor_sweeps_forward_and_then_backward() -> None:
    x = X0.copy()
    for way in ("forward", "backward"):
        pyamg.relaxation.relaxation.sor(sparse.csr_matrix(A), x, B, omega=1.3, iterations=1, sweep=way)
    ours = ssor(A, B, X0, omega=1.3, maxiter=1)
    assert ours.iterations == 1
    np.testing.assert_allclose(ours.x, x, rtol=1e-13)


@pytest.mark.parametrize("x0", [None, X0])
def test_cg_makes_the_steps_of_scipy(x0: Any) -> None:
    theirs: list[np.ndarray] = []
    ours: list[np.ndarray] = []
    scipy_cg(A, B, x0, rtol=1e-8, callback=lambda x: theirs.append(x.copy()))
    cg(A, B, x0, rtol=1e-8, callback=ours.append)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("x0", [None, X0])
def test_ssor_cg_makes_the_steps_of_scipy_with_the_preconditioner(x0: Any) -> None:
    theirs: list[np.ndarray] = []
    scipy_cg(A, B, x0, rtol=1e-8, M=ssor_preconditioner(A, 1.3), callback=lambda x: theirs.append(x.copy()))
    for solve in (
        lambda callback: ssor_cg(A, B, x0, omega=1.3, callback=callback),
        lambda callback: cg(A, B, x0, M=ssor_preconditioner(A, 1.3), callback=callback),
    ):
        ours: list[np.ndarray] = []
        solve(ours.append)
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.parametrize(
    "M",
    [
        lambda r: r / A.diagonal(),
        aslinearoperator(sparse.diags_array(1.0 / A.diagonal())),
        sparse.diags_array(1.0 / A.diagonal()),
        np.diag(1.0 / A.diagonal()),
    ],
)
def test_cg_takes_every_form_of_a_preconditioner(M: Any) -> None:
    theirs: list[np.ndarray] = []
    expected, _ = scipy_cg(
        A, B, rtol=1e-10, M=sparse.diags_array(1.0 / A.diagonal()), callback=lambda x: theirs.append(x.copy())
    )
    solution = cg(A, B, rtol=1e-10, M=M)
    assert solution.converged and solution.iterations == len(theirs)
    np.testing.assert_allclose(solution.x, expected, atol=1e-9)


@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
def test_the_callback_sees_each_iterate_and_changes_nothing(solve: Callable[..., Any]) -> None:
    seen: list[np.ndarray] = []
    solution = solve(A, B, X0, callback=seen.append)
    assert len(seen) == solution.iterations
    assert (seen[-1] == solution.x).all() and seen[-1] is not solution.x
    assert true_norm(A, B, seen[0]) > 10 * true_norm(A, B, seen[-1])
    for k in (1, 2):
        assert (solve(A, B, X0, maxiter=k).x == seen[k - 1]).all()
    alone = solve(A, B, X0)
    assert (alone.x == solution.x).all() and alone.iterations == solution.iterations

    def spoil(x: np.ndarray) -> None:
        x[:] = np.nan

    assert (solve(A, B, X0, callback=spoil).x == alone.x).all()


@pytest.mark.parametrize("solve", ALL)
def test_what_is_handed_in_is_not_changed(solve: Callable[..., Any]) -> None:
    b, x0, matrix = B.copy(), X0.copy(), A.copy()
    solution = solve(matrix, b, x0)
    assert (b == B).all() and (x0 == X0).all() and (matrix != A).nnz == 0
    assert not np.shares_memory(solution.x, x0)


@pytest.mark.parametrize("solve", ALL)
def test_a_prepared_matrix_gives_the_same_bits(solve: Callable[..., Any]) -> None:
    assert (solve(prepare(A), B).x == solve(A, B).x).all()


@pytest.mark.parametrize("b", [B.tolist(), B[:, None], np.asfortranarray(B[:, None]), np.repeat(B, 2)[::2]])
def test_right_hand_sides_of_other_forms_are_taken(b: Any) -> None:
    solution = sor(A, b, b)
    assert solution.x.shape == (25,) and (solution.x == sor(A, B, B).x).all()


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.bool_, np.float32, ">f8"])
def test_right_hand_sides_of_other_types_are_converted(kind: Any) -> None:
    b = (B > 0.0).astype(kind)
    assert (sor(A, b).x == sor(A, (B > 0.0).astype(float)).x).all()


# When it ends.


@pytest.mark.parametrize("solve", ALL)
def test_the_tolerance_is_the_larger_of_both(solve: Callable[..., Any]) -> None:
    norm = np.linalg.norm(B)
    expected = solve(A, B, X0, rtol=1e-3).iterations
    for rtol, atol in ((1e-3, 0.0), (0.0, 1e-3 * norm), (1e-3, 1e-9), (1e-9, 1e-3 * norm)):
        solution = solve(A, B, X0, rtol=rtol, atol=atol)
        assert solution.iterations == expected and solution.residual_norm <= 1e-3 * norm * (1 + 1e-12)
        assert solve(A, B, X0, rtol=rtol, atol=atol, maxiter=solution.iterations - 1).info > 0


@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
def test_relative_to_the_start_measures_from_the_first_residual(solve: Callable[..., Any]) -> None:
    near = spsolve(A.tocsc(), B) + 1e-6 * X0
    first = true_norm(A, B, near)
    rhs, start = solve(A, B, near), solve(A, B, near, relative_to="start")
    assert rhs.iterations < start.iterations
    assert start.residual_norm <= 1e-8 * first < rhs.residual_norm
    assert solve(A, B, relative_to="start").iterations == solve(A, B).iterations


@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
def test_a_solution_to_start_from_takes_no_iteration(solve: Callable[..., Any]) -> None:
    x = spsolve(A.tocsc(), B)
    seen: list[np.ndarray] = []
    solution = solve(A, B, x, callback=seen.append)
    assert (solution.iterations, solution.info, seen) == (0, 0, []) and (solution.x == x).all()


@pytest.mark.parametrize("relative_to", ["rhs", "start"])
@pytest.mark.parametrize("x0", [None, X0])
@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
def test_zero_on_the_right_is_solved_by_zero(solve: Callable[..., Any], x0: Any, relative_to: Any) -> None:
    solution = solve(A, np.zeros(25), x0, relative_to=relative_to)
    assert (solution.iterations, solution.info, solution.residual_norm) == (0, 0, 0.0)
    assert not solution.x.any()


@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
@pytest.mark.parametrize("cap", [0, 1, 2])
def test_a_capped_solve_is_no_success(solve: Callable[..., Any], cap: int) -> None:
    solution = solve(A, B, X0, maxiter=cap)
    assert (solution.iterations, solution.info, solution.reason) == (cap, max(cap, 1), "iteration cap")
    assert not solution.converged
    assert solution.residual_norm == pytest.approx(true_norm(A, B, solution.x))
    if cap == 0:  # SciPy's info would be 0, which says that it converged
        assert (solution.x == X0).all()


@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
def test_a_tolerance_below_what_rounding_allows_ends_as_stagnated(solve: Callable[..., Any]) -> None:
    solution = solve(A, B, rtol=1e-17)
    assert solution.reason == "stagnated" and solution.info == solution.iterations > 0
    assert solution.iterations < 1000
    assert solution.residual_norm == pytest.approx(true_norm(A, B, solution.x), abs=1e-14)
    assert solution.residual_norm < 1e-14 * np.linalg.norm(B)  # as good as it gets


def test_sweeps_over_an_indefinite_matrix_diverge() -> None:
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
    for solve in (sor, ssor):
        solution = solve(indefinite, [1.0, -1.0])
        assert (solution.reason, solution.info) == ("diverged", -3)
    for solve in (ssor_cg, cg):
        solution = solve(indefinite, [1.0, -1.0])
        assert (solution.reason, solution.info) == ("not positive definite", -5)


def test_sweeps_over_a_matrix_that_is_not_symmetric_can_diverge() -> None:
    solution = sor(np.array([[1.0, 3.0], [2.0, 1.0]]), [1.0, 1.0])
    assert (solution.reason, solution.info) == ("diverged", -3)


def test_a_preconditioner_that_is_not_definite_or_not_finite_is_told() -> None:
    solution = cg(A, B, M=lambda r: -r)
    assert (solution.reason, solution.info) == ("not positive definite", -5)
    solution = cg(A, B, M=lambda r: r * np.nan)
    assert (solution.reason, solution.info) == ("not finite", -4)


@pytest.mark.parametrize("digits", every_run([10, 12], [10]))
def test_a_preconditioner_from_outside_does_not_change_when_a_solve_ends(digits: int) -> None:
    rng = np.random.default_rng(digits)
    basis = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    matrix = basis @ np.diag(np.logspace(0, -digits, 20)) @ basis.T
    matrix, b = (matrix + matrix.T) / 2.0, rng.normal(size=20)
    for how in ({}, {"maxiter": 100}):
        inside, outside = cg(matrix, b, **how), cg(matrix, b, M=lambda r: r, **how)
        assert outside.reason == inside.reason == ("iteration cap" if how else "stagnated")


@pytest.mark.parametrize("solve", [*ALL, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
@pytest.mark.parametrize("scale", [1.0, 1e150])
def test_an_x_that_is_not_finite_is_never_handed_out_as_one(solve: Callable[..., Any], scale: float) -> None:
    singular = 2.0 * np.eye(20) - np.eye(20, k=1) - np.eye(20, k=-1)
    singular[0, 0] = singular[-1, -1] = 1.0  # no solution: the entries of b have a sum
    with np.errstate(over="ignore", invalid="ignore"):
        for b in (np.ones(20), np.random.default_rng(0).normal(size=20)):
            solution = solve(singular, scale * b)
            assert not solution.converged
            finite = bool(np.isfinite(solution.x).all()) and np.isfinite(solution.residual_norm)
            assert finite or (solution.reason, solution.info) == ("not finite", -4)


def test_numbers_that_overflow_on_the_way_end_as_not_finite() -> None:
    with np.errstate(over="ignore", invalid="ignore"):  # Python warns where compiled code goes on
        solution = sor(A, B, X0 * 1e300)
    assert (solution.reason, solution.info, solution.iterations) == ("not finite", -4, 0)


# What is refused, before anything is done.


@pytest.mark.parametrize("omega", [0.0, 2.0, -1.0, 2.5, np.nan, np.inf, "1", None, 1j])
@pytest.mark.parametrize("solve", TUNED)
def test_omega_outside_0_and_2_is_refused(solve: Callable[..., Any], omega: Any) -> None:
    error = refused(solve, A, B, omega=omega)
    assert error.code == "bad_omega" and f"omega is {omega!r}" in str(error)


@pytest.mark.parametrize("omega", [1e-3, 1.999, np.float64(1.5), 1])
@pytest.mark.parametrize("solve", TUNED)
def test_omega_inside_0_and_2_is_taken(solve: Callable[..., Any], omega: Any) -> None:
    assert solve(A, B, omega=omega, maxiter=1).iterations == 1


@pytest.mark.parametrize("solve", ALL)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"rtol": -1e-8}, "bad_tolerance"),
        ({"rtol": np.nan}, "bad_tolerance"),
        ({"atol": -1.0}, "bad_tolerance"),
        ({"atol": np.inf}, "bad_tolerance"),
        ({"rtol": 0.0}, "bad_tolerance"),
        ({"rtol": "small"}, "bad_tolerance"),
        ({"maxiter": -1}, "bad_maxiter"),
        ({"maxiter": 1.5}, "bad_maxiter"),
        ({"maxiter": None}, "bad_maxiter"),
        ({"relative_to": "x0"}, "bad_relative_to"),
    ],
)
def test_bad_rules_to_end_are_refused(solve: Callable[..., Any], how: dict[str, Any], code: str) -> None:
    error = refused(solve, A, B, **how)
    name, value = next(iter(how.items()))
    assert error.code == code and (f"{name} is {value!r}" in str(error) or how == {"rtol": 0.0})


@pytest.mark.parametrize("name", ["b", "x0"])
@pytest.mark.parametrize("solve", ALL)
@pytest.mark.parametrize(
    ("vector", "code", "said"),
    [
        (np.ones(24), "bad_shape", "(24,)"),
        (np.ones((1, 25)), "bad_shape", "(1, 25)"),
        (np.ones((25, 2)), "bad_shape", "(25, 2)"),
        (1.0, "bad_shape", "()"),
        (np.full(25, np.nan), "not_finite", "[0] is nan"),
        (np.r_[np.ones(24), np.inf], "not_finite", "[24] is inf, and 1 of 25"),
        (np.ones(25) * 1j, "complex", "complex"),
        (np.array(["1"] * 25), "bad_dtype", "<U1"),
        (np.array([None] * 25), "bad_dtype", "object"),
    ],
)
def test_bad_vectors_are_refused(solve: Callable[..., Any], name: str, vector: Any, code: str, said: str) -> None:
    error = refused(solve, A, vector) if name == "b" else refused(solve, A, B, vector)
    assert error.code == code and name in str(error) and said in str(error)


@pytest.mark.parametrize("scale", [1e-200, 1e300])
def test_right_hand_sides_whose_squares_are_lost_are_refused(scale: float) -> None:
    with np.errstate(over="ignore"):
        assert refused(sor, A, scale * B).code == "bad_scale"


@pytest.mark.parametrize("scale", [1e-130, 1e130])
def test_right_hand_sides_of_other_scales_take_the_same_iterations(scale: float) -> None:
    for solve in ALL:
        assert solve(A, scale * B).iterations == solve(A, B).iterations


@pytest.mark.parametrize("solve", [ssor, ssor_cg, cg])
def test_a_matrix_that_is_not_symmetric_is_refused_where_that_matters(solve: Callable[..., Any]) -> None:
    error = refused(solve, SKEW, B)
    assert error.code == "not_symmetric" and "differ by 0.05" in str(error)
    assert refused(solve, prepare(SKEW, symmetric=False), B).code == "not_symmetric"


@pytest.mark.parametrize("solve", ALL)
def test_a_bare_operator_is_a_type_error(solve: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="needs the entries"):
        solve(LinearOperator((25, 25), matvec=lambda v: v, dtype=float), B)


@pytest.mark.parametrize(
    ("M", "said"),
    [
        (3.0, "M is a float"),
        (np.eye(24), "(24, 24)"),
        (lambda r: r[:-1], "(24,)"),
        (lambda r: r * 1j, "complex"),
    ],
)
def test_a_bad_preconditioner_is_refused(M: Any, said: str) -> None:
    assert said in str(refused(cg, A, B, M=M))


# Figures of the literature.


@pytest.mark.jit
@pytest.mark.parametrize("solve", COUNTS)
@pytest.mark.parametrize("shift", YOUNG)
def test_published_counts_to_the_integer(solve: Callable[..., Any], shift: float) -> None:
    matrix = prepare(laplacian(10, shift))
    root = np.sqrt(1.0 - (4.0 * np.cos(np.pi / 11) / (4.0 + shift)) ** 2)
    young = 2.0 / (1.0 + root)
    assert young == pytest.approx(YOUNG[shift], abs=1e-5)
    omegas = (1.0, 1.2, 1.4, young, 1.8, 1.9)
    found = tuple(solve(matrix, np.ones(100), omega=omega).iterations for omega in omegas)
    assert found == COUNTS[solve][shift]
    assert cg(matrix, np.ones(100)).iterations == 15


@pytest.mark.jit
def test_published_counts_of_larger_grids() -> None:
    matrix = prepare(laplacian(32))
    found = [sor(matrix, np.ones(1024), omega=omega).iterations for omega in (1.826390542, 1.5, 1.9, 1.95)]
    assert found == [124, 661, 198, 396]
    matrix = prepare(laplacian(100))
    found = [sor(matrix, np.ones(10_000), omega=omega).iterations for omega in (1.939676333, 1.9, 1.95)]
    assert found == [389, 917, 408]


@pytest.mark.jit
@pytest.mark.parametrize("solve", [*TUNED, cg, lambda *args, **how: cg(*args, M=lambda r: r, **how)])
def test_compiled_solves_end_and_call_back_as_interpreted_ones(solve: Callable[..., Any]) -> None:
    seen: list[np.ndarray] = []
    solution = solve(laplacian(20), np.ones(400), callback=seen.append)
    assert solution.converged and len(seen) == solution.iterations
    assert (seen[-1] == solve(laplacian(20), np.ones(400)).x).all()


@pytest.mark.jit
def test_compiled_sweeps_over_a_matrix_that_is_not_symmetric() -> None:
    seen: list[np.ndarray] = []
    solution = sor(SKEW, B, X0, omega=1.2, rtol=1e-12, callback=seen.append)
    assert solution.converged and len(seen) == solution.iterations
    np.testing.assert_allclose(solution.x, spsolve(SKEW.tocsc(), B), rtol=1e-10)


@pytest.mark.jit
@pytest.mark.parametrize("solve", ALL)
def test_compiled_solves_take_every_layout(solve: Callable[..., Any]) -> None:
    """Compiled code looks at the bytes alone: a stride, an order or a type that is not its own gives wrong numbers."""
    whole = solve(A, B, X0).x
    packed = np.zeros(25, dtype=[("flag", "i1"), ("number", "f8")])  # not aligned
    packed["number"] = B
    frozen = B.copy()
    frozen.flags.writeable = False
    for b in (np.repeat(B, 2)[::2], B[::-1].copy()[::-1], B.astype(">f8"), B[:, None], packed["number"], frozen):
        assert (solve(A, b, X0).x == whole).all()
    for x0 in (np.repeat(X0, 2)[::2], X0.astype(">f8"), X0[:, None], X0.tolist()):
        assert (solve(A, B, x0).x == whole).all()
