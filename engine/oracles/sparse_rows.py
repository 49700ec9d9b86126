"""Sparse rows: named features, learned exactly while few distinct ones came, and by a second-order rule when many.

Where a context is a country and a device, a few dozen coefficients are all there is: the exact regression
(`few_slots.py`) knows them after as many feedbacks, where a rule that takes features to be apart goes on learning.
Words are too many for it, and the rule (`second_order.py`) loses little there. Both learn from the beginning, so that
the rule has learned all when the exact regression is full. From then on it alone predicts and learns. Which of them
does is part of the state, as are the slots that came.
"""

from __future__ import annotations

from typing import NamedTuple

from ..kernel import kernel
from ..vocabulary import Array, Features, Problem
from . import by_parts, few_slots, oracle
from .compared import Compared, compared_words
from .few_slots import FewSlots
from .forgetting import let_shares_shrink
from .oracle import register_model
from .second_order import SecondOrder, second_order


class SparseRows(NamedTuple):
    """The two models."""

    few: FewSlots
    many: SecondOrder | Compared


def sparse_rows(
    problem: Problem, *, regularisation: float = 1.0, half_life: float | None = None, compared: bool = True
) -> SparseRows:
    """Return a model of named features before any feedback; `regularisation` is the prior's of the exact regression.

    Where there are many words are compared (`compared.py`), unless `compared` is false.
    """
    few = few_slots.few_slots(problem, regularisation=regularisation, half_life=half_life)
    make = compared_words if compared else second_order
    return SparseRows(few, make(problem, half_life=half_life))


@kernel
def predict(model: SparseRows, context: Features, available: Array, scores: Array) -> None:
    """Write the predicted reward of each available action."""
    if model.few.full[0]:
        oracle.predict(model.many, context, available, scores)
    else:
        by_parts.predict(model.few, context, available, scores)


@kernel
def spread(model: SparseRows, context: Features, available: Array, widths: Array) -> None:
    """Write the standard error of each available action, in units of the noise."""
    if model.few.full[0]:
        oracle.spread(model.many, context, available, widths)
    else:
        few_slots.spread(model.few, context, available, widths)


@kernel
def fit(model: SparseRows, context: Features, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one action; return how far the prediction was off."""
    was_full = model.few.full[0]
    error = oracle.fit(model.many, context, action, reward, weight)
    if was_full:
        return error
    return few_slots.fit(model.few, context, action, reward, weight)


@kernel
def split(model: SparseRows, context: Features, action: int, parts: Array) -> int:
    """Write what each feature, and at the end the bias, adds to the prediction."""
    if model.few.full[0]:
        return by_parts.split(model.many, context, action, parts)
    return by_parts.split(model.few, context, action, parts)


@kernel
def decay(model: SparseRows, half_life: float) -> None:
    """Change the half-life."""
    few_slots.decay(model.few, half_life)
    let_shares_shrink(model.many, half_life)


register_model(SparseRows, predict=predict, spread=spread, fit=fit, split=split, decay=decay)
