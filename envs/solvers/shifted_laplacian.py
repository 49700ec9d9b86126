"""Shifted Laplacian: solve (A + c I) x = b anew at each decision, with a relaxation that the arm names.

Source: Khodak, Chow, Balcan, Talwalkar, "Learning to relax: setting solver parameters across a sequence of linear
system instances", ICLR 2024, section 3. A is the five-point Laplacian of a grid of side x side points, the shift is
c = -0.15 + 0.6 B, which is the context, and B has the law Beta(2, 6) where the variance is low, Beta(1/2, 3/2) where it
is high: both have the mean shift 0. The right-hand side is normal, drawn again until its norm is at most sqrt(n).
A solve starts at 0 and ends at a residual of at most rtol |b|; it pays minus its iterations, or minus the cap.
All is a function of the key, so all policies meet the same systems.
State: none. Cost: a solve per decision, 10 to 600 us at side 10.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import beta, normal
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, routine
from ...engine.problem import ARMS_MAX
from ...engine.protocol import register_env
from ...engine.solvers.cg import CgWork, cg_work
from ...engine.solvers.omega_grid import check_omegas, omega_of
from ...engine.solvers.solve_cost import CAP_MAX, check_method, check_rtol, check_whole, paid, solve
from ...engine.solvers.sor import Half, laplacian, norm_of
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

LAWS = {"low": (2.0, 6.0), "high": (0.5, 1.5)}
SHIFT_MIN, SHIFT_RANGE = -0.15, 0.6
SIDE_MAX = 1000
_RIGHT = 1  # the first draw of the right-hand side; draw 0 is the shift's


class ShiftedLaplacianParams(NamedTuple):
    """Numbers fixed at creation."""

    alpha: float  # of the law of B, Beta(alpha, beta)
    beta: float
    omega_min: float  # of the grid: `engine/solvers/omega_grid.py`
    omega_max: float
    method: int
    rtol: float
    iterations_max: int
    half: Half  # of the Laplacian without a shift


class ShiftedLaplacianState(NamedTuple):
    """Working space, float64[n] each; nothing is kept."""

    scratch_diagonal: Array
    scratch_b: Array
    scratch_x: Array
    scratch_work: CgWork


def shifted_laplacian(
    variance: str = "low",
    side: int = 10,
    points: int = 20,
    omega_min: float = 1.0,
    omega_max: float = 1.95,
    method: str = "sor",
    rtol: float = 1e-8,
    iterations_max: int = 10_000,
) -> Environment:
    """Pay minus the iterations at the omega of the arm, one of `points` from `omega_min` to `omega_max`.

    `variance` of the shifts is "low" or "high", `method` "sor", "ssor" or "ssor-cg".
    """
    if variance not in LAWS:
        raise InvalidInput("bad_param", f"variance is {as_seen(variance)}: it must be one of {', '.join(LAWS)}")
    problem = Problem(check_whole("points", points, ARMS_MAX), (1,), horizon=5000)
    params = ShiftedLaplacianParams(
        *LAWS[variance],
        *check_omegas(omega_min, omega_max),
        check_method(method),
        check_rtol(rtol),
        check_whole("iterations_max", iterations_max, CAP_MAX),
        laplacian(check_whole("side", side, SIDE_MAX)),
    )
    return Environment("shifted_laplacian", params, init, problem)


def init(params: ShiftedLaplacianParams, problem: Problem, run: np.uint64) -> ShiftedLaplacianState:
    """Return working space."""
    n = len(params.half.diagonal)
    return ShiftedLaplacianState(np.zeros(n), np.zeros(n), np.zeros(n), cg_work(n))


@kernel
def observe(
    params: ShiftedLaplacianParams,
    state: ShiftedLaplacianState,
    t: int,
    context: Array,
    available: Array,
    key: Key,
) -> None:
    """Draw the shift."""
    context[0] = draw_shift(params.alpha, params.beta, key)


@kernel
def respond(
    params: ShiftedLaplacianParams,
    state: ShiftedLaplacianState,
    instance: Instance,
    action: int,
    detail: Array,
    key: Key,
) -> tuple[float, int]:
    """Draw the right-hand side, solve, and pay at once."""
    shift = instance.context[0]
    b = state.scratch_b
    x = state.scratch_x
    norm = draw_right(b, key)
    half = Half(params.half.start, params.half.index, params.half.value, state.scratch_diagonal)
    for i in range(len(b)):
        half.diagonal[i] = params.half.diagonal[i] + shift
        x[i] = 0.0
    omega = omega_of(action, len(instance.available), params.omega_min, params.omega_max)
    tolerance = params.rtol * norm
    found = solve(params.method, half, b, x, omega, tolerance, params.iterations_max, state.scratch_work)
    return paid(found, params.iterations_max), 0


@routine
def draw_shift(alpha: float, beta_: float, key: Key) -> float:
    """Draw the shift."""
    return SHIFT_MIN + SHIFT_RANGE * beta(key, 0, alpha, beta_)


@routine
def draw_right(b: Array, key: Key) -> float:
    """Draw a normal vector until its norm is at most sqrt(n), about every second time; return the norm."""
    n = len(b)
    first = _RIGHT
    while True:
        for i in range(n):
            b[i] = normal(key, first + i)
        norm = norm_of(b)
        if norm <= math.sqrt(n):
            return norm
        first += n


register_env(ShiftedLaplacianParams, observe=observe, respond=respond)
