"""Models of named features that expect a bias and a part of each feature: what they have in common.

A model of a class says by the kernels `part`, `bias` and `scale`, given to `register_model`, what these are; `predict`
and `split` here are then its own.
"""

from __future__ import annotations

from typing import Any

from ..kernel import KERNELS, generic, kernel
from ..vocabulary import Array, Features


@generic
def part(model: Any, slot: int, value: float, scale: float) -> float:
    """Return what a feature adds to the prediction, in a row of that scale."""
    return KERNELS[type(model)]["part"](model, slot, value, scale)


@generic
def scale(model: Any, context: Features, row: int) -> float:
    """Return what the sizes of words are multiplied with in a row."""
    return KERNELS[type(model)]["scale"](model, context, row)


@generic
def bias(model: Any, context: Features) -> float:
    """Return what is predicted before any feature of the context and of an action is counted."""
    return KERNELS[type(model)]["bias"](model, context)


@kernel
def predict(model: Any, context: Features, available: Array, scores: Array) -> None:
    """Write the predicted reward of each available action: what is shared, and its own."""
    shared = bias(model, context) + row_part(model, context, 0)
    for a in range(len(available)):
        if available[a]:
            scores[a] = shared + row_part(model, context, a + 1)


@kernel
def row_part(model: Any, context: Features, row: int) -> float:
    """Return what the features of a row add to the prediction."""
    total, by = 0.0, scale(model, context, row)
    for j in range(context.start[row], context.start[row + 1]):
        total += part(model, context.index[j], context.value[j], by)
    return total


@kernel
def split(model: Any, context: Features, action: int, parts: Array) -> int:
    """Write what each feature, and at the end the bias, adds to the prediction."""
    place = 0
    for row in (0, action + 1):
        by = scale(model, context, row)
        for j in range(context.start[row], context.start[row + 1]):
            parts[place] = part(model, context.index[j], context.value[j], by)
            place += 1
    parts[place] = bias(model, context)
    for rest in range(place + 1, len(parts)):
        parts[rest] = 0.0
    return place


@kernel
def as_it_is(model: Any, context: Features, row: int) -> float:
    """Return the scale of every row of a model that lets sizes count as they are."""
    return 1.0


@kernel
def bounded(x: float, most: float) -> float:
    """Return a value, or what it counts as where it is larger than `most`, or smaller than -most."""
    return min(max(x, -most), most)
