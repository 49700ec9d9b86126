"""Contexts in bulk: one of n rows, and how a row is kept. Dense ones are arrays, named ones are `Features`.

A context is float64[d], the features of the instance; float64[k, p], a row of features for each action; or `Features`,
the same k rows written sparsely. Here is the only place that knows how n of them lie in memory:

dense   float64[n, d] or float64[n, k, p]
named   `Features` whose `start` is int64[n, k + 2]: row i's numbers point into the `index` and `value` of all

>>> two = Features(np.array([[0, 1, 2], [2, 2, 3]]), np.array([7, 3, 5], np.uint32), np.array([1.0, 0.5, 2.0]))
>>> second = context_at(two, 1)
>>> row_slice(second, 1)
slice(2, 3, None)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from onearm.engine.kernel import kernel
from onearm.engine.vocabulary import Array, Features, Problem

Contexts = Any  # float64[n, ...] or Features with start int64[n, k + 2]


def empty_contexts(n: int, problem: Problem) -> Contexts:
    """Return room for n contexts of a problem: zeros, or features without any nonzero."""
    if problem.nonzeros is None:
        return np.zeros((n, *problem.context_shape))
    room = n * problem.nonzeros
    start = np.repeat(np.arange(n) * problem.nonzeros, problem.n_arms + 2).reshape(n, -1)
    return Features(start, np.zeros(room, np.uint32), np.zeros(room))


def empty_context(problem: Problem) -> Any:
    """Return room for one context."""
    return context_at(empty_contexts(1, problem), 0)


def take_contexts(contexts: Contexts, rows: Array | slice) -> Contexts:
    """Return some rows; named ones keep pointing into the arrays of all."""
    if isinstance(contexts, Features):
        return contexts._replace(start=contexts.start[rows])
    return contexts[rows]


def concat_contexts(parts: Sequence[Contexts]) -> Contexts:
    """Return the rows of all parts; action sets of fewer actions are padded, with rows that no one may choose."""
    if not isinstance(parts[0], Features):
        if parts[0].ndim == 3:
            k = max(part.shape[1] for part in parts)
            parts = [np.pad(part, ((0, 0), (0, k - part.shape[1]), (0, 0))) for part in parts]
        return np.concatenate(parts)
    k = max(part.start.shape[1] for part in parts)
    before = np.cumsum([0, *(len(part.index) for part in parts[:-1])])
    starts = [
        np.pad(part.start, ((0, 0), (0, k - part.start.shape[1])), mode="edge") + offset
        for part, offset in zip(parts, before, strict=True)
    ]
    return Features(
        np.concatenate(starts),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def row_slice(features: Features, row: int) -> slice:
    """Return where a row of one action set lies: row 0 is shared by all actions, row a + 1 belongs to action a."""
    return slice(int(features.start[row]), int(features.start[row + 1]))


def context_at(contexts: Contexts, row: int) -> Any:
    """Return one of n contexts, as a view."""
    if isinstance(contexts, Features):
        return Features(contexts.start[row], contexts.index, contexts.value)
    return contexts[row]


def put_context(contexts: Contexts, row: int, context: Any) -> None:
    """Write a context into row `row` of room made by `empty_contexts`, which has the same room for each row."""
    if isinstance(contexts, Features):
        _put_features(contexts, row, context)
    else:
        _put_array(contexts, row, context)


@kernel
def _put_array(contexts: Array, row: int, context: Array) -> None:
    to = contexts[row].reshape(context.size)
    of = context.reshape(context.size)
    for i in range(of.size):
        to[i] = of[i]


@kernel
def _put_features(contexts: Features, row: int, context: Features) -> None:
    first = row * (len(contexts.index) // len(contexts.start))
    shift = first - context.start[0]
    for i in range(len(context.start)):
        contexts.start[row, i] = context.start[i] + shift
    for i in range(context.start[0], context.start[-1]):
        contexts.index[i + shift] = context.index[i]
        contexts.value[i + shift] = context.value[i]


@overload(context_at)
def _context_at(contexts, row):
    if isinstance(contexts, types.BaseNamedTuple):
        return lambda contexts, row: Features(contexts.start[row], contexts.index, contexts.value)
    return lambda contexts, row: contexts[row]


@overload(put_context)
def _put_context(contexts, row, context):
    put = _put_features if isinstance(contexts, types.BaseNamedTuple) else _put_array
    return lambda contexts, row, context: put(contexts, row, context)
