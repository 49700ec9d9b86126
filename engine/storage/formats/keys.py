"""Cells by which lines of two tables find each other, however each table writes them.

A whole number is the same as 1 and as 1.0, a moment the same in any zone and of any form, without a zone in UTC; true
the same as True; and a cell that is empty, null or NaN the same as any other of these.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from ...errors import InvalidInput
from .cells import MISSING, UNKNOWN, coded, floats, moment, number_text, written

WHOLE_MAX = 2.0**53  # from here on floats leave whole numbers out
_WHOLE = re.compile(rb"(-?(?:0|[1-9]\d*))\.0+")
_DATED = re.compile(rb"\d{4}-\d\d-\d\d(?:[T ].*)?")
_TRUTHS = (b"true", b"false")


def keys_of(name: str, cells: pa.Array) -> list[bytes]:
    """Return what each of n cells of the column `name` is known by.

    Raises `InvalidInput` ("bad_key") for whole numbers that a column of floats cannot tell apart.
    """
    if pa.types.is_floating(cells.type):
        values = floats(cells)
        if (np.abs(values) >= WHOLE_MAX).any():
            raise InvalidInput(
                "bad_key",
                f"the column {name!r} has numbers from 2^53 on that are no whole numbers, as where some are missing: "
                "make them texts",
            )
        return [b"" if np.isnan(value) else number_text(value + 0.0).encode() for value in values.tolist()]
    texts, place = coded(cells)
    keys = [key_of(text) for text in texts]
    return [keys[at] for at in place.tolist()]


def key_of(text: bytes) -> bytes:
    """Return what a text is known by.

    >>> key_of(b"1.0"), key_of(b"007"), key_of(b"2026-03-01T13:00+01:00") == key_of(b"2026-03-01 12:00:00")
    (b'1', b'007', True)
    """
    text = text.strip()
    if text.lower() in UNKNOWN:
        return b""
    if text.lower() in _TRUTHS:
        return text.lower()
    if (whole := _WHOLE.fullmatch(text)) is not None:
        return whole[1]
    if _DATED.fullmatch(text) and (at := moment(text)) != MISSING:
        return written(at).encode()
    return text
