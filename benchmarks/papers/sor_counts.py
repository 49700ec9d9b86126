"""Iteration counts that are known to the integer: b = ones, x = 0, a relative tolerance of 1e-8, natural order.

`KNOWN` holds what an independent implementation counted, at omega = 1, 1.2, 1.4, Young's, 1.8 and 1.9.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onearm.engine.solvers.cg import cg_work, solve_cg, solve_ssor_cg
from onearm.engine.solvers.sor import Half, laplacian, solve_sor
from onearm.engine.solvers.ssor import solve_ssor

SIDE, RTOL, CAP = 10, 1e-8, 10_000
KNOWN = {
    "sor": {
        -0.15: (2927, 1950, 1252, 147, 293, 189),
        0.0: (223, 145, 88, 41, 89, 187),
        0.45: (64, 39, 25, 23, 89, 185),
    },
    "ssor": {
        -0.15: (1516, 1054, 750, 810, 654, 1122),
        0.0: (117, 81, 58, 48, 75, 152),
        0.45: (34, 24, 18, 19, 56, 117),
    },
    "ssor-cg": {-0.15: (16, 14, 15, 19, 18, 20), 0.0: (13, 12, 13, 13, 15, 16), 0.45: (11, 9, 9, 9, 14, 15)},
    "cg": {-0.15: (15,), 0.0: (15,), 0.45: (15,)},
}
LARGER = {  # side: omega: sweeps of SOR without a shift
    32: {1.826390542: 124, 1.5: 661, 1.9: 198, 1.95: 396},
    100: {1.939676333: 389, 1.5: 6268, 1.9: 917, 1.95: 408},
}


def young(shift: float, side: int = SIDE) -> float:
    """Return Young's omega of the five-point Laplacian with a shift."""
    radius = 4.0 * math.cos(math.pi / (side + 1)) / (4.0 + shift)
    return 2.0 / (1.0 + math.sqrt(1.0 - radius * radius))


def exact_counts() -> dict[str, Any]:
    """Return what our kernels count beside what is known."""
    rows = []
    for method, by_shift in KNOWN.items():
        for shift, known in by_shift.items():
            omegas = (1.0, 1.2, 1.4, young(shift), 1.8, 1.9)[: len(known)]
            counts = [count(method, SIDE, shift, omega) for omega in omegas]
            rows.append(row(method, SIDE, shift, [] if method == "cg" else list(omegas), counts, list(known)))
    for side, by_omega in LARGER.items():
        counts = [count("sor", side, 0.0, omega) for omega in by_omega]
        rows.append(row("sor", side, 0.0, list(by_omega), counts, list(by_omega.values())))
    return {"all_equal": all(each["equal"] for each in rows), "rows": rows}


def row(
    method: str, side: int, shift: float, omega: list[float], counts: list[int], known: list[int]
) -> dict[str, Any]:
    found = {"method": method, "side": side, "shift": shift, "omega": omega, "counts": counts, "known": known}
    return {**found, "equal": counts == known}


def count(method: str, side: int, shift: float, omega: float) -> int:
    """Count the iterations of one solve."""
    half = laplacian(side)
    half = Half(half.start, half.index, half.value, half.diagonal + shift)
    n = side * side
    b, x, work = np.ones(n), np.zeros(n), cg_work(n)
    tolerance = RTOL * math.sqrt(n)
    if method == "cg":
        return int(solve_cg(half, b, x, tolerance, CAP, work).iterations)
    if method == "ssor-cg":
        return int(solve_ssor_cg(half, b, x, omega, tolerance, CAP, work).iterations)
    solve = solve_sor if method == "sor" else solve_ssor
    return int(solve(half, b, x, omega, tolerance, CAP, work.r, work.p).iterations)
