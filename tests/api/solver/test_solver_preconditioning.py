"""SSOR as others' preconditioner: the inverse of a symmetric positive definite M, in SciPy's and PyAMG's hands."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyamg
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, spsolve
from scipy.sparse.linalg import cg as scipy_cg
from support import with_numba
from support.with_numba import AS_PYTHON

from onearm.api.solver.matrices import prepare
from onearm.api.solver.preconditioning import ssor_preconditioner
from onearm.api.solver.solving import ssor_cg
from onearm.engine.errors import InvalidInput

SIDE = 6
LINE = sparse.diags_array([-np.ones(SIDE - 1), 2.0 * np.ones(SIDE), -np.ones(SIDE - 1)], offsets=(-1, 0, 1))
EYE = sparse.eye_array(SIDE)
SCALE = np.linspace(1.0, 3.0, SIDE * SIDE)  # so that the diagonal is not constant
A = sparse.csr_array((sparse.kron(LINE, EYE) + sparse.kron(EYE, LINE)) * SCALE[:, None] * SCALE[None, :])
B = np.random.default_rng(3).normal(size=SIDE * SIDE)


def inverse_of_m(omega: float) -> np.ndarray:
    """Return M^-1 of the definition, in dense arithmetic."""
    dense = A.toarray()
    D, L = np.diag(np.diag(dense)), np.tril(dense, -1)
    return np.linalg.inv((D / omega + L.T) @ np.linalg.inv(D) @ (D / omega + L) * (omega / (2.0 - omega)))


@pytest.mark.parametrize("omega", [0.3, 1.0, 1.5, 1.95])
def test_it_applies_the_inverse_of_m(omega: float) -> None:
    M = ssor_preconditioner(A, omega)
    assert isinstance(M, LinearOperator) and M.shape == A.shape and M.dtype == np.float64
    np.testing.assert_allclose(M @ np.eye(A.shape[0]), inverse_of_m(omega), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(M.H @ B, inverse_of_m(omega) @ B, rtol=1e-10)
    np.testing.assert_allclose(M @ B[:, None], (inverse_of_m(omega) @ B)[:, None], rtol=1e-10)


@pytest.mark.parametrize("omega", [0.3, 1.0, 1.5, 1.95])
def test_it_is_symmetric_positive_definite_and_nears_the_inverse(omega: float) -> None:
    dense = ssor_preconditioner(A, omega) @ np.eye(A.shape[0])
    assert np.abs(dense - dense.T).max() < 1e-14
    values = np.linalg.eigvals(dense @ A.toarray()).real  # of M^-1 A: in (0, 1], as Axelsson shows
    assert values.min() > 0.0 and values.max() < 1.0 + 1e-12


def test_scipy_takes_fewer_steps_with_it_and_as_many_as_ssor_cg() -> None:
    def steps(**how: Any) -> int:
        seen: list[Any] = []
        x, info = scipy_cg(A, B, rtol=1e-8, callback=seen.append, **how)
        assert info == 0
        np.testing.assert_allclose(x, spsolve(A.tocsc(), B), atol=1e-6)
        return len(seen)

    with_it = steps(M=ssor_preconditioner(A, 1.5))
    assert 2 * with_it < steps()
    assert with_it == ssor_cg(A, B, omega=1.5).iterations


def test_pyamg_takes_it() -> None:
    residuals: list[float] = []
    matrix = sparse.csr_matrix(A)
    x, info = pyamg.krylov.cg(matrix, B, tol=1e-10, M=ssor_preconditioner(A, 1.5), residuals=residuals)
    assert info == 0 and len(residuals) - 1 < 25
    np.testing.assert_allclose(x, spsolve(A.tocsc(), B), atol=1e-8)


def test_a_prepared_matrix_is_taken_and_r_is_not_changed() -> None:
    r = B.copy()
    z = ssor_preconditioner(prepare(A), 1.5) @ r
    assert (r == B).all() and (z == ssor_preconditioner(A, 1.5) @ B).all()
    assert not np.shares_memory(z, ssor_preconditioner(A, 1.5) @ r)


def test_residuals_of_other_types_and_strides_are_taken() -> None:
    M = ssor_preconditioner(A, 1.5)
    integers = np.arange(A.shape[0])
    assert (M @ integers == M @ integers.astype(float)).all()
    assert (M @ np.repeat(B, 2)[::2] == M @ B).all()


@pytest.mark.parametrize(
    ("matrix", "omega", "code"),
    [
        (A, 0.0, "bad_omega"),
        (A, 2.0, "bad_omega"),
        (A, np.nan, "bad_omega"),
        (sparse.csr_array(np.triu(A.toarray())), 1.0, "not_symmetric"),
        (-A, 1.0, "bad_diagonal"),
        (aslinearoperator(A), 1.0, "no_entries"),
    ],
)
def test_bad_input_is_refused_when_it_is_made(matrix: Any, omega: float, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ssor_preconditioner(matrix, omega)
    assert caught.value.code == code


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(InvalidInput, match=r"'\.\[solver\]'") as caught:
        ssor_preconditioner(A, 1.0)
    assert caught.value.code == "no_scipy"


def test_nothing_else_of_the_door_imports_scipy() -> None:
    """SciPy is an extra: solving, and importing the room, must do without it."""
    code = """
import sys
sys.modules["scipy"] = None
import numpy as np
from onearm.api.solver import cg, prepare, sor, ssor, ssor_cg, ssor_preconditioner
A = prepare(np.array([[4.0, -1.0], [-1.0, 4.0]]))
for solve in (sor, ssor, ssor_cg, cg):
    print(solve(A, [3.0, 3.0]).x.round(6).tolist())
"""
    done = with_numba.run(code, **AS_PYTHON)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:4] == ["[1.0, 1.0]"] * 4


@pytest.mark.jit
def test_compiled_it_applies_the_same_inverse() -> None:
    np.testing.assert_allclose(ssor_preconditioner(A, 1.5) @ B, inverse_of_m(1.5) @ B, rtol=1e-10)
