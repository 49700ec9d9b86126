"""What a solve returns: SciPy's pair (x, info), and beside it how the solve ended."""

from __future__ import annotations

import numpy as np

from ...engine.solvers.stopping import CONVERGED, DIVERGED, REASONS
from ...engine.vocabulary import Array


class Solution(tuple[Array, int]):
    """A pair (x, info), as SciPy's solvers return, that also says how the solve ended.

    `info` is 0 where the solve converged; the iterations used, and never less than 1, where it ended without (a cap,
    stagnation); below 0 where it broke down: -3 diverged, -4 not finite, -5 not positive definite.

    >>> x, info = Solution(np.ones(2), iterations=7, reason="converged", residual_norm=1e-9)
    >>> x.tolist(), info
    ([1.0, 1.0], 0)
    >>> Solution(np.ones(2), iterations=7, reason="iteration cap", residual_norm=0.25)
    Solution(iteration cap after 7 iterations, residual_norm=0.25, n=2, info=7)
    """

    iterations: int  # sweeps; of SSOR pairs of sweeps, of conjugate gradients steps
    reason: str  # "converged", "iteration cap", "stagnated", "diverged", "not finite" or "not positive definite"
    residual_norm: float  # |b - A x|, of the x that is returned

    def __new__(cls, x: Array, iterations: int, reason: str, residual_norm: float) -> Solution:
        """Return the pair of x and what `iterations` and `reason` say in SciPy's terms."""
        self = super().__new__(cls, (x, info_of(iterations, REASONS.index(reason))))
        self.iterations = iterations
        self.reason = reason
        self.residual_norm = residual_norm
        return self

    def __getnewargs__(self) -> tuple[Array, int, str, float]:
        """Say what a copy, or an unpickled one, is made of."""
        return self.x, self.iterations, self.reason, self.residual_norm

    def __repr__(self) -> str:
        return (
            f"Solution({self.reason} after {self.iterations} iterations, residual_norm={self.residual_norm:.3g}, "
            f"n={self.x.size}, info={self.info})"
        )

    @property
    def x(self) -> Array:
        """The solution, float64[n]: the last iterate, also where the solve did not converge."""
        return self[0]

    @property
    def info(self) -> int:
        """SciPy's number: 0 converged, above 0 iterations used without, below 0 broken down."""
        return self[1]

    @property
    def converged(self) -> bool:
        """Whether the true residual meets the tolerance."""
        return self[1] == 0


class Solutions(tuple[Array, Array]):
    """What many solves with one matrix return: the pair (X, info), and the rest, with an entry for each column.

    >>> X, info = solutions_of(np.eye(2), np.array([3, 9]), np.array([0, 1]), np.array([0.0, 0.5]))
    >>> X.shape, info.tolist()
    ((2, 2), [0, 9])
    """

    iterations: Array  # int64[k]
    reason: tuple[str, ...]  # k of REASONS
    residual_norm: Array  # float64[k]

    def __new__(cls, x: Array, iterations: Array, reason: tuple[str, ...], residual_norm: Array) -> Solutions:
        """Return the pair of X and what `iterations` and `reason` say in SciPy's terms."""
        numbers = zip(iterations.tolist(), reason, strict=True)
        self = super().__new__(cls, (x, np.array([info_of(k, REASONS.index(word)) for k, word in numbers], np.int64)))
        self.iterations = iterations
        self.reason = reason
        self.residual_norm = residual_norm
        return self

    def __getnewargs__(self) -> tuple[Array, Array, tuple[str, ...], Array]:
        """Say what a copy, or an unpickled one, is made of."""
        return self.x, self.iterations, self.reason, self.residual_norm

    def __repr__(self) -> str:
        return (
            f"Solutions({int(self.converged.sum())} of {len(self.info)} converged, "
            f"{int(self.iterations.sum())} iterations in all, n={len(self.x)})"
        )

    @property
    def x(self) -> Array:
        """The solutions, float64[n, k]: column j is that of right-hand side j."""
        return self[0]

    @property
    def info(self) -> Array:
        """SciPy's numbers, int64[k]."""
        return self[1]

    @property
    def converged(self) -> Array:
        """Whether the true residual meets the tolerance, bool[k]."""
        return self[1] == 0


def info_of(iterations: int, reason: int) -> int:
    """Return SciPy's `info`; one iteration at least where nothing converged, since 0 would say that something had.

    >>> info_of(12, CONVERGED), info_of(12, 1), info_of(0, 1), info_of(12, DIVERGED)
    (0, 12, 1, -3)
    """
    if reason == CONVERGED:
        return 0
    return -reason if reason >= DIVERGED else max(iterations, 1)


def solutions_of(x: Array, iterations: Array, reasons: Array, residual_norms: Array) -> Solutions:
    """Return the solves of k columns: `x` float64[n, k], int64[k] iterations and positions in REASONS, float64[k]."""
    return Solutions(x, iterations, tuple(REASONS[reason] for reason in reasons), residual_norms)
