"""Ridge regressions on features that the model chooses for itself, each with a matrix of 256 rows.

Each arm has a regression on 256 coordinates of the context (`fourier_coordinates.py`): the context's own features, up
to 127 of them, and cosines. `bending.py` says what is learned, and what it costs.
"""

from __future__ import annotations

from typing import NamedTuple

from ..vocabulary import Array, Problem
from .arm_ridge import ArmRidge, arm_ridge
from .bending import register_bending
from .fourier_coordinates import arrays

COORDINATES = 256
OWN_MAX = 127  # features that still are coordinates themselves


class FourierRidge(NamedTuple):
    """Arrays that `fit` writes."""

    ridge: ArmRidge  # over the 256 coordinates
    origin: Array  # float64[1] what a reward is measured from
    mean: Array  # float64[d]
    factor: Array  # float64[d] 1 / standard deviation; 0 where the feature was never seen to vary
    context: Array  # float64[64, d] of the first feedbacks
    action: Array  # int64[64]
    reward: Array  # float64[64]
    weight: Array  # float64[64]
    scratch_frequency: Array  # float64[m, d]
    scratch_phase: Array  # float64[m]
    scratch_z: Array  # float64[d]
    scratch_coordinates: Array  # float64[256]


def fourier_ridge(problem: Problem, *, regularisation: float, half_life: float | None = None) -> FourierRidge:
    """Return the model of a problem with contexts float64[d], d >= 1, before any feedback."""
    d = problem.context_shape[0]
    ridge = arm_ridge(
        Problem(problem.n_arms, (COORDINATES,)), regularisation=regularisation, half_life=half_life, scaling="none"
    )
    return FourierRidge(ridge, **arrays(d, COORDINATES, own=d <= OWN_MAX))


register_bending(FourierRidge)
