"""Conjugate gradients, plain and preconditioned by SSOR, for symmetric positive definite matrices.

Source: Axelsson, "A generalized SSOR method", BIT 1972, with M = (D / omega + L^T) D^-1 (D / omega + L) omega / (2 -
omega): the upper triangle is solved first. Both triangular solves read the lower half only. As in Eisenstat's trick
(1981) A z comes with them: with (D / omega + L) z = v it is v + L^T z + (1 - 1 / omega) D z, and A p follows A z by the
recurrence of p. So a step reads the half twice, and A is never multiplied. The residual stays the true one but for
rounding; it is computed anew at the end.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.sor import (
    CAPPED,
    CONVERGED,
    DIVERGED,
    GROWTH_MAX,
    INDEFINITE,
    NOT_FINITE,
    STAGNATED,
    Half,
    Outcome,
    norm_of,
    residual,
)
from onearm.engine.vocabulary import Array


class CgWork(NamedTuple):
    """Working space of a solve, float64[n] each."""

    r: Array  # the residual
    u: Array  # what the upper triangle gives
    z: Array  # the preconditioned residual
    az: Array  # A z
    p: Array  # the direction
    ap: Array  # A p


def cg_work(n: int) -> CgWork:
    """Return working space for n unknowns."""
    return CgWork(*(np.zeros(n) for _ in range(6)))


@kernel
def ssor_cg(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by conjugate gradients, preconditioned by SSOR; `x` is where to start and becomes the solution."""
    r, z, az, p, ap = work.r, work.z, work.az, work.p, work.ap
    n = len(x)
    norm = residual(half, b, x, r)
    worst = GROWTH_MAX * norm
    lowest, lowest_at = norm, 0
    true_before = math.inf
    before = math.inf
    k = 0
    while True:
        if not math.isfinite(norm):
            return Outcome(k, NOT_FINITE, norm)
        if norm <= tolerance:
            norm = residual(half, b, x, r)
            if norm <= tolerance:
                return Outcome(k, CONVERGED, norm)
            if norm > 0.5 * true_before:
                return Outcome(k, STAGNATED, norm)
            true_before = norm
            before = math.inf  # begins anew
        if k == iterations_max:
            return Outcome(k, CAPPED, residual(half, b, x, r))
        if norm > worst:
            return Outcome(k, DIVERGED, residual(half, b, x, r))
        if norm < lowest:
            lowest, lowest_at = norm, k
        elif k - lowest_at > lowest_at + n + 100:
            return Outcome(k, STAGNATED, residual(half, b, x, r))
        rz = precondition(half, omega, r, work.u, z, az)
        beta = rz / before
        before = rz
        pap = 0.0
        for i in range(n):
            p[i] = z[i] + beta * p[i]
            ap[i] = az[i] + beta * ap[i]
            pap += p[i] * ap[i]
        if not pap > 0.0:
            reason = INDEFINITE if pap <= 0.0 else NOT_FINITE
            return Outcome(k, reason, residual(half, b, x, r))
        alpha = rz / pap
        for i in range(n):
            x[i] += alpha * p[i]
            r[i] -= alpha * ap[i]
        norm = norm_of(r)
        k += 1


@kernel
def precondition(half: Half, omega: float, r: Array, u: Array, z: Array, az: Array) -> float:
    """Write z = M^-1 r and A z, and return r . z; `u` is working space."""
    n = len(r)
    for i in range(n):
        u[i] = r[i]
    for i in range(n - 1, -1, -1):
        step = u[i] * omega / half.diagonal[i]
        u[i] = step
        for e in range(half.start[i], half.start[i + 1]):
            u[half.index[e]] -= half.value[e] * step
    factor = (2.0 - omega) / omega
    rest = 1.0 - 1.0 / omega
    rz = 0.0
    for i in range(n):
        v = factor * half.diagonal[i] * u[i]
        rz += v * u[i]
        s = v
        first, stop = half.start[i], half.start[i + 1]
        for e in range(first, stop):
            s -= half.value[e] * z[half.index[e]]
        step = s * omega / half.diagonal[i]
        z[i] = step
        az[i] = v + rest * half.diagonal[i] * step
        for e in range(first, stop):
            az[half.index[e]] += half.value[e] * step
    return rz


@kernel
def cg(half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork) -> Outcome:
    """Solve by conjugate gradients without a preconditioner; `x` is where to start and becomes the solution."""
    r, p, ap = work.r, work.p, work.ap
    n = len(x)
    norm = residual(half, b, x, r)
    true_before = math.inf
    rr = norm * norm
    beta = 0.0
    k = 0
    while True:
        if not math.isfinite(norm):
            return Outcome(k, NOT_FINITE, norm)
        if norm <= tolerance:
            norm = residual(half, b, x, r)
            if norm <= tolerance:
                return Outcome(k, CONVERGED, norm)
            if norm > 0.5 * true_before:
                return Outcome(k, STAGNATED, norm)
            true_before = norm
            rr = norm * norm
            beta = 0.0
        if k == iterations_max:
            return Outcome(k, CAPPED, residual(half, b, x, r))
        for i in range(n):
            p[i] = r[i] + beta * p[i]
        pap = multiply(half, p, ap)
        if not pap > 0.0:
            reason = INDEFINITE if pap <= 0.0 else NOT_FINITE
            return Outcome(k, reason, residual(half, b, x, r))
        alpha = rr / pap
        for i in range(n):
            x[i] += alpha * p[i]
            r[i] -= alpha * ap[i]
        norm = norm_of(r)
        beta = norm * norm / rr
        rr = norm * norm
        k += 1


@kernel
def multiply(half: Half, p: Array, ap: Array) -> float:
    """Write A p, and return p . A p."""
    pap = 0.0
    for i in range(len(p)):
        s = half.diagonal[i] * p[i]
        below = 0.0
        for e in range(half.start[i], half.start[i + 1]):
            j = half.index[e]
            below += half.value[e] * p[j]
            ap[j] += half.value[e] * p[i]
        ap[i] = s + below
        pap += p[i] * (s + 2.0 * below)
    return pap
