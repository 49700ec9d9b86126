"""Lines of a dsjson log from bytes to features, with what they say of their decisions.

What `storage/formats/dsjson/labels.py` reads in Python is what holds. Here is read what is surely the same: a decision
of one action that was learned, with its cost and its probability.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..choices import REWARD_MAX
from ..compiled.binding import Bound, opened
from ..kernel import kernel, loop, routine
from ..vocabulary import Array
from .cells import Wanted
from .desk import Room, walk_all
from .json_text import read_json
from .names import make_room
from .slots import fill
from .tape import INTEGER, LIST, NO_ROOM, NOTHING, NUMBER, OBJECT, TRUE, UNSURE, Tape
from .vw_lines import (
    ACTION,
    BEHIND,
    FIRST,
    LINE,
    N_BYTES,
    N_EVENTS,
    N_FEATURES,
    N_LINES,
    N_STARTS,
    SIZE,
    STARTS,
    SURE,
    end_of_line,
    is_empty,
)
from .walk import behind

# Keys of a line, in lower case, and the places of their values in `Line.at`.
KEYS = (
    b"c",
    b"o",
    b"pdrop",
    b"_labelindex",
    b"_label_cost",
    b"_label_probability",
    b"_original_label_cost",
    b"_skiplearn",
    b"_outcomes",
    b"_label_ca",
    b"rewardvalue",
)
C, OUTCOMES, PDROP, INDEX, COST, PROBABILITY, OBSERVED, SKIP = range(8)
N_KEYS = len(KEYS)
LETTERS = np.frombuffer(b"".join(KEYS), np.uint8)
BOUNDS = np.cumsum([0, *map(len, KEYS)])
MULTI, SLOTS = np.frombuffer(b"_multi", np.uint8), np.frombuffer(b"_sl", np.uint8)

REWARD, PROPENSITY, KEPT, UNOBSERVED, RELABELLED = range(5)  # of `Lines.label`


class Lines(NamedTuple):
    """Room for lines that were read."""

    event: Array  # int64[n, 7], as that of `Runs`
    label: Array  # float64[n, 5]
    start: Array  # int64[m], as that of `Runs`
    done: Array  # int64[5], as that of `Runs`
    at: Array  # int64[N_KEYS], the rows of the tape with the values of a line's keys; -1 for none


def empty_lines(n: int) -> Lines:
    """Return room for n lines."""
    start = np.zeros(16 * n + (1 << 13), np.int64)
    return Lines(np.zeros((n, 7), np.int64), np.zeros((n, 5)), start, np.zeros(5, np.int64), np.zeros(N_KEYS, np.int64))


@loop
def read_lines(room: Bound[Room], wanted: Bound[Wanted], data: Array, lines: Bound[Lines]) -> int:
    """Read lines from where `lines.done` is in `data`, until there is no room; return how many that are not empty."""
    names, tape, entries, slots = opened(room)
    event, label, start, done, at = opened(lines)
    done[N_EVENTS], done[N_FEATURES], done[N_STARTS] = 0, 0, 0
    while done[N_EVENTS] < len(event) and done[N_BYTES] < len(data):
        first, n = done[N_BYTES], done[N_EVENTS]
        end = end_of_line(data, first)
        blank = is_empty(data, first, end)
        size, features = UNSURE, UNSURE
        if not blank and read_json(data, first, end, tape, 0) >= 0 and _find_keys(data, tape, at):
            multi = _read_label(data, tape, at, event[n], label[n])
            if multi >= 0:
                make_room(names)
                entries.filled[0] = 0
                size = walk_all(tape, data, names, entries, opened(wanted), at[C], multi)
                if size > 0 and (size + 2 > len(slots.start) or done[N_STARTS] + size + 2 > len(start)):
                    features = NO_ROOM
                elif size > event[n, ACTION]:
                    features = fill(entries, names, opened(wanted), slots, size, done[N_FEATURES])
                if features == NO_ROOM and n > 0:
                    break
        done[N_BYTES], done[N_LINES] = min(end + 1, len(data)), done[N_LINES] + 1
        if blank:
            continue
        event[n, FIRST], event[n, BEHIND], event[n, LINE] = first, done[N_BYTES], done[N_LINES]
        event[n, SURE], event[n, SIZE], event[n, STARTS] = features >= 0, size, done[N_STARTS]
        if features >= 0:
            for row in range(size + 2):
                start[done[N_STARTS] + row] = slots.start[row]
            done[N_STARTS] += size + 2
            done[N_FEATURES] = features
        done[N_EVENTS] = n + 1
    return done[N_EVENTS]


@kernel
def _find_keys(data: Array, tape: Tape, at: Array) -> bool:
    """Write down where the values of a line's keys are; return False where one comes twice, or is not of ASCII."""
    for key in range(N_KEYS):
        at[key] = -1
    if tape.row[0, 0] != OBJECT:
        return False
    row = 1
    while row < tape.row[0, 1]:
        start, size = tape.row[row, 1], tape.row[row, 2] - tape.row[row, 1]
        for i in range(size):
            if data[start + i] >= 128:
                return False
        for key in range(N_KEYS):
            if BOUNDS[key + 1] - BOUNDS[key] == size:
                same = True
                for i in range(size):
                    letter = data[start + i]
                    same &= (letter + 32 if 65 <= letter <= 90 else letter) == LETTERS[BOUNDS[key] + i]
                if same:
                    if at[key] >= 0:
                        return False
                    at[key] = row + 1
        row = behind(tape, row + 1)
    return True


@routine
def _read_label(data: Array, tape: Tape, at: Array, event: Array, label: Array) -> int:
    """Read what a line says of its decision; return the row of its actions on the tape, or UNSURE."""
    for key in range(SKIP + 1, N_KEYS):
        if at[key] >= 0 and not _is_null(tape, at[key]):
            return UNSURE
    if at[SKIP] >= 0 and tape.row[at[SKIP], 0] == TRUE:
        return UNSURE
    if at[C] < 0 or tape.row[at[C], 0] != OBJECT or at[INDEX] < 0 or tape.row[at[INDEX], 0] != INTEGER:
        return UNSURE
    cost, propensity = _number(tape, at[COST]), _number(tape, at[PROBABILITY])
    observed = cost
    if at[OBSERVED] >= 0 and not _is_null(tape, at[OBSERVED]):
        observed = _number(tape, at[OBSERVED])
    dropped = _number(tape, at[PDROP]) if at[PDROP] >= 0 else 0.0
    event[ACTION] = tape.row[at[INDEX], 1]
    if not (abs(cost) <= REWARD_MAX and abs(observed) <= REWARD_MAX and 0.0 < propensity <= 1.0):
        return UNSURE
    if not 0.0 <= dropped < 1.0 or event[ACTION] < 0:
        return UNSURE
    label[REWARD], label[PROPENSITY], label[KEPT] = 0.0 - observed, propensity, 1.0 - dropped
    label[UNOBSERVED] = at[OUTCOMES] >= 0 and not _has_outcome(data, tape, at[OUTCOMES])
    label[RELABELLED] = cost != observed
    return _actions(data, tape, at[C])


@kernel
def _is_null(tape: Tape, row: int) -> bool:
    return tape.row[row, 0] == NOTHING and tape.row[row, 1] == 1


@kernel
def _number(tape: Tape, row: int) -> float:
    """Return the number at a row, NaN where it is none."""
    if row >= 0 and tape.row[row, 0] == INTEGER:
        return np.float64(tape.row[row, 1])
    if row >= 0 and tape.row[row, 0] == NUMBER:
        return tape.bits[row, 1]
    return np.nan


@kernel
def _begins(data: Array, tape: Tape, row: int, letters: Array) -> bool:
    """Tell whether a key begins with some letters."""
    start = tape.row[row, 1]
    same = tape.row[row, 2] - start >= len(letters)
    i = 0
    while same and i < len(letters):
        same = data[start + i] == letters[i]
        i += 1
    return same


@kernel
def _has_outcome(data: Array, tape: Tape, row: int) -> bool:
    """Tell whether one of the outcomes has a value, a key `v` that is not null."""
    if tape.row[row, 0] != LIST:
        return False
    found = False
    at = row + 1
    while at < tape.row[row, 1]:
        if tape.row[at, 0] == OBJECT:
            key = at + 1
            there = False
            while key < tape.row[at, 1]:
                if tape.row[key, 2] - tape.row[key, 1] == 1 and data[tape.row[key, 1]] == 118:
                    there = not _is_null(tape, key + 1)
                key = behind(tape, key + 1)
            found |= there
        at = behind(tape, at)
    return found


@kernel
def _actions(data: Array, tape: Tape, context: int) -> int:
    """Return the row of the list of actions of a context; UNSURE where there are slots, or no actions."""
    found, row = UNSURE, context + 1
    while row < tape.row[context, 1]:
        if _begins(data, tape, row, SLOTS):
            return UNSURE
        if tape.row[row, 2] - tape.row[row, 1] == len(MULTI) and _begins(data, tape, row, MULTI):
            found = row + 1
        row = behind(tape, row + 1)
    if found < 0 or tape.row[found, 0] != LIST:
        return UNSURE
    action = found + 1
    while action < tape.row[found, 1]:
        if tape.row[action, 0] != OBJECT:
            return UNSURE
        row = action + 1
        while row < tape.row[action, 1]:
            if _begins(data, tape, row, SLOTS):
                return UNSURE
            row = behind(tape, row + 1)
        action = behind(tape, action)
    return found
