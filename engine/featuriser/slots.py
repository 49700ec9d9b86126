"""From entries to slots: products, sorted and added up, to the last bit as `features.Encoder` does it with NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .fixed import GOLDEN, MIX_1, MIX_2, SHIFT_1, SHIFT_2, SHIFT_3
from .names import WHOLE, WHOLE_SIZE, Names
from .tape import NO_ROOM, UNSURE
from .walk import FoundFeatures

GROUP_MAX = 128  # features in one slot: up to so many NumPy adds in one loop
SORTED_BY_STEPS = 16
DIGIT_BITS = 6  # of a slot, which are sorted by at a time: a row has some 10 to 100 features
DOT = ord(".")


class Wanted(NamedTuple):
    """What an encoder is to make."""

    bits: int  # of a slot
    columns: int  # of dense rows; 0 for slots
    nonzeros: int  # that one context may have
    every: bool  # whether all of the context is multiplied with all of an action
    pairs: Array  # uint8[n], the namespaces that are multiplied, one behind the other
    bounds: Array  # int64[2 * pairs + 1], where they lie


class Slots(NamedTuple):
    """Room for the features of one context."""

    start: Array  # int64[k + 2]
    slot: Array  # uint32[n]
    value: Array  # float64[n]
    row_slot: Array  # int64[n], those of one row before they are sorted,
    row_value: Array  # float64[n]
    order: Array  # int64[2, n]
    counts: Array  # int64[2^DIGIT_BITS]
    within: Array  # bool[2, n], whether an entry is in the first and the second namespace of a pair


def empty_slots(k: int, n: int) -> Slots:
    """Return room for n features of k actions."""
    start, counts, order = np.zeros(k + 2, np.int64), np.zeros(1 << DIGIT_BITS, np.int64), np.zeros((2, n), np.int64)
    within, slot = np.zeros((2, n), np.bool_), np.zeros(n, np.int64)
    return Slots(start, np.zeros(n, np.uint32), np.zeros(n), slot, np.zeros(n), order, counts, within)


@kernel
def _put(wanted: Wanted, slots: Slots, cell: int, number: np.uint64, value: float) -> None:
    """Write a cell of a row: the slot, or the column, of a feature, and its value."""
    if wanted.columns > 0:
        slots.row_slot[cell] = np.int64(number % np.uint64(wanted.columns))
    else:
        slots.row_slot[cell] = np.int64(number & np.uint64((np.int64(1) << wanted.bits) - 1))
    slots.row_value[cell] = value


@routine
def fill(entries: FoundFeatures, names: Names, wanted: Wanted, slots: Slots, k: int, first: int) -> int:
    """Write the features of k actions behind the `first` ones; return where they end, UNSURE, or NO_ROOM.

    Slots ascend within a row, and none occurs twice in it. UNSURE is what is to be refused, too.
    """
    size, end, filled, n_shared = entries.filled[0], 0, first, n_of_row(entries, 0, 0)
    for row in range(k + 1):
        slots.start[row] = filled
        start, end = end, n_of_row(entries, end, row)
        cells, more = _cells(entries, names, wanted, slots, row, n_shared, start, end)
        size += more
        if cells < 0:
            return cells
        if size > wanted.nonzeros:
            return UNSURE
        filled = _merge(slots, cells, wanted.bits, filled)
        if filled < 0:
            return filled
    slots.start[k + 1] = filled
    return filled


@routine
def fill_dense(entries: FoundFeatures, names: Names, wanted: Wanted, slots: Slots, rows: Array) -> int:
    """Write float64[k, columns], each action's row and the shared one; return 0, UNSURE, or NO_ROOM.

    `rows` float64[k + 1, columns] are zeros before; the last is that of what is shared.
    """
    k = len(rows) - 1
    size, end, n_shared = entries.filled[0], 0, n_of_row(entries, 0, 0)
    for row in range(k + 1):
        start, end = end, n_of_row(entries, end, row)
        cells, more = _cells(entries, names, wanted, slots, row, n_shared, start, end)
        size += more
        if cells < 0:
            return cells
        if size > wanted.nonzeros:
            return UNSURE
        place = row - 1 if row > 0 else k
        for i in range(cells):
            rows[place, slots.row_slot[i]] += slots.row_value[i]
    for row in range(k):
        for column in range(wanted.columns):
            rows[row, column] += rows[k, column]
    return 0


@kernel
def n_of_row(entries: FoundFeatures, start: int, row: int) -> int:
    """Return where the entries of a row end that begin at `start`."""
    end = start
    while end < entries.filled[0] and entries.row[end] == row:
        end += 1
    return end


@routine
def _cells(
    entries: FoundFeatures, names: Names, wanted: Wanted, slots: Slots, row: int, n_shared: int, start: int, end: int
) -> tuple[int, int]:
    """Write the entries of a row, `start` to `end`, and their products; return how many cells, and how many products.

    Products are counted as they are for the limit.
    """
    if row > 0 and end == start:
        return UNSURE, 0
    cells, size = _own(entries, wanted, slots, start, end), 0
    if cells >= 0 and wanted.every:
        if row > 0:
            size = n_shared * (end - start)
            cells = _multiply(entries, wanted, slots, cells, 0, n_shared, start, end)
        return cells, size
    for pair in range(len(wanted.bounds) // 2):
        if cells >= 0:
            cells, more = _pair(entries, names, wanted, slots, cells, pair, row, n_shared, start, end)
            size += more
    return cells, size


@kernel
def _own(entries: FoundFeatures, wanted: Wanted, slots: Slots, start: int, end: int) -> int:
    if end - start > len(slots.row_slot):
        return NO_ROOM
    for i in range(start, end):
        _put(wanted, slots, i - start, entries.number[i], entries.value[i])
    return end - start


@kernel
def product_number(left: np.uint64, right: np.uint64) -> np.uint64:
    """Return what `features.mixed` does of one pair."""
    z = left * GOLDEN + right
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return z ^ (z >> SHIFT_3)


@kernel
def _multiply(
    entries: FoundFeatures,
    wanted: Wanted,
    slots: Slots,
    cells: int,
    left: int,
    left_end: int,
    right: int,
    right_end: int,
) -> int:
    """Add all products of some entries with some others to the `cells` of a row; return how many there are."""
    if cells + (left_end - left) * (right_end - right) > len(slots.row_slot):
        return NO_ROOM
    for i in range(left, left_end):
        for j in range(right, right_end):
            number = product_number(entries.number[i], entries.number[j])
            _put(wanted, slots, cells, number, entries.value[i] * entries.value[j])
            cells += 1
    return cells


@kernel
def _pair(
    entries: FoundFeatures,
    names: Names,
    wanted: Wanted,
    slots: Slots,
    cells: int,
    pair: int,
    row: int,
    n_shared: int,
    start: int,
    end: int,
) -> tuple[int, int]:
    """Add the products of one interaction to the cells of the row of the entries `start` to `end`.

    Returns the number of cells, and of products as they are counted for the limit.
    """
    first, middle, last = wanted.bounds[2 * pair], wanted.bounds[2 * pair + 1], wanted.bounds[2 * pair + 2]
    itself = middle - first == last - middle
    for i in range(middle - first):
        itself &= not itself or wanted.pairs[first + i] == wanted.pairs[middle + i]
    _mark_within(entries, names, wanted, slots, 0, first, middle, 0, n_shared)
    _mark_within(entries, names, wanted, slots, 1, middle, last, 0, n_shared)
    _mark_within(entries, names, wanted, slots, 0, first, middle, start, end)
    _mark_within(entries, names, wanted, slots, 1, middle, last, start, end)
    size = 0
    if row > 0:
        cells, size = _multiply_within(entries, wanted, slots, cells, 0, n_shared, start, end, False)
        if cells >= 0 and not itself:
            cells, more = _multiply_within(entries, wanted, slots, cells, start, end, 0, n_shared, False)
            size += more
    if cells >= 0:
        cells, more = _multiply_within(entries, wanted, slots, cells, start, end, start, end, itself)
        size += more
    return cells, size


@kernel
def _multiply_within(
    entries: FoundFeatures,
    wanted: Wanted,
    slots: Slots,
    cells: int,
    left: int,
    left_end: int,
    right: int,
    right_end: int,
    itself: bool,
) -> tuple[int, int]:
    """Add products as `_multiply` does, of entries that are within the two namespaces of a pair."""
    size = 0
    for i in range(left, left_end):
        if slots.within[0, i]:
            for j in range(right, right_end):
                if slots.within[1, j]:
                    size += 1
                    if not itself or i <= j:
                        if cells >= len(slots.row_slot):
                            return NO_ROOM, size
                        number = product_number(entries.number[i], entries.number[j])
                        _put(wanted, slots, cells, number, entries.value[i] * entries.value[j])
                        cells += 1
    return cells, size


@kernel
def _mark_within(
    entries: FoundFeatures,
    names: Names,
    wanted: Wanted,
    slots: Slots,
    side: int,
    first: int,
    last: int,
    start: int,
    end: int,
) -> None:
    """Write down which entries are in a namespace of a pair, or in one inside it."""
    size = last - first
    for i in range(start, end):
        if i > start and entries.space[i] == entries.space[i - 1]:
            slots.within[side, i] = slots.within[side, i - 1]
            continue
        space = entries.space[i]
        at, length = 8 * np.int64(names.entry[space, WHOLE]), np.int64(names.entry[space, WHOLE_SIZE])
        same = length == size or (size > 0 and length > size and names.text[at + size] == DOT)
        if same:
            for j in range(size):
                same &= names.text[at + j] == wanted.pairs[first + j]
        slots.within[side, i] = same


@kernel
def _merge(slots: Slots, n: int, bits: int, filled: int) -> int:
    """Write the cells of a row behind the `filled` features in the order of their slots, those of one slot added up."""
    if filled + n > len(slots.slot):
        return NO_ROOM
    order = _sorted(slots, n, bits)
    i = 0
    while i < n:
        slot = slots.row_slot[slots.order[order, i]]
        end = i + 1
        while end < n and slots.row_slot[slots.order[order, end]] == slot:
            end += 1
        if end - i > GROUP_MAX:
            return UNSURE
        slots.slot[filled] = np.uint32(slot)
        slots.value[filled] = _sum(slots, order, i, end)
        filled += 1
        i = end
    return filled


@kernel
def _sum(slots: Slots, order: int, first: int, end: int) -> float:
    """Add values as `np.add.reduceat` does: the first one to the sum of all others, in eight sums side by side."""
    head = slots.row_value[slots.order[order, first]]
    n = end - first - 1
    if n == 0:
        return head
    at = first + 1
    total = -0.0  # which is nothing to add even to -0
    if n >= 8:
        r0, r1, r2, r3, r4, r5, r6, r7 = -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0
        while at + 8 <= end:
            r0 += slots.row_value[slots.order[order, at]]
            r1 += slots.row_value[slots.order[order, at + 1]]
            r2 += slots.row_value[slots.order[order, at + 2]]
            r3 += slots.row_value[slots.order[order, at + 3]]
            r4 += slots.row_value[slots.order[order, at + 4]]
            r5 += slots.row_value[slots.order[order, at + 5]]
            r6 += slots.row_value[slots.order[order, at + 6]]
            r7 += slots.row_value[slots.order[order, at + 7]]
            at += 8
        total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    while at < end:
        total += slots.row_value[slots.order[order, at]]
        at += 1
    return head + total


@kernel
def _sorted(slots: Slots, n: int, bits: int) -> int:
    """Sort the cells of a row by their slots, equal ones as they came; return which half of `order` says how."""
    order = slots.order
    if n <= SORTED_BY_STEPS:
        for i in range(n):
            slot, j = slots.row_slot[i], i
            while j > 0 and slots.row_slot[order[0, j - 1]] > slot:
                order[0, j] = order[0, j - 1]
                j -= 1
            order[0, j] = i
        return 0
    for i in range(n):
        order[0, i] = i
    side, shift = 0, 0
    while shift < bits:
        counts = slots.counts
        for digit in range(len(counts)):
            counts[digit] = 0
        for i in range(n):
            counts[slots.row_slot[i] >> shift & (1 << DIGIT_BITS) - 1] += 1
        total = 0
        for digit in range(len(counts)):
            here = counts[digit]
            counts[digit] = total
            total += here
        for i in range(n):
            cell = order[side, i]
            digit = slots.row_slot[cell] >> shift & (1 << DIGIT_BITS) - 1
            order[1 - side, counts[digit]] = cell
            counts[digit] += 1
        side = 1 - side
        shift += DIGIT_BITS
    return side
