"""What an encoder of named features is to make, and room for it: a cell is a feature of a row, or a product."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array
from .fixed import GOLDEN, MIX_1, MIX_2, SHIFT_1, SHIFT_2, SHIFT_3

DIGIT_BITS = 7  # of a slot, which are sorted by at a time: a row has some 10 to 100 features


class Wanted(NamedTuple):
    """What an encoder is to make."""

    bits: int  # of a slot
    columns: int  # of dense rows; 0 for slots
    nonzeros: int  # that one context may have
    every: bool  # whether all of the context is multiplied with all of an action
    spaces: Array  # uint8[n], the namespaces that are multiplied, one behind the other
    bounds: Array  # int64[m + 1], where they lie
    counts: Array  # int64[interactions], how many of them each interaction has, 2 or 3
    lower: bool  # whether text is read in lower case
    ngrams: int  # how many words are one feature, at most


class Slots(NamedTuple):
    """Room for the features of one context."""

    start: Array  # int64[k + 2]
    slot: Array  # uint32[n]
    value: Array  # float64[n]
    row_slot: Array  # int64[n], those of one row before they are sorted,
    row_value: Array  # float64[n]
    key: Array  # uint64[2, n], slots above 32 bits with the cells that they are of, which are sorted
    counts: Array  # int64[2^DIGIT_BITS]
    within: Array  # bool[3, n], whether an entry is in the first, the second and the third namespace


def empty_slots(k: int, n: int) -> Slots:
    """Return room for n features of k actions."""
    start, counts, key = np.zeros(k + 2, np.int64), np.zeros(1 << DIGIT_BITS, np.int64), np.zeros((2, n), np.uint64)
    within, slot = np.zeros((3, n), np.bool_), np.zeros(n, np.int64)
    return Slots(start, np.zeros(n, np.uint32), np.zeros(n), slot, np.zeros(n), key, counts, within)


@kernel
def put(wanted: Wanted, slots: Slots, cell: int, number: np.uint64, value: float) -> None:
    """Write a cell of a row: the slot, or the column, of a feature, and its value."""
    if wanted.columns > 0:
        slots.row_slot[cell] = np.int64(number % np.uint64(wanted.columns))
    else:
        slots.row_slot[cell] = np.int64(number & np.uint64((np.int64(1) << wanted.bits) - 1))
    slots.row_value[cell] = value


@kernel
def product_number(left: np.uint64, right: np.uint64) -> np.uint64:
    """Return what `features.mixed` does of one pair."""
    z = left * GOLDEN + right
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return z ^ (z >> SHIFT_3)
