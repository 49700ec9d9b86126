"""Where a solve stands and how it ends: what the solvers of `sor.py`, `ssor.py`, `sor_cg.py` and the others share.

A solver begins a monitor with the residual that it starts from, has it judged before each iteration, and advances it
after; where it ends by a residual that was not computed from b - A x, the true one confirms that, or it runs on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..kernel import kernel, loop

CONVERGED, CAPPED, STAGNATED, DIVERGED, NOT_FINITE, INDEFINITE, RUNNING = 0, 1, 2, 3, 4, 5, 6
REASONS = (
    "converged",
    "iteration cap",
    "stagnated",
    "diverged",
    "not finite",
    "not positive definite",
    "still running",
)
GROWTH_MAX = 1e4  # of the residual: it may first grow, since the matrix of a sweep is not normal
CG_GROWTH_MAX = 1e8  # of conjugate gradients': by the root of the condition number, which is at most 1e16
WINDOW = 128  # iterations before the first window: windows double, and the residuals of two are compared
_FLAT = 1e-3  # a change from one window to the next that leaves a solve ten thousand times as long as it has been


class Outcome(NamedTuple):
    """How a solve ended."""

    iterations: int  # sweeps done; of SSOR pairs of sweeps, of conjugate gradients steps
    reason: int  # a position in REASONS
    residual_norm: float  # |b - A x|, computed anew at the end


class Windows(NamedTuple):
    """The least and the largest residual of the present window of iterations, and of the one before."""

    end: int  # the iteration at which the present window ends, twice that at which it began
    lowest: float
    highest: float
    lowest_before: float
    highest_before: float


class Monitor(NamedTuple):
    """Where a solve stands: what it takes, beside its working space, to stop after any iteration and go on later."""

    iterations: int  # done so far; -1 before it begins
    reason: int  # RUNNING, or how it ended
    residual_norm: float
    exact: bool  # whether that was computed from b - A x, not by the recurrence of the iterations
    worst: float  # the residual that says that it diverges
    claimed: float  # the true residual where the recurrence last claimed convergence
    windows: Windows
    rz: float  # of conjugate gradients: r . M^-1 r,
    beta: float  # and what the next direction keeps of the last


FRESH = Monitor(-1, RUNNING, math.inf, False, math.inf, math.inf, Windows(0, math.inf, 0.0, math.inf, 0.0), 0.0, 0.0)


@kernel
def begin(norm: float, growth_max: float, window: int) -> Monitor:
    """Return the monitor of a solve that starts from a residual."""
    windows = Windows(2 * window, math.inf, 0.0, math.inf, 0.0)
    return Monitor(0, RUNNING, norm, True, growth_max * norm, math.inf, windows, 0.0, 0.0)


@kernel
def judge(monitor: Monitor, tolerance: float, iterations_max: int) -> Monitor:
    """Tell whether a running solve ends here, and why; where the norm is not exact, that is yet to be confirmed.

    It stagnates where the lowest and the highest residual of a window are those of the window before, of half the
    length. That the residual falls is not asked for: of a badly conditioned matrix it may grow for thousands of sweeps,
    which all come nearer to the solution.
    """
    k, norm, reason = monitor.iterations, monitor.residual_norm, monitor.reason
    windows = noted(monitor.windows, k, norm)
    if reason == RUNNING:
        if not math.isfinite(norm):
            reason = NOT_FINITE
        elif norm <= tolerance:
            reason = CONVERGED
        elif k >= iterations_max:
            reason = CAPPED
        elif norm > monitor.worst:
            reason = DIVERGED
        elif k >= windows.end:
            if alike(windows):
                reason = STAGNATED
            windows = Windows(2 * windows.end, norm, norm, windows.lowest, windows.highest)
    return Monitor(k, reason, norm, monitor.exact, monitor.worst, monitor.claimed, windows, monitor.rz, monitor.beta)


@kernel
def noted(windows: Windows, k: int, norm: float) -> Windows:
    """Return the windows with the residual of iteration k."""
    if 2 * k < windows.end:
        return windows  # the first one has not begun
    lowest, highest = min(windows.lowest, norm), max(windows.highest, norm)
    return Windows(windows.end, lowest, highest, windows.lowest_before, windows.highest_before)


@kernel
def alike(windows: Windows) -> bool:
    """Tell whether the residuals of two windows are the same."""
    down, up = abs(windows.lowest - windows.lowest_before), abs(windows.highest - windows.highest_before)
    return down <= _FLAT * windows.lowest and up <= _FLAT * windows.highest


@kernel
def confirm(monitor: Monitor, norm: float, tolerance: float) -> Monitor:
    """Put the true residual in the place of that of the recurrence; where it was claimed too early, run on.

    A second claim that finds the true residual not even halved has come to what can be attained. An x that is not
    finite has a residual that is not, and no other reason is told then.
    """
    reason, claimed = monitor.reason, monitor.claimed
    if not math.isfinite(norm):
        reason = NOT_FINITE
    elif reason == CONVERGED and not norm <= tolerance:
        reason = STAGNATED if norm > 0.5 * claimed else RUNNING
        claimed = norm
    k, windows = monitor.iterations, monitor.windows
    return Monitor(k, reason, norm, True, monitor.worst, claimed, windows, monitor.rz, monitor.beta)


@kernel
def advance(monitor: Monitor, norm: float, exact: bool, rz: float, beta: float) -> Monitor:
    """Return the monitor after one more iteration."""
    k, windows = monitor.iterations + 1, monitor.windows
    return Monitor(k, RUNNING, norm, exact, monitor.worst, monitor.claimed, windows, rz, beta)


@kernel
def fail(monitor: Monitor, reason: int) -> Monitor:
    """Return the monitor, ended before its next iteration; the norm is yet to be made exact."""
    k, norm, windows = monitor.iterations, monitor.residual_norm, monitor.windows
    return Monitor(k, reason, norm, False, monitor.worst, monitor.claimed, windows, monitor.rz, monitor.beta)


@kernel
def outcome_of(monitor: Monitor) -> Outcome:
    """Return how a monitor ended."""
    return Outcome(monitor.iterations, monitor.reason, monitor.residual_norm)


@loop
def judged(monitor: Monitor, tolerance: float, iterations_max: int) -> Monitor:
    """Run `judge` from Python, for a solver whose steps are not compiled."""
    return judge(monitor, tolerance, iterations_max)
