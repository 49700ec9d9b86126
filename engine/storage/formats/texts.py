"""Lines of a file as text, whatever bytes they hold, and back."""

from __future__ import annotations


def text_of(line: bytes) -> str:
    """Return a line as text that JSON can hold: where it is no UTF-8, bytes from 0x80 on become U+F780 to U+F7FF.

    >>> [hex(ord(letter)) for letter in text_of(bytes([0x63, 0xE9]))]
    ['0x63', '0xf7e9']
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = STAND_INS[0]
    if any(STAND_INS[0] <= letter <= STAND_INS[1] for letter in text):
        return line.decode("ascii", "surrogateescape").translate(_TO_PRIVATE)
    return text


def bytes_of(text: str) -> bytes:
    """Return the bytes of such a text."""
    return text.translate(_FROM_PRIVATE).encode("utf-8", "surrogateescape")


STAND_INS = "\uf780", "\uf7ff"
_TO_PRIVATE = {0xDC00 + byte: 0xF700 + byte for byte in range(128, 256)}
_FROM_PRIVATE = {there: back for back, there in _TO_PRIVATE.items()}
