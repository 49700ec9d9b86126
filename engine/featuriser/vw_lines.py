"""Vowpal Wabbit's text from bytes to features: of runs of lines, a context and its actions, what their labels say too.

What `storage/formats/vw` reads in Python is what holds. Here is read what is surely the same: lines with a bar, one
label of an action, a cost and a probability, names without a blank that is not of ASCII, each namespace once in a line.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..choices import REWARD_MAX
from ..compiled.binding import Bound, opened
from ..kernel import kernel, loop, routine
from ..vocabulary import Array
from .cells import Wanted
from .decimals import read_decimal
from .desk import Room
from .fixed import NAME_MAX, VALUE_MAX
from .names import ROOT, SEEN, Names, find, find_marked, make_room, mark_of
from .slots import fill
from .tape import NO_ROOM, UNSURE
from .utf8 import is_blank, is_utf8, may_be_blank
from .walk import AHEAD, UNDERSCORE, FoundFeatures, add
from .words import HIGH, below, eight_bytes, equal, first_byte, signed, some_bytes

BAR, COLON, QUOTE, NEWLINE, RETURN, DIGIT = (ord(letter) for letter in "|:'\n\r0")
SHARED = 6  # letters of the word
STARTS_MIN = 1 << 13
NONE = np.uint64(0)
N_EVENTS, N_BYTES, N_LINES, N_FEATURES, N_STARTS = range(5)  # of `Runs.done`
FIRST, BEHIND, LINE, ACTION, SIZE, SURE, STARTS = range(7)  # of `Runs.event`


class Runs(NamedTuple):
    """Room for events that were read."""

    event: Array  # int64[n, 7]: bytes and first line, the action of the label, how many there are, whether this is sure
    label: Array  # float64[n, 2]: the reward and its propensity
    start: Array  # int64[m], as those of `Features`, of all events that are sure, one behind the other
    done: Array  # int64[5], how much was read


def empty_runs(n: int) -> Runs:
    """Return room for n events."""
    event, start = np.zeros((n, 7), np.int64), np.zeros(16 * n + STARTS_MIN, np.int64)
    return Runs(event, np.zeros((n, 2)), start, np.zeros(5, np.int64))


@loop
def read_runs(room: Bound[Room], wanted: Bound[Wanted], data: Array, runs: Bound[Runs]) -> int:
    """Read events from where `runs.done` is in `data`, until there is no room; return how many there are.

    The last event must end within `data`: by an empty line, or as nothing comes behind it.
    """
    names, _, entries, slots = opened(room)
    event, label, start, done = opened(runs)
    done[N_EVENTS], done[N_FEATURES], done[N_STARTS] = 0, 0, 0
    while done[N_EVENTS] < len(event):
        n = done[N_EVENTS]
        first, line = _first_line(data, done[N_BYTES], done[N_LINES])
        done[N_BYTES], done[N_LINES] = first, line
        if first >= len(data):
            break
        event[n, FIRST], event[n, LINE] = first, line + 1
        make_room(names)
        entries.filled[0] = 0
        size = _read_run(data, first, names, entries, event[n], label[n])
        features = done[N_FEATURES]
        if size > 0:
            if size + 2 > len(slots.start) or done[N_STARTS] + size + 2 > len(start):
                features = NO_ROOM
            else:
                features = fill(entries, names, opened(wanted), slots, size, done[N_FEATURES])
            if features == NO_ROOM and done[N_EVENTS] > 0:
                break
        sure = size > 0 and features >= 0
        event[n, SURE], event[n, SIZE], event[n, STARTS] = sure, size, done[N_STARTS]
        if sure:
            for row in range(size + 2):
                start[done[N_STARTS] + row] = slots.start[row]
            done[N_STARTS] += size + 2
            done[N_FEATURES] = features
        done[N_BYTES], done[N_LINES] = _behind_run(data, first, line)
        event[n, BEHIND] = done[N_BYTES]
        done[N_EVENTS] += 1
    return done[N_EVENTS]


@kernel
def end_of_line(data: Array, at: int) -> int:
    """Return where the newline behind a place is, or the data ends."""
    while at + 8 <= len(data):
        found = equal(eight_bytes(data, at), NEWLINE)
        if found != NONE:
            return at + first_byte(found)
        at += 8
    while at < len(data) and data[at] != NEWLINE:
        at += 1
    return at


@kernel
def is_empty(data: Array, start: int, stop: int) -> bool:
    """Tell whether a line holds nothing but what `bytes.strip` takes away."""
    at = start
    while at < stop and (data[at] == 32 or 9 <= data[at] <= 13):
        at += 1
    return at == stop


@kernel
def _first_line(data: Array, at: int, line: int) -> tuple[int, int]:
    """Return where the next line begins that is not empty, and how many lines lie before it."""
    while at < len(data):
        end = end_of_line(data, at)
        if not is_empty(data, at, end):
            break
        at = min(end + 1, len(data))
        line += 1
    return at, line


@kernel
def _behind_run(data: Array, at: int, line: int) -> tuple[int, int]:
    """Return the first byte behind a run of lines that are not empty, and how many lines lie before it."""
    while at < len(data):
        end = end_of_line(data, at)
        if is_empty(data, at, end):
            break
        at = min(end + 1, len(data))
        line += 1
    return at, line


@routine
def _read_run(data: Array, at: int, names: Names, entries: FoundFeatures, event: Array, label: Array) -> int:
    """Read the lines of an event; return the number of its actions, UNSURE, or NO_ROOM."""
    row, labels, n = 0, 0, 0
    while at < len(data):
        end = end_of_line(data, at)
        if is_empty(data, at, end):
            break
        stop = end
        while stop > at and data[stop - 1] == RETURN:
            stop -= 1
        bar = at
        while bar < stop and data[bar] != BAR:
            bar += 1
        if bar == stop or not (is_plain(data, at, stop) or is_utf8(data, at, stop)):
            return UNSURE
        first, size = _label_of(data, at, bar)
        if size < 0:
            return UNSURE
        shared = n == 0 and size == SHARED and _is_shared(data, first)
        if not shared:
            row += 1
            if size > 0:
                labels += 1
                if labels > 1 or not _read_label(data, first, first + size, label):
                    return UNSURE
                event[ACTION] = row - 1
        status = read_features(data, bar, stop, names, entries, row)
        if status < 0:
            return status
        at = min(end + 1, len(data))
        n += 1
    return row if labels == 1 else UNSURE


@kernel
def is_plain(data: Array, start: int, stop: int) -> bool:
    """Tell whether all bytes are of ASCII."""
    at, letters = start, NONE
    while at + 8 <= stop:
        letters |= eight_bytes(data, at)
        at += 8
    return (letters | some_bytes(data, at, stop - at)) & HIGH == NONE


@kernel
def _label_of(data: Array, start: int, bar: int) -> tuple[int, int]:
    """Return where the label before a bar begins and how long it is: 0 without one, UNSURE of several words.

    A last word is a tag, and no label, if it begins with a quote or touches the bar.
    """
    first, size, words, at = start, 0, 0, start
    while at < bar:
        if is_blank(data[at]):
            if data[at] != 32 and data[at] != 9:
                return start, UNSURE
            at += 1
            continue
        word = at
        while at < bar and not is_blank(data[at]):
            if may_be_blank(data, at, bar):
                return start, UNSURE
            at += 1
        if at == bar or data[word] == QUOTE:
            return (first, size) if at == bar or is_empty(data, at, bar) else (start, UNSURE)
        words += 1
        if words > 1:
            return start, UNSURE
        first, size = word, at - word
    return first, size


@kernel
def _is_shared(data: Array, at: int) -> bool:
    """Tell whether six letters are `shared`."""
    return (
        data[at] == 115
        and data[at + 1] == 104
        and data[at + 2] == 97
        and data[at + 3] == 114
        and data[at + 4] == 101
        and data[at + 5] == 100
    )


@kernel
def _read_label(data: Array, start: int, stop: int, label: Array) -> bool:
    """Read an action, which is a number that nobody needs, a cost and a probability."""
    one, other, colons = start, start, 0
    for at in range(start, stop):
        if data[at] == COLON:
            colons += 1
            if colons == 1:
                one = at
            other = at
    if colons != 2 or one == start or one - start > 9:
        return False
    for at in range(start, one):
        if not DIGIT <= data[at] <= DIGIT + 9:
            return False
    reward = 0.0 - read_decimal(data, one + 1, other)
    propensity = read_decimal(data, other + 1, stop)
    label[0], label[1] = reward, propensity
    return abs(reward) <= REWARD_MAX and 0.0 < propensity <= 1.0


@routine
def read_features(data: Array, bar: int, stop: int, names: Names, entries: FoundFeatures, row: int) -> int:
    """Read what stands behind the first bar of a line to the features of a row; return 0, UNSURE, or NO_ROOM.

    What was seen in this line is marked with a number above all before: a namespace with the first one, and features
    with those behind it, in their order.
    """
    serial, before = names.used[2] + 1, entries.filled[0]
    names.used[2] = serial
    at = bar
    while at < stop:
        at += 1  # a bar
        weight = 1.0
        if at < stop and data[at] != BAR and not is_blank(data[at]):
            name, colon, at = _token(data, at, stop)
            if at < 0 or colon - name > NAME_MAX:
                return UNSURE
            weight = read_decimal(data, colon + 1, at) if colon + 1 < at else 1.0
            space = _space(data, name, colon, names)
        else:
            space = _space(data, at, at, names)
        if (space < 0 and space != DROPPED) or not math.isfinite(weight):
            return UNSURE
        at = _read_namespace(data, at, stop, names, entries, row, space, weight, (serial, before))
        if at < 0:
            return at
    return _without_zeros(entries, before)


@kernel
def _read_namespace(
    data: Array,
    at: int,
    stop: int,
    names: Names,
    entries: FoundFeatures,
    row: int,
    space: int,
    weight: float,
    line: tuple[int, int],
) -> int:
    """Read features up to a bar; return where they end, UNSURE, or NO_ROOM.

    Each is looked up when some more were read: until then the memory may take to bring its entry.
    """
    n = 0
    while at < stop and data[at] != BAR:
        if is_blank(data[at]):
            at += 1
            continue
        name, colon, at = _token(data, at, stop)
        if at < 0 or colon - name > NAME_MAX:
            return UNSURE
        value = weight * (read_decimal(data, colon + 1, at) if colon < at else 1.0)
        if not math.isfinite(value):
            return UNSURE
        if not (space == DROPPED or (colon > name and data[name] == UNDERSCORE)):
            place = n % AHEAD
            if n >= AHEAD:
                status = _look_up(data, names, entries, row, space, place, line)
                if status < 0:
                    return status
            entries.ahead[place, 0], entries.ahead[place, 1] = name, colon
            entries.ahead_mark[place] = mark_of(names, data, name, colon, space, False)
            entries.ahead_value[place] = value
            n += 1
    for i in range(max(n - AHEAD, 0), n):
        status = _look_up(data, names, entries, row, space, i % AHEAD, line)
        if status < 0:
            return status
    return at


@kernel
def _look_up(
    data: Array, names: Names, entries: FoundFeatures, row: int, space: int, place: int, line: tuple[int, int]
) -> int:
    """Look up a name that was read before, and add it up; return as `add` does."""
    start, stop, mark = entries.ahead[place, 0], entries.ahead[place, 1], entries.ahead_mark[place]
    entry = find_marked(names, data, start, stop, space, False, mark)
    return _add_up(names, entries, row, space, entry, entries.ahead_value[place], line)


DROPPED = -3  # of a namespace that begins with an underscore


@kernel
def _token(data: Array, start: int, stop: int) -> tuple[int, int, int]:
    """Return where a word begins, where its first colon stands, and where it ends; UNSURE if it may have a blank."""
    at, colon = start, -1
    while True:
        while at + 8 <= stop:
            word = eight_bytes(data, at)
            found = below(word, 33) | equal(word, BAR) | equal(word, COLON) | (word & HIGH)
            if found != NONE:
                at += first_byte(found)
                break
            at += 8
        if at >= stop or data[at] == BAR or is_blank(data[at]):
            return start, at if colon < 0 else colon, at
        if data[at] == COLON and colon < 0:
            colon = at
        elif may_be_blank(data, at, stop):
            return start, start, UNSURE
        at += 1


@kernel
def _space(data: Array, start: int, stop: int, names: Names) -> int:
    """Return the entry of a namespace, DROPPED, or UNSURE where it came before in this line."""
    if stop > start and data[start] == UNDERSCORE:
        return DROPPED
    space = ROOT if start == stop else find(names, data, start, stop, ROOT, True)
    if space < 0 or names.entry[space, SEEN] == np.uint64(names.used[2]):
        return UNSURE
    names.entry[space, SEEN] = np.uint64(names.used[2])
    return space


@kernel
def _add_up(
    names: Names, entries: FoundFeatures, row: int, space: int, entry: int, value: float, line: tuple[int, int]
) -> int:
    """Add a feature, or its value to that of the same one in a line, of which number and first entry are told."""
    serial, before = line
    if entry >= 0:
        seen = signed(names.entry[entry, SEEN])
        if seen > serial:
            entries.value[before + seen - serial - 1] += value
            return 0
        names.used[2] += 1
        names.entry[entry, SEEN] = np.uint64(names.used[2])
    return add(entries, names, row, space, entry, 0.0 + value)


@kernel
def _without_zeros(entries: FoundFeatures, before: int) -> int:
    """Leave out the features of a line that are 0; return 0, or UNSURE where one is too large."""
    n, filled = before, entries.filled[0]
    while n < filled and entries.value[n] != 0.0 and abs(entries.value[n]) <= VALUE_MAX:
        n += 1
    for i in range(n, filled):
        value = entries.value[i]
        if not abs(value) <= VALUE_MAX:
            return UNSURE
        if value != 0.0:
            entries.row[n], entries.space[n] = entries.row[i], entries.space[i]
            entries.entry[n], entries.number[n], entries.value[n] = entries.entry[i], entries.number[i], value
            n += 1
    entries.filled[0] = n
    return 0
