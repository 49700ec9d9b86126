"""The size of an oracle's errors, which is the unit in which explorers measure scores: none has to know the rewards'.

An error is reward - prediction, made before the reward is learned. Rewards times 1000 make scores, errors and so the
unit 1000 times larger, and the decisions stay what they were.

>>> errors = residuals()
>>> for error in (3.0, 4.0):
...     add_residual(errors, error, 1.0)
>>> (float(errors.weight[0]), round(residual_sd(errors), 6))
(2.0, 3.535534)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array


class Residuals(NamedTuple):
    """Sums over the feedbacks learned; with a half-life older ones count less."""

    weight: Array  # float64[1] number of errors
    square: Array  # float64[1] sum of squared errors


def residuals() -> Residuals:
    """Return the sums before any feedback."""
    return Residuals(np.zeros(1), np.zeros(1))


@kernel
def add_residual(errors: Residuals, error: float, keep: float) -> None:
    """Add one error; what was there before counts `keep` times as much."""
    errors.weight[0] = keep * errors.weight[0] + 1.0
    errors.square[0] = keep * errors.square[0] + error * error


@kernel
def residual_sd(errors: Residuals) -> float:
    """Return the root of the mean squared error, in units of the reward; 0 before any error."""
    return math.sqrt(errors.square[0] / errors.weight[0]) if errors.weight[0] > 0.0 else 0.0
