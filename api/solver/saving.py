"""Tuners as bytes: a digest of all that follows, a JSON head, and what belongs to it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from onearm.engine.errors import Damaged

DIGEST, LENGTH = 32, 8  # bytes: sha256; of the head, little-endian


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
    magic = _magic(what)
    start = len(magic) + DIGEST
    rest = data[start:]
    if not data.startswith(magic) or data[len(magic) : start] != hashlib.sha256(rest).digest():
        raise Damaged(f"bad_{what}", f"these bytes are no saved {what}, or not all of it: load them anew")
    stop = LENGTH + int.from_bytes(rest[:LENGTH], "little")
    return json.loads(rest[LENGTH:stop]), rest[stop:]


def _magic(what: str) -> bytes:
    return f"onearm {what} 1\n".encode()
