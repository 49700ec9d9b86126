"""Linear systems as decisions: which solver, with how many iterations at most, and what a solve is charged.

An environment of linear systems pays minus the iterations of the solve; one that does not converge costs as much as
the iteration cap, which is finite.
"""

from __future__ import annotations

from ..errors import InvalidInput, as_seen
from ..kernel import kernel, routine
from ..problem import check_param
from ..vocabulary import Array
from .cg import CgWork, ssor_cg
from .sor import Half, Rows, sor
from .sor_rows import rows_on
from .ssor import ssor_on
from .stopping import CONVERGED, FRESH, Outcome, outcome_of

METHODS = ("sor", "ssor", "ssor-cg")
SOR, SSOR, SSOR_CG = 0, 1, 2
CAP_MAX = 2**31 - 1  # the largest iteration cap


def check_method(method: str) -> int:
    """Return the position of a method in METHODS."""
    if method not in METHODS:
        raise InvalidInput("bad_param", f"method is {as_seen(method)}: it must be one of {', '.join(METHODS)}")
    return METHODS.index(method)


def check_rtol(rtol: float) -> float:
    """Return a relative tolerance, in (0, 1)."""
    return check_param("rtol", rtol, low=0.0, high=1.0, low_open=True, high_open=True)


def check_whole(name: str, value: int, high: int, low: int = 1) -> int:
    """Return a whole number within its range."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from {low} to {high}")
    return value


@kernel
def solve(
    method: int, half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by one of METHODS; `x` is where to start and becomes the solution."""
    if method == SOR:
        return solve_by_sor(half, b, x, omega, tolerance, iterations_max, work)
    if method == SSOR:
        return solve_by_ssor(half, b, x, omega, tolerance, iterations_max, work)
    return solve_by_ssor_cg(half, b, x, omega, tolerance, iterations_max, work)


@routine
def solve_by_sor(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by SOR."""
    return sor(half, b, x, omega, tolerance, iterations_max, work.r, work.p)


@routine
def solve_by_ssor(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by SSOR."""
    return outcome_of(ssor_on(half, b, x, omega, tolerance, iterations_max, work.r, work.p, iterations_max, FRESH))


@routine
def solve_by_ssor_cg(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by conjugate gradients, preconditioned by SSOR."""
    return ssor_cg(half, b, x, omega, tolerance, iterations_max, work)


@routine
def solve_by_rows(
    rows: Rows, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: CgWork
) -> Outcome:
    """Solve by SOR where the matrix is not symmetric."""
    return outcome_of(rows_on(rows, b, x, omega, tolerance, iterations_max, work.r, iterations_max, FRESH))


@kernel
def paid(outcome: Outcome, iterations_max: int) -> float:
    """Return the reward of a solve: minus its iterations, or minus the cap where it did not converge."""
    return -float(outcome.iterations if outcome.reason == CONVERGED else iterations_max)
