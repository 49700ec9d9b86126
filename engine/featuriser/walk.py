"""From a tape to entries: the features of objects, as `features.entries_of` finds them, in the same order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .cells import Wanted
from .fixed import DEPTH_MAX, NAME_MAX, NGRAMS_MAX, VALUE_MAX
from .names import (
    KNOWN_BY,
    ROOT,
    SEEN,
    Names,
    find,
    lookup,
    mark_of,
    settle,
    write,
    write_byte,
    write_lower,
    write_whole,
)
from .tape import INTEGER, KEY, LIST, NO_ROOM, NOTHING, NUMBER, OBJECT, STRING, UNSURE, Tape
from .utf8 import is_blank, may_be_blank

AHEAD = 8  # names, which are few enough to be near when they are looked up, and far enough for the memory to answer
UNDERSCORE, EQUALS, BLANK = ord("_"), ord("="), ord(" ")
_NOT_YET = np.uint64(0)

# Columns of what is open.
END, SPACE, PLACE, SERIAL, LEVEL = range(5)  # PLACE is that of the next value of a list; -1 of an object


class FoundFeatures(NamedTuple):
    """Room for features."""

    row: Array  # int64[n], 0 for the context's own, a + 1 for those of action a
    space: Array  # int64[n], the namespace: an entry of `Names`
    entry: Array  # int64[n], of `Names`
    number: Array  # uint64[n], what the feature is known by; 0 where that is not worked out before `settle_all`
    value: Array  # float64[n]
    filled: Array  # int64[2], how many features there are, and how many actions they are of
    open: Array  # int64[2 * DEPTH_MAX + 1, 5], what is walked through
    words: Array  # int64[NGRAMS_MAX, 2], where the last words of a text begin and end
    ahead: Array  # int64[AHEAD, 2], where names that are to be looked up begin and end
    ahead_mark: Array  # uint64[AHEAD]
    ahead_value: Array  # float64[AHEAD]


def no_features_found(n: int) -> FoundFeatures:
    """Return room for n features."""
    row, space, entry = np.zeros((3, n), np.int64)
    opened = np.zeros((2 * DEPTH_MAX + 1, 5), np.int64)
    words = np.zeros((NGRAMS_MAX, 2), np.int64)
    ahead = np.zeros((AHEAD, 2), np.int64), np.zeros(AHEAD, np.uint64), np.zeros(AHEAD)
    number, value, filled = np.zeros(n, np.uint64), np.zeros(n), np.zeros(2, np.int64)
    return FoundFeatures(row, space, entry, number, value, filled, opened, words, *ahead)


@kernel
def add(entries: FoundFeatures, names: Names, row: int, space: int, entry: int, value: float) -> int:
    """Add a feature, an entry of `names`; return 0, UNSURE where there is no such entry, or NO_ROOM."""
    n = entries.filled[0]
    if entry < 0 or n >= len(entries.row):
        return UNSURE if entry < 0 else NO_ROOM
    entries.row[n] = row
    entries.space[n] = space
    entries.entry[n] = entry
    entries.number[n] = names.entry[entry, KNOWN_BY]
    entries.value[n] = value
    entries.filled[0] = n + 1
    return 0


@kernel
def settle_all(entries: FoundFeatures, names: Names) -> None:
    """Write what new features are known by, once all are found."""
    settle(names)
    for i in range(entries.filled[0]):
        if entries.number[i] == _NOT_YET:
            entries.number[i] = names.entry[entries.entry[i], KNOWN_BY]


@routine
def walk(tape: Tape, data: Array, names: Names, entries: FoundFeatures, wanted: Wanted, first: int, row: int) -> int:
    """Add the features of the object at the row `first` of a tape to those of `row`; return 0, UNSURE, or NO_ROOM.

    `data` are the bytes that the tape points into.
    """
    if tape.row[first, 0] != OBJECT:
        return UNSURE
    _open(tape, data, names, entries, 0, first, ROOT, 1)
    at, depth = first + 1, 1
    while depth > 0:
        top = depth - 1
        if at >= entries.open[top, END]:
            depth = top
            continue
        space, place, level = entries.open[top, SPACE], entries.open[top, PLACE], entries.open[top, LEVEL]
        key, known = at, -1
        if place < 0:
            known = _key(tape, data, names, entries, key, top)
            if known < 0:
                return UNSURE
            at += 1
            if data[tape.row[key, 1]] == UNDERSCORE:
                status = _words(tape, data, names, entries, wanted, key, row, space)
                if status < 0:
                    return status
                at = behind(tape, at)
                continue
        else:
            entries.open[top, PLACE] = place + 1
        kind = tape.row[at, 0]
        if kind <= LIST:
            inner, deeper = space, level
            if place < 0 or kind == LIST:
                inner = lookup(names, space, _part(tape, data, names, key, place), True)
                deeper = level + 1
            if inner < 0 or deeper > DEPTH_MAX:
                return UNSURE
            _open(tape, data, names, entries, depth, at, inner, deeper)
            at, depth = at + 1, depth + 1
            continue
        if kind == STRING or (row > 0 and top == 0 and _is_id(tape, data, key)):
            status = _add_string(tape, data, names, entries, key, place, row, space)
        else:
            status = _add_number(tape, names, entries, at, known, place, row, space)
        if status < 0:
            return status
        at += 1
    return 0


@kernel
def _open(
    tape: Tape, data: Array, names: Names, entries: FoundFeatures, depth: int, at: int, space: int, level: int
) -> None:
    names.used[2] += 1
    entries.open[depth, END] = tape.row[at, 1]
    entries.open[depth, SPACE] = space
    entries.open[depth, PLACE] = -1 if tape.row[at, 0] == OBJECT else 0
    entries.open[depth, SERIAL] = names.used[2]
    entries.open[depth, LEVEL] = level
    if tape.row[at, 0] == OBJECT:
        for key in range(AHEAD):
            _look_ahead(tape, data, names, at + 1 + 2 * key, tape.row[at, 1], space)


@kernel
def _look_ahead(tape: Tape, data: Array, names: Names, key: int, end: int, space: int) -> None:
    """Let the entry of a key be brought near, if there is one at a row before `end`."""
    if key < end and tape.row[key, 0] == KEY:
        mark_of(names, data, tape.row[key, 1], tape.row[key, 2], space, False)


@kernel
def _key(tape: Tape, data: Array, names: Names, entries: FoundFeatures, at: int, top: int) -> int:
    """Return a key's entry as a feature; -1 where it is empty, long, or came before in the same object."""
    size = tape.row[at, 2] - tape.row[at, 1]
    if size == 0 or size > NAME_MAX:
        return -1
    space = entries.open[top, SPACE]
    _look_ahead(tape, data, names, at + 2 * AHEAD, entries.open[top, END], space)
    entry = find(names, data, tape.row[at, 1], tape.row[at, 2], space, False)
    if entry < 0 or names.entry[entry, SEEN] == np.uint64(entries.open[top, SERIAL]):
        return -1
    names.entry[entry, SEEN] = np.uint64(entries.open[top, SERIAL])
    return entry


@kernel
def _part(tape: Tape, data: Array, names: Names, key: int, place: int) -> int:
    """Write a key, or the place in a list, where a name is looked up; return its size."""
    if place >= 0:
        return write_whole(names, place, 0)
    return write(names, data, tape.row[key, 1], tape.row[key, 2], 0)


@kernel
def behind(tape: Tape, at: int) -> int:
    """Return the row behind a value."""
    return tape.row[at, 1] if tape.row[at, 0] == OBJECT or tape.row[at, 0] == LIST else at + 1


@kernel
def _is_id(tape: Tape, data: Array, key: int) -> bool:
    """Tell whether a key is `id` and its value a number."""
    start, kind = tape.row[key, 1], tape.row[key + 1, 0]
    named = tape.row[key, 2] - start == 2 and data[start] == 105 and data[start + 1] == 100
    return named and INTEGER <= kind <= NUMBER


@kernel
def _add_string(
    tape: Tape, data: Array, names: Names, entries: FoundFeatures, key: int, place: int, row: int, space: int
) -> int:
    """Add a string: of an object with its key, of a list alone. A whole number, which is an id, is read as one."""
    at, size = key, 0
    if place < 0:
        size = write_byte(names, EQUALS, _part(tape, data, names, key, -1))
        at = key + 1
    if tape.row[at, 0] == INTEGER:
        size = write_whole(names, tape.row[at, 1], size)
    elif tape.row[at, 0] == STRING and tape.row[at, 2] - tape.row[at, 1] <= NAME_MAX:
        size = write(names, data, tape.row[at, 1], tape.row[at, 2], size)
    else:
        return UNSURE
    if size < 0:
        return UNSURE
    return add(entries, names, row, space, lookup(names, space, size, False), 1.0)


@kernel
def _add_number(
    tape: Tape, names: Names, entries: FoundFeatures, at: int, known: int, place: int, row: int, space: int
) -> int:
    """Add a number, true, or nothing; `known` is the entry of its key."""
    kind = tape.row[at, 0]
    if kind == NOTHING:
        return 0
    value = tape.bits[at, 1] if kind == NUMBER else np.float64(tape.row[at, 1]) if kind == INTEGER else 1.0
    if not abs(value) <= VALUE_MAX:
        return UNSURE
    if value == 0.0:
        return 0
    entry = lookup(names, space, write_whole(names, place, 0), False) if place >= 0 else known
    return add(entries, names, row, space, entry, value)


@kernel
def _words(
    tape: Tape, data: Array, names: Names, entries: FoundFeatures, wanted: Wanted, key: int, row: int, space: int
) -> int:
    """Add the words of `_text`; of other keys that begin with an underscore nothing is read."""
    start, stop = tape.row[key, 1], tape.row[key, 2]
    is_text = stop - start == 5 and data[start + 1] == 116 and data[start + 2] == 101
    if not (is_text and data[start + 3] == 120 and data[start + 4] == 116):
        return 0
    if tape.row[key + 1, 0] != STRING:
        return UNSURE
    at, stop = tape.row[key + 1, 1], tape.row[key + 1, 2]
    n = 0
    while True:
        while at < stop and is_blank(data[at]):
            at += 1
        if at >= stop:
            return 0
        first = at
        while at < stop and not is_blank(data[at]):
            if may_be_blank(data, at, stop):
                return UNSURE
            at += 1
        if at - first > NAME_MAX:
            return UNSURE
        n += 1
        if wanted.lower or wanted.ngrams > 1:
            status = _add_grams(data, names, entries, wanted, first, at, row, space, n)
        else:
            status = add(entries, names, row, space, find(names, data, first, at, space, False), 1.0)
        if status < 0:
            return status


@kernel
def _add_grams(
    data: Array,
    names: Names,
    entries: FoundFeatures,
    wanted: Wanted,
    first: int,
    stop: int,
    row: int,
    space: int,
    n: int,
) -> int:
    """Add the n-th word of a text, and those before it with it, as many as are wanted; return as `add` does."""
    words, status = entries.words, 0
    words[n % NGRAMS_MAX, 0], words[n % NGRAMS_MAX, 1] = first, stop
    for more in range(min(wanted.ngrams, n)):
        size = 0
        for word in range(n - more, n + 1):
            begin, end = words[word % NGRAMS_MAX, 0], words[word % NGRAMS_MAX, 1]
            size = write_byte(names, BLANK, size) if word > n - more else size
            size = write(names, data, begin, end, size)
        if size < 0 or (wanted.lower and not write_lower(names, size)):
            return UNSURE
        status = add(entries, names, row, space, lookup(names, space, size, False), 1.0)
        if status < 0:
            return status
    return status
