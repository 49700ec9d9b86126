"""SSOR as a preconditioner for other libraries' solvers.

>>> import numpy as np
>>> from scipy.sparse.linalg import cg as scipy_cg
>>> A = 4.0 * np.eye(100) - np.eye(100, k=1) - np.eye(100, k=-1)
>>> x, info = scipy_cg(A, np.ones(100), M=ssor_preconditioner(A, omega=1.1), rtol=1e-10)
>>> info, float(np.abs(A @ x - 1.0).max()) < 1e-8
(0, True)
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput, installing
from ...engine.solvers.cg import apply_ssor
from ...engine.solvers.sor import laplacian
from ...engine.vocabulary import Array
from .matrices import prepare
from .systems import check_omega, check_vector


def ssor_preconditioner(A: Any, omega: float = 1.0) -> Any:
    """Return the inverse of SSOR's M as a `scipy.sparse.linalg.LinearOperator`, float64[n, n]: for `M=` of a solver.

    M = (D / omega + L^T) D^-1 (D / omega + L) omega / (2 - omega) is symmetric positive definite, as A must be, so it
    suits SciPy's and PyAMG's conjugate gradients; a step with it costs two triangular solves, 10 ns a row and more.
    `A` is what `prepare` takes, or gave. Raises `InvalidInput` for a bad A or omega, and where SciPy is missing.
    """
    linalg = scipy_linalg()
    matrix = prepare(A)
    half, n, knob = matrix.symmetric_half(), matrix.n, check_omega(omega)
    apply = _apply_entry()

    def solve(r: Array) -> Array:
        z = np.empty(n)
        apply(half, knob, check_vector("r", r, n), np.empty(n), z)
        return z

    return linalg.LinearOperator((n, n), matvec=solve, rmatvec=solve, dtype=np.float64)


def scipy_linalg() -> Any:
    """Return the module `scipy.sparse.linalg`; raises `InvalidInput` where SciPy is not installed."""
    try:
        return importlib.import_module("scipy.sparse.linalg")
    except ImportError as error:
        raise InvalidInput(
            "no_scipy",
            f"a preconditioner is a LinearOperator of SciPy, which is not installed: {installing('solver')}; "
            "ssor_cg solves without it",
        ) from error


@functools.cache
def _apply_entry() -> Callable[..., None]:
    half, vector = laplacian(2), np.zeros(4)
    return apply_ssor.compiled(half, 1.0, vector, vector, vector)
