"""The compiled solvers behind the interfaces: entries and working space, and how a solve runs, whole or in steps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine.kernel import Loop
from ...engine.solvers.cg import cg_work, go_on_cg, go_on_ssor_cg, solve_cg, solve_ssor_cg
from ...engine.solvers.sor import Half, Rows, go_on_sor, laplacian, norm, solve_sor
from ...engine.solvers.sor_rows import go_on_rows, solve_rows
from ...engine.solvers.ssor import go_on_ssor, solve_ssor
from ...engine.solvers.stopping import FRESH, REASONS, RUNNING
from ...engine.vocabulary import Array
from .solution import Solution

Callback = Callable[[Array], Any]


class Method(NamedTuple):
    """One solver. Its entries take (matrix, b, x, *knob, tolerance, iterations_max, *work)."""

    solve: Loop
    go_on: Loop  # the same in parts: (..., until, monitor)
    work: Callable[[int], tuple[Any, ...]]  # working space for n unknowns
    knobs: int = 1  # 1 where it takes omega
    matrix: Callable[..., Any] = lambda half: half  # what it reads, from a half: to compile for


SOR = Method(solve_sor, go_on_sor, lambda n: (np.empty(n), np.empty(n)))
SSOR = Method(solve_ssor, go_on_ssor, lambda n: (np.empty(n), np.empty(n)))
ROWS = Method(solve_rows, go_on_rows, lambda n: (np.empty(n),), matrix=lambda half: Rows(*half))
SSOR_CG = Method(solve_ssor_cg, go_on_ssor_cg, lambda n: (cg_work(n),))
CG = Method(solve_cg, go_on_cg, lambda n: (cg_work(n),), knobs=0)


def run(
    method: Method,
    matrix: Any,
    b: Array,
    x: Array,
    knob: tuple[float, ...],
    tolerance: float,
    iterations_max: int,
    callback: Callback | None,
) -> Solution:
    """Solve; `x` is where to start and becomes the solution. All was checked before: the entries check nothing."""
    args = (matrix, b, x, *knob, tolerance, iterations_max, *method.work(len(x)))
    if callback is None:
        iterations, reason, norm = _solve_entry(method)(*args)
        return Solution(x, iterations, REASONS[reason], norm)
    go_on = _go_on_entry(method)
    monitor = go_on(*args, 0, FRESH)
    while monitor.reason == RUNNING:
        monitor = go_on(*args, monitor.iterations + 1, monitor)
        callback(x.copy())  # a copy: who collects the iterates must not find the last one in all places
    return Solution(x, monitor.iterations, REASONS[monitor.reason], monitor.residual_norm)


def norm_of_vector(b: Array) -> float:
    """Return |b| of contiguous float64[n]."""
    return float(_norm_entry()(b))


def residual_norm(method: Method, matrix: Any, b: Array, x: Array, knob: tuple[float, ...]) -> float:
    """Return |b - A x|: a solve that any residual satisfies makes no iteration."""
    args = (matrix, b, x, *knob, math.inf, 0, *method.work(len(x)))
    return float(_solve_entry(method)(*args).residual_norm)


def residual_of(half: Half, b: Array, x: Array) -> tuple[Array, float]:
    """Return b - A x and its norm, for a symmetric matrix."""
    r = np.empty(len(x))
    norm = _solve_entry(SOR)(half, b, x, 1.0, math.inf, 0, r, r).residual_norm
    return r, norm


@functools.cache
def _solve_entry(method: Method) -> Callable[..., Any]:
    return method.solve.compiled(*_example(method))


@functools.cache
def _go_on_entry(method: Method) -> Callable[..., Any]:
    return method.go_on.compiled(*_example(method), 0, FRESH)


@functools.cache
def _norm_entry() -> Callable[..., float]:
    return norm.compiled(np.zeros(4))


def _example(method: Method) -> tuple[Any, ...]:
    """Return arguments of the types that all solves have: the entries are compiled for them once."""
    half, vector = laplacian(2), np.zeros(4)
    return (method.matrix(half), vector, vector, *(1.0,) * method.knobs, 1.0, 1, *method.work(4))
