"""Rows of numbers from the JSON of a decision's actions, `[{"id": "a", "features": [0.5, 1]}, ...]`.

What is not sure, or not compiled yet, is None, and Python decodes it: another key, an escape, a number of more than 18
digits or out of range, a list of another length.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..compiled.entries import without_jit
from ..kernel import Entry, kernel, loop
from ..vocabulary import Array
from .decimals import DIGIT, MINUS, PLUS, POINT, scaled
from .desk import bytes_of
from .json_text import (
    CLOSE,
    CLOSE_LIST,
    COLON,
    COMMA,
    DIGITS_MAX,
    ESCAPE,
    EXPONENT,
    MARK,
    OPEN,
    OPEN_LIST,
    behind_blanks,
)
from .tape import UNSURE

ID, FEATURES = (np.frombuffer(key, np.uint8) for key in (b'"id"', b'"features"'))
EXPONENT_DIGITS_MAX = 3


@loop
def read_rows(data: Array, length: int, rows: Array) -> int:
    """Write `length` numbers of each action into float64 `rows`, one action behind the other.

    Returns how many actions there are, or UNSURE.
    """
    stop = len(data)
    at = _behind(data, 0, stop, OPEN_LIST)
    k = 0
    while at >= 0:
        at = _behind(data, at, stop, OPEN)
        if at < 0 or (k + 1) * length > len(rows):
            return UNSURE
        ids = lists = 0
        while True:
            at = behind_blanks(data, at, stop)
            if _begins(data, at, stop, ID):
                ids += 1
                at = _behind_string(data, _behind(data, at + len(ID), stop, COLON), stop)
            elif _begins(data, at, stop, FEATURES):
                lists += 1
                at = _read_list(data, _behind(data, at + len(FEATURES), stop, COLON), stop, rows, k * length, length)
            else:
                return UNSURE
            if at < 0:
                return UNSURE
            at = behind_blanks(data, at, stop)
            if at >= stop or data[at] != COMMA:
                break
            at += 1
        at = _behind(data, at, stop, CLOSE)
        if at < 0 or ids != 1 or lists != 1:
            return UNSURE
        k += 1
        at = behind_blanks(data, at, stop)
        if at >= stop or data[at] != COMMA:
            break
        at += 1
    at = _behind(data, at, stop, CLOSE_LIST)
    return k if at >= 0 and behind_blanks(data, at, stop) == stop else UNSURE


@kernel
def _behind(data: Array, at: int, stop: int, letter: int) -> int:
    """Return the place behind a letter that stands at `at`, or behind blanks; UNSURE where it is another one."""
    if at < 0:
        return UNSURE
    at = behind_blanks(data, at, stop)
    return at + 1 if at < stop and data[at] == letter else UNSURE


@kernel
def _begins(data: Array, at: int, stop: int, key: Array) -> bool:
    if at + len(key) > stop:
        return False
    same = 0
    for i in range(len(key)):
        same += data[at + i] == key[i]
    return same == len(key)


@kernel
def _behind_string(data: Array, at: int, stop: int) -> int:
    """Return where a string of ASCII without escapes ends, or UNSURE."""
    at = _behind(data, at, stop, MARK)
    while 0 <= at < stop:
        letter = data[at]
        if letter == MARK:
            return at + 1
        if letter < 32 or letter >= 127 or letter == ESCAPE:
            return UNSURE
        at += 1
    return UNSURE


@kernel
def _read_list(data: Array, at: int, stop: int, rows: Array, start: int, length: int) -> int:
    """Write a list of so many numbers to where it starts in `rows`; return where it ends, or UNSURE."""
    at = _behind(data, at, stop, OPEN_LIST)
    for j in range(length):
        if j > 0:
            at = _behind(data, at, stop, COMMA)
        if at < 0:
            return UNSURE
        at = behind_blanks(data, at, stop)
        number, at = _read_number(data, at, stop)
        if at < 0 or not math.isfinite(number):
            return UNSURE
        rows[start + j] = number
    return _behind(data, at, stop, CLOSE_LIST)


@kernel
def _read_number(data: Array, at: int, stop: int) -> tuple[float, int]:
    """Return a number as JSON has them, and where it ends, or UNSURE."""
    negative = at < stop and data[at] == MINUS
    first = at + negative
    found, at = _read_digits(data, first, stop, 0)
    size, power = at - first, 0
    if size == 0 or (size > 1 and data[first] == DIGIT):
        return 0.0, UNSURE
    if at < stop and data[at] == POINT:
        found, behind = _read_digits(data, at + 1, stop, found)
        power = at + 1 - behind
        size -= power
        at = behind
        if power == 0:
            return 0.0, UNSURE
    elif not (at < stop and data[at] | 32 == EXPONENT):
        return (np.float64(-found if negative else found), at) if size <= DIGITS_MAX else (0.0, UNSURE)
    if at < stop and data[at] | 32 == EXPONENT:
        back = at + 1 < stop and data[at + 1] == MINUS
        first = at + 1 + (at + 1 < stop and (back or data[at + 1] == PLUS))
        exponent, at = _read_digits(data, first, stop, 0)
        if not 0 < at - first <= EXPONENT_DIGITS_MAX:
            return 0.0, UNSURE
        power += -exponent if back else exponent
    number = scaled(np.uint64(found), power) if size <= DIGITS_MAX else math.nan
    return (-number if negative else number), at


@kernel
def _read_digits(data: Array, at: int, stop: int, found: int) -> tuple[int, int]:
    """Return a number with the digits from `at` on behind those it has, and where they end."""
    while at < stop and DIGIT <= data[at] <= DIGIT + 9:
        found = 10 * found + (data[at] - DIGIT)
        at += 1
    return found, at


@cache
def entry() -> Entry:
    """Return what is called."""
    return read_rows.entry(bytes_of(b""), 0, np.zeros(0))


def rows_of(actions: bytes, length: int) -> Array | None:
    """Return float64[k, length], the numbers of each action of a list in JSON; None where that is not sure."""
    if without_jit() or not entry().compiled:
        return None
    rows = np.empty(len(actions) // 2)  # a number takes a digit, and what stands behind it
    k = entry().call(bytes_of(actions), length, rows)
    return None if k < 0 else rows[: k * length].reshape(k, length).copy()
