"""SSOR: a forward sweep of SOR, then a backward one.

Source: Sheldon, "On the numerical solution of elliptic difference equations", 1955. With (D / omega + L^T) e = r a
backward sweep moves x by e, and leaves the residual (1 / omega - 1) D e - L e.
An iteration reads the lower half of the matrix three times, which costs about two sweeps of `engine/solvers/sor.py`.
"""

from __future__ import annotations

from ..kernel import kernel, loop
from ..vocabulary import Array
from .sor import Half, norm_of, residual, sweep
from .stopping import (
    FRESH,
    GROWTH_MAX,
    RUNNING,
    WINDOW,
    Course,
    Outcome,
    advance,
    begin,
    confirm,
    judge,
    outcome_of,
)


@loop
def solve_ssor(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, r: Array, d: Array
) -> Outcome:
    """Iterate until |b - A x| is at most `tolerance`; `x` float64[n] is where to start and becomes the solution.

    `r` and `d`, float64[n], are working space.
    """
    return outcome_of(ssor_on(half, b, x, omega, tolerance, iterations_max, r, d, iterations_max, FRESH))


@loop
def go_on_ssor(
    half: Half,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    r: Array,
    d: Array,
    until: int,
    course: Course,
) -> Course:
    """Go on from where `course` stands, FRESH at first, until it ends or `until` iterations are done in all."""
    return ssor_on(half, b, x, omega, tolerance, iterations_max, r, d, until, course)


@kernel
def ssor_on(
    half: Half,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    r: Array,
    d: Array,
    until: int,
    course: Course,
) -> Course:
    """Iterate until the course ends or `until` iterations are done, as `sor_on` does."""
    if course.iterations < 0:
        course = begin(residual(half, b, x, r), GROWTH_MAX, WINDOW)
    while True:
        course = judge(course, tolerance, iterations_max)
        if course.reason == RUNNING:
            if course.iterations >= until:
                return course
            sweep(half, omega, x, r, d)
            course = advance(course, sweep_back(half, omega, x, r, d), False, 0.0, 0.0)
        elif course.exact:
            return course
        else:
            course = confirm(course, residual(half, b, x, r), tolerance)


@kernel
def sweep_back(half: Half, omega: float, x: Array, r: Array, d: Array) -> float:
    """Make one backward sweep: move `x`, make `r` its residual again, write the step into `d`; return |r|."""
    n = len(x)
    rest = 1.0 / omega - 1.0
    for i in range(n - 1, -1, -1):
        step = r[i] * (omega / half.diagonal[i])
        d[i] = step
        x[i] += step
        for e in range(half.start[i], half.start[i + 1]):
            r[half.index[e]] -= half.value[e] * step
    for i in range(n):
        s = rest * half.diagonal[i] * d[i]
        for e in range(half.start[i], half.start[i + 1]):
            s -= half.value[e] * d[half.index[e]]
        r[i] = s
    return norm_of(r)
