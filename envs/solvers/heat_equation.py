"""Heat equation: each decision is a time step, solved by conjugate gradients with an SSOR whose omega the arm names.

Source: Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024, section 3, two dimensions;
`engine/solvers/heat.py` says which equation. The context is the diffusivity at the beginning of the step, in [0, 10].
A solve starts at the solution of the step before and ends at a residual of at most rtol |b|; it pays minus its
iterations, or minus the cap. They may be 0, and that is learned as a reward of 0. After the last step time begins
anew. What is solved for depends on the arms before by rounding only, up to the tolerance: all policies meet the same
steps in that sense, and no draw is made.
State: the temperature. Cost: a solve per decision, about 16 ns per iteration and unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.kernel import kernel, loop
from ...engine.problem import ARMS_MAX
from ...engine.protocol import register_env
from ...engine.solvers.cg import CgWork, cg_work
from ...engine.solvers.heat import STEP, diffusivity, put_start, put_system
from ...engine.solvers.omega_grid import check_omegas, omega_of
from ...engine.solvers.solve_cost import CAP_MAX, check_rtol, check_whole, paid, solve_by_ssor_cg
from ...engine.solvers.sor import Half, laplacian, norm_of
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

SIDE_MAX = 1000
STEPS_MAX = 1_000_000_000


class HeatEquationParams(NamedTuple):
    """Numbers fixed at creation."""

    side: int  # intervals along a side, of length 1 / side; there are (side - 1)^2 unknowns
    omega_min: float  # of the grid: `engine/solvers/omega_grid.py`
    omega_max: float
    rtol: float
    iterations_max: int
    steps: int
    start: Array  # the pattern of the matrix: `Half`
    index: Array


class HeatEquationState(NamedTuple):
    """What `respond` writes, and working space, float64[n] each."""

    u: Array  # the temperature, row by row
    scratch_value: Array  # float64[m] of the matrix of a step
    scratch_diagonal: Array
    scratch_b: Array
    scratch_work: CgWork


def heat_equation(
    side: int = 25,
    points: int = 20,
    omega_min: float = 1.0,
    omega_max: float = 1.95,
    rtol: float = 1e-8,
    iterations_max: int = 10_000,
    steps: int = 5000,
) -> Environment:
    """Pay minus the iterations at the omega of the arm, one of `points` from `omega_min` to `omega_max`.

    A step takes 0.001 of time; the diffusivity has the period 1, which is 1000 steps.
    """
    problem = Problem(check_whole("points", points, ARMS_MAX), (1,), horizon=steps)
    half = laplacian(check_whole("side", side, SIDE_MAX, low=2) - 1)
    params = HeatEquationParams(
        side,
        *check_omegas(omega_min, omega_max),
        check_rtol(rtol),
        check_whole("iterations_max", iterations_max, CAP_MAX),
        check_whole("steps", steps, STEPS_MAX),
        half.start,
        half.index,
    )
    return Environment("heat_equation", params, init, problem)


def init(params: HeatEquationParams, problem: Problem, run: np.uint64) -> HeatEquationState:
    """Return the temperature at time 0."""
    n = (params.side - 1) ** 2
    u = np.zeros(n)
    _begin(u, params.side)
    return HeatEquationState(u, np.zeros(len(params.index)), np.zeros(n), np.zeros(n), cg_work(n))


@loop
def _begin(u: Array, side: int) -> None:
    put_start(u, side)


@kernel
def observe(
    params: HeatEquationParams, state: HeatEquationState, t: int, context: Array, available: Array, key: Key
) -> None:
    """Show the diffusivity."""
    context[0] = diffusivity((t % params.steps) * STEP)


@kernel
def respond(
    params: HeatEquationParams, state: HeatEquationState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Make the step, and pay at once."""
    step = instance.t % params.steps
    if step == 0:
        put_start(state.u, params.side)
    half = Half(params.start, params.index, state.scratch_value, state.scratch_diagonal)
    b = state.scratch_b
    put_system(half, state.u, b, params.side, step * STEP)
    tolerance = params.rtol * norm_of(b)
    omega = omega_of(action, len(instance.available), params.omega_min, params.omega_max)
    found = solve_by_ssor_cg(half, b, state.u, omega, tolerance, params.iterations_max, state.scratch_work)
    return paid(found, params.iterations_max), 0


register_env(HeatEquationParams, observe=observe, respond=respond)
