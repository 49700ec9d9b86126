"""Tuners and streams as bytes: a digest of all that follows, a JSON head, and a body; and checks of what is read.

The digest finds bytes that were damaged. It is no signature: who can write the bytes can write a digest that fits them.
So whatever indexes memory is checked as well; but a policy's own arrays only by shape, and what they say is believed.
Load what you trust.
"""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from typing import Any

from ..engine.errors import Damaged, InvalidInput
from ..engine.problem import FLOAT_MAX

DIGEST, LENGTH = 32, 8  # bytes: sha256; of the head, little-endian
COUNT_MAX = 2**53


def pack(what: str, head: dict[str, Any], body: bytes) -> bytes:
    """Return the bytes of a head and a body; `what` they are stands in front.

    >>> unpack("tuner", pack("tuner", {"rounds": 3}, b"state"))
    ({'rounds': 3}, b'state')
    """
    text = json.dumps(head).encode()
    rest = len(text).to_bytes(LENGTH, "little") + text + body
    return _magic(what) + hashlib.sha256(rest).digest() + rest


def unpack(what: str, data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the head and the body, or raise `Damaged` where a bit is not as it was written."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidInput(
            f"bad_{what}", f"a {type(data).__name__} is no saved {what}: give the bytes that `save` made"
        )
    data = bytes(data)
    magic = _magic(what)
    start = len(magic) + DIGEST
    rest = data[start:]
    if not data.startswith(magic) or data[len(magic) : start] != hashlib.sha256(rest).digest():
        raise Damaged(f"bad_{what}", f"these bytes are no saved {what}, or not all of it: load them anew")
    stop = LENGTH + int.from_bytes(rest[:LENGTH], "little")
    try:
        head = json.loads(rest[LENGTH:stop])
    except (ValueError, RecursionError):
        raise unsaved("head", "what is no JSON") from None
    return checked_table("head", head), rest[stop:]


def unsaved(name: str, seen: Any) -> Damaged:
    """Return the error for a part of the head that no `save` wrote."""
    said = seen if isinstance(seen, str) else reprlib.repr(seen)
    return Damaged("bad_saved", f"{name} is {said} in these bytes, which `save` cannot have written: load others")


def checked_table(name: str, value: Any) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise unsaved(name, value)
    return value


def checked_list(name: str, value: Any, length: int, *, at_most: bool = False) -> list[Any]:
    """Return a list of so many entries, or of at most so many."""
    if not isinstance(value, list) or len(value) > length or (len(value) < length and not at_most):
        raise unsaved(name, value)
    return value


def checked_whole(name: str, value: Any, *, low: int = 0, high: int = COUNT_MAX) -> int:
    """Return a whole number within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise unsaved(name, value)
    return value


def checked_number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number within [low, high]."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= FLOAT_MAX
    if not number or not low <= value <= high:
        raise unsaved(name, value)
    return float(value)


def checked_truth(name: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise unsaved(name, value)
    return value


def _magic(what: str) -> bytes:
    return f"onearm {what} 1\n".encode()
