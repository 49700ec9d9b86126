"""Numbers in text, as formats of logs and people write them: digits, with a sign, a point and an exponent or without.

Python's `float` and `int` read more than that: 1_0 as ten, digits of every script, words for what is no number. No
format means those, and other programs refuse them.
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DIGITS = re.compile(r"[0-9]{1,400}")  # a number of more is none that anybody means, and Python reads none of 4301


def number_in(text: str) -> float:
    """Return the number that a text is, NaN where it is none; blanks of ASCII around it do not count.

    >>> number_in("+.5e1"), number_in(" 7 "), number_in("1_0"), number_in("\\u0661"), number_in("infinity")
    (5.0, 7.0, nan, nan, nan)
    """
    said = text.strip(" \t")
    return float(said) if _NUMBER.fullmatch(said) else math.nan


def sure_number(text: str) -> float:
    """Return the number that a text is. Raises `ValueError`, which says the text, where it is none."""
    found = number_in(text)
    if math.isnan(found):
        raise ValueError(f"{text!r} is no number")
    return found


def natural_in(text: str) -> int | None:
    """Return the whole number from 0 on that a text is, None where it is none: digits, and nothing else.

    >>> natural_in("70"), natural_in("1_0"), natural_in("\\u0661"), natural_in("-1")
    (70, None, None, None)
    """
    return int(text) if _DIGITS.fullmatch(text) else None
