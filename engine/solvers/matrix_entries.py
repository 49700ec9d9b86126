"""The entries of whatever holds a matrix, as it came: what has SciPy's sparse forms, and rows of numbers.

>>> entries_of([[4.0, -1.0], [0.0, 4.0]])
Entries(start=array([0, 2, 3]), index=array([0, 1, 1]), value=array([ 4., -1.,  4.]), shape=(2, 2))
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput


class NoEntries(InvalidInput, TypeError):
    """An operator that can only be applied was given where the entries of a matrix are needed."""


class Entries(NamedTuple):
    """A matrix in CSR form, unchecked; `sparse.check_csr` is next."""

    start: Any
    index: Any
    value: Any
    shape: tuple[int, ...]


def entries_of(matrix: Any, name: str = "A") -> Entries:
    """Return the arrays of anything with `tocsr()`, or with `indptr`, `indices`, `data` and `shape`, or of a dense one.

    Raises `InvalidInput`, which calls the matrix by `name`, for one that is dense or SciPy's and not square, or
    complex; `NoEntries`, which is a `TypeError` too, for what has no entries, such as a LinearOperator.
    """
    if hasattr(matrix, "tocsr"):
        _check_square(name, matrix.shape)
        matrix = matrix.tocsr()
    if all(hasattr(matrix, part) for part in ("indptr", "indices", "data", "shape")):
        _refuse_complex(name, np.asarray(matrix.data).dtype)
        return Entries(matrix.indptr, matrix.indices, matrix.data, tuple(matrix.shape))
    if callable(getattr(matrix, "matvec", None)) or (callable(matrix) and not hasattr(matrix, "__array__")):
        raise NoEntries(
            "no_entries",
            f"{name} is a {type(matrix).__name__}, which can only be applied to vectors: a sweep solves for one "
            "unknown after the other, so it needs the entries of each row; give the sparse matrix itself, or use a "
            "solver that only multiplies, such as scipy.sparse.linalg.cg",
        )
    return _of_dense(name, matrix)


def _of_dense(name: str, matrix: Any) -> Entries:
    try:
        dense = np.asarray(matrix)
    except ValueError:  # rows of different lengths
        dense = np.array(None)
    _refuse_complex(name, dense.dtype)
    if dense.dtype.kind not in "fiub":
        raise NoEntries(
            "no_entries",
            f"{name} is a {type(matrix).__name__} without numbers in rows of one length: it must be a sparse matrix, "
            "as those of scipy.sparse, or a dense array of numbers",
        )
    _check_square(name, dense.shape)
    row, index = np.nonzero(dense)  # NaN is not zero: the check finds it
    start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(dense)))))
    return Entries(start, index, dense[row, index], dense.shape)


def _check_square(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInput(
            "not_square",
            f"{name} has the shape {tuple(shape)}: it must have as many rows as columns; least squares are solved by "
            "other means, such as scipy.sparse.linalg.lsqr",
        )


def _refuse_complex(name: str, kind: np.dtype[Any]) -> None:
    if kind.kind == "c":
        raise InvalidInput(
            "complex",
            f"{name} is complex: these solvers are for real matrices; take its real part, A.real, where the rest is 0, "
            "or write the system of twice the size, [[Re A, -Im A], [Im A, Re A]]",
        )
