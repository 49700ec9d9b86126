"""Decimal numbers in text, to the last bit of what `float` makes of them.

Source: Lemire 2021, "Number parsing at a gigabyte per second": a product with a power of ten to 128 bits says all 53
bits of nearly every number. Of one of which it does not, NaN is told, and Python reads it.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .words import HIGH, LOW, equal, first_byte, signed, some_bytes

DIGITS_MAX = 19  # that an unsigned number of 64 bits holds for sure
PLUS, MINUS, POINT, DIGIT, EXPONENT = (ord(letter) for letter in "+-.0e")
_POWER_MIN, _POWER_MAX = -325, 40
_ZERO, _1, _2, _3, _8, _10, _16, _32 = (np.uint64(n) for n in (0, 1, 2, 3, 8, 10, 16, 32))
_LOW = np.uint64(0xFFFFFFFF)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_100, _10_000 = np.uint64(100), np.uint64(10_000)
_PAIRS, _FOURS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
ZEROS = LOW * np.uint64(DIGIT)
_SHORT = np.uint64(0x1FF)  # bits of a product that say nothing of the first 55


def _powers() -> Array:
    """Return the first 128 bits of powers of ten, uint64[n, 2]: cut off, and those of 10^-1 to 10^-27 rounded up."""
    rows = []
    for power in range(_POWER_MIN, _POWER_MAX + 1):
        fives = 5 ** abs(power)
        size = fives.bit_length()
        if power >= 0:
            bits = fives << 128 - size if size <= 128 else fives >> size - 128
        else:
            bits = (1 << (127 if power >= -27 else 127 + size) + size) // fives + 1
            bits >>= bits.bit_length() - 128
        rows.append((bits >> 64, bits & (1 << 64) - 1))
    return np.array(rows, np.uint64)


_POWERS = _powers()
_EXACT = np.array([10.0**n for n in range(23)])


@kernel
def scaled(digits: np.uint64, power: int) -> float:
    """Return the float64 next to digits * 10^power; NaN where that is not seen at once.

    >>> float(scaled(np.uint64(31), -1)), float(scaled(np.uint64(9007199254740993), -20)) == 9007199254740993e-20
    (3.1, True)
    """
    if digits <= np.uint64(1 << 53) and -22 <= power <= 22:
        return digits / _EXACT[-power] if power < 0 else digits * _EXACT[power]
    return _scaled_by_bits(digits, power)


@routine
def _scaled_by_bits(digits: np.uint64, power: int) -> float:
    """Return the same by a product of 128 bits."""
    if digits == _ZERO:
        return 0.0
    if power < _POWER_MIN or power > _POWER_MAX:
        return math.nan
    zeros = 0
    while digits < np.uint64(1 << 63):
        digits <<= _1
        zeros += 1
    row = power - _POWER_MIN
    upper, lower = _product(digits, _POWERS[row, 0])
    if upper & _SHORT == _SHORT:
        second, _ = _product(digits, _POWERS[row, 1])
        lower = lower + second
        if second > lower:
            upper = upper + _1
    if lower == _ALL and not -27 <= power <= 55:
        return math.nan
    top = upper >> np.uint64(63)
    shift = top + np.uint64(9)
    mantissa = upper >> shift
    exponent = ((217706 * power) >> 16) + 63 + signed(top) - zeros + 1023
    if lower <= _1 and -4 <= power <= 23 and mantissa & _3 == _1 and mantissa << shift == upper:
        mantissa ^= _1  # half way between two: to the even one
    mantissa = (mantissa + (mantissa & _1)) >> _1
    if mantissa >= np.uint64(1 << 53):
        mantissa >>= _1
        exponent += 1
    if exponent <= 0:
        return math.nan
    bits = (np.int64(exponent) << np.int64(52)) | (np.int64(mantissa) & np.int64((1 << 52) - 1))
    return np.int64(bits).view(np.float64)


@kernel
def read_decimal(data: Array, start: int, stop: int) -> float:
    """Return the number that bytes `start` to `stop` are, with sign, point and exponent; NaN where that is not sure."""
    value = _read_short(data, start, stop)
    return value if value >= 0.0 else _read_any(data, start, stop)


@kernel
def _read_short(data: Array, start: int, stop: int) -> float:
    """Return what `of_letters` does of the bytes `start` to `stop`, if they are not too many."""
    n = stop - start
    if n < 1 or n > 8:
        return -1.0
    word = some_bytes(data, start, n)
    point = equal(word, POINT)
    return of_letters(word, n, first_byte(point) if point != _ZERO else n)


@kernel
def of_letters(word: np.uint64, n: int, point: int) -> float:
    """Return the number of n letters, 1 to 8, the first one lowest, of which one may be a point; -1 of what is none.

    `point` is its place, n without one. Source: Lemire, "Quickly parsing eight digits", 2018.
    """
    if point < n:
        before = (_1 << np.uint64(8 * point)) - _1
        word = (word & before) | (word >> _8 & ~before)
        n -= 1
        if n == 0:
            return -1.0
    empty = np.uint64(64 - 8 * n)
    digits = (word << empty) ^ (ZEROS << empty)  # of each letter, the first one lowest; nothing below them
    if no_digits(digits) != _ZERO:
        return -1.0
    pairs = (digits * _10 + (digits >> _8)) & _PAIRS
    fours = (pairs * _100 + (pairs >> _16)) & _FOURS
    whole = (fours * _10_000 + (fours >> _32)) & _LOW
    return np.float64(whole) / _EXACT[n - point]


@kernel
def no_digits(word: np.uint64) -> np.uint64:
    """Return flags of the bytes that are more than 9: the first flag is right."""
    return (word | (word + LOW * np.uint64(118))) & HIGH


@routine
def _read_any(data: Array, start: int, stop: int) -> float:
    """Return the same of any length and form."""
    at, negative = start, False
    if at < stop and (data[at] == PLUS or data[at] == MINUS):
        negative = data[at] == MINUS
        at += 1
    digits, n_digits, n_read, power, behind = _ZERO, 0, 0, 0, False
    while at < stop:
        letter = data[at]
        if letter == POINT and not behind:
            behind = True
        elif DIGIT <= letter <= DIGIT + 9:
            n_read += 1
            power -= behind
            digits = digits * _10 + np.uint64(letter - DIGIT)
            n_digits += digits != _ZERO
        else:
            break
        at += 1
    if n_read == 0 or n_digits > DIGITS_MAX:
        return math.nan
    if at < stop:
        if data[at] | 32 != EXPONENT or at + 1 >= stop:
            return math.nan
        at += 1
        back = data[at] == MINUS
        at += data[at] == PLUS or data[at] == MINUS
        exponent = 0
        if at >= stop or stop - at > 4:
            return math.nan
        while at < stop:
            if not DIGIT <= data[at] <= DIGIT + 9:
                return math.nan
            exponent = exponent * 10 + signed(data[at]) - DIGIT
            at += 1
        power += -exponent if back else exponent
    value = scaled(digits, power)
    return -value if negative else value


@kernel
def _product(one: np.uint64, other: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the upper and the lower 64 bits of a product."""
    a, b = one >> _32, one & _LOW
    c, d = other >> _32, other & _LOW
    low = b * d
    middle = a * d + (low >> _32)
    other_middle = b * c + (middle & _LOW)
    return a * c + (middle >> _32) + (other_middle >> _32), (other_middle << _32) | (low & _LOW)
