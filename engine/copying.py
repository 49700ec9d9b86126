"""Copy the numbers of one array into another: compiled code has no `target[...] = source` that is as fast."""

from __future__ import annotations

from .kernel import kernel
from .vocabulary import Array


@kernel
def copy_numbers(source: Array, target: Array) -> None:
    """Write all numbers of `source` into `target`, a contiguous array of the same shape, as is `source`."""
    to = target.reshape(target.size)
    of = source.reshape(source.size)
    for i in range(of.size):
        to[i] = of[i]
