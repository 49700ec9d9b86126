"""The adversary: particles that climb to the means at which a policy loses most, within a class of difficulty.

A particle is n raw numbers u, free to go anywhere, and stands for the means theta(u), which lie in the task's box:
"normal"  theta = clip(max(1, sqrt(C(u) / r)) u, -3, 3): what is too hard is stretched until it is of level r. Of arms
          u is centred first. Unbounded means would be no use: a gap of 100 is easy, and breaks policies.
"signs"   theta = tanh(u), |u| <= 2.3, so means within .98
"bits"    theta = (1 + tanh(u)) / 2
Where stretching does not keep C(theta) <= r, which is never so of signs and bits, a penalty on ln C holds a particle
back. Those with C > 1.05 r are not `feasible` and must not be played.

>>> from onearm.engine.task import thresholds
>>> particles = Particles.start(thresholds(5), 8.0, 6, np.random.default_rng(0))
>>> particles.feasible().tolist()
[True, True, True, True, True, True]
>>> particles.climb(np.full((6, 5), 0.1), rate=0.05)
>>> particles.means().shape
(6, 5)

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382, whose adversary is
gradient ascent on particles with a barrier; the maps, the penalty and all constants are ours. Steps are those of Adam.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onearm.engine.complexity import difficulty, difficulty_gradient
from onearm.engine.starting import starting_means
from onearm.engine.task import Array, Task

BOX = 3.0  # of means whose answers are normal
RAW_MAX = 2.3  # of u where answers are signs or bits: tanh(2.3) = .98
SLACK = 1.05  # of a level: what is harder is not feasible
_MARGIN = {"normal": 1.0 + 1e-9, "signs": 0.97, "bits": 0.97}  # of a level: where the penalty begins
_PENALTY = 2.0  # of ln C
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam


@dataclass
class Particles:
    """N candidates for the worst means of a level, and where Adam stands with each. Made by `start`."""

    task: Task
    level: float  # r > 0: the largest difficulty
    raw: Array  # float64[N, n], u
    steps: int = 0
    speed: Array = field(default_factory=lambda: np.zeros(0))  # float64[N, n], Adam's mean of gradients
    power: Array = field(default_factory=lambda: np.zeros(0))  # float64[N, n], Adam's mean of their squares

    def __post_init__(self) -> None:
        if self.speed.shape != self.raw.shape:
            self.speed, self.power = np.zeros_like(self.raw), np.zeros_like(self.raw)

    @classmethod
    def start(cls, task: Task, level: float, n: int, rng: np.random.Generator) -> Particles:
        """Return n particles of the level: for arms one good arm or any means, else a hypothesis with a few errors.

        Raises `InvalidInput` where no means in the box are that easy.
        """
        return cls(task, level, raw_of(task, starting_means(task, level, n, rng)))

    def means(self) -> Array:
        """Return the means that the particles stand for, float64[N, n]."""
        return means_of(self.task, self.level, self.raw)

    def feasible(self) -> Array:
        """Tell which particles may be played, bool[N]: C <= 1.05 r."""
        return difficulty(self.task, self.means()) <= SLACK * self.level

    def climb(self, gradient: Array, rate: float) -> None:
        """Take one Adam step up the loss, whose gradient by the means is float64[N, n]: 0 where it was not estimated.

        The penalty is added here, so particles that are not feasible come back by themselves.
        """
        pulled = gradient - self._penalty_gradient()
        up = raw_gradient(self.task, self.level, self.raw, pulled)
        self.steps += 1
        self.speed = _BETA1 * self.speed + (1.0 - _BETA1) * up
        self.power = _BETA2 * self.power + (1.0 - _BETA2) * up * up
        speed = self.speed / (1.0 - _BETA1**self.steps)
        power = self.power / (1.0 - _BETA2**self.steps)
        self.raw = self.raw + rate * speed / (np.sqrt(power) + _EPSILON)
        if self.task.answers != "normal":
            self.raw = np.clip(self.raw, -RAW_MAX, RAW_MAX)

    def _penalty_gradient(self) -> Array:
        """Return the gradient of 2 max(0, ln C - ln(margin r)) by the means."""
        hard, slope = difficulty_gradient(self.task, self.means())
        over = (hard > _MARGIN[self.task.answers] * self.level) & np.isfinite(hard)
        return np.where(over[:, None], _PENALTY * slope / np.where(over, hard, 1.0)[:, None], 0.0)


def means_of(task: Task, level: float, raw: Array) -> Array:
    """Return the means that raw numbers, float64[N, n], stand for."""
    if task.answers == "signs":
        return np.tanh(raw)
    if task.answers == "bits":
        return 0.5 + 0.5 * np.tanh(raw)
    flat = _centred(task, raw)
    return np.clip(_stretch(task, level, flat)[0][:, None] * flat, -BOX, BOX)


def raw_of(task: Task, means: Array) -> Array:
    """Return raw numbers that stand for means of a level, float64[N, n]."""
    if task.answers == "signs":
        return np.clip(np.arctanh(means), -RAW_MAX, RAW_MAX)
    if task.answers == "bits":
        return np.clip(np.arctanh(2.0 * means - 1.0), -RAW_MAX, RAW_MAX)
    return means.copy()


def raw_gradient(task: Task, level: float, raw: Array, gradient: Array) -> Array:
    """Return the gradient by the raw numbers, from that by the means they stand for: float64[N, n] each."""
    if task.answers != "normal":
        return gradient * (1.0 - np.tanh(raw) ** 2) * (1.0 if task.answers == "signs" else 0.5)
    flat = _centred(task, raw)
    stretch, slope = _stretch(task, level, flat)
    inside = np.where(np.abs(stretch[:, None] * flat) < BOX, gradient, 0.0)
    return _centred(task, stretch[:, None] * inside + (inside * flat).sum(axis=1)[:, None] * slope)


def _stretch(task: Task, level: float, flat: Array) -> tuple[Array, Array]:
    """Return max(1, sqrt(C / r)), float64[N], and its gradient, float64[N, n]; 1 where C is infinite."""
    hard, slope = difficulty_gradient(task, flat)
    hard = np.where(np.isfinite(hard), hard, 0.0)
    stretch = np.sqrt(np.maximum(1.0, hard / level))
    return stretch, np.where((stretch > 1.0)[:, None], slope / (2.0 * level * stretch)[:, None], 0.0)


def _centred(task: Task, raw: Array) -> Array:
    """Return what matters of raw numbers: of arms with normal answers a shift of all does not."""
    return raw - raw.mean(axis=1, keepdims=True) if task.kind == "arms" else raw
