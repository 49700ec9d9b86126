"""Conjugate gradients, plain and preconditioned by SSOR, for symmetric positive definite matrices.

Source: Axelsson, "A generalized SSOR method", BIT 1972, with M = U D^-1 L omega / (2 - omega), where U = D / omega plus
the upper triangle, solved first, and L = D / omega plus the lower one. Eisenstat, "Efficient implementation of a class
of preconditioned conjugate gradient methods", 1981: as A = L + U - (2 / omega - 1) D, two triangular solves give all
that a step needs, and A is never multiplied:
    u = U^-1 r     q = U^-1 A p = p + U^-1 (v - (2 / omega - 1) D p) with v = L p     M^-1 r = (2 / omega - 1) L^-1 D u
Beside u the true residual r is kept, by A p = v + (the upper triangle + (1 - 1 / omega) D) p: the stopping rule reads
its norm. Both drift by rounding; the residual is computed anew at the end.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, loop
from ..vocabulary import Array
from .sor import Half, clear, residual, step_after
from .stopping import (
    CG_GROWTH_MAX,
    FRESH,
    INDEFINITE,
    NOT_FINITE,
    RUNNING,
    STAGNATED,
    WINDOW,
    Monitor,
    Outcome,
    advance,
    begin,
    confirm,
    fail,
    judge,
    outcome_of,
)

_VANISHED = 1e-300  # squares below are no numbers to go by
_1 = np.uint64(1)


class CgWork(NamedTuple):
    """Working space of a solve, float64[n] each; it may hold anything before the first step."""

    r: Array  # the residual
    u: Array  # U^-1 r
    v: Array  # L p
    p: Array  # the direction in which x moves
    q: Array  # U^-1 A p
    ap: Array  # A p


def cg_work(n: int) -> CgWork:
    """Return working space for n unknowns."""
    return CgWork(*(np.zeros(n) for _ in range(6)))


@kernel
def ssor_cg(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by conjugate gradients, preconditioned by SSOR; `x` is where to start and becomes the solution."""
    return outcome_of(ssor_cg_on(half, b, x, omega, tolerance, iterations_max, work, iterations_max, FRESH))


@kernel
def ssor_cg_on(
    half: Half,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    work: CgWork,
    until: int,
    monitor: Monitor,
) -> Monitor:
    """Go on with `ssor_cg` from where `monitor` stands, FRESH at first, until it ends or `until` steps are done."""
    if monitor.iterations < 0:
        monitor = begin(residual(half, b, x, work.r), CG_GROWTH_MAX, len(x) + WINDOW)
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason == RUNNING:
            if monitor.iterations >= until:
                return monitor
            monitor = ssor_cg_step(half, x, omega, work, monitor)
        elif monitor.exact:
            return monitor
        else:
            monitor = confirm(monitor, residual(half, b, x, work.r), tolerance)


@kernel
def ssor_cg_step(half: Half, x: Array, omega: float, work: CgWork, monitor: Monitor) -> Monitor:
    """Make one step; from a residual that was computed anew the directions begin anew."""
    rz, beta = monitor.rz, monitor.beta
    if monitor.exact:
        rz, beta = solve_upper(half, omega, work.r, work.u), 0.0
        clear(work.v)
    solve_lower(half, omega, beta, work)
    pap = solve_upper_again(half, omega, work)
    if rz < _VANISHED and pap <= 0.0:  # u went on to 0, while r stays at what rounding allows
        return fail(monitor, STAGNATED)
    if not pap > 0.0:
        return fail(monitor, INDEFINITE if pap <= 0.0 else NOT_FINITE)
    alpha = rz / pap
    norm, rz_next = move(half, omega, alpha, x, work)
    return advance(monitor, norm, False, rz_next, rz_next / rz)


@kernel
def solve_upper(half: Half, omega: float, r: Array, u: Array) -> float:
    """Write u = U^-1 r, and return r . M^-1 r, which is (2 / omega - 1) u . D u."""
    index, value = half.index, half.value
    for i in range(len(r)):
        u[i] = r[i]
    total = 0.0
    for i in range(len(r) - 1, -1, -1):
        step = u[i] * (omega / half.diagonal[i])
        u[i] = step
        total += half.diagonal[i] * step * step
        for e in range(np.uint64(half.start[i]), np.uint64(half.start[i + 1])):
            u[np.uint64(index[e])] -= value[e] * step
    return total * (2.0 / omega - 1.0)


@kernel
def solve_lower(half: Half, omega: float, beta: float, work: CgWork) -> None:
    """Make v the next direction's, (2 / omega - 1) D u + beta v, and p = L^-1 v; begin q and A p. See `sor.sweep`."""
    u, v, p, q, ap = work.u, work.v, work.p, work.q, work.ap
    index, value = half.index, half.value
    factor, rest = 2.0 / omega - 1.0, 1.0 - 1.0 / omega
    before = 0.0
    first = np.uint64(half.start[0])
    for i in range(len(u)):
        stop = np.uint64(half.start[i + 1])
        diagonal = half.diagonal[i]
        weight, scale = factor * diagonal, omega / diagonal
        s = vi = weight * u[i] + beta * v[i]
        if stop - first > _1:
            last = stop - _1
            last_but_one = last - _1
            for e in range(first, last_but_one):
                s -= value[e] * p[np.uint64(index[e])]
            j, k = np.uint64(index[last_but_one]), np.uint64(index[last])
            s -= value[last_but_one] * p[j]
            step = step_after(i, before, s, scale, value[last], k, p)
            for e in range(first, last_but_one):
                ap[np.uint64(index[e])] += value[e] * step
            ap[j] += value[last_but_one] * step
            ap[k] += value[last] * step
        elif stop > first:
            k = np.uint64(index[first])
            step = step_after(i, before, s, scale, value[first], k, p)
            ap[k] += value[first] * step
        else:
            step = s * scale
        p[i] = before = step
        v[i] = vi
        q[i] = vi - weight * step
        ap[i] = vi + rest * diagonal * step
        first = stop


@kernel
def solve_upper_again(half: Half, omega: float, work: CgWork) -> float:
    """Make q = p + U^-1 q, and return p . A p, which is v . q.

    What row i + 1 takes from row i is held in registers, `near` and `after`, as in `sor.step_after`.
    """
    v, p, q = work.v, work.p, work.q
    index, value = half.index, half.value
    near = after = 0.0
    pap = 0.0
    stop = np.uint64(half.start[len(p)])
    for i in range(len(p) - 1, -1, -1):
        first = np.uint64(half.start[i])
        scale = omega / half.diagonal[i]
        step = q[i] * scale - near * scale * after
        near = 0.0
        if stop - first > _1:
            last = stop - _1
            last_but_one = last - _1
            for e in range(first, last_but_one):
                q[np.uint64(index[e])] -= value[e] * step
            q[np.uint64(index[last_but_one])] -= value[last_but_one] * step
            near = pass_on(i, step, value[last], np.uint64(index[last]), q)
        elif stop > first:
            near = pass_on(i, step, value[first], np.uint64(index[first]), q)
        after = step
        s = p[i] + step
        pap += v[i] * s
        q[i] = s
        stop = first
    return pap


@kernel
def pass_on(i: int, step: float, value: float, k: np.uint64, q: Array) -> float:
    """Subtract value * step from q[k]; or return the value, where k is the next row: it subtracts that itself."""
    if k + _1 == np.uint64(i):
        return value
    q[k] -= value * step
    return 0.0


@kernel
def move(half: Half, omega: float, alpha: float, x: Array, work: CgWork) -> tuple[float, float]:
    """Move x, u and r by `alpha` along their directions; return |r| and r . M^-1 r. One pass: memory is the limit."""
    r, u, p, q, ap = work.r, work.u, work.p, work.q, work.ap
    rr = uu = 0.0
    for i in range(len(x)):
        x[i] += alpha * p[i]
        ui = u[i] - alpha * q[i]
        ri = r[i] - alpha * ap[i]
        u[i] = ui
        r[i] = ri
        rr += ri * ri
        uu += half.diagonal[i] * ui * ui
    return math.sqrt(rr), (2.0 / omega - 1.0) * uu


@kernel
def cg(half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork) -> Outcome:
    """Solve by conjugate gradients without a preconditioner; `x` is where to start and becomes the solution."""
    return outcome_of(cg_on(half, b, x, tolerance, iterations_max, work, iterations_max, FRESH))


@kernel
def cg_on(
    half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork, until: int, monitor: Monitor
) -> Monitor:
    """Go on with `cg` from where `monitor` stands, FRESH at first, until it ends or `until` steps are done."""
    if monitor.iterations < 0:
        monitor = begin(residual(half, b, x, work.r), CG_GROWTH_MAX, len(x) + WINDOW)
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason == RUNNING:
            if monitor.iterations >= until:
                return monitor
            monitor = cg_step(half, x, work, monitor)
        elif monitor.exact:
            return monitor
        else:
            monitor = confirm(monitor, residual(half, b, x, work.r), tolerance)


@kernel
def cg_step(half: Half, x: Array, work: CgWork, monitor: Monitor) -> Monitor:
    """Make one step."""
    r, p, ap = work.r, work.p, work.ap
    rr, beta = monitor.rz, monitor.beta
    if monitor.exact:
        rr, beta = monitor.residual_norm * monitor.residual_norm, 0.0
        clear(p)
    pap = multiply(half, beta, r, p, ap)
    if not pap > 0.0:
        return fail(monitor, INDEFINITE if pap <= 0.0 else NOT_FINITE)
    alpha = rr / pap
    rr_next = 0.0
    for i in range(len(x)):
        x[i] += alpha * p[i]
        ri = r[i] - alpha * ap[i]
        r[i] = ri
        rr_next += ri * ri
    return advance(monitor, math.sqrt(rr_next), False, rr_next, rr_next / rr)


@kernel
def multiply(half: Half, beta: float, r: Array, p: Array, ap: Array) -> float:
    """Make p the next direction, r + beta p, write A p, and return p . A p. See `sor.sweep`."""
    index, value = half.index, half.value
    pap = 0.0
    first = np.uint64(half.start[0])
    for i in range(len(p)):
        stop = np.uint64(half.start[i + 1])
        pi = r[i] + beta * p[i]
        s = half.diagonal[i] * pi
        below = 0.0
        if stop - first > _1:
            last = stop - _1
            last_but_one = last - _1
            for e in range(first, last_but_one):
                j = np.uint64(index[e])
                below += value[e] * p[j]
                ap[j] += value[e] * pi
            j, k = np.uint64(index[last_but_one]), np.uint64(index[last])
            below += value[last_but_one] * p[j] + value[last] * p[k]
            ap[j] += value[last_but_one] * pi
            ap[k] += value[last] * pi
        elif stop > first:
            k = np.uint64(index[first])
            below = value[first] * p[k]
            ap[k] += value[first] * pi
        p[i] = pi
        ap[i] = s + below
        pap += pi * (s + 2.0 * below)
        first = stop
    return pap


@kernel
def ssor_inverse(half: Half, omega: float, r: Array, u: Array, z: Array) -> None:
    """Write z = M^-1 r; `u` is working space."""
    solve_upper(half, omega, r, u)
    factor = 2.0 / omega - 1.0
    for i in range(len(u)):
        s = factor * half.diagonal[i] * u[i]
        for e in range(half.start[i], half.start[i + 1]):
            s -= half.value[e] * z[half.index[e]]
        z[i] = s * (omega / half.diagonal[i])


@loop
def solve_ssor_cg(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Run `ssor_cg` from Python."""
    return ssor_cg(half, b, x, omega, tolerance, iterations_max, work)


@loop
def go_on_ssor_cg(
    half: Half,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    work: CgWork,
    until: int,
    monitor: Monitor,
) -> Monitor:
    """Run `ssor_cg_on` from Python."""
    return ssor_cg_on(half, b, x, omega, tolerance, iterations_max, work, until, monitor)


@loop
def solve_cg(half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork) -> Outcome:
    """Run `cg` from Python."""
    return cg(half, b, x, tolerance, iterations_max, work)


@loop
def go_on_cg(
    half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork, until: int, monitor: Monitor
) -> Monitor:
    """Run `cg_on` from Python."""
    return cg_on(half, b, x, tolerance, iterations_max, work, until, monitor)


@loop
def apply_ssor(half: Half, omega: float, r: Array, u: Array, z: Array) -> None:
    """Run `ssor_inverse` from Python."""
    ssor_inverse(half, omega, r, u, z)
