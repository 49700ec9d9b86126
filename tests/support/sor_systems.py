"""Linear systems that the tests of solvers share, their dense twins, and the published counts of iterations."""

from __future__ import annotations

import math

import numpy as np

from onearm.engine.solvers.sor import Half, Rows, half_of, laplacian, rows_of
from onearm.engine.vocabulary import Array

# Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024: 10 x 10 points, shift of the diagonal, b = ones,
# relative tolerance 1e-8, and omega = 1, 1.2, 1.4, Young's, 1.8, 1.9.
SHIFTS = (-0.15, 0.0, 0.45)
COUNTS = {
    "sor": {
        -0.15: (2927, 1950, 1252, 147, 293, 189),
        0.0: (223, 145, 88, 41, 89, 187),
        0.45: (64, 39, 25, 23, 89, 185),
    },
    "ssor": {
        -0.15: (1516, 1054, 750, 810, 654, 1122),
        0.0: (117, 81, 58, 48, 75, 152),
        0.45: (34, 24, 18, 19, 56, 117),
    },
    "ssor_cg": {
        -0.15: (16, 14, 15, 19, 18, 20),
        0.0: (13, 12, 13, 13, 15, 16),
        0.45: (11, 9, 9, 9, 14, 15),
    },
}


def omegas_of(shift: float) -> tuple[float, ...]:
    """Return the omegas of a row of COUNTS."""
    return (1.0, 1.2, 1.4, young_omega(shift), 1.8, 1.9)


def jacobi_radius(shift: float, side: int = 10) -> float:
    """Return the spectral radius of Jacobi's iteration for a shifted Laplacian."""
    return 4.0 * math.cos(math.pi / (side + 1)) / (4.0 + shift)


def young_omega(shift: float, side: int = 10) -> float:
    """Return the omega with the best rate."""
    return 2.0 / (1.0 + math.sqrt(1.0 - jacobi_radius(shift, side) ** 2))


def shifted(shift: float, side: int = 10) -> Half:
    """Return the five-point Laplacian plus a shift of the diagonal."""
    half = laplacian(side)
    return half._replace(diagonal=half.diagonal + shift)


def dense(half: Half) -> Array:
    """Return a symmetric matrix in full."""
    lower = np.zeros((len(half.diagonal), len(half.diagonal)))
    for i in range(len(lower)):
        entries = slice(half.start[i], half.start[i + 1])
        lower[i, half.index[entries]] = half.value[entries]
    return lower + lower.T + np.diag(half.diagonal)


def csr(matrix: Array) -> tuple[Array, Array, Array]:
    """Return a dense matrix as start, index and value; zeros are left out."""
    row, index = np.nonzero(matrix)
    return np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(matrix))))), index, matrix[row, index]


def half_from(matrix: Array) -> Half:
    """Return a dense symmetric matrix as its lower half."""
    return half_of(*csr(matrix))


def rows_from(matrix: Array) -> Rows:
    """Return a dense matrix by rows."""
    return rows_of(*csr(matrix))


def random_spd(n: int, seed: int, density: float = 0.4) -> Array:
    """Return a sparse symmetric positive definite matrix, with all kinds of rows."""
    rng = np.random.default_rng(seed)
    lower = np.tril(rng.normal(size=(n, n)) * (rng.random((n, n)) < density), -1)
    matrix = lower + lower.T
    return matrix + np.diag(np.abs(matrix).sum(axis=1) + rng.uniform(0.1, 1.0, n))
