"""A model whose standard errors count decisions whose feedback has not come: no other number needs the feedback.

There are two models: one learns rewards, and predicts. The other is ahead of it by the contexts of all decisions that
are awaited, and tells standard errors, for in a linear regression these depend on contexts alone. A decision that no
feedback comes of is taken out again after `wait` others (`engine/laws/awaited.py`).

Source: Desautels, Krause, Burdick, "Parallelizing exploration-exploitation tradeoffs in Gaussian process bandit
optimization", JMLR 2014, for standard errors that count what is awaited; that they widen again is ours.
Cost: twice the memory and twice the learning of the model inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..kernel import kernel
from ..laws.awaited import Awaited, clear, enter, overdue, ring_of
from ..laws.awaited import settle as settle_in
from ..vocabulary import Array, Problem
from . import oracle
from .oracle import register_model


class Awaiting(NamedTuple):
    """Two models, and the decisions by which one is ahead; `note`, `settle` and `fit` write it."""

    model: Any  # of what was learned
    ahead: Any  # of what was learned or is awaited, all rewards 0
    ring: Awaited
    context: Array  # float64[wait, d], or [wait, 1, p] with rows of actions: of the decisions in the ring
    counted: Array  # bool[1] whether the model ahead has the feedback that is learned next


def awaiting(make: Callable[[], Any], problem: Problem, wait: int, half_life: float) -> Any:
    """Return a model, two of which `make` makes where what is awaited counts for `wait` decisions, one where wait is 0.

    Raises `InvalidInput` with named features, and where old feedbacks are forgotten.
    """
    if wait == 0:
        return make()
    if problem.context_kind == "named" or half_life < np.inf:
        raise InvalidInput(
            "bad_param",
            f"wait is {wait}: decisions that are awaited cannot count with named features, nor with a half_life; leave "
            "out wait, or the half_life",
        )
    by_action = problem.context_kind == "actions"
    shape = (1, problem.context_shape[1]) if by_action else problem.context_shape
    ring = ring_of(wait, problem.n_arms)
    return Awaiting(make(), make(), ring, np.zeros((wait, *shape)), np.zeros(1, np.bool_))


@kernel
def predict(model: Awaiting, context: Array, available: Array, scores: Array) -> None:
    """Write the predictions, from what was learned."""
    oracle.predict(model.model, context, available, scores)


@kernel
def spread(model: Awaiting, context: Array, available: Array, widths: Array) -> None:
    """Write the standard errors, from what was learned or is awaited."""
    oracle.spread(model.ahead, context, available, widths)


@kernel
def fit(model: Awaiting, context: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward; return how far the prediction was off."""
    if not model.counted[0]:
        oracle.fit(model.ahead, context, action, 0.0, weight)
    model.counted[0] = False
    return oracle.fit(model.model, context, action, reward, weight)


@kernel
def split(model: Awaiting, context: Array, action: int, parts: Array) -> int:
    """Write what each feature adds to the predicted reward."""
    return oracle.split(model.model, context, action, parts)


@kernel
def origin_of(model: Awaiting) -> float:
    """Return the origin of the model."""
    return oracle.origin_of(model.model)


@kernel
def learned_of(model: Awaiting, reward: float) -> float:
    """Return the newest reward as the model learned it."""
    return oracle.learned_of(model.model, reward)


@kernel
def note(model: Awaiting, context: Array, action: int, number: int) -> None:
    """Count a decision, and no longer those that are too old."""
    ring = model.ring
    place = overdue(ring, number)
    while place >= 0:
        _take(model, place, -1.0)
        clear(ring, place)
        place = overdue(ring, number)
    place = enter(ring, number, action)
    if context.ndim == 2:
        for j in range(context.shape[1]):
            model.context[place, 0, j] = context[action, j]
    else:
        for j in range(len(context)):
            model.context[place, j] = context[j]
    _take(model, place, 1.0)


@kernel
def settle(model: Awaiting, number: int) -> None:
    """Count a decision no longer as awaited: its feedback is learned next."""
    model.counted[0] = settle_in(model.ring, number)


@kernel
def _take(model: Awaiting, place: int, weight: float) -> None:
    """Let the model ahead learn a decision in the ring, or unlearn it, with a weight of -1."""
    action = model.ring.action[place] if model.context.ndim == 2 else 0
    oracle.fit(model.ahead, model.context[place], action, 0.0, weight)


@kernel
def decay(model: Awaiting, half_life: float) -> None:
    """Keep what is awaited as it is: what is taken out again must weigh what it weighed."""


register_model(
    Awaiting,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    origin_of=origin_of,
    learned_of=learned_of,
    note=note,
    settle=settle,
    decay=decay,
)
