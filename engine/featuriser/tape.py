"""What JSON or a Python object says, as a *tape*: one row for each key and value, in the order in which they come.

A row is int64[3]: what it is, and where it lies in the bytes, or its bits.

    OBJECT, LIST    the row behind its end, and nothing; keys and values of an object take turns
    STRING, KEY     its first byte, and the byte behind it; UTF-8 without escapes
    INTEGER         the number, of 18 digits at most
    NUMBER          the bits of a float64
    NOTHING         1 for null, 0 for false
    TRUE

Readers are sure of what they write down: of all that they are not, they say so, and the plain path of Python reads it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .words import signed

OBJECT, LIST, KEY, STRING, INTEGER, NUMBER, NOTHING, TRUE = range(8)
INTEGER_MAX = 10**18
OPEN_MAX = 64  # objects and lists in each other
UNSURE, NO_ROOM = -1, -2  # in place of a length
A_KEY, A_VALUE = -1, -2  # what an object that is open waits for; a list for so many values

# The codes of marshal's format, of version 4 and before.
DICT, LIST_OF, TUPLE, SHORT_TUPLE, END, REFERENCE = (ord(code) for code in "{[()0r")
SHORT_ASCII, SHORT_ASCII_INTERNED, ASCII, ASCII_INTERNED, UNICODE, INTERNED = (ord(code) for code in "zZaAut")
FLOAT, INT, LONG, NONE, FALSE, TRUE_CODE = (ord(code) for code in "gilNFT")


class Tape(NamedTuple):
    """Room for a tape."""

    row: Array  # int64[n, 3]
    bits: Array  # float64[n, 3], the same memory
    open: Array  # int64[OPEN_MAX, 3], of what is not closed: its row, what it waits for, where to go on or -1
    refs: Array  # int64[n], where what marshal refers to lies


def empty_tape(n: int) -> Tape:
    """Return room for n rows."""
    row = np.zeros((n, 3), np.int64)
    return Tape(row, row.view(np.float64), np.zeros((OPEN_MAX, 3), np.int64), np.zeros(n, np.int64))


@routine
def read_marshalled(data: Array, stop: int, tape: Tape) -> int:
    """Write down what `marshal.dumps(thing, 4)` holds, the first `stop` bytes of `data`.

    Returns the number of rows, UNSURE, or NO_ROOM. Of all ways to write a Python object this is the one that keeps
    types apart: what is of a class that has a basic one as its base is refused by it, and NaN stays NaN. It takes 25 ns
    for a feature.
    """
    at, n, depth, n_refs, again = 0, 0, 0, 0, 0
    while True:
        while depth > 0 and tape.open[depth - 1, 1] == 0:
            depth -= 1
            tape.row[tape.open[depth, 0], 1] = n
            if tape.open[depth, 2] >= 0:
                at = tape.open[depth, 2]
                again -= 1
        if n > 0 and depth == 0:
            return n if at == stop else UNSURE
        if n >= len(tape.row) or n_refs >= len(tape.refs):
            return NO_ROOM
        if at >= stop:
            return UNSURE
        awaited = tape.open[depth - 1, 1] if depth > 0 else 1
        code = data[at]
        at += 1
        back = -1
        if code & 0x80:
            code &= 0x7F
            if again == 0:
                tape.refs[n_refs] = at - 1
                n_refs += 1
        elif code == REFERENCE:
            back = at + 4
            at = tape.refs[_int32(data, at)] + 1
            code = data[at - 1] & 0x7F
        if code == END:
            if awaited != A_KEY:
                return UNSURE
            tape.open[depth - 1, 1] = 0
            continue
        if depth > 0:
            tape.open[depth - 1, 1] = A_VALUE if awaited == A_KEY else A_KEY if awaited == A_VALUE else awaited - 1
        if code in (DICT, LIST_OF, TUPLE, SHORT_TUPLE):
            if awaited == A_KEY or depth >= OPEN_MAX:
                return UNSURE
            tape.row[n, 0] = OBJECT if code == DICT else LIST
            tape.open[depth, 0] = n
            tape.open[depth, 2] = back
            again += back >= 0
            tape.open[depth, 1] = A_KEY if code == DICT else data[at] if code == SHORT_TUPLE else _int32(data, at)
            at += 0 if code == DICT else 1 if code == SHORT_TUPLE else 4
            depth += 1
        else:
            at = _read_leaf(data, at, code, tape, n)
            if at < 0:
                return UNSURE
            if awaited == A_KEY:
                if tape.row[n, 0] != STRING:
                    return UNSURE
                tape.row[n, 0] = KEY
            if back >= 0:
                at = back
        n += 1


@kernel
def _read_leaf(data: Array, at: int, code: int, tape: Tape, n: int) -> int:
    """Write down what is neither an object nor a list; return where it ends, or UNSURE."""
    if code in (SHORT_ASCII, SHORT_ASCII_INTERNED):
        tape.row[n, 0] = STRING
        tape.row[n, 1] = at + 1
        tape.row[n, 2] = at + 1 + data[at]
        return at + 1 + data[at]
    if code in (ASCII, ASCII_INTERNED, UNICODE, INTERNED):
        tape.row[n, 0] = STRING
        tape.row[n, 1] = at + 4
        tape.row[n, 2] = at + 4 + _int32(data, at)
        return at + 4 + _int32(data, at)
    if code == FLOAT:
        bits = np.int64(0)
        for i in range(8):
            bits |= np.int64(data[at + i]) << np.int64(8 * i)
        tape.row[n, 0] = NUMBER
        tape.row[n, 1] = bits
        return at + 8
    if code == INT:
        tape.row[n, 0] = INTEGER
        tape.row[n, 1] = _int32(data, at)
        return at + 4
    if code == LONG:
        return _read_long(data, at, tape, n)
    if code in (NONE, FALSE):
        tape.row[n, 0] = NOTHING
        tape.row[n, 1] = 1 if code == NONE else 0
        return at
    if code == TRUE_CODE:
        tape.row[n, 0] = TRUE
        return at
    return UNSURE


@kernel
def _read_long(data: Array, at: int, tape: Tape, n: int) -> int:
    """Write down a whole number of more than 32 bits: digits of 15 bits, as many as marshal says, negative or not."""
    size = _int32(data, at)
    digits = abs(size)
    if digits > 4:
        return UNSURE
    found = np.int64(0)
    for i in range(digits):
        digit = np.int64(data[at + 4 + 2 * i]) | np.int64(data[at + 5 + 2 * i]) << np.int64(8)
        found |= digit << np.int64(15 * i)
    if found >= INTEGER_MAX:
        return UNSURE
    tape.row[n, 0] = INTEGER
    tape.row[n, 1] = -found if size < 0 else found
    return at + 4 + 2 * digits


@kernel
def _int32(data: Array, at: int) -> int:
    found = np.int64(data[at]) | np.int64(data[at + 1]) << np.int64(8) | np.int64(data[at + 2]) << np.int64(16)
    found |= np.int64(data[at + 3]) << np.int64(24)
    return signed(found - (np.int64(1) << np.int64(32)) if found >= np.int64(1) << np.int64(31) else found)
