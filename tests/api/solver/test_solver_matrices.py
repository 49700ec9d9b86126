"""Matrices that solvers take: every form that SciPy has is accepted, and each kind of bad one is refused by name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from onearm.api.solver.matrices import Matrix, prepare
from onearm.engine.errors import InvalidInput
from onearm.engine.solvers.matrix_entries import NoEntries


def laplacian(side: int, shift: float = 0.0) -> Any:
    """Return the five-point Laplacian of a square grid plus `shift` on the diagonal, in CSR form."""
    line = sparse.diags_array([-np.ones(side - 1), 2.0 * np.ones(side), -np.ones(side - 1)], offsets=(-1, 0, 1))
    eye = sparse.eye_array(side)
    return sparse.csr_array(sparse.kron(line, eye) + sparse.kron(eye, line) + shift * sparse.eye_array(side * side))


def dense_of(matrix: Matrix) -> np.ndarray:
    """Return the whole matrix, written out from what was prepared."""
    part = matrix.half or matrix.rows
    assert part is not None
    strict = sparse.csr_array((part.value, part.index, part.start), shape=(matrix.n, matrix.n)).toarray()
    return strict + np.diag(part.diagonal) + (strict.T if matrix.half else 0.0)


def random_symmetric(rng: np.random.Generator, n: int) -> Any:
    """Return a random sparse matrix with a large diagonal, in CSR form."""
    some = sparse.random_array((n, n), density=0.3, rng=rng)
    return sparse.csr_array(some + some.T + n * sparse.eye_array(n))


def scrambled(rng: np.random.Generator, A: Any) -> Any:
    """Return the same matrix with the entries of each row in a random order."""
    order = np.concatenate([rng.permutation(np.arange(A.indptr[i], A.indptr[i + 1])) for i in range(A.shape[0])])
    return sparse.csr_array((A.data[order], A.indices[order], A.indptr), shape=A.shape)


def refused(A: Any, **how: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        prepare(A, **how)
    return caught.value


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_every_sparse_form_gives_the_same_matrix(form: str, kind: Any) -> None:
    A = kind(laplacian(3, 0.25)).asformat(form)
    assert (dense_of(prepare(A)) == A.toarray()).all()


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", [np.array, np.asmatrix, np.ndarray.tolist, np.asfortranarray])
def test_dense_arrays_matrices_and_lists_are_taken(kind: Any) -> None:
    dense = laplacian(3, 0.25).toarray()
    assert (dense_of(prepare(kind(dense))) == dense).all()


def test_whatever_has_the_arrays_of_csr_is_taken() -> None:
    class Duck:
        indptr, indices, data, shape = [0, 2, 4], [0, 1, 0, 1], [4, -1, -1, 4], (2, 2)

    assert dense_of(prepare(Duck())).tolist() == [[4.0, -1.0], [-1.0, 4.0]]


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint16, np.float32, np.float64, ">f8"])
def test_other_types_of_numbers_are_converted(kind: Any) -> None:
    dense = np.array([[4, 1], [1, 4]]).astype(kind)
    assert dense_of(prepare(dense)).tolist() == [[4.0, 1.0], [1.0, 4.0]]
    if dense.dtype.isnative:  # others are none of SciPy's
        assert dense_of(prepare(sparse.csr_array(dense))).tolist() == [[4.0, 1.0], [1.0, 4.0]]


def test_indices_of_64_bits_are_taken() -> None:
    A = laplacian(3)
    A.indptr, A.indices = A.indptr.astype(np.int64), A.indices.astype(np.int64)
    assert (dense_of(prepare(A)) == A.toarray()).all()


@pytest.mark.parametrize("seed", range(3))
def test_unsorted_and_duplicate_entries_give_the_sorted_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A = random_symmetric(rng, 12)
    doubled = sparse.csr_array((np.repeat(0.5 * A.data, 2), np.repeat(A.indices, 2), 2 * A.indptr), shape=(12, 12))
    mixed = scrambled(rng, A)
    before = mixed.indices.copy()
    assert not mixed.has_sorted_indices
    for other in (mixed, doubled, scrambled(rng, doubled)):
        assert (dense_of(prepare(other)) == A.toarray()).all()
    assert (mixed.indices == before).all()


def test_duplicates_in_csr_are_summed() -> None:
    A = sparse.csr_array(([1.0, 3.0, -1.0, -1.0, 4.0], [0, 0, 1, 0, 1], [0, 3, 5]), shape=(2, 2))
    matrix = prepare(A)
    assert dense_of(matrix).tolist() == [[4.0, -1.0], [-1.0, 4.0]]
    assert (dense_of(prepare(2.0 * A, like=matrix)) == 2.0 * dense_of(matrix)).all()
    A = sparse.csr_array(([1.0, 3.0, 1.0, 3.0], [0, 0, 1, 1], [0, 2, 4]), shape=(2, 2))
    assert dense_of(prepare(A, like=prepare(A))).tolist() == [[4.0, 0.0], [0.0, 4.0]]


def test_a_stored_zero_without_an_image_is_symmetric() -> None:
    A = sparse.csr_array(([4.0, 0.0, 4.0], [0, 1, 1], [0, 2, 3]), shape=(2, 2))
    matrix = prepare(A)
    assert dense_of(matrix).tolist() == [[4.0, 0.0], [0.0, 4.0]]
    A.data[1] = 1.0
    assert refused(A, like=matrix).code == "not_symmetric"


def test_a_matrix_that_is_not_symmetric_says_where_and_how_far() -> None:
    A = laplacian(3)
    A[5, 4] = -1.5
    error = refused(A)
    assert error.code == "not_symmetric"
    assert "(5, 4) and (4, 5) differ by 0.12" in str(error)
    matrix = prepare(A, symmetric=False)
    assert matrix.half is None and (dense_of(matrix) == A.toarray()).all()
    assert refused(matrix).code == "not_symmetric"


def test_rounding_does_not_make_a_matrix_unsymmetric() -> None:
    A = laplacian(3)
    A[5, 4] = -1.0 - 1e-13
    assert prepare(A).half is not None
    A[5, 4] = -1.0 - 1e-11
    assert refused(A).code == "not_symmetric"


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("dense", "code", "said"),
    [
        (np.ones((2, 3)), "not_square", "(2, 3)"),
        (np.ones(4), "not_square", "(4,)"),
        (np.zeros((0, 0)), "empty", "no rows"),
        (np.array([[0.0, 1.0], [1.0, 4.0]]), "no_diagonal", "row 0"),
        (np.array([[4.0, 1.0], [1.0, -4.0]]), "bad_diagonal", "row 1 is -4"),
        (np.array([[4.0, np.nan], [np.nan, 4.0]]), "not_finite", "(0, 1) is nan"),
        (np.array([[4.0, 1.0], [1.0, np.inf]]), "not_finite", "(1, 1) is inf"),
        (np.array([[4.0, 1j], [-1j, 4.0]]), "complex", "A.real"),
    ],
)
def test_a_bad_matrix_is_refused(dense: np.ndarray, code: str, said: str, symmetric: bool) -> None:
    error = refused(dense, symmetric=symmetric)
    assert error.code == code and said in str(error)
    if dense.ndim == 2 and dense.size:
        error = refused(sparse.csr_array(dense), symmetric=symmetric)
        assert error.code == code and said in str(error)


def test_a_stored_zero_on_the_diagonal_is_refused() -> None:
    A = laplacian(3)
    A.data[A.indptr[4] + np.flatnonzero(A.indices[A.indptr[4] : A.indptr[5]] == 4)] = 0.0
    error = refused(A)
    assert error.code == "bad_diagonal" and "row 4 is 0" in str(error)


def test_more_entries_than_an_index_can_number_are_refused() -> None:
    class Huge:
        shape = (2, 2)
        indptr = np.array([0, 2**31, 2**31 + 1])
        indices = np.broadcast_to(np.int32(0), (2**31 + 1,))  # takes no memory
        data = np.broadcast_to(1.0, (2**31 + 1,))

    error = refused(Huge())
    assert error.code == "too_large" and "2147483649 entries" in str(error)


@pytest.mark.parametrize(
    "A",
    [
        aslinearoperator(np.eye(3)),
        LinearOperator((3, 3), matvec=lambda v: v, dtype=float),
        lambda v: v,
        None,
        "laplacian",
        [[4.0, 1.0], [1.0]],
    ],
)
def test_what_has_no_entries_is_a_type_error_that_says_why(A: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(type(A).__name__)) as caught:
        prepare(A)
    assert isinstance(caught.value, NoEntries) and isinstance(caught.value, InvalidInput)


def test_a_linear_operator_is_told_that_sweeps_need_entries() -> None:
    assert "needs the entries of each row" in str(refused(aslinearoperator(laplacian(2))))


def test_a_prepared_matrix_is_taken_as_it_is() -> None:
    matrix = prepare(laplacian(3))
    assert prepare(matrix) is matrix


@pytest.mark.parametrize("seed", range(3))
def test_new_values_of_the_same_pattern_equal_a_check_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = random_symmetric(rng, 15)
    mixed = scrambled(rng, first)
    for A in (first, mixed):
        matrix = prepare(A)
        B = A.copy()
        scale = rng.random(15) + 0.5
        B.data = B.data * scale[B.indices] * np.repeat(scale, np.diff(B.indptr))
        again, anew = prepare(B, like=matrix), prepare(B)
        assert again.half is not None and anew.half is not None
        assert all((one == other).all() for one, other in zip(again.half, anew.half, strict=True))
        assert again.pattern is matrix.pattern  # which shows that only the values were read
        assert (dense_of(matrix) == A.toarray()).all()  # as before


def test_another_pattern_is_checked_anew() -> None:
    matrix = prepare(laplacian(3))
    for A in (laplacian(4), sparse.csr_array(np.eye(9) * 2.0), random_symmetric(np.random.default_rng(0), 9)):
        again = prepare(A, like=matrix)
        assert again.pattern is not matrix.pattern
        np.testing.assert_array_equal(dense_of(again), A.toarray())


@pytest.mark.parametrize(
    ("entry", "value", "code"),
    [
        ((4, 4), 0.0, "bad_diagonal"),
        ((4, 4), -1.0, "bad_diagonal"),
        ((4, 4), np.inf, "not_finite"),
        ((5, 4), np.nan, "not_finite"),
        ((4, 5), np.nan, "not_finite"),
        ((5, 4), -1.5, "not_symmetric"),
        ((4, 5), -1.5, "not_symmetric"),
    ],
)
def test_bad_values_of_a_known_pattern_are_refused(entry: tuple[int, int], value: float, code: str) -> None:
    A = laplacian(3)
    matrix = prepare(A)
    A[entry] = value
    assert refused(A, like=matrix).code == code


def test_complex_values_of_a_known_pattern_are_refused() -> None:
    A = laplacian(3)
    assert refused(A * (1.0 + 0.0j), like=prepare(A)).code == "complex"


def test_like_takes_a_matrix_that_is_not_symmetric_where_that_is_allowed() -> None:
    A = laplacian(3)
    matrix = prepare(A)
    A[5, 4] = -1.5
    again = prepare(A, symmetric=False, like=matrix)
    assert again.half is None and (dense_of(again) == A.toarray()).all()
    assert (dense_of(prepare(laplacian(3), like=again)) == laplacian(3).toarray()).all()


def test_a_pattern_that_was_changed_in_place_is_noticed() -> None:
    A = sparse.csr_array((np.ones(8), [0, 1, 0, 1, 2, 3, 2, 3], [0, 2, 4, 6, 8]))
    matrix = prepare(A)
    A.indices[:] = [0, 2, 1, 3, 0, 2, 1, 3]  # as many entries in each row, and fit to be read at the old places
    assert (dense_of(prepare(A, like=matrix)) == A.toarray()).all()


def test_like_refuses_the_same_arrays_in_another_shape() -> None:
    A = laplacian(3)

    class Wide:
        indptr, indices, data, shape = A.indptr, A.indices, A.data, (9, 10)

    assert refused(Wide(), like=prepare(A)).code == "not_square"


def test_a_prepared_matrix_keeps_its_values_where_the_original_changes() -> None:
    A = laplacian(3)
    matrix = prepare(A)
    A.data[:] = 7.0
    A.indices[:] = 0
    assert (dense_of(matrix) == laplacian(3).toarray()).all()
    assert (dense_of(prepare(laplacian(3), like=matrix)) == laplacian(3).toarray()).all()
