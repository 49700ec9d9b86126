"""What a prediction counts as beside what was paid: with named features, nothing beyond the rewards so far.

A model that takes features to be apart (`engine/oracles/second_order.py`) is too sure of words that come together.
Where it is sure it predicts more than was ever paid, and the more it learns the more: .1 beyond on average after 3,000
docstrings. That misleads no choice, but what is paid falls short of it by and by, as after a change. Counted as the
best reward so far, what it predicts is right on average, from the beginning to the end.

>>> ends = rewards_so_far()
>>> for reward in (0.0, 1.0):
...     reach(ends, reward)
>>> [float(counted(ends, score)) for score in (-0.2, 0.7, 1.4)]
[0.0, 0.7, 1.0]
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array


class RewardsSoFar(NamedTuple):
    """Between what rewards predictions count."""

    ends: Array  # float64[2] the lowest and the best


class AsTheyAre(NamedTuple):
    """Predictions count as they are, and nothing is kept."""


def rewards_so_far() -> RewardsSoFar:
    """Return what bounds predictions, before any reward: all of them."""
    return RewardsSoFar(np.array([math.inf, -math.inf]))


@generic
def reach(reached: Any, reward: float) -> None:
    """Let predictions reach a reward."""
    KERNELS[type(reached)]["reach"](reached, reward)


@generic
def counted(reached: Any, score: float) -> float:
    """Return what a prediction counts as, after the first reward."""
    return KERNELS[type(reached)]["counted"](reached, score)


@kernel
def _reach(reached: RewardsSoFar, reward: float) -> None:
    reached.ends[0] = min(reached.ends[0], reward)
    reached.ends[1] = max(reached.ends[1], reward)


@kernel
def _counted(reached: RewardsSoFar, score: float) -> float:
    return min(max(score, reached.ends[0]), reached.ends[1])


@kernel
def _reach_nothing(reached: AsTheyAre, reward: float) -> None:
    pass


@kernel
def _as_it_is(reached: AsTheyAre, score: float) -> float:
    return score


register(RewardsSoFar, reach=_reach, counted=_counted)
register(AsTheyAre, reach=_reach_nothing, counted=_as_it_is)
