"""Adam, on a clipped gradient, with a state that is plain arrays.

Source: Kingma, Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1, with its constants.
"""

from __future__ import annotations

import math

import numpy as np

from .networks import Weights

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moves weights down their gradients, in place."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.steps = 0
        self.mean = {name: np.zeros_like(value) for name, value in weights.items()}
        self.square = {name: np.zeros_like(value) for name, value in weights.items()}

    def step(self, gradient: Weights, rate: float, clip: float) -> None:
        """Take one step, with all gradients together cut to the norm `clip`."""
        norm = math.sqrt(sum(float(np.square(part, dtype=np.float64).sum()) for part in gradient.values()))
        scale = min(1.0, clip / (norm + 1e-6))
        self.steps += 1
        first, second = 1.0 - BETA1**self.steps, 1.0 - BETA2**self.steps
        for name, value in self.weights.items():
            cut, mean, square = gradient[name] * scale, self.mean[name], self.square[name]
            mean += (1.0 - BETA1) * (cut - mean)
            square += (1.0 - BETA2) * (cut * cut - square)
            value -= (rate / first) * mean / (np.sqrt(square / second) + EPSILON)
