"""Half-lives: how fast old feedbacks lose weight. The same bits everywhere, as they become part of a state.

A half-life is given with a model, and may be changed later (`engine.protocol.decay`): the arrays that hold it are part
of the model's state, in each of models that are stacked.

>>> round(kept(10.0) ** 10, 12), round(growth(10.0) ** 10, 12), period(math.inf) > 10**18
(0.5, 2.0, True)
"""

from __future__ import annotations

import math
from typing import Any

from ..elementary import exp
from ..kernel import kernel
from ..problem import check_param

_LN2 = 0.6931471805599453
_NEVER = 2**62


def check_half_life(half_life: float | None) -> float:
    """Return a half-life in feedbacks, at least 1; infinity, which None stands for, is never."""
    if half_life is None or half_life == math.inf:
        return math.inf
    return check_param("half_life", half_life, low=1.0, high=1e15)


@kernel
def kept(half_life: float) -> float:
    """Return what one more feedback leaves of the weight of those before: 2^(-1 / half_life), 1 for inf."""
    return float(exp(-_LN2 / half_life))


@kernel
def growth(half_life: float) -> float:
    """Return how much more a feedback weighs than the one before: 2^(1 / half_life), 1 for inf."""
    return float(exp(_LN2 / half_life))


@kernel
def period(half_life: float) -> int:
    """Return after how many feedbacks weights that grow are to be divided by the newest."""
    return _NEVER if half_life == math.inf else int(half_life)


@kernel
def let_weights_grow(model: Any, half_life: float) -> None:
    """Change the half-life of models whose `weight` grows by `growth`, and is divided when `learned` comes to `due`."""
    for i in range(model.growth.size):
        model.growth.flat[i] = growth(half_life)
        model.period.flat[i] = period(half_life)
        model.due.flat[i] = model.learned.flat[i] + model.period.flat[i]


@kernel
def let_shares_shrink(model: Any, half_life: float) -> None:
    """Change the half-life of models of which `keep` is what one more feedback leaves of the others' weight."""
    for i in range(model.keep.size):
        model.keep.flat[i] = kept(half_life)
