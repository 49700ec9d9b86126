"""Products of three features, as `interactions.py` has them, in the same order."""

from __future__ import annotations

from ..kernel import kernel, routine
from .cells import Slots, Wanted, product_number, put
from .tape import NO_ROOM
from .walk import FoundFeatures

COUNTED_MAX = 1e15


@routine
def multiply_threes(
    entries: FoundFeatures,
    wanted: Wanted,
    slots: Slots,
    cells: int,
    same: tuple[bool, bool],
    n_shared: int,
    start: int,
    end: int,
) -> tuple[int, int]:
    """Add the products of three entries to the cells of a row, whose own entries are `start` to `end`.

    Of `n_shared` entries of the context, and of those of the row, `slots.within` says which are in the first, the
    second and the third namespace, and `same` which two that come one behind the other are the same. Of each product
    one entry at least is the row's own. Returns the number of cells, and of products as they are counted for the limit.
    """
    size = _count(slots, n_shared, start, end)
    if size > wanted.nonzeros or n_shared + end - start > len(slots.row_slot):
        return (cells, size) if size > wanted.nonzeros else (NO_ROOM, size)
    first = 0 if n_shared > 0 else start
    i = first
    while i < end:
        j = i if same[0] else first
        while slots.within[0, i] and j < end:
            k = j if same[1] else first
            if i < n_shared and j < n_shared:
                k = start  # the third one is the row's own
            number = product_number(entries.number[i], entries.number[j])
            value = entries.value[i] * entries.value[j]
            while slots.within[1, j] and k < end:
                if slots.within[2, k]:
                    if cells >= len(slots.row_slot):
                        return NO_ROOM, size
                    three = product_number(number, entries.number[k])
                    put(wanted, slots, cells, three, value * entries.value[k])
                    cells += 1
                k = _next(k, n_shared, start)
            j = _next(j, n_shared, start)
        i = _next(i, n_shared, start)
    return cells, size


@kernel
def _next(entry: int, n_shared: int, start: int) -> int:
    """Return the entry behind one: behind those of the context come the row's own."""
    return start if entry + 1 == n_shared else entry + 1


@kernel
def _count(slots: Slots, n_shared: int, start: int, end: int) -> int:
    every, shared = 1.0, 1.0  # more than an integer holds
    for side in range(3):
        n = 0
        for i in range(n_shared):
            n += slots.within[side, i]
        shared *= n
        for i in range(start, end):
            n += slots.within[side, i]
        every *= n
    return int(min(every - shared, COUNTED_MAX))
