"""JSON as a tape, from its bytes: that without escapes in strings, and with numbers of up to 18 digits."""

from __future__ import annotations

import math

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .decimals import DIGIT, MINUS, PLUS, POINT, ZEROS, no_digits, of_letters, read_decimal, scaled
from .tape import INTEGER, KEY, LIST, NO_ROOM, NOTHING, NUMBER, OBJECT, OPEN_MAX, STRING, TRUE, UNSURE, Tape
from .utf8 import is_utf8
from .words import HIGH, below, eight_bytes, equal, first_byte

OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, MARK, COLON, COMMA, ESCAPE, EXPONENT = (ord(letter) for letter in '{}[]":,\\e')
DIGITS_MAX = 18
NONE, ONE, _FLAG = np.uint64(0), np.uint64(1), np.uint64(128)
A_KEY, A_FIRST_KEY, A_VALUE, AN_ITEM, A_FIRST_ITEM, AN_END = range(6)  # what comes next


@routine
def read_json(data: Array, start: int, stop: int, tape: Tape, first: int) -> int:
    """Write down the JSON in bytes `start` to `stop` from the row `first` on; return the row behind, or UNSURE."""
    at, n, depth, awaited = start, first, 0, A_VALUE
    while True:
        at = behind_blanks(data, at, stop)
        if at >= stop:
            return n if awaited == AN_END and depth == 0 else UNSURE
        if n >= len(tape.row):
            return NO_ROOM
        letter = data[at]
        if awaited == AN_END:
            if depth == 0:
                return UNSURE
            in_object = tape.row[tape.open[depth - 1, 0], 0] == OBJECT
            if letter == COMMA:
                awaited = A_KEY if in_object else AN_ITEM
                at += 1
                continue
            if letter != (CLOSE if in_object else CLOSE_LIST):
                return UNSURE
        if (
            awaited == AN_END
            or (awaited == A_FIRST_KEY and letter == CLOSE)
            or (awaited == A_FIRST_ITEM and letter == CLOSE_LIST)
        ):
            depth -= 1
            tape.row[tape.open[depth, 0], 1] = n
            awaited = AN_END
            at += 1
            continue
        if awaited <= A_FIRST_KEY:
            at = behind_blanks(data, _read_string(data, at, stop, tape, n, KEY), stop)
            if at >= stop or at < start or data[at] != COLON:
                return UNSURE
            at += 1
            n += 1
            awaited = A_VALUE
            continue
        if letter in (OPEN, OPEN_LIST):
            if depth >= OPEN_MAX:
                return UNSURE
            tape.row[n, 0] = OBJECT if letter == OPEN else LIST
            tape.open[depth, 0] = n
            depth += 1
            at += 1
            awaited = A_FIRST_KEY if letter == OPEN else A_FIRST_ITEM
        else:
            at = _read_leaf(data, at, stop, tape, n)
            if at < 0:
                return UNSURE
            awaited = AN_END
        n += 1


@kernel
def behind_blanks(data: Array, at: int, stop: int) -> int:
    """Return where something else stands than a blank, from `at` on."""
    while 0 <= at < stop and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@kernel
def _read_string(data: Array, at: int, stop: int, tape: Tape, n: int, kind: int) -> int:
    """Write down a string or a key; return where it ends, or UNSURE."""
    if data[at] != MARK:
        return UNSURE
    first = at + 1
    at = first
    plain = True
    while at + 8 <= stop:
        word = eight_bytes(data, at)
        found = below(word, 32) | equal(word, MARK) | equal(word, ESCAPE)
        if found != NONE:
            n_before = first_byte(found)
            plain &= word & HIGH & ((ONE << np.uint64(8 * n_before)) - ONE) == NONE
            at += n_before
            break
        plain &= word & HIGH == NONE
        at += 8
    while at < stop and data[at] != MARK:
        letter = data[at]
        if letter < 32 or letter == ESCAPE:
            return UNSURE
        plain &= letter < 128
        at += 1
    if at >= stop or not (plain or is_utf8(data, first, at)):
        return UNSURE
    tape.row[n, 0], tape.row[n, 1], tape.row[n, 2] = kind, first, at
    return at + 1


@kernel
def _read_leaf(data: Array, at: int, stop: int, tape: Tape, n: int) -> int:
    """Write down what is neither an object nor a list; return where it ends, or UNSURE."""
    letter = data[at]
    if letter == MARK:
        return _read_string(data, at, stop, tape, n, STRING)
    if letter == MINUS or DIGIT <= letter <= DIGIT + 9:
        return _read_number(data, at, stop, tape, n)
    if at + 4 <= stop and letter == 116 and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101:
        tape.row[n, 0] = TRUE
        return at + 4
    if at + 4 <= stop and letter == 110 and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108:
        tape.row[n, 0], tape.row[n, 1] = NOTHING, 1
        return at + 4
    if at + 5 <= stop and letter == 102 and data[at + 1] == 97 and data[at + 2] == 108 and data[at + 3] == 115:
        tape.row[n, 0], tape.row[n, 1] = NOTHING, 0
        return at + 5 if data[at + 4] == 101 else UNSURE
    return UNSURE


@kernel
def _read_number(data: Array, at: int, stop: int, tape: Tape, n: int) -> int:
    """Write down a number as JSON has them; return where it ends, or UNSURE."""
    end = _read_short_number(data, at, stop, tape, n)
    if end > at:
        return end
    start = at
    at += data[at] == MINUS
    first, whole = at, 0
    while at < stop and DIGIT <= data[at] <= DIGIT + 9:
        if at - first < DIGITS_MAX:
            whole = 10 * whole + (data[at] - DIGIT)
        at += 1
    size = at - first
    if size == 0 or (size > 1 and data[first] == DIGIT):
        return UNSURE
    if at == stop or (data[at] != POINT and data[at] | 32 != EXPONENT):
        tape.row[n, 0], tape.row[n, 1] = INTEGER, -whole if first > start else whole
        return at if size <= DIGITS_MAX else UNSURE
    if data[at] == POINT:
        first = at + 1
        at = first
        while at < stop and DIGIT <= data[at] <= DIGIT + 9:
            if size + at - first < DIGITS_MAX:
                whole = 10 * whole + (data[at] - DIGIT)
            at += 1
        if at == first:
            return UNSURE
        size += at - first
        if size <= DIGITS_MAX and (at == stop or data[at] | 32 != EXPONENT):
            value = scaled(np.uint64(whole), first - at)
            tape.row[n, 0], tape.bits[n, 1] = NUMBER, -value if data[start] == MINUS else value
            return UNSURE if math.isnan(value) else at
    if at < stop and data[at] | 32 == EXPONENT:
        first = at + 1
        if first < stop and (data[first] == PLUS or data[first] == MINUS):
            first += 1
        at = _behind_digits(data, first, stop)
        if at == first:
            return UNSURE
    value = read_decimal(data, start, at)
    tape.row[n, 0], tape.bits[n, 1] = NUMBER, value
    return UNSURE if math.isnan(value) else at


@kernel
def _read_short_number(data: Array, at: int, stop: int, tape: Tape, n: int) -> int:
    """Write down a number of at most seven letters with a point; return where it ends, UNSURE of any other."""
    if at + 8 > stop:
        return UNSURE
    word = eight_bytes(data, at)
    found = equal(word, POINT)
    if found == NONE:
        return UNSURE
    point = first_byte(found)
    found = no_digits(word ^ ZEROS) & ~(_FLAG << np.uint64(8 * point))
    if found == NONE:
        return UNSURE
    size = first_byte(found)
    letter = data[at + size]
    zero_first = point > 1 and data[at] == DIGIT
    if point == 0 or point + 2 > size or zero_first or letter == POINT or letter | 32 == EXPONENT:
        return UNSURE
    tape.row[n, 0], tape.bits[n, 1] = NUMBER, of_letters(word & ((ONE << np.uint64(8 * size)) - ONE), size, point)
    return at + size


@kernel
def _behind_digits(data: Array, at: int, stop: int) -> int:
    while at < stop and DIGIT <= data[at] <= DIGIT + 9:
        at += 1
    return at
