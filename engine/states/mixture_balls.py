"""Laws of the next state in a mixture whose theta is believed within an ellipsoid, for each pair by itself.

The largest mean of values is then theta . f + sqrt(beta) |f - f_0| in the norm of Sigma^-1, f the means in each part,
theta the estimate, and never more than the largest f: extended value iteration (`planning.py`) over a set that is wider
than one theta for all pairs, and easier. Cost: d multiply-adds for each successor of a pair, and d^2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, register
from ..vocabulary import Array
from .mixture import Mixture, write_features


class MixtureBalls(NamedTuple):
    """All thetas with (theta - estimate)' Sigma (theta - estimate) <= beta, for each pair its own."""

    mixture: Mixture
    theta: Array  # float64[d] the estimate
    inverse: Array  # float64[d, d] of Sigma
    beta: Array  # float64[1]
    scratch_feature: Array  # float64[d]


def mixture_balls(mixture: Mixture) -> MixtureBalls:
    """Return balls to be written."""
    d = mixture.chance.shape[3]
    return MixtureBalls(mixture, np.full(d, 1.0 / d), np.eye(d), np.zeros(1), np.zeros(d))


@kernel
def _arrange(laws: MixtureBalls, value: Array) -> int:
    return 0


@kernel
def _outlook(laws: MixtureBalls, s: int, a: int, value: Array) -> float:
    d, f = len(laws.theta), laws.scratch_feature
    write_features(laws.mixture, s, a, value, f)
    first, most, mean, square = f[0], -math.inf, 0.0, 0.0
    for i in range(d):
        most = max(most, f[i])
        mean += laws.theta[i] * f[i]
    for i in range(d):
        for j in range(d):
            square += (f[i] - first) * laws.inverse[i, j] * (f[j] - first)
    return min(mean + math.sqrt(laws.beta[0] * max(square, 0.0)), most)


@kernel
def _effort(laws: MixtureBalls, s: int, a: int) -> int:
    d = len(laws.theta)
    return d * (laws.mixture.successors[s, a] + 2 * d)


register(MixtureBalls, arrange=_arrange, outlook=_outlook, effort=_effort)
