"""SOR on grids without a matrix: the sweeps are those of the matrix with its unknowns in red-black order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from onearm.api.solver.solving import sor
from onearm.api.solver.stencil import sor_stencil
from onearm.engine.errors import InvalidInput

SHAPES = [(5, 6), (4, 4), (1, 7), (7, 1), (2, 3), (1, 1)]


def matrix_of(shape: tuple[int, int], centre: float, along_0: float, along_1: float) -> Any:
    """Return the matrix of a stencil, the points of the grid in their order."""

    def line(n: int) -> Any:
        return sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=(-1, 1), shape=(n, n))

    m, n = shape
    beside = along_0 * sparse.kron(line(m), sparse.eye_array(n)) + along_1 * sparse.kron(sparse.eye_array(m), line(n))
    return sparse.csr_array(centre * sparse.eye_array(m * n) + beside)


def red_black(shape: tuple[int, int]) -> np.ndarray:
    """Return the points in the order of their sweeps: those where row + column is even, and then the others."""
    colour = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 2
    return np.argsort(colour.reshape(-1), kind="stable")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("off", [-1.0, (-1.0, -0.25), (0.5, -1.0), [-0.5, 0.0]])
def test_iterates_are_those_of_the_matrix_in_red_black_order(shape: tuple[int, int], off: Any) -> None:
    rng = np.random.default_rng(0)
    b, x0 = rng.normal(size=shape), rng.normal(size=shape)
    pair = off if isinstance(off, tuple | list) else (off, off)
    A, order = matrix_of(shape, 4.1, *pair), red_black(shape)
    permuted = A[order][:, order]
    for how in ({"maxiter": 1}, {"maxiter": 4}, {}, {"relative_to": "start"}):
        ours = sor_stencil(b, x0, centre=4.1, off=off, omega=1.2, **how)
        theirs = sor(permuted, b.reshape(-1)[order], x0.reshape(-1)[order], omega=1.2, **how)
        assert (ours.iterations, ours.reason) == (theirs.iterations, theirs.reason)
        np.testing.assert_allclose(ours.x.reshape(-1)[order], theirs.x, atol=1e-13)
        residual = b.reshape(-1) - A @ ours.x.reshape(-1)
        assert ours.residual_norm == pytest.approx(np.linalg.norm(residual), rel=1e-5, abs=1e-14)


def test_the_solution_is_that_of_a_direct_solver() -> None:
    b = np.random.default_rng(1).normal(size=(6, 5))
    x, info = sor_stencil(b, centre=4.0, off=(-1.0, -0.9), omega=1.3, rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(x.reshape(-1), spsolve(matrix_of((6, 5), 4.0, -1.0, -0.9).tocsc(), b.reshape(-1)))


def test_what_is_handed_in_is_not_changed_and_any_layout_will_do() -> None:
    b = np.random.default_rng(2).normal(size=(4, 6))
    x0 = np.ones((4, 6))
    whole = sor_stencil(b, x0, centre=4.0, off=-1.0)
    assert (x0 == 1.0).all()
    for same in (b.tolist(), np.asfortranarray(b), np.repeat(b, 2, axis=1)[:, ::2]):
        assert (sor_stencil(same, x0, centre=4, off=-1).x == whole.x).all()


def test_zero_on_the_right_is_solved_by_zero() -> None:
    solution = sor_stencil(np.zeros((3, 3)), np.ones((3, 3)), centre=4.0, off=-1.0)
    assert (solution.iterations, solution.info, solution.x.any()) == (0, 0, False)


def test_a_stencil_that_does_not_converge_is_told() -> None:
    solution = sor_stencil(np.ones((9, 9)), centre=1.0, off=-1.0)
    assert (solution.reason, solution.info) == ("diverged", -3)


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"b": np.ones(4)}, "bad_shape", "(4,)"),
        ({"b": np.ones((0, 4))}, "bad_shape", "(0, 4)"),
        ({"b": np.ones((2, 2, 2))}, "bad_shape", "(2, 2, 2)"),
        ({"b": np.full((2, 2), np.nan)}, "not_finite", "b[0, 0] is nan"),
        ({"b": np.ones((2, 2)) * 1j}, "complex", "b is complex"),
        ({"x0": np.ones((2, 3))}, "bad_shape", "x0 has the shape (2, 3): b has (3, 2)"),
        ({"x0": np.full((3, 2), np.inf)}, "not_finite", "x0[0, 0] is inf"),
        ({"centre": 0.0}, "bad_diagonal", "centre is 0"),
        ({"centre": -4.0}, "bad_diagonal", "centre is -4"),
        ({"centre": np.nan}, "bad_number", "centre is nan"),
        ({"off": np.inf}, "bad_number", "off is inf"),
        ({"off": (1.0, "x")}, "bad_number", "off is 'x'"),
        ({"off": (1.0, 1.0, 1.0)}, "bad_number", "off is (1.0, 1.0, 1.0)"),
        ({"omega": 2.0}, "bad_omega", "omega is 2.0"),
        ({"rtol": -1.0}, "bad_tolerance", "rtol is -1.0"),
        ({"maxiter": -1}, "bad_maxiter", "maxiter is -1"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], code: str, said: str) -> None:
    how = {"b": np.ones((3, 2)), "centre": 4.0, "off": -1.0, **change}
    with pytest.raises(InvalidInput) as caught:
        sor_stencil(how.pop("b"), **how)
    assert caught.value.code == code and said in str(caught.value)


@pytest.mark.jit
def test_compiled_sweeps_are_those_of_the_matrix() -> None:
    b = np.random.default_rng(3).normal(size=(31, 20))
    order = red_black(b.shape)
    ours = sor_stencil(b, centre=4.0, off=(-1.0, -0.5), omega=1.5)
    theirs = sor(matrix_of(b.shape, 4.0, -1.0, -0.5)[order][:, order], b.reshape(-1)[order], omega=1.5)
    assert ours.converged and ours.iterations == theirs.iterations
    np.testing.assert_allclose(ours.x.reshape(-1)[order], theirs.x, atol=1e-12)
