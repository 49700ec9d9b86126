"""A model whose standard errors count decisions whose feedback has not come: no other number needs the feedback.

There are two models: one learns rewards, and predicts. The other is ahead of it by the contexts of all decisions that
are awaited, and tells standard errors, for in a linear regression these depend on contexts alone. A decision that no
feedback comes of is taken out again after `wait` others (`engine/laws/awaited.py`).

Source: Desautels, Krause, Burdick, "Parallelizing exploration-exploitation tradeoffs in Gaussian process bandit
optimization", JMLR 2014, for standard errors that count what is awaited; that they come back is ours.
Cost: twice the memory and twice the learning of the model inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..kernel import kernel
from ..laws.awaited import Awaited, awaited, clear, enter, overdue
from ..vocabulary import Array, Problem
from .oracle import fit, learned_of, origin_of, predict, register_model, split, spread


class Awaiting(NamedTuple):
    """Arrays that `note` and `fit` write."""

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
            "out one of the two",
        )
    by_action = problem.context_kind == "actions"
    shape = (1, problem.context_shape[1]) if by_action else problem.context_shape
    ring = awaited(wait, problem.n_arms)
    return Awaiting(make(), make(), ring, np.zeros((wait, *shape)), np.zeros(1, np.bool_))  # type: ignore[arg-type]


@kernel
def _predict(waiting: Awaiting, context: Array, available: Array, scores: Array) -> None:
    predict(waiting.model, context, available, scores)


@kernel
def _spread(waiting: Awaiting, context: Array, available: Array, widths: Array) -> None:
    spread(waiting.ahead, context, available, widths)


@kernel
def _fit(waiting: Awaiting, context: Array, action: int, reward: float, weight: float) -> float:
    if not waiting.counted[0]:
        fit(waiting.ahead, context, action, 0.0, weight)
    waiting.counted[0] = False
    return fit(waiting.model, context, action, reward, weight)


@kernel
def _split(waiting: Awaiting, context: Array, action: int, parts: Array) -> int:
    return split(waiting.model, context, action, parts)


@kernel
def _note(waiting: Awaiting, context: Array, action: int, number: int) -> None:
    """Count a decision, and no longer those that are too old."""
    ring = waiting.ring
    place = overdue(ring, number)
    while place >= 0:
        _take(waiting, place, -1.0)
        clear(ring, place)
        place = overdue(ring, number)
    place = enter(ring, number, action)
    if context.ndim == 2:
        for j in range(context.shape[1]):
            waiting.context[place, 0, j] = context[action, j]
    else:
        for j in range(len(context)):
            waiting.context[place, j] = context[j]
    _take(waiting, place, 1.0)


@kernel
def _take(waiting: Awaiting, place: int, weight: float) -> None:
    """Let the model ahead learn a decision in the ring, or unlearn it, with a weight of -1."""
    action = waiting.ring.action[place] if waiting.context.ndim == 2 else 0
    fit(waiting.ahead, waiting.context[place], action, 0.0, weight)


@kernel
def _settle(waiting: Awaiting, number: int) -> None:
    """Count a decision no longer as awaited: its feedback is learned next."""
    place = number % len(waiting.ring.number)
    waiting.counted[0] = waiting.ring.number[place] == number
    if waiting.counted[0]:
        clear(waiting.ring, place)


@kernel
def _origin_of(waiting: Awaiting) -> float:
    return origin_of(waiting.model)


@kernel
def _learned_of(waiting: Awaiting, reward: float) -> float:
    return learned_of(waiting.model, reward)


register_model(
    Awaiting,
    predict=_predict,
    spread=_spread,
    fit=_fit,
    split=_split,
    note=_note,
    settle=_settle,
    origin_of=_origin_of,
    learned_of=_learned_of,
)
