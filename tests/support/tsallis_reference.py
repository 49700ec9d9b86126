"""Tsallis-INF over losses of any scale, step by step as published, in NumPy: what the kernels are compared with."""

from __future__ import annotations

import math

import numpy as np

from onearm.engine.vocabulary import Array


def law_of(losses: Array, eta: float, available: Array) -> Array:
    """Return the p_a = 4 / (eta (L_a - x))^2 that sum to 1, by bisection to the last bit of x."""
    offered = losses[available]
    low, high = offered.min() - 2 * math.sqrt(len(offered)) / eta, offered.min() - 2 / eta
    while low < (middle := (low + high) / 2) < high:
        if (4 / (eta * (offered - middle)) ** 2).sum() < 1:
            low = middle
        else:
            high = middle
    law = np.zeros(len(losses))
    law[available] = 4 / (eta * (offered - low)) ** 2
    return law / law.sum()


class Reference:
    """One bandit of k arms. The state that learns decides who has a baseline, and its mean is the scale."""

    def __init__(self, k: int, reduced: bool) -> None:
        self.factor = 4.0 if reduced else 2.0
        self.reduced = reduced
        self.raw, self.shift = np.zeros(k), np.zeros(k)
        self.costs: list[float] = []

    @property
    def scale(self) -> float:
        """Return the mean of the costs so far, 1 while all are 0."""
        return float(np.mean(self.costs)) if any(self.costs) else 1.0

    def law(self, t: int, available: Array) -> Array:
        """Return the law of round t, 1 and up."""
        return law_of(self.raw / self.scale + self.shift, self.factor / math.sqrt(t), available)

    def learn(self, t: int, available: Array, arm: int, cost: float, propensity: float) -> None:
        """Add the estimates of one cost that was drawn with `propensity` at round t."""
        if self.reduced:
            enough = t * self.law(t, available) >= 16
            self.shift += 0.5 * enough
            self.shift[arm] -= 0.5 * enough[arm] / propensity
        self.raw[arm] += cost / propensity
        self.costs.append(cost)
