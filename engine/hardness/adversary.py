"""The adversary: particles that climb to the means at which a policy loses most, within a class of difficulty.

A particle is n raw numbers u, free to go anywhere, and stands for means theta = middle + clip(stretch v, -box, box):

answers   v                     middle  box
"normal"  u, of arms centred    0       3     (a gap of 100 would be easy, and breaks policies)
"signs"   tanh(u), |u| <= 2.3   0       .98
"bits"    tanh(u) / 2           1/2     .49

Since difficulty falls with the square of a scale, what is too hard for level r is stretched onto it, by
max(1, sqrt(C / r)): so a particle that climbs slides along the edge of its class, where the worst means lie. Where the
clip bites, or difficulty has no scale (tables with answers that are bits), a penalty on ln C holds it back. Particles
with C > 1.05 r are not `feasible` and must not be played. Against the exact losses of uniform on thresholds (10 points,
20 answers, level 8) this found .365 of .368 in 60 steps, a penalty instead of stretching .309.

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

from ..task import Array, Task
from .complexity import difficulty, difficulty_gradient
from .starting_means import BOX, MIDDLE, starting_means

_WIDTH = {"signs": 1.0, "bits": 0.5}  # of tanh(u)
RAW_MAX = 2.3  # of u where answers are signs or bits: tanh(2.3) = .98
SLACK = 1.05  # of a level: what is harder is not feasible
_PENALTY = 2.0  # of ln C
_MARGIN = 0.97  # of a level: where the penalty begins if nothing is stretched
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
        """Return the gradient of 2 max(0, ln C - ln(margin r)) by the means: 0 of what is stretched onto its level."""
        hard, slope = difficulty_gradient(self.task, self.means())
        margin = 1.0 + 1e-9 if _has_scale(self.task) else _MARGIN
        over = (hard > margin * self.level) & np.isfinite(hard)
        return np.where(over[:, None], _PENALTY * slope / np.where(over, hard, 1.0)[:, None], 0.0)


def means_of(task: Task, level: float, raw: Array) -> Array:
    """Return the means that raw numbers, float64[N, n], stand for."""
    flat = _flat(task, raw)
    return np.asarray(MIDDLE[task.answers] + _clipped(task, _stretch(task, level, flat)[0][:, None] * flat))


def raw_of(task: Task, means: Array) -> Array:
    """Return raw numbers that stand for means of a level, float64[N, n]."""
    if task.answers == "normal":
        return means.copy()
    return np.clip(np.arctanh((means - MIDDLE[task.answers]) / _WIDTH[task.answers]), -RAW_MAX, RAW_MAX)


def raw_gradient(task: Task, level: float, raw: Array, gradient: Array) -> Array:
    """Return the gradient by the raw numbers, from that by the means they stand for: float64[N, n] each."""
    flat = _flat(task, raw)
    stretch, slope = _stretch(task, level, flat)
    inside = np.where(np.abs(stretch[:, None] * flat) < BOX[task.answers], gradient, 0.0)
    by_flat = stretch[:, None] * inside + (inside * flat).sum(axis=1)[:, None] * slope
    if task.answers == "normal":
        return _centred(task, by_flat)
    return np.asarray(by_flat * _WIDTH[task.answers] * (1.0 - np.tanh(raw) ** 2))


def _flat(task: Task, raw: Array) -> Array:
    """Return how far from the middle of the box a particle would be if it were not stretched."""
    return _centred(task, raw) if task.answers == "normal" else _WIDTH[task.answers] * np.tanh(raw)


def _stretch(task: Task, level: float, flat: Array) -> tuple[Array, Array]:
    """Return max(1, sqrt(C / r)), float64[N], and its gradient, float64[N, n]; 1 of what is infinitely hard."""
    if not _has_scale(task):
        return np.ones(len(flat)), np.zeros_like(flat)
    hard, slope = difficulty_gradient(task, flat)
    hard = np.where(np.isfinite(hard), hard, 0.0)
    stretch = np.sqrt(np.maximum(1.0, hard / level))
    return stretch, np.where((stretch > 1.0)[:, None], slope / (2.0 * level * stretch)[:, None], 0.0)


def _has_scale(task: Task) -> bool:
    """Tell whether means twice as far from the middle are four times easier."""
    return task.answers != "bits" or task.kind == "arms"


def _clipped(task: Task, means: Array) -> Array:
    return np.clip(means, -BOX[task.answers], BOX[task.answers])


def _centred(task: Task, raw: Array) -> Array:
    """Return what matters of raw numbers: of arms with normal answers a shift of all does not."""
    return raw - raw.mean(axis=1, keepdims=True) if task.kind == "arms" else raw
