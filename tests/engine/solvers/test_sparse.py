"""Checks of sparse matrices, against SciPy on random ones, and each kind of bad one refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

from onearm.engine.errors import InvalidInput
from onearm.engine.solvers.sparse import Csr, asymmetry, check_csr, check_symmetric

GOOD = ([0, 2, 4], [0, 1, 0, 1], [4.0, -1.0, -1.0, 4.0], (2, 2))


def checked(matrix: Any) -> Csr:
    return check_csr(matrix.indptr, matrix.indices, matrix.data, matrix.shape)


def scrambled(rng: np.random.Generator, n: int, entries: int) -> Any:
    """Return a random matrix with a large diagonal, unsorted and with duplicates, in SciPy's form."""
    row = np.concatenate((np.arange(n), rng.integers(n, size=entries)))
    column = np.concatenate((np.arange(n), rng.integers(n, size=entries)))
    value = np.concatenate((np.full(n, 100.0), rng.normal(size=entries)))
    order = np.argsort(row, kind="stable")
    order = np.concatenate([rng.permutation(order[row[order] == i]) for i in range(n)])
    start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n))))
    return scipy_sparse.csr_matrix((value[order], column[order], start), shape=(n, n))


@pytest.mark.parametrize("seed", range(5))
def test_unsorted_entries_and_duplicates_are_merged_as_scipy_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = scrambled(rng, 7, 30)
    found = checked(matrix)
    before = matrix.indices.copy()
    assert (matrix.indices == before).all() and not matrix.has_canonical_format
    again = matrix.copy()
    again.sum_duplicates()
    assert found.start.tolist() == again.indptr.tolist() and found.index.tolist() == again.indices.tolist()
    np.testing.assert_allclose(found.value, again.data, rtol=1e-14)
    assert (found.start.dtype, found.index.dtype, found.value.dtype) == (np.int32, np.int32, np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_asymmetry_is_the_largest_difference_from_the_transpose(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = scrambled(rng, 9, 20)
    matrix = matrix + scipy_sparse.diags_array(rng.random(9))
    dense = matrix.toarray()
    root = np.sqrt(np.diag(dense))
    expected = np.tril(np.abs(dense - dense.T) / np.outer(root, root))
    worst, i, j = asymmetry(checked(scipy_sparse.csr_matrix(matrix)))
    assert worst == pytest.approx(expected.max(), rel=1e-13) and expected[i, j] == expected.max()


def test_one_changed_entry_of_either_half_is_found_and_zeros_are_not() -> None:
    side = scipy_sparse.diags_array([-np.ones(3), 4 * np.ones(4), -np.ones(3)], offsets=(-1, 0, 1)).tocsr()
    matrix = checked(side)
    assert asymmetry(matrix) == (0.0, 0, 0)
    for place in np.flatnonzero(matrix.value < 0):
        for wrong in (-2.0, 0.0):
            value = matrix.value.copy()
            value[place] = wrong
            assert asymmetry(matrix._replace(value=value))[0] == 0.25
    for i, j in ((0, 3), (3, 0), (0, 2), (2, 0)):  # entries that the other half does not store
        dense = side.toarray()
        dense[i, j] = 1e-30
        one = scipy_sparse.csr_matrix(dense)
        one.data[one.data == 1e-30] = 0.0
        assert asymmetry(checked(one)) == (0.0, 0, 0)
        one.data[one.data == 0.0] = 1.0
        assert asymmetry(checked(one)) == (0.25, max(i, j), min(i, j))


def test_an_entry_of_one_half_alone_leaves_the_pairs_behind_it_alone() -> None:
    dense = 4.0 * np.eye(4)
    dense[0, 3] = dense[3, 0] = -2.0
    dense[0, 1] = 0.5
    assert asymmetry(checked(scipy_sparse.csr_matrix(dense))) == (0.125, 1, 0)
    assert asymmetry(checked(scipy_sparse.csr_matrix(dense.T))) == (0.125, 1, 0)


def test_rounding_is_no_asymmetry() -> None:
    start, index, _, shape = GOOD
    check_symmetric(check_csr(start, index, [4.0, -1.0, -1.0 - 2e-16, 4.0], shape))
    with pytest.raises(
        InvalidInput, match=r"entries \(1, 0\) and \(0, 1\) differ by 0.25 .*; sor takes others"
    ) as error:
        check_symmetric(check_csr(start, index, [4.0, -1.0, -2.0, 4.0], shape))
    assert error.value.code == "not_symmetric"


def test_numbers_of_other_types_are_converted_and_what_is_canonical_is_shared() -> None:
    start, index, value, shape = GOOD
    found = check_csr(np.array(start, np.int64), np.array(index, np.uint8), np.array(value, np.int32), shape)
    assert found.value.tolist() == value and found.start.dtype == np.int32
    entries = np.array(value)
    assert check_csr(start, index, entries, shape).value is entries
    assert check_csr(start, index, np.repeat(entries, 2)[::2], shape).value.flags.c_contiguous


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"shape": (2, 3)}, "not_square", r"shape \(2, 3\)"),
        ({"shape": (0, 0), "start": [0], "index": [], "value": []}, "empty", "no rows"),
        ({"start": [0, 2, 5]}, "bad_csr", "start does not divide 4 entries into 2 rows"),
        ({"start": [0, 5, 4]}, "bad_csr", "start does not divide"),
        ({"start": [1, 2, 4]}, "bad_csr", "start does not divide"),
        ({"start": [0, 4]}, "bad_csr", "start does not divide"),
        ({"index": [0, 1, 0]}, "bad_csr", "start does not divide"),
        ({"value": [4.0, -1.0, 4.0]}, "bad_csr", "4 columns for 3 entries"),
        ({"index": [0, 2, 0, 1]}, "bad_csr", "column 2: columns are numbered from 0 to 1"),
        ({"index": [0, 1, -1, 1]}, "bad_csr", "column -1"),
        ({"index": [0.0, 1.0, 0.0, 1.0]}, "bad_csr", "index has the shape .* float64"),
        ({"value": [4.0, -1.0, 1j, 4.0]}, "bad_type", "complex128"),
        ({"value": ["4", "1", "1", "4"]}, "bad_type", "real numbers"),
        ({"value": [4.0, -1.0, np.nan, 4.0]}, "not_finite", r"entry \(1, 0\) is nan"),
        ({"value": [4.0, np.inf, -np.inf, 4.0]}, "not_finite", r"entry \(0, 1\) is inf"),
        ({"index": [0, 1, 0, 0]}, "no_diagonal", "row 1 has no entry"),
        ({"start": [0, 0, 0], "index": [], "value": []}, "no_diagonal", "row 0"),
        ({"value": [4.0, -1.0, -1.0, 0.0]}, "bad_diagonal", "row 1 is 0: .*order the equations so that none is 0$"),
        ({"value": [-4.0, -1.0, -1.0, 4.0]}, "bad_diagonal", "row 0 is -4: .*change the sign"),
    ],
)
def test_bad_matrices_are_refused(change: dict[str, Any], code: str, words: str) -> None:
    given = dict(zip(("start", "index", "value", "shape"), GOOD, strict=True)) | change
    with pytest.raises(InvalidInput, match=words) as error:
        check_csr(**given)
    assert error.value.code == code


def test_large_finite_numbers_are_finite() -> None:
    start, index, _, shape = GOOD
    assert check_csr(start, index, [1.7e308, 1.0, 1.0, 1.7e308], shape).value[0] == 1.7e308
