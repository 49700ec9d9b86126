"""Letters in bytes: which are of UTF-8, and at which `str.split` splits."""

from __future__ import annotations

from ..kernel import kernel, routine
from ..vocabulary import Array


@kernel
def is_blank(letter: int) -> bool:
    """Tell whether `str.split` splits at a letter of ASCII."""
    return letter == 32 or 9 <= letter <= 13 or 28 <= letter <= 31


@kernel
def may_be_blank(data: Array, at: int, stop: int) -> bool:
    """Tell whether a letter that is not of ASCII may begin here at which `str.split` splits: U+0085 up to U+3000."""
    lead = data[at]
    if lead < 0xC2 or lead > 0xE3:
        return False
    if at + 1 >= stop:
        return True
    then = data[at + 1]
    return (
        (lead == 0xC2 and (then == 0x85 or then == 0xA0))
        or (lead == 0xE1 and then == 0x9A)
        or (lead == 0xE2 and (then == 0x80 or then == 0x81))
        or (lead == 0xE3 and then == 0x80)
    )


@routine
def is_utf8(data: Array, start: int, stop: int) -> bool:
    """Tell whether bytes are UTF-8, as Python reads it: no surrogates, nothing longer than it has to be."""
    at = start
    while at < stop:
        lead = data[at]
        if lead < 0x80:
            at += 1
            continue
        if lead < 0xC2 or lead > 0xF4:
            return False
        size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        if at + size > stop:
            return False
        low, high = 0x80, 0xBF
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
        elif lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
        if not low <= data[at + 1] <= high:
            return False
        for i in range(2, size):
            if data[at + i] & 0xC0 != 0x80:
                return False
        at += size
    return True
