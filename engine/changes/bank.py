"""States of one policy, one for each world that is remembered, and how one of them begins anew.

They are stacked: each array has a first axis for them. Compiled code cannot ask for memory, so there is room for all
from the beginning; of those that have not begun only working space is written, the rest is zeros, which take neither
memory nor room in a snapshot (`engine/snapshot.py`).

>>> class Means(NamedTuple):
...     count: Array
...     mean: Array
>>> new = Means(np.zeros(1, np.int64), np.full(3, 0.5))
>>> some, before = bank(new), fresh(new, np.array([False, True]))
>>> some.rows.mean[0] = 1.0, 2.0, 3.0
>>> renew_arm(some, before, 0, 1)
>>> renew(some, before, 3)
>>> some.rows.mean[[0, 3]].tolist(), before.content.nbytes
([[1.0, 0.5, 3.0], [0.5, 0.5, 0.5]], 16)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..compiled.layout import copy_bytes, kept_arrays, lay_out
from ..kernel import kernel
from ..vocabulary import Array

MODELS = 4


class Bank(NamedTuple):
    """The states; the first so many have begun."""

    used: Array  # int64[1] how many
    rows: Any  # a NamedTuple of arrays of which each has a first axis for the states


class Fresh(NamedTuple):
    """A state before any feedback, without its working space, as bytes.

    Most arrays begin with the same for each arm, or with zeros. Of those the first row is kept.
    """

    content: Array  # uint8[n] the arrays, one after another
    length: Array  # int64[m] bytes that each of them has there
    per_arm: Array  # int64[m] bytes that it has for each arm; 0 where it has no row for each
    address: Array  # int64[m] where the arrays of the bank lie: working space
    size: Array  # int64[m] how many bytes they have: working space


def bank(new: Any) -> Bank:
    """Return room for the states of all models, of which the first has begun."""
    return Bank(np.ones(1, np.int64), _stacked(new, 1))


def _stacked(new: Any, begun: int) -> Any:
    parts = []
    for name, part in zip(new._fields, new, strict=True):
        written = MODELS if name.startswith("scratch_") else begun
        if isinstance(part, tuple):
            parts.append(_stacked(part, written))
        else:
            models = np.zeros((MODELS, *part.shape), part.dtype)
            if part.any():
                models[:written] = part
            parts.append(models)
    return type(new)(*parts)


def fresh(new: Any, per_arm: Array) -> Fresh:
    """Return the bytes of a state before any feedback; `per_arm`, bool[m], says which arrays have a row for each arm.

    Counted are all but working space.
    """
    arrays = list(kept_arrays(new))
    parts = [_without_repetition(array) for array in arrays]
    content = np.concatenate([np.zeros(0, np.uint8), *parts])
    length = np.array([len(part) for part in parts], np.int64)
    per_arm = np.array([a.nbytes // len(a) if row else 0 for a, row in zip(arrays, per_arm, strict=True)], np.int64)
    return Fresh(content, length, per_arm, np.zeros_like(length), np.zeros_like(length))


def _without_repetition(array: Array) -> Array:
    """Return the bytes of an array, uint8[n]; where all rows are the same only those of the first."""
    if array.size == 0:
        return np.zeros(0, np.uint8)
    rows = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
    first = rows[0]
    same = not rows.any() if not first.any() else bool((rows[1:] == first).all())
    return (first if same else rows.reshape(-1)).copy()


@kernel
def renew(of: Bank, new: Fresh, model: int) -> None:
    """Let a model begin anew with all that it knows."""
    lay_out(of.rows, new.address, new.size)
    source = np.int64(new.content.ctypes.data)
    for i in range(len(new.length)):
        length, size = new.length[i], new.size[i] // MODELS
        target = new.address[i] + model * size
        if length > 0:
            for start in range(0, size, length):
                copy_bytes(target + start, source, length)
        source += length


@kernel
def renew_arm(of: Bank, new: Fresh, model: int, arm: int) -> None:
    """Let a model begin anew with one arm, in the arrays that have a row for each."""
    lay_out(of.rows, new.address, new.size)
    source = np.int64(new.content.ctypes.data)
    for i in range(len(new.length)):
        length, row, size = new.length[i], new.per_arm[i], new.size[i] // MODELS
        if row > 0:
            copy_bytes(new.address[i] + model * size + arm * row, source + arm * row % length, row)
        source += length


@kernel
def copy_model(of: Bank, new: Fresh, target: int, source: int) -> None:
    """Let a model begin with what another one knows."""
    lay_out(of.rows, new.address, new.size)
    for i in range(len(new.length)):
        size = new.size[i] // MODELS
        copy_bytes(new.address[i] + target * size, new.address[i] + source * size, size)
