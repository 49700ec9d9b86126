"""Arrays that begin with a line of the cache, and copies of them in compiled code.

NumPy's begin at a multiple of 16 bytes. Eight float64 at once then lie across two lines, and reading rows of 32 numbers
takes a third longer.

>>> aligned_zeros(2, 8).ctypes.data % 64
0
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .kernel import kernel
from .vocabulary import Array

_LINE = 64  # bytes


def aligned_zeros(*shape: int) -> Array:
    """Return contiguous float64 zeros of a shape, which begin at a multiple of 64 bytes."""
    size = math.prod(shape)
    room = np.zeros(size + _LINE // 8)
    start = -(room.ctypes.data // room.itemsize) % (_LINE // 8)
    return room[start : start + size].reshape(shape)


def roomless(state: Any) -> Any:
    """Return a state of the same types as another one, with arrays of no elements: what compiling must know of it."""
    if isinstance(state, tuple):
        return type(state)(*map(roomless, state))
    return np.empty((0,) * state.ndim, state.dtype) if isinstance(state, np.ndarray) and state.ndim else state


@kernel
def copy_numbers(source: Array, target: Array) -> None:
    """Write all numbers of `source` into `target`, a contiguous array of the same shape, as is `source`.

    Compiled code has no `target[...] = source` that is as fast.
    """
    to = target.reshape(target.size)
    of = source.reshape(source.size)
    for i in range(of.size):
        to[i] = of[i]
