"""Contexts in bulk: one of n rows, and how a row is kept. Dense ones are arrays, named ones are `Features`.

A context is float64[d], the features of the instance; float64[k, p], a row of features for each action; or `Features`,
the same k rows written sparsely. Here is the only place that knows how n of them lie in memory:

dense   float64[n, d] or float64[n, k, p]
named   `Features` whose `start` is int64[n, k + 2]: row i's numbers point into the `index` and `value` of all

As bytes, which the log keeps (`pack_context`), all little-endian: dense ones are their float64; named ones are k as
int64, `start` as int32[k + 2] from 0, `index` as uint32[m] and `value` as float64[m].

>>> two = Features(np.array([[0, 1, 2], [2, 2, 3]]), np.array([7, 3, 5], np.uint32), np.array([1.0, 0.5, 2.0]))
>>> second = context_at(two, 1)
>>> row_slice(second, 1)
slice(2, 3, None)
>>> pack_context(second, Problem(1, (1, 2**18), nonzeros=4)).hex()
'0100000000000000000000000000000001000000050000000000000000000040'
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .arrays import aligned_zeros
from .errors import Damaged
from .kernel import INLINED, kernel
from .vocabulary import Array, Features, Instance, Problem

Contexts = Any  # float64[n, ...] or Features with start int64[n, k + 2]


def empty_contexts(n: int, problem: Problem) -> Contexts:
    """Return room for n contexts of a problem: zeros, or features without any nonzero."""
    if problem.nonzeros is None:
        return aligned_zeros(n, *problem.context_shape)
    room = n * problem.nonzeros
    start = np.repeat(np.arange(n) * problem.nonzeros, problem.n_arms + 2).reshape(n, problem.n_arms + 2)
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
    if len(parts) == 1:
        return parts[0]
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


def finite_contexts(contexts: Contexts) -> Array:
    """Return whether all numbers of each context are finite, bool[n]."""
    if not isinstance(contexts, Features):
        return np.asarray(np.isfinite(contexts).all(axis=tuple(range(1, contexts.ndim))))
    before = np.cumsum(np.concatenate([[0], ~np.isfinite(contexts.value)]))
    return np.asarray(before[contexts.start[:, 0]] == before[contexts.start[:, -1]])


def is_finite(context: Any) -> bool:
    """Tell whether all numbers of one context are finite; those of features are, as they were made."""
    return isinstance(context, Features) or bool(np.isfinite(context).all())


def row_slice(features: Features, row: int) -> slice:
    """Return where a row of one action set lies: row 0 is shared by all actions, row a + 1 belongs to action a."""
    return slice(int(features.start[row]), int(features.start[row + 1]))


def context_at(contexts: Contexts, row: int) -> Any:
    """Return one of n contexts, as a view."""
    if isinstance(contexts, Features):
        return Features(contexts.start[row], contexts.index, contexts.value)
    return contexts[row]


def as_contexts(context: Any) -> Contexts:
    """Return one context as n = 1 of them, as a view."""
    if isinstance(context, Features):
        return context._replace(start=context.start[np.newaxis])
    return context[np.newaxis]


def instance_at(t: int, contexts: Contexts, row: int, available: Array, unit: np.uint64, time: int) -> Instance:
    """Return the instance of one of n contexts. (Without reference counting a kernel can return no bare view.)"""
    return Instance(t, context_at(contexts, row), available, unit, time)


def put_context(contexts: Contexts, row: int, context: Any) -> None:
    """Write a context into row `row` of room made by `empty_contexts`, which has the same room for each row."""
    if isinstance(contexts, Features):
        _put_features(contexts, row, context)
    else:
        _put_array(contexts, row, context)


@kernel
def _is_finite(context: Array) -> bool:
    flat = context.reshape(context.size)
    finite = True
    for i in range(flat.size):
        finite &= math.isfinite(flat[i])
    return finite


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


def pack_context(context: Any, problem: Problem) -> bytes:
    """Return a context as bytes; there are none where the problem has no context."""
    if not isinstance(context, Features):
        return np.ascontiguousarray(context, "<f8").tobytes() if context.size else b""
    kept = slice(int(context.start[0]), int(context.start[-1]))
    parts = (
        np.array([len(context.start) - 2], "<i8"),
        (context.start - context.start[0]).astype("<i4"),
        context.index[kept].astype("<u4", copy=False),
        context.value[kept].astype("<f8", copy=False),
    )
    return b"".join(part.tobytes() for part in parts)


def unpack_contexts(blobs: Sequence[bytes | None], problem: Problem) -> Contexts:
    """Return n contexts of n results of `pack_context`; None is as good as no bytes.

    Action sets of fewer actions than the largest are padded, with rows that no one may choose: see `n_actions`. Raises
    `Damaged` where bytes are not those of a context of this problem.
    """
    if problem.layout == "named":
        return concat_contexts([_unpacked_features(blob or b"", problem) for blob in blobs] or [_no_features(problem)])
    try:
        if problem.layout == "dense":
            whole = np.frombuffer(b"".join(blob or b"" for blob in blobs), "<f8")
            return whole.astype(np.float64).reshape(len(blobs), *problem.context_shape)
        length = problem.context_shape[1]
        parts = [np.frombuffer(blob or b"", "<f8").reshape(1, -1, length) for blob in blobs]
    except ValueError:
        raise _not_of(problem) from None
    if any(not 1 <= part.shape[1] <= problem.n_arms for part in parts):
        raise _not_of(problem)
    return concat_contexts([np.zeros((0, 1, length)), *parts])


def actions_in(contexts: Contexts, problem: Problem) -> int:
    """Return how many actions the rows have, those that pad included."""
    if isinstance(contexts, Features):
        return int(contexts.start.shape[1]) - 2
    return int(contexts.shape[1]) if problem.layout == "actions" else problem.n_choices


def first_actions(context: Any, k: int) -> Any:
    """Return one action set without those that pad it, from the k-th on."""
    return context._replace(start=context.start[: k + 2]) if isinstance(context, Features) else context[:k]


def n_actions(blobs: Sequence[bytes | None], problem: Problem) -> Array:
    """Return how many actions each of n results of `pack_context` has, int64[n]."""
    if problem.layout == "dense":
        return np.full(len(blobs), problem.n_choices)
    if problem.layout == "actions":
        return np.array([len(blob or b"") // (8 * problem.context_shape[1]) for blob in blobs], np.int64)
    return np.array([int.from_bytes((blob or b"")[:8], "little") for blob in blobs], np.int64)


def checked_features(start: Array, index: Array, value: Array, problem: Problem) -> Features:
    """Return features of one row, with `start` int64[1, k + 2]; raise `Damaged` where they are not of this problem."""
    k, m = len(start) - 2, len(index)
    fits = 1 <= k <= problem.n_arms and start[0] == 0 and start[-1] == m == len(value)
    if not fits or (np.diff(start) < 0).any() or (m and index.max() >= problem.context_shape[1]):
        raise _not_of(problem)
    return Features(start[np.newaxis], index, value)


def _unpacked_features(blob: bytes, problem: Problem) -> Features:
    k = int.from_bytes(blob[:8], "little")
    after = 8 + 4 * (k + 2)
    m = (len(blob) - after) // 12
    if m < 0 or len(blob) != after + 12 * m:
        raise _not_of(problem)
    start = np.frombuffer(blob, "<i4", k + 2, 8).astype(np.int64)
    index, value = np.frombuffer(blob, "<u4", m, after), np.frombuffer(blob, "<f8", m, after + 4 * m)
    return checked_features(start, index, value, problem)


def _no_features(problem: Problem) -> Features:
    return Features(np.zeros((0, problem.n_arms + 2), np.int64), np.zeros(0, np.uint32), np.zeros(0))


def _not_of(problem: Problem) -> Damaged:
    shape = list(problem.context_shape)
    return Damaged("bad_context", f"a context is not {problem.layout} of the shape {shape}")


@overload(is_finite)
def _are_finite(context):
    if isinstance(context, types.BaseNamedTuple):
        return lambda context: True
    return lambda context: _is_finite(context)


@overload(instance_at, jit_options=INLINED)
def _instance_at(t, contexts, row, available, unit, time):
    if isinstance(contexts, types.BaseNamedTuple):
        return lambda t, contexts, row, available, unit, time: Instance(
            t, Features(contexts.start[row], contexts.index, contexts.value), available, unit, time
        )
    return lambda t, contexts, row, available, unit, time: Instance(t, contexts[row], available, unit, time)


@overload(put_context, jit_options=INLINED)
def _put_context(contexts, row, context):
    put = _put_features if isinstance(contexts, types.BaseNamedTuple) else _put_array
    return lambda contexts, row, context: put(contexts, row, context)
