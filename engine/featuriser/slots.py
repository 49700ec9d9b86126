"""From entries to slots: products, sorted and added up, to the last bit as `features.Encoder` does it with NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .fixed import GOLDEN, MIX_1, MIX_2, SHIFT_1, SHIFT_2, SHIFT_3
from .names import Names, whole_of
from .tape import NO_ROOM, UNSURE
from .walk import FoundFeatures
from .words import signed

GROUP_MAX = 128  # features in one slot: up to so many NumPy adds in one loop
SORTED_BY_STEPS = 16
BUCKETS_MAX = 256  # features that are put into buckets first, and then in order: more are sorted by all their digits
DIGIT_BITS = 7  # of a slot, which are sorted by at a time: a row has some 10 to 100 features
_32, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
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
    key: Array  # uint64[2, n], slots above 32 bits with the cells that they are of, which are sorted
    counts: Array  # int64[2^DIGIT_BITS]
    within: Array  # bool[2, n], whether an entry is in the first and the second namespace of a pair


def empty_slots(k: int, n: int) -> Slots:
    """Return room for n features of k actions."""
    start, counts, key = np.zeros(k + 2, np.int64), np.zeros(1 << DIGIT_BITS, np.int64), np.zeros((2, n), np.uint64)
    within, slot = np.zeros((2, n), np.bool_), np.zeros(n, np.int64)
    return Slots(start, np.zeros(n, np.uint32), np.zeros(n), slot, np.zeros(n), key, counts, within)


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
        at, length = whole_of(names, entries.space[i])
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
    key = slots.key[_sorted(slots, n, bits)]
    i = 0
    while i < n:
        slot = key[i] >> _32
        end = i + 1
        while end < n and key[end] >> _32 == slot:
            end += 1
        if end - i > GROUP_MAX:
            return UNSURE
        slots.slot[filled] = np.uint32(slot)
        slots.value[filled] = _sum(slots.row_value, key, i, end)
        filled += 1
        i = end
    return filled


@kernel
def _sum(values: Array, key: Array, first: int, end: int) -> float:
    """Add values as `np.add.reduceat` does: the first one to the sum of all others, in eight sums side by side."""
    head = values[_cell(key[first])]
    n = end - first - 1
    if n == 0:
        return head
    at = first + 1
    total = -0.0  # which is nothing to add even to -0
    if n >= 8:
        r0, r1, r2, r3, r4, r5, r6, r7 = -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0
        while at + 8 <= end:
            r0 += values[_cell(key[at])]
            r1 += values[_cell(key[at + 1])]
            r2 += values[_cell(key[at + 2])]
            r3 += values[_cell(key[at + 3])]
            r4 += values[_cell(key[at + 4])]
            r5 += values[_cell(key[at + 5])]
            r6 += values[_cell(key[at + 6])]
            r7 += values[_cell(key[at + 7])]
            at += 8
        total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    while at < end:
        total += values[_cell(key[at])]
        at += 1
    return head + total


@kernel
def _cell(key: np.uint64) -> int:
    return signed(key & _LOW)


@kernel
def _sorted(slots: Slots, n: int, bits: int) -> int:
    """Sort the cells of a row by their slots, equal ones as they came; return in which half of `key` they are."""
    for i in range(n):
        slots.key[0, i] = np.uint64(slots.row_slot[i]) << _32 | np.uint64(i)
    if n <= SORTED_BY_STEPS:
        _sort_by_steps(slots.key[0], n)
        return 0
    if n <= BUCKETS_MAX:
        _distribute(slots, n, 0, max(bits - DIGIT_BITS, 0))
        _sort_by_steps(slots.key[1], n)
        return 1
    side, shift = 0, 0
    while shift < bits:
        _distribute(slots, n, side, shift)
        side = 1 - side
        shift += DIGIT_BITS
    return side


@kernel
def _sort_by_steps(key: Array, n: int) -> None:
    """Sort keys of which each is near its place, or few."""
    for i in range(1, n):
        moved, j = key[i], i
        while j > 0 and key[j - 1] > moved:
            key[j] = key[j - 1]
            j -= 1
        key[j] = moved


@kernel
def _distribute(slots: Slots, n: int, side: int, shift: int) -> None:
    """Sort one half of `key` by one digit of the slots into the other half."""
    counts, digit_of = slots.counts, np.uint64(shift + 32)
    mask = np.uint64((1 << DIGIT_BITS) - 1)
    for digit in range(len(counts)):
        counts[digit] = 0
    for i in range(n):
        counts[signed(slots.key[side, i] >> digit_of & mask)] += 1
    total = 0
    for digit in range(len(counts)):
        here = counts[digit]
        counts[digit] = total
        total += here
    for i in range(n):
        key = slots.key[side, i]
        digit = signed(key >> digit_of & mask)
        slots.key[1 - side, counts[digit]] = key
        counts[digit] += 1
