"""Actions, contexts and details as they stand in lines, and as arrays."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np

from ....actions import empty_actions
from ....contexts import checked_features, row_slice
from ....errors import Damaged
from ....vocabulary import Array, Features, Problem
from .lines import Learn


def actions_of(actions: list[Any], problem: Problem) -> Array:
    """Return actions as they stand in lines; what is none of this problem becomes -1 or NaN."""
    dtype, fractions = problem.choice.dtype, problem.choice.dtype.kind == "f"
    if problem.is_numbered:
        with suppress(TypeError, ValueError, OverflowError):
            return np.fromiter(actions, dtype, len(actions))
    if problem.is_numbered or fractions:
        found = array_of(actions, dtype)
        if found is not None and found.shape == empty_actions(len(actions), problem).shape:
            return found
    found = empty_actions(len(actions), problem)
    rows = found[:, np.newaxis] if found.ndim == 1 else found
    for row, action in zip(rows, actions, strict=True):
        numbers = action if isinstance(action, list) else [action]
        fits = len(numbers) == len(row) and isinstance(action, list) == (found.ndim == 2)
        if fractions:
            row[:] = numbers if fits else math.nan
        else:
            row[:] = [_in_range(number) for number in numbers] if fits else -1
    return found


def numbers_of(values: list[Any], dtype: type[np.generic]) -> Array:
    """Return n numbers, where null becomes NaN. Raises `OverflowError` where one does not fit.

    They come as a list that names its field, `[line.reward for line in lines]`: so Python finds it in half the time.
    """
    try:
        return np.fromiter(values, dtype, len(values))
    except TypeError:
        return np.full(len(values), np.nan) if values.count(None) == len(values) else np.array(values, np.float64)


def array_of(values: list[Any], dtype: Any = np.float64) -> Array | None:
    """Return an array of equally long lists, or None where they are none."""
    try:
        return np.array(values, dtype)
    except (TypeError, ValueError, OverflowError):
        return None


def detail_of(line: Learn, problem: Problem) -> list[float]:
    """Return the detail of a line, NaN where there is none of this problem's length."""
    detail = line.detail or []
    return detail if len(detail) == problem.detail_length else [math.nan] * problem.detail_length


def context_of(values: list[Any] | None, problem: Problem) -> Any:
    """Return a context of this problem as one row of contexts, or None where it is none."""
    if problem.layout == "named":
        try:
            rows = [np.array(row, np.float64) for row in values or []]
            start = np.cumsum([0, *(len(row) // 2 for row in rows)])
            whole = np.concatenate([np.zeros(0), *rows])
            index = whole[::2].astype(np.int64)
            if any(row.ndim != 1 or len(row) % 2 for row in rows) or (index != whole[::2]).any() or (index < 0).any():
                return None
            return checked_features(start, index.astype(np.uint32), whole[1::2].copy(), problem)
        except (TypeError, ValueError, OverflowError, Damaged):
            return None
    shape = problem.context_shape
    if problem.layout == "actions":
        if not values or len(values) > problem.n_arms:
            return None
        shape = (len(values), shape[1])
    context = shaped(values, shape) if shape != (0,) else np.zeros(0)
    return None if context is None else context[np.newaxis]


def as_list(context: Any) -> list[Any]:
    """Return a context as it stands in a line."""
    if not isinstance(context, Features):
        return list(context.tolist())
    pairs = [context.index.tolist(), context.value.tolist()]
    rows = (row_slice(context, row) for row in range(len(context.start) - 1))
    return [[number for pair in zip(*(part[row] for part in pairs), strict=True) for number in pair] for row in rows]


def shaped(values: list[Any] | None, shape: tuple[int, ...] | None) -> Array | None:
    """Return the context as float64 of this shape (of any, without one), or None where it is not of it."""
    try:
        context = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if shape is None:
        return context if context.ndim in (1, 2) else None
    return context if context.shape == shape else None


def _in_range(action: float) -> int:
    """Return an int64; what is not whole or does not fit becomes -1, which no arm is."""
    return int(action) if 0 <= action < 2**63 and action == int(action) else -1
