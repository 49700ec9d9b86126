"""Sparse matrices as raw arrays, checked once: what the solvers' kernels take for granted.

The arrays are those of the CSR form, as SciPy's `indptr`, `indices` and `data`: row i holds value[j] in column index[j]
for start[i] <= j < start[i + 1]. A check costs a few passes over the entries: about 0.2 ms for 5e4 of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..kernel import loop
from ..vocabulary import Array

ENTRIES_MAX = 2**31 - 1
ASYMMETRY_MAX = 1e-12  # of sqrt(a_ii a_jj): rounding of whoever assembled the matrix


class Csr(NamedTuple):
    """A square matrix of n rows, sorted, without duplicates, finite, each diagonal entry there and positive."""

    start: Array  # int32[n + 1]
    index: Array  # int32[m], rising within a row
    value: Array  # float64[m]


def check_csr(start: Any, index: Any, value: Any, shape: tuple[int, ...]) -> Csr:
    """Return a matrix in canonical form; unsorted rows are sorted and duplicates summed, as SciPy does.

    What is given is never changed, and shared where it is canonical already. Raises `InvalidInput` with the codes
    not_square, empty, too_large, bad_csr, bad_type, not_finite, no_diagonal and bad_diagonal.

    >>> check_csr([0, 3, 5], [1, 0, 0, 0, 1], [-1.0, 3.0, 1.0, -1.0, 4.0], (2, 2)).value.tolist()
    [4.0, -1.0, -1.0, 4.0]
    """
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInput(
            "not_square", f"the matrix has the shape {tuple(shape)}: it must have as many rows as columns"
        )
    n = int(shape[0])
    if n == 0:
        raise InvalidInput("empty", "the matrix has no rows: it must have one at least")
    matrix = Csr(_whole("start", start), _whole("index", index), _values(value))
    _check_frame(matrix, n)
    matrix = Csr(matrix.start.astype(np.int32), matrix.index.astype(np.int32), matrix.value)
    row = rows_of_entries(matrix)
    if not _is_canonical(matrix, row):
        matrix = _canonical(matrix, row)
        row = rows_of_entries(matrix)
    _check_diagonal(matrix, row)
    return Csr(*map(np.ascontiguousarray, matrix))


def check_symmetric(matrix: Csr) -> None:
    """Refuse a matrix that differs from its transpose by more than rounding does; the code is not_symmetric."""
    worst, i, j = asymmetry(matrix)
    if worst > ASYMMETRY_MAX:
        raise InvalidInput(
            "not_symmetric",
            f"the entries ({i}, {j}) and ({j}, {i}) differ by {worst:.2g} of their rows' diagonals: this method needs "
            f"a symmetric matrix, up to {ASYMMETRY_MAX:g}; sor takes others too",
        )


def asymmetry(matrix: Csr) -> tuple[float, int, int]:
    """Return the largest |a_ij - a_ji| / sqrt(a_ii a_jj) over all pairs, and its i > j.

    >>> asymmetry(check_csr([0, 2, 4], [0, 1, 0, 1], [4.0, -1.0, -2.0, 1.0], (2, 2)))
    (0.5, 1, 0)
    """
    n = len(matrix.start) - 1
    diagonal = matrix.value[matrix.index == rows_of_entries(matrix)]
    worst, i, j = _asymmetry(*matrix, np.sqrt(diagonal), np.empty(n, np.int64))
    return float(worst), int(i), int(j)


def rows_of_entries(matrix: Csr) -> Array:
    """Return the row of each entry, int32[m]."""
    return np.repeat(np.arange(len(matrix.start) - 1, dtype=np.int32), np.diff(matrix.start))


def _whole(name: str, numbers: Any) -> Array:
    array = np.asarray(numbers)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidInput(
            "bad_csr", f"{name} has the shape {array.shape} and the type {array.dtype}: it must be a list of integers"
        )
    return array


def _values(numbers: Any) -> Array:
    array = np.asarray(numbers)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise InvalidInput(
            "bad_type",
            f"the entries have the shape {array.shape} and the type {array.dtype}: they must be a list of real numbers",
        )
    return array.astype(np.float64, copy=False)


def _check_frame(matrix: Csr, n: int) -> None:
    """Refuse arrays that belong to no matrix of n rows, and numbers that are not finite."""
    start, index, value = matrix
    if len(value) > ENTRIES_MAX or n > ENTRIES_MAX:
        raise InvalidInput(
            "too_large", f"the matrix has {n} rows and {len(value)} entries: there may be 2^31 - 1; split the problem"
        )
    if len(start) != n + 1 or start[0] != 0 or start[-1] != len(index) or (start[1:] < start[:-1]).any():
        raise InvalidInput(
            "bad_csr", f"start does not divide {len(index)} entries into {n} rows: it must rise from 0 to their number"
        )
    if len(index) != len(value):
        raise InvalidInput("bad_csr", f"there are {len(index)} columns for {len(value)} entries: each needs one")
    if len(index) and not 0 <= index.min() <= index.max() < n:
        bad = index[(index < 0) | (index >= n)][0]
        raise InvalidInput("bad_csr", f"an entry lies in column {bad}: columns are numbered from 0 to {n - 1}")
    if not np.isfinite(value).all():
        at = int(np.flatnonzero(~np.isfinite(value))[0])
        row = int(np.searchsorted(start, at, side="right")) - 1
        raise InvalidInput(
            "not_finite", f"the entry ({row}, {index[at]}) is {value[at]}: all entries must be finite numbers"
        )


def _is_canonical(matrix: Csr, row: Array) -> bool:
    index = matrix.index
    return bool(((index[1:] > index[:-1]) | (row[1:] != row[:-1])).all())


def _canonical(matrix: Csr, row: Array) -> Csr:
    """Return the same matrix with rising columns, entries of one place summed."""
    order = np.lexsort((matrix.index, row))
    row, index, value = row[order], matrix.index[order], matrix.value[order]
    first = np.flatnonzero(np.concatenate(([True], (index[1:] != index[:-1]) | (row[1:] != row[:-1]))))
    start = np.searchsorted(row[first], np.arange(len(matrix.start))).astype(np.int32)
    return Csr(start, index[first], np.add.reduceat(value, first))


def _check_diagonal(matrix: Csr, row: Array) -> None:
    at = np.flatnonzero(matrix.index == row)
    n = len(matrix.start) - 1
    if len(at) < n:
        missing = int(np.setdiff1d(np.arange(n), row[at])[0])
        raise InvalidInput(
            "no_diagonal",
            f"row {missing} has no entry on the diagonal: a sweep divides by it; order the equations so that each has"
            " one",
        )
    diagonal = matrix.value[at]
    if not (diagonal > 0.0).all():
        i = int(np.flatnonzero(~(diagonal > 0.0))[0])
        instead = "order the equations so that none is 0"
        if diagonal[i] < 0.0:
            instead = "change the sign of the equations where all are negative"
        raise InvalidInput(
            "bad_diagonal", f"the diagonal entry of row {i} is {diagonal[i]:g}: all must be positive; {instead}"
        )


@loop
def _asymmetry(start: Array, index: Array, value: Array, root: Array, place: Array) -> tuple[float, int, int]:
    """Compare each entry below the diagonal with the one above; `place`, int64[n], is working space.

    Rows are met in their order, so the entries right of row j's diagonal are asked for from left to right: `place[j]`
    is the first that was not. `root` holds the square roots of the diagonal.
    """
    n = len(root)
    worst = 0.0
    worst_i = worst_j = 0
    for i in range(n):
        stop = start[i + 1]
        e = start[i]
        while index[e] < i:
            j = index[e]
            p = place[j]
            while p < start[j + 1] and index[p] < i:  # above the diagonal alone
                found = abs(value[p]) / (root[j] * root[index[p]])
                if found > worst:
                    worst, worst_i, worst_j = found, index[p], j
                p += 1
            other = 0.0
            if p < start[j + 1] and index[p] == i:
                other = value[p]
                p += 1
            place[j] = p
            found = abs(value[e] - other) / (root[i] * root[j])
            if found > worst:
                worst, worst_i, worst_j = found, i, j
            e += 1
        place[i] = min(e + 1, stop)
    for j in range(n):
        for p in range(place[j], start[j + 1]):
            found = abs(value[p]) / (root[j] * root[index[p]])
            if found > worst:
                worst, worst_i, worst_j = found, index[p], j
    return float(worst), int(worst_i), int(worst_j)
