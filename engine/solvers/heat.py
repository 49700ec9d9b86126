"""The heat equation on the unit square, one Crank-Nicolson step at a time, as a symmetric linear system.

Source: Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024, section 3, with the constants of the code that
they published: u_t = kappa(t) Laplacian(u) + f, u = 0 at the border, a source that circles around the centre once in
1/8, and a diffusivity that swings between fast and slow. With L the five-point Laplacian, h half a step after t and
C = kappa(h) dt / (2 dx^2), a step solves (I - C L) u' = (I + C L) u + dt f(h).
Kernels use our own cosine and exponential: the same bits everywhere.
"""

from __future__ import annotations

from ..elementary import cos_turns, exp
from ..kernel import kernel, routine
from ..vocabulary import Array
from .sor import Half

STEP = 1e-3  # of time
KAPPA_MAX = 10.0
_START_RADIUS = 0.25
_SOURCE, _SOURCE_RADIUS, _SOURCE_ORBIT, _SOURCE_TURNS = 32.0, 0.125, 0.25, 8.0


@kernel
def diffusivity(time: float) -> float:
    """Return kappa, in [0, 10]: 0.1 sin(2 pi t) where the sine is positive, 10 times its size where it is negative."""
    sine = cos_turns(time - 0.25)
    return max(0.1 * sine, -KAPPA_MAX * sine, 0.0)


@routine
def put_start(u: Array, side: int) -> None:
    """Write the temperature at time 0 into `u`, float64[(side - 1)^2]: a bump at the centre."""
    for i in range(len(u)):
        u[i] = 0.0
    add_bump(u, side, 1.0, 0.5, 0.5, _START_RADIUS)


@kernel
def add_bump(u: Array, side: int, height: float, centre_x: float, centre_y: float, radius: float) -> None:
    """Add height exp(1 - 1 / (1 - q)), q = (distance / radius)^2 < 1; only the points near the centre are visited."""
    m = side - 1
    dx = 1.0 / side
    first_x = max(int((centre_x - radius) * side), 1)
    first_y = max(int((centre_y - radius) * side), 1)
    last_x = min(int((centre_x + radius) * side) + 1, m)
    last_y = min(int((centre_y + radius) * side) + 1, m)
    for row in range(first_y, last_y + 1):
        y = row * dx - centre_y
        for column in range(first_x, last_x + 1):
            x = column * dx - centre_x
            q = (x * x + y * y) / (radius * radius)
            if q < 1.0:
                u[(row - 1) * m + column - 1] += height * exp(1.0 - 1.0 / (1.0 - q))


@routine
def put_system(half: Half, u: Array, b: Array, side: int, time: float) -> None:
    """Write the system of the step that begins at `time` with `u`: the matrix into `half`, the right-hand side `b`.

    The pattern of `half` is that of the five-point Laplacian of side - 1 points, and stays.
    """
    middle = time + 0.5 * STEP
    c = diffusivity(middle) * STEP * (0.5 * side * side)
    for e in range(len(half.value)):
        half.value[e] = -c
    n = len(u)
    m = side - 1
    for i in range(n):
        half.diagonal[i] = 1.0 + 4.0 * c
        around = 0.0
        column = i % m
        if column > 0:
            around += u[i - 1]
        if column < m - 1:
            around += u[i + 1]
        if i >= m:
            around += u[i - m]
        if i < n - m:
            around += u[i + m]
        b[i] = u[i] + c * (around - 4.0 * u[i])
    turns = _SOURCE_TURNS * middle
    centre_x = 0.5 + _SOURCE_ORBIT * cos_turns(turns)
    centre_y = 0.5 + _SOURCE_ORBIT * cos_turns(turns - 0.25)
    add_bump(b, side, STEP * _SOURCE, centre_x, centre_y, _SOURCE_RADIUS)
