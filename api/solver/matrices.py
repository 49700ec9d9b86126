"""A matrix as the solvers take it: checked once, and cheap to renew where only its values change.

>>> import numpy as np
>>> matrix = prepare(np.array([[4.0, -1.0], [-1.0, 4.0]]))
>>> matrix.n, matrix.half.value.tolist(), matrix.half.diagonal.tolist()
(2, [-1.0], [4.0, 4.0])
>>> prepare(np.array([[5.0, -2.0], [-2.0, 5.0]]), like=matrix).half.value.tolist()
[-2.0]
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onearm.api.solver.patterns import Pattern, renewed, split
from onearm.engine.errors import InvalidInput
from onearm.engine.sor import Half, Rows, rows_of
from onearm.engine.sparse import Csr, check_csr, check_symmetric


class NoEntries(InvalidInput, TypeError):
    """An operator that can only be applied was given where the entries of a matrix are needed."""


class Matrix(NamedTuple):
    """A square matrix that was checked: what solvers read. Made by `prepare`; nothing here may be changed.

    It holds copies: a later change of the matrix that it was made from does not reach it.
    """

    n: int
    half: Half | None  # of a symmetric matrix
    rows: Rows | None  # of one that is not
    csr: Csr | None  # the same, to say how far from symmetric it is
    pattern: Pattern | None  # where its values stood, None where entries had to be merged

    def symmetric_half(self) -> Half:
        """Return the lower half; raises `InvalidInput`, with the worst pair of entries, where A is not symmetric."""
        if self.half is None:
            assert self.csr is not None
            check_symmetric(self.csr)
        assert self.half is not None
        return self.half


class Given(NamedTuple):
    """A matrix in CSR form as it came, unchecked."""

    start: Any
    index: Any
    value: Any
    shape: tuple[int, ...]


def prepare(A: Any, symmetric: bool = True, *, like: Matrix | None = None) -> Matrix:
    """Check a matrix once, for many solves: every solver of this room takes the result where it takes A.

    `A` is anything with `tocsr()` (every sparse form of SciPy), or with `indptr`, `indices`, `data` and `shape`, or a
    dense array; integers are converted, unsorted entries sorted and duplicates summed. With `symmetric=False` a matrix
    that is not symmetric is taken too; plain SOR alone can solve with that. `like` is a matrix prepared before: where
    the pattern is still the same only the values are read. Where it is not, all is checked anew. For 5e4 entries a
    check takes 0.4 ms, and values alone 0.1 ms: a tenth and a fortieth of a solve by `ssor_cg` at a well chosen omega.

    Raises `InvalidInput` with the codes of `check_csr`, not_symmetric and complex; `NoEntries`, which is a `TypeError`
    too, for what has no entries, such as a LinearOperator.
    """
    if isinstance(A, Matrix):
        if symmetric:
            A.symmetric_half()
        return A
    given = _given(A)
    if like is not None and (half := _renewed(like, given)) is not None:
        return like._replace(half=half)
    matrix = _checked(given)
    if symmetric:
        matrix.symmetric_half()
    return matrix


def _checked(given: Given) -> Matrix:
    csr = check_csr(*given)
    n = len(csr.start) - 1
    half, pattern = split(given.start, given.index, csr)
    if half is None:
        return Matrix(n, None, rows_of(*csr), csr, None)
    return Matrix(n, half, None, None, pattern)


def _renewed(like: Matrix, given: Given) -> Half | None:
    if like.pattern is None or given.shape != (like.n, like.n):
        return None
    return renewed(like.pattern, given.start, given.index, given.value)


def _given(A: Any) -> Given:
    """Return the arrays of whatever holds a matrix."""
    if hasattr(A, "tocsr"):
        _check_shape(A.shape)
        A = A.tocsr()
    if hasattr(A, "indptr") and hasattr(A, "indices") and hasattr(A, "data"):
        _refuse_complex(np.asarray(A.data).dtype)
        return Given(A.indptr, A.indices, A.data, tuple(A.shape))
    if callable(getattr(A, "matvec", None)) or (callable(A) and not hasattr(A, "__array__")):
        raise NoEntries(
            "no_entries",
            f"A is a {type(A).__name__}, which can only be applied to vectors: a sweep solves for one unknown after "
            "the other, so it needs the entries of each row; give the sparse matrix itself, or use a solver that only "
            "multiplies, such as scipy.sparse.linalg.cg",
        )
    return _given_dense(A)


def _given_dense(A: Any) -> Given:
    dense = np.asarray(A)
    _refuse_complex(dense.dtype)
    if dense.dtype.kind not in "fiub":
        raise NoEntries(
            "no_entries",
            f"A is a {type(A).__name__}: it must be a sparse matrix, as those of scipy.sparse, or a dense array of "
            "numbers",
        )
    _check_shape(dense.shape)
    row, index = np.nonzero(dense)  # NaN is not zero: the check finds it
    start = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(dense)))))
    return Given(start, index, dense[row, index], dense.shape)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInput(
            "not_square",
            f"A has the shape {tuple(shape)}: it must have as many rows as columns; least squares are solved by other "
            "means, such as scipy.sparse.linalg.lsqr",
        )


def _refuse_complex(kind: np.dtype[Any]) -> None:
    if kind.kind == "c":
        raise InvalidInput(
            "complex",
            "A is complex: these solvers are for real matrices; take A.real where the rest is 0, or write the system "
            "of twice the size, [[Re A, -Im A], [Im A, Re A]]",
        )
