"""From entries to slots: products, sorted and added up, to the last bit as `features.Encoder` does it with NumPy."""

from __future__ import annotations

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .cells import DIGIT_BITS, Slots, Wanted, product_number, put
from .cubic import multiply_threes
from .names import Names, whole_of
from .tape import NO_ROOM, UNSURE
from .walk import FoundFeatures, settle_all
from .words import signed

GROUP_MAX = 128  # features in one slot: up to so many NumPy adds in one loop
SORTED_BY_STEPS = 16
FEWER_BUCKETS_MAX = 48  # features that are put into fewer buckets
BUCKETS_MAX = 256  # features that are put into buckets first, and then in order: more are sorted by all their digits
_32, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
DOT = ord(".")


@routine
def fill(entries: FoundFeatures, names: Names, wanted: Wanted, slots: Slots, k: int, first: int) -> int:
    """Write the features of k actions behind the `first` ones; return where they end, UNSURE, or NO_ROOM.

    Slots ascend within a row, and none occurs twice in it. UNSURE is what is to be refused, too.
    """
    settle_all(entries, names)
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
    settle_all(entries, names)
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
    first = 0
    for count in wanted.counts:
        if cells >= 0 and size <= wanted.nonzeros:
            for side in range(count):
                _mark_within(entries, names, wanted, slots, side, first + side, 0, n_shared)
                _mark_within(entries, names, wanted, slots, side, first + side, start, end)
            if count == 2:
                cells, more = _pair(entries, wanted, slots, cells, _is_same(wanted, first), row, n_shared, start, end)
            else:
                same = _is_same(wanted, first), _is_same(wanted, first + 1)
                cells, more = multiply_threes(
                    entries, wanted, slots, cells, same, n_shared if row > 0 else 0, start, end
                )
            size += more
        first += count
    return cells, size


@kernel
def _is_same(wanted: Wanted, place: int) -> bool:
    """Tell whether a namespace that is multiplied is the next one, too."""
    first, middle, last = wanted.bounds[place], wanted.bounds[place + 1], wanted.bounds[place + 2]
    same = middle - first == last - middle
    for i in range(middle - first):
        same &= not same or wanted.spaces[first + i] == wanted.spaces[middle + i]
    return same


@kernel
def _own(entries: FoundFeatures, wanted: Wanted, slots: Slots, start: int, end: int) -> int:
    if end - start > len(slots.row_slot):
        return NO_ROOM
    for i in range(start, end):
        put(wanted, slots, i - start, entries.number[i], entries.value[i])
    return end - start


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
            put(wanted, slots, cells, number, entries.value[i] * entries.value[j])
            cells += 1
    return cells


@kernel
def _pair(
    entries: FoundFeatures,
    wanted: Wanted,
    slots: Slots,
    cells: int,
    itself: bool,
    row: int,
    n_shared: int,
    start: int,
    end: int,
) -> tuple[int, int]:
    """Add the products of a pair of namespaces to the cells of the row of the entries `start` to `end`.

    Returns the number of cells, and of products as they are counted for the limit.
    """
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
                        put(wanted, slots, cells, number, entries.value[i] * entries.value[j])
                        cells += 1
    return cells, size


@kernel
def _mark_within(
    entries: FoundFeatures,
    names: Names,
    wanted: Wanted,
    slots: Slots,
    side: int,
    place: int,
    start: int,
    end: int,
) -> None:
    """Write down which entries are in a namespace that is multiplied, or in one inside it."""
    first, size = wanted.bounds[place], wanted.bounds[place + 1] - wanted.bounds[place]
    for i in range(start, end):
        if i > start and entries.space[i] == entries.space[i - 1]:
            slots.within[side, i] = slots.within[side, i - 1]
            continue
        at, length = whole_of(names, entries.space[i])
        same = length == size or (size > 0 and length > size and names.text[at + size] == DOT)
        if same:
            for j in range(size):
                same &= names.text[at + j] == wanted.spaces[first + j]
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
        digit_bits = DIGIT_BITS if n > FEWER_BUCKETS_MAX else DIGIT_BITS - 2
        _distribute(slots, n, 0, max(bits - digit_bits, 0), digit_bits)
        _sort_by_steps(slots.key[1], n)
        return 1
    side, shift = 0, 0
    while shift < bits:
        _distribute(slots, n, side, shift, DIGIT_BITS)
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
def _distribute(slots: Slots, n: int, side: int, shift: int, digit_bits: int) -> None:
    """Sort one half of `key` by one digit of the slots into the other half."""
    counts, digit_of, n_digits = slots.counts, np.uint64(shift + 32), 1 << digit_bits
    mask = np.uint64(n_digits - 1)
    for digit in range(n_digits):
        counts[digit] = 0
    for i in range(n):
        counts[signed(slots.key[side, i] >> digit_of & mask)] += 1
    total = 0
    for digit in range(n_digits):
        here = counts[digit]
        counts[digit] = total
        total += here
    for i in range(n):
        key = slots.key[side, i]
        digit = signed(key >> digit_of & mask)
        slots.key[1 - side, counts[digit]] = key
        counts[digit] += 1
