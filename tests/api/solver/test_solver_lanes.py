"""Many right-hand sides at once: every column ends as a solve of its own does, with the same bits."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.every_run import every_run

from onearm.api.solver.lanes import LANES, sor_many
from onearm.api.solver.matrices import prepare
from onearm.api.solver.solution import Solutions
from onearm.api.solver.solving import sor
from onearm.engine.errors import InvalidInput

N = 12
LINE = sparse.diags_array([-np.ones(N - 1), np.linspace(2.5, 4.0, N), -np.ones(N - 1)], offsets=(-1, 0, 1))
A = sparse.csr_array(LINE + sparse.diags_array([0.3 * np.ones(N - 4), 0.3 * np.ones(N - 4)], offsets=(-4, 4)))
SKEW = A + sparse.diags_array([np.full(N - 1, 0.25)], offsets=[1])
RNG = np.random.default_rng(1)
B = RNG.normal(size=(N, 5))
X0 = RNG.normal(size=(N, 5))


def same_as_alone(found: Solutions, matrix: Any, b: np.ndarray, x0: Any, omegas: Any, **how: Any) -> None:
    for j in range(b.shape[1]):
        start = None if x0 is None else x0[:, j]
        alone = sor(matrix, b[:, j], start, omega=omegas[j], **how)
        assert (found.x[:, j] == alone.x).all()
        assert (found.iterations[j], found.info[j], found.reason[j], found.residual_norm[j], found.converged[j]) == (
            alone.iterations,
            alone.info,
            alone.reason,
            alone.residual_norm,
            alone.converged,
        )


HOW = [{}, {"rtol": 1e-3}, {"rtol": 0.0, "atol": 1e-4}, {"maxiter": 7}, {"maxiter": 0}, {"relative_to": "start"}]


@pytest.mark.covering
@pytest.mark.parametrize("matrix", [A, SKEW, prepare(A)])
@pytest.mark.parametrize("x0", [None, X0])
@pytest.mark.parametrize(
    "how",
    every_run(HOW, HOW[::2]),
)
def test_each_column_has_the_bits_of_a_solve_alone(matrix: Any, x0: Any, how: dict[str, Any]) -> None:
    omegas = np.array([0.7, 1.0, 1.2, 1.5, 1.8])
    same_as_alone(sor_many(matrix, B, x0, omega=omegas, **how), matrix, B, x0, omegas, **how)
    same_as_alone(sor_many(matrix, B, x0, omega=1.1, **how), matrix, B, x0, [1.1] * 5, **how)


@pytest.mark.parametrize("k", [0, 1, LANES - 1, LANES, LANES + 1, 3 * LANES + 2])
def test_there_may_be_fewer_or_more_columns_than_lanes(k: int) -> None:
    rng = np.random.default_rng(k)
    b, omegas = rng.normal(size=(N, k)), rng.uniform(0.8, 1.6, k)
    found = sor_many(A, b, omega=omegas)
    assert found.x.shape == (N, k) and len(found.reason) == k
    same_as_alone(found, A, b, None, omegas)


def test_the_pair_is_that_of_scipy_for_each_column() -> None:
    X, info = sor_many(A, B, omega=1.1, rtol=1e-12)
    assert info.tolist() == [0] * 5
    np.testing.assert_allclose(X, np.linalg.solve(A.toarray(), B), rtol=1e-9)
    capped = sor_many(A, B, omega=[1.1, 1.1, 1.1, 1.1, 1.95], maxiter=20)
    assert capped.info.tolist() == [0, 0, 0, 0, 20] and capped.converged.tolist() == [True] * 4 + [False]
    assert capped.reason[4] == "iteration cap"
    again = pickle.loads(pickle.dumps(capped))
    assert (again.info == capped.info).all() and again.reason == capped.reason
    assert "4 of 5 converged" in repr(again)


@pytest.mark.parametrize("relative_to", ["rhs", "start"])
@pytest.mark.parametrize("matrix", [A, SKEW])
def test_a_zero_column_is_solved_by_zero_beside_others(matrix: Any, relative_to: Any) -> None:
    b = B.copy()
    b[:, 2] = 0.0
    found = sor_many(matrix, b, X0, omega=1.1, relative_to=relative_to)
    assert (found.iterations[2], found.info[2], found.x[:, 2].any()) == (0, 0, False)
    same_as_alone(found, matrix, b, X0, [1.1] * 5, relative_to=relative_to)


def test_what_is_handed_in_is_not_changed_and_any_layout_will_do() -> None:
    b, x0 = B.copy(), X0.copy()
    found = sor_many(A, b, x0, omega=1.1)
    assert (b == B).all() and (x0 == X0).all()
    for same in (np.asfortranarray(B), B.tolist(), np.repeat(B, 2, axis=1)[:, ::2]):
        columns = np.asfortranarray(X0)  # whose columns lie as the solver wants them
        assert (sor_many(A, same, columns, omega=1.1).x == found.x).all()
        assert (columns == X0).all()


def test_a_column_that_diverges_spoils_no_other() -> None:
    indefinite = sparse.csr_array(np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    found = sor_many(indefinite, b)
    assert found.reason == ("diverged", "converged") and found.info.tolist() == [-3, 0]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"B": np.ones(N)}, "bad_shape", f"it must be ({N}, k)"),
        ({"B": np.ones((N + 1, 2))}, "bad_shape", f"({N + 1}, 2)"),
        ({"B": np.full((N, 2), np.nan)}, "not_finite", "B[0, 0] is nan"),
        ({"B": np.ones((N, 2)) * 1j}, "complex", "B is complex"),
        ({"B": np.full((N, 2), 1e-200)}, "bad_scale", "1e-200"),
        ({"X0": np.ones((N, 3))}, "bad_shape", f"it must be ({N}, 5)"),
        ({"X0": np.full((N, 5), np.inf)}, "not_finite", "X0[0, 0] is inf"),
        ({"omega": [1.0, 1.0]}, "bad_shape", "omega has the shape (2,)"),
        ({"omega": [1.0, 1.0, 1.0, 1.0, 2.0]}, "bad_omega", "omega is 2.0"),
        ({"omega": 0.0}, "bad_omega", "omega is 0.0"),
        ({"omega": np.full(5, np.nan)}, "bad_omega", "omega is nan"),
        ({"rtol": 0.0}, "bad_tolerance", "both 0"),
        ({"maxiter": -1}, "bad_maxiter", "maxiter is -1"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], code: str, said: str) -> None:
    how = {"B": B, **change}
    with pytest.raises(InvalidInput) as caught:
        sor_many(A, how.pop("B"), **how)
    assert caught.value.code == code and said in str(caught.value)


@pytest.mark.jit
@pytest.mark.parametrize("matrix", [A, SKEW])
def test_compiled_each_column_has_the_bits_of_a_solve_alone(matrix: Any) -> None:
    rng = np.random.default_rng(9)
    b, omegas = rng.normal(size=(N, 40)), rng.uniform(0.5, 1.9, 40)
    for how in ({}, {"relative_to": "start"}, {"maxiter": 12}):
        same_as_alone(sor_many(matrix, b, omega=omegas, **how), matrix, b, None, omegas, **how)
