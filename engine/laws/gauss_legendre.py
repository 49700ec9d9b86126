"""Integrals by the Gauss-Legendre rule of 16 nodes: over a panel, and from its left end up to every node.

With it the integral of the polynomial through 16 values is exact: of a smooth function that is within rounding.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array

NODES = 16


@kernel
def fill_mass(mass: Array, density: Array, below: float) -> None:
    """Write F at the nodes: `below` plus the integral of the density from the panel's left end; positive in any case.

    Eight terms at once, as this then stays in vector registers: 18 ns, and 52 one by one.
    """
    for i in range(NODES):
        mass[i] = below
    for j in range(0, NODES, 8):
        d0, d1, d2, d3 = density[j], density[j + 1], density[j + 2], density[j + 3]
        d4, d5, d6, d7 = density[j + 4], density[j + 5], density[j + 6], density[j + 7]
        for i in range(NODES):
            low = (UP_TO[j, i] * d0 + UP_TO[j + 1, i] * d1) + (UP_TO[j + 2, i] * d2 + UP_TO[j + 3, i] * d3)
            high = (UP_TO[j + 4, i] * d4 + UP_TO[j + 5, i] * d5) + (UP_TO[j + 6, i] * d6 + UP_TO[j + 7, i] * d7)
            mass[i] += low + high
    for i in range(NODES):
        mass[i] = mass[i] if mass[i] > 1e-30 else 1e-30


def mass_of_each(density: Array, below: Array) -> Array:
    """Return what `fill_mass` writes, of several densities, float64[n, 16]: all at once in NumPy, to the same bits."""
    terms = density[:, :, None] * UP_TO
    for _ in range(3):
        terms = terms[:, 0::2] + terms[:, 1::2]
    mass: Array = below[:, None]
    for eight in range(terms.shape[1]):
        mass = mass + terms[:, eight]
    return np.where(mass > 1e-30, mass, 1e-30)


@kernel
def weighted(values: Array, weights: Array) -> float:
    """Return the sum of values times weights, float64[16] each, in four lanes."""
    a = 0.0
    b = 0.0
    c = 0.0
    d = 0.0
    for i in range(0, NODES, 4):
        a += values[i] * weights[i]
        b += values[i + 1] * weights[i + 1]
        c += values[i + 2] * weights[i + 2]
        d += values[i + 3] * weights[i + 3]
    return (a + b) + (c + d)


def weighted_of_each(values: Array, weights: Array) -> Array:
    """Return `weighted` of several rows of values, float64[n, 16]: all at once in NumPy, to the same bits."""
    lanes = np.add.accumulate((values * weights).reshape(len(values), -1, 4), axis=1)[:, -1]
    pairs = lanes[:, 0::2] + lanes[:, 1::2]
    return np.asarray(pairs[:, 0] + pairs[:, 1])


def _gauss_legendre(n: int) -> tuple[Array, Array, Array]:
    """Return the rule on [0, 1]: float64[n] nodes, float64[n] weights, and float64[n, n] weights of partial integrals.

    The integral from 0 to node i of the polynomial through values f is sum_j up_to[j, i] f[j]. In decimal arithmetic,
    as NumPy's rule comes from LAPACK and has other bits on other machines.
    """
    with localcontext() as context:
        context.prec = 40

        def legendre(x: Decimal) -> list[Decimal]:
            values = [Decimal(1), x]
            for m in range(1, n):
                values.append(((2 * m + 1) * x * values[m] - m * values[m - 1]) / (m + 1))
            return values

        nodes, weights, values = [], [], []
        for i in range(n):
            x = Decimal(-math.cos(math.pi * (i + 0.75) / (n + 0.5)))
            for _ in range(6):
                p = legendre(x)
                slope = n * (x * p[n] - p[n - 1]) / (x * x - 1)
                x -= p[n] / slope
            p = legendre(x)
            slope = n * (x * p[n] - p[n - 1]) / (x * x - 1)
            nodes.append(x)
            weights.append(2 / ((1 - x * x) * slope * slope))
            values.append(p)
        place = np.array([float((x + 1) / 2) for x in nodes])
        weight = np.array([float(w / 2) for w in weights])
        up_to = np.zeros((n, n))
        for i in range(n):
            steps = [values[i][m + 1] - values[i][m - 1] for m in range(1, n)]
            for j in range(n):
                series = sum((values[j][m + 1] * step for m, step in enumerate(steps)), nodes[i] + 1)
                up_to[j, i] = float(weights[j] * series / 4)
    return place, weight, up_to


PLACE, WEIGHT, UP_TO = _gauss_legendre(NODES)
