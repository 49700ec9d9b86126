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

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel, loop
from onearm.engine.sor import (
    FRESH,
    INDEFINITE,
    NOT_FINITE,
    RUNNING,
    Course,
    Half,
    Outcome,
    advance,
    begin,
    confirm,
    fail,
    judge,
    norm_of,
    outcome_of,
    residual,
)
from onearm.engine.vocabulary import Array

_PATIENCE = 100.0  # steps beside n, in which the method would end if there were no rounding


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
    course: Course,
) -> Course:
    """Go on with `ssor_cg` from where `course` stands, FRESH at first, until it ends or `until` steps are done."""
    if course.iterations < 0:
        course = begin(residual(half, b, x, work.r), len(x) + _PATIENCE)
    while True:
        course = judge(course, tolerance, iterations_max)
        if course.reason == RUNNING:
            if course.iterations >= until:
                return course
            course = ssor_cg_step(half, x, omega, work, course)
        elif course.exact:
            return course
        else:
            course = confirm(course, residual(half, b, x, work.r), tolerance)


@kernel
def ssor_cg_step(half: Half, x: Array, omega: float, work: CgWork, course: Course) -> Course:
    """Make one step; from a residual that was computed anew the directions begin anew."""
    rz, beta = course.rz, course.beta
    if course.exact:
        rz, beta = solve_upper(half, omega, work.r, work.u), 0.0
        clear(work.v)
    solve_lower(half, omega, beta, work)
    pap = solve_upper_again(half, omega, work)
    if not pap > 0.0:
        return fail(course, INDEFINITE if pap <= 0.0 else NOT_FINITE)
    alpha = rz / pap
    r, u, p, q, ap = work.r, work.u, work.p, work.q, work.ap
    for i in range(len(x)):
        x[i] += alpha * p[i]
        u[i] -= alpha * q[i]
        r[i] -= alpha * ap[i]
    rz_next = weighted(half, omega, u)
    return advance(course, norm_of(r), False, rz_next, rz_next / rz)


@kernel
def clear(v: Array) -> None:
    """Fill with zeros."""
    for i in range(len(v)):
        v[i] = 0.0


@kernel
def weighted(half: Half, omega: float, u: Array) -> float:
    """Return (2 / omega - 1) u . D u, which is r . M^-1 r."""
    s = 0.0
    for i in range(len(u)):
        s += half.diagonal[i] * u[i] * u[i]
    return s * (2.0 / omega - 1.0)


@kernel
def solve_upper(half: Half, omega: float, r: Array, u: Array) -> float:
    """Write u = U^-1 r, and return r . M^-1 r."""
    n = len(r)
    for i in range(n):
        u[i] = r[i]
    for i in range(n - 1, -1, -1):
        step = u[i] * (omega / half.diagonal[i])
        u[i] = step
        for e in range(half.start[i], half.start[i + 1]):
            u[half.index[e]] -= half.value[e] * step
    return weighted(half, omega, u)


@kernel
def solve_lower(half: Half, omega: float, beta: float, work: CgWork) -> None:
    """Make v the next direction's, (2 / omega - 1) D u + beta v, and p = L^-1 v; begin q and A p."""
    u, v, p, q, ap = work.u, work.v, work.p, work.q, work.ap
    factor = 2.0 / omega - 1.0
    rest = 1.0 - 1.0 / omega
    for i in range(len(u)):
        weight = factor * half.diagonal[i]
        v[i] = weight * u[i] + beta * v[i]
        s = v[i]
        first, stop = half.start[i], half.start[i + 1]
        for e in range(first, stop):
            s -= half.value[e] * p[half.index[e]]
        step = s * (omega / half.diagonal[i])
        p[i] = step
        q[i] = v[i] - weight * step
        ap[i] = v[i] + rest * half.diagonal[i] * step
        for e in range(first, stop):
            ap[half.index[e]] += half.value[e] * step


@kernel
def solve_upper_again(half: Half, omega: float, work: CgWork) -> float:
    """Make q = p + U^-1 q, and return p . A p, which is v . q."""
    v, p, q = work.v, work.p, work.q
    pap = 0.0
    for i in range(len(p) - 1, -1, -1):
        step = q[i] * (omega / half.diagonal[i])
        q[i] = p[i] + step
        pap += v[i] * q[i]
        for e in range(half.start[i], half.start[i + 1]):
            q[half.index[e]] -= half.value[e] * step
    return pap


@kernel
def cg(half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork) -> Outcome:
    """Solve by conjugate gradients without a preconditioner; `x` is where to start and becomes the solution."""
    return outcome_of(cg_on(half, b, x, tolerance, iterations_max, work, iterations_max, FRESH))


@kernel
def cg_on(
    half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork, until: int, course: Course
) -> Course:
    """Go on with `cg` from where `course` stands, FRESH at first, until it ends or `until` steps are done."""
    if course.iterations < 0:
        course = begin(residual(half, b, x, work.r), len(x) + _PATIENCE)
    while True:
        course = judge(course, tolerance, iterations_max)
        if course.reason == RUNNING:
            if course.iterations >= until:
                return course
            course = cg_step(half, x, work, course)
        elif course.exact:
            return course
        else:
            course = confirm(course, residual(half, b, x, work.r), tolerance)


@kernel
def cg_step(half: Half, x: Array, work: CgWork, course: Course) -> Course:
    """Make one step."""
    r, p, ap = work.r, work.p, work.ap
    beta = course.beta
    if course.exact:
        beta = 0.0
        clear(p)
    pap = multiply(half, beta, r, p, ap)
    if not pap > 0.0:
        return fail(course, INDEFINITE if pap <= 0.0 else NOT_FINITE)
    rr = course.residual_norm * course.residual_norm
    alpha = rr / pap
    for i in range(len(x)):
        x[i] += alpha * p[i]
        r[i] -= alpha * ap[i]
    norm = norm_of(r)
    return advance(course, norm, False, rr, norm * norm / rr)


@kernel
def multiply(half: Half, beta: float, r: Array, p: Array, ap: Array) -> float:
    """Make p the next direction, r + beta p, write A p, and return p . A p."""
    pap = 0.0
    for i in range(len(p)):
        step = r[i] + beta * p[i]
        p[i] = step
        s = half.diagonal[i] * step
        below = 0.0
        for e in range(half.start[i], half.start[i + 1]):
            j = half.index[e]
            below += half.value[e] * p[j]
            ap[j] += half.value[e] * step
        ap[i] = s + below
        pap += step * (s + 2.0 * below)
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
    course: Course,
) -> Course:
    """Run `ssor_cg_on` from Python."""
    return ssor_cg_on(half, b, x, omega, tolerance, iterations_max, work, until, course)


@loop
def solve_cg(half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork) -> Outcome:
    """Run `cg` from Python."""
    return cg(half, b, x, tolerance, iterations_max, work)


@loop
def go_on_cg(
    half: Half, b: Array, x: Array, tolerance: float, iterations_max: int, work: CgWork, until: int, course: Course
) -> Course:
    """Run `cg_on` from Python."""
    return cg_on(half, b, x, tolerance, iterations_max, work, until, course)


@loop
def apply_ssor(half: Half, omega: float, r: Array, u: Array, z: Array) -> None:
    """Run `ssor_inverse` from Python."""
    ssor_inverse(half, omega, r, u, z)
