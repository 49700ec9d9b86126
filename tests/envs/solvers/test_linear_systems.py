"""Sequences of systems: counts of dense references, every form of a matrix, files, and each bad one refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput, NotFound
from onearm.engine.protocol import observe, respond
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog
from onearm.envs.solvers.linear_systems import write_systems

RUN = run_key(0, 0, NATURE)
OMEGAS = (1.0, 1.25, 1.5)
A3 = [[4.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 4.0]]
A2 = [[3.0, 1.0], [1.0, 2.0]]
SKEW = [[3.0, 1.0], [0.5, 2.0]]
B3, B2 = [1.0, 2.0, -1.0], [1.0, 5.0]


def make(matrices: Any, b: Any, **params: Any) -> Environment:
    given: dict[str, Any] = {"points": 3, "omega_max": 1.5, "rtol": 1e-6, "method": "sor"}
    return catalog.make("linear_systems", matrices=matrices, b=b, **{**given, **params})


def rewards(env: Environment, steps: int) -> list[list[float]]:
    """Return the reward of each arm in `steps` decisions."""
    state = env.init(env.params, env.problem, RUN)
    mask = np.ones(env.problem.n_arms, np.bool_)
    return [
        [
            respond(env.params, state, Instance(t, np.zeros(0), mask), arm, np.zeros(0), Key(RUN, t))[0]
            for arm in range(env.problem.n_arms)
        ]
        for t in range(steps)
    ]


def sweeps(matrix: Any, b: Any, omega: float, both: bool = False) -> int:
    """Count sweeps of SOR from 0, by solves with the whole lower triangle; pairs with the upper one where `both`."""
    dense, right = np.array(matrix), np.array(b)
    diagonal = np.diag(np.diag(dense)) / omega
    x, count = np.zeros(len(right)), 0
    while np.linalg.norm(right - dense @ x) > 1e-6 * np.linalg.norm(right):
        x += np.linalg.solve(diagonal + np.tril(dense, -1), right - dense @ x)
        if both:
            x += np.linalg.solve(diagonal + np.triu(dense, 1), right - dense @ x)
        count += 1
    return count


def expected(pairs: list[tuple[Any, Any]], both: bool = False) -> list[list[float]]:
    return [[-float(sweeps(matrix, b, omega, both)) for omega in OMEGAS] for matrix, b in pairs]


def test_systems_of_different_sizes_come_in_turn_and_again() -> None:
    pairs = [(A3, B3), (A2, B2), (A3, [9.0, 0.0, 1.0]), (A2, [5.0, 1.0])]
    matrices, b = zip(*pairs, strict=True)
    found = rewards(make(matrices, b), 6)
    assert found[:4] == expected(pairs)
    assert found[4:] == found[:2]
    assert len({tuple(row) for row in found}) == 4


def test_sor_takes_matrices_that_are_not_symmetric() -> None:
    assert rewards(make([A3, SKEW], [B3, B2]), 2) == expected([(A3, B3), (SKEW, B2)])
    for method in ("ssor", "ssor-cg"):
        with pytest.raises(InvalidInput, match=r"^matrix 2: the entries \(1, 0\) and \(0, 1\) differ") as error:
            make([A3, A3, SKEW], [B3, B3, B2], method=method)
        assert error.value.code == "not_symmetric"


def test_conjugate_gradients_end_within_as_many_steps_as_unknowns() -> None:
    found = rewards(make([A3, A2], [B3, B2], method="ssor-cg", rtol=1e-8), 2)
    assert all(-3.0 <= reward < 0.0 for reward in found[0]) and all(-2.0 <= reward < 0.0 for reward in found[1])


def test_an_iteration_of_ssor_is_a_sweep_there_and_one_back() -> None:
    assert rewards(make([A3, A2], [B3, B2], method="ssor"), 2) == expected([(A3, B3), (A2, B2)], both=True)


class Raw:
    """A matrix in CSR form that SciPy knows nothing of."""

    def __init__(self, matrix: Any) -> None:
        self.indptr, self.indices, self.data, self.shape = matrix.indptr, matrix.indices, matrix.data, matrix.shape


@pytest.mark.parametrize(
    "form",
    [
        np.array,
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.coo_matrix,
        sparse.bsr_matrix,
        sparse.dia_matrix,
        lambda rows: Raw(sparse.csr_matrix(rows)),
    ],
)
def test_a_matrix_may_have_any_form(form: Any) -> None:
    for rows, b in ((A3, B3), (SKEW, B2)):
        assert rewards(make([form(rows)], [b]), 1) == expected([(rows, b)])


def test_systems_may_come_as_arrays() -> None:
    matrices = np.array([A2, SKEW, np.eye(2)])
    b = np.array([B2, [1.0, -1.0], B2])
    env = make(matrices, b, contexts=np.array([0.5, 1.5, 2.5]))
    assert rewards(env, 3) == expected(list(zip(matrices, b, strict=True)))
    assert env.problem.context_shape == (1,)
    assert rewards(catalog.from_spec(env.spec), 3) == rewards(env, 3)


def test_duplicates_are_summed() -> None:
    split = sparse.csr_matrix(([1.0, 1.0, 2.0, 1.0, 2.0], [0, 1, 0, 0, 1], [0, 3, 5]), shape=(2, 2))
    assert rewards(make([split], [B2]), 1) == expected([(A2, B2)])


def test_a_matrix_that_comes_again_is_kept_once() -> None:
    matrix = sparse.csr_matrix(A3)
    assert len(make([matrix] * 50, [B3] * 50).params.diagonal) == 3
    assert len(make([matrix, matrix.copy()], [B3] * 2).params.diagonal) == 6


@pytest.mark.parametrize(("contexts", "shape"), [([0.5, -1.0], (1,)), ([[1, 2], [3, 4]], (2,)), (None, (0,))])
def test_contexts_are_numbers_or_rows(contexts: Any, shape: tuple[int, ...]) -> None:
    env = make([A3, A2], [B3, B2], contexts=contexts)
    assert env.problem.context_shape == shape
    context = np.zeros(shape)
    for t in range(4):
        observe(env.params, None, t, context, np.ones(3, np.bool_), Key(RUN, t))
        assert context.tolist() == ([] if contexts is None else np.ravel(contexts[t % 2]).tolist())


def test_a_solve_at_the_cap_or_without_an_end_costs_the_cap_and_nothing_costs_nothing() -> None:
    assert rewards(make([A3], [B3], iterations_max=2), 1) == [[-2.0] * 3]
    indefinite = [[1.0, 3.0], [3.0, 1.0]]
    for method in ("sor", "ssor", "ssor-cg"):
        assert rewards(make([indefinite], [B2], method=method, iterations_max=500), 1) == [[-500.0] * 3]
    assert rewards(make([A3], [[0.0, 0.0, 0.0]]), 1) == [[0.0] * 3]


def test_a_file_holds_the_same_systems(tmp_path: Path) -> None:
    matrix = sparse.csr_matrix(A3)
    file = tmp_path / "systems.npz"
    write_systems(file, [matrix, A2, matrix], [B3, B2, B3[::-1]], [0.1, 0.2, 0.3])
    direct = make([matrix, A2, matrix], [B3, B2, B3[::-1]], contexts=[0.1, 0.2, 0.3])
    read = make(None, None, file=str(file))
    assert len(read.params.diagonal) == 5
    for mine, other in zip(direct.params, read.params, strict=True):
        np.testing.assert_equal(mine, other)
    assert catalog.from_spec(read.spec).problem == direct.problem


def arrays_of(**change: Any) -> dict[str, Array]:
    """Return the arrays of a good file of two systems, some replaced, or left out by None."""
    found = {"rows": [2, 2], "start": [0, 2, 4, 0, 2, 4], "index": [0, 1] * 4, "value": [3, 1, 1, 2] * 2}
    found["b"] = [1, 2, 3, 4]
    return {name: np.array(value) for name, value in {**found, **change}.items() if value is not None}


def test_a_file_without_numbers_of_matrices_has_one_for_each_system(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", **arrays_of())
    found = rewards(make(None, None, file=str(tmp_path / "two.npz")), 2)
    assert found == expected([(A2, [1, 2]), (A2, [3, 4])])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b": None, "rows": None}, "lacks b, rows"),
        ({"rows": [2, 3]}, "start of .* it must hold 7 numbers"),
        ({"rows": [0, 2]}, "rows of .* from 1 on"),
        ({"rows": [2.0, 2.0]}, "rows of .* whole numbers"),
        ({"index": [0, 1] * 3}, "index of .* it must hold 8 numbers"),
        ({"start": [0, 2, 4, 0, 2, -4]}, "index of"),
        ({"b": [1, 2, 3]}, "b of .* it must hold 4 numbers"),
        ({"matrix": [0, 2]}, "matrix of .* must number the 2 matrices from 0"),
        ({"value": [3, 1, 1, 2, 0, 1, 1, 2]}, "matrix 1: the diagonal entry of row 0 is 0"),
        ({"context": [1.0]}, "there are 1 contexts for 2 systems"),
        ({"b": [1, 2, 3, np.nan]}, r"b\[1\]\[1\] is nan"),
        ({"b": np.array([object()] * 4)}, "no .npz file of plain arrays"),
    ],
)
def test_bad_files_are_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.npz"
    np.savez(file, **arrays_of(**change))
    with pytest.raises(InvalidInput, match=words):
        make(None, None, file=str(file))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        make(None, None, file=str(tmp_path / "none.npz"))
    for content in (b"", b"PK\x03\x04 no archive", b"plain text"):
        (tmp_path / "text.npz").write_bytes(content)
        with pytest.raises(InvalidInput, match=r"no \.npz file"):
            make(None, None, file=str(tmp_path / "text.npz"))
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(InvalidInput, match=r"no \.npz file"):
        make(None, None, file=str(tmp_path / "one.npy"))


@pytest.mark.parametrize(
    ("matrices", "b", "params", "code", "words"),
    [
        (None, None, {}, "bad_param", "give either file, or matrices and b"),
        ([A2], None, {}, "bad_param", "give either file, or matrices and b"),
        ([A2], [B2], {"file": "x.npz"}, "bad_param", "give either file, or matrices and b"),
        (None, None, {"file": "x.npz", "contexts": [1.0]}, "bad_param", "give either file, or matrices and b"),
        ([], [], {}, "bad_param", "no matrices"),
        ([A2, A3], [B2], {}, "bad_param", "2 matrices and 1 right-hand sides"),
        ([A2], [B3], {}, "bad_param", r"b\[0\] has 3 numbers: its matrix has 2 rows"),
        ([A2], [[1.0, np.inf]], {}, "bad_param", r"b\[0\]\[1\] is inf"),
        ([A2], [["a", "b"]], {}, "bad_param", r"b\[0\] is"),
        ([A2], [B2], {"contexts": [1.0, 2.0]}, "bad_param", "2 contexts for 1 systems"),
        ([A2], [B2], {"contexts": [np.nan]}, "bad_param", r"contexts\[0\]\[0\] is nan"),
        ([A2, A2], [B2, B2], {"contexts": [[1.0], [1.0, 2.0]]}, "bad_param", "contexts is not a table"),
        ([A2], [B2], {"contexts": 3.0}, "bad_param", "contexts is a float: it must be a list"),
        ([A2], 5.0, {}, "bad_param", "b is a float: it must be a list"),
        ((A2 for _ in range(2)), [B2, B2], {}, "bad_param", "matrices is a generator: it must be a list"),
        ([A2], (B2 for _ in range(1)), {}, "bad_param", "b is a generator: it must be a list"),
        (sparse.csr_array(A2), [B2], {}, "bad_param", "matrices is a csr_array: it must be a list"),
        ([A2, [[1.0, 2.0]]], [B2, B2], {}, "not_square", r"^matrix 1 has the shape \(1, 2\)"),
        ([A2, "A"], [B2, B2], {}, "no_entries", "^matrix 1 is a str"),
        ([A2, [[1.0, 2.0], [1.0]]], [B2, B2], {}, "no_entries", "^matrix 1 is a list without numbers in rows"),
        ([A2, np.eye(2) * 1j], [B2, B2], {}, "complex", "^matrix 1 is complex"),
        ([A2, aslinearoperator(np.eye(2))], [B2, B2], {}, "no_entries", "^matrix 1 is a .*needs the entries"),
        ([[[0.0, 1.0], [1.0, 2.0]]], [B2], {}, "no_diagonal", "matrix 0: row 0 has no entry"),
        ([[[-1.0, 0.0], [0.0, -1.0]]], [B2], {}, "bad_diagonal", "matrix 0"),
        ([sparse.csr_matrix([[1.0, np.inf], [0.0, 1.0]])], [B2], {}, "not_finite", "matrix 0"),
        ([A2], [B2], {"method": "cg"}, "bad_param", "method is 'cg'"),
        ([A2], [B2], {"omega_max": 2.5}, "bad_param", "omega_max is 2.5"),
        ([A2], [B2], {"rtol": -1.0}, "bad_param", "rtol is -1"),
    ],
)
def test_bad_systems_are_refused(matrices: Any, b: Any, params: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as error:
        make(matrices, b, **params)
    assert error.value.code == code
