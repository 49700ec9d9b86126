"""A stream as bytes: a digest of all that follows, a JSON head, and the rule's state."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from onearm.engine.errors import Damaged

MAGIC = b"onearm stream 1\n"
DIGEST, LENGTH = 32, 8  # bytes: sha256; of the head, little-endian


def pack(head: dict[str, Any], state: bytes) -> bytes:
    """Return the bytes of a head and a state.

    >>> unpack(pack({"arms": 3}, b"state"))
    ({'arms': 3}, b'state')
    """
    text = json.dumps(head).encode()
    rest = len(text).to_bytes(LENGTH, "little") + text + state
    return MAGIC + hashlib.sha256(rest).digest() + rest


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the head and the state, or raise `Damaged` where a bit is not as it was written."""
    start = len(MAGIC) + DIGEST
    rest = data[start:]
    if not data.startswith(MAGIC) or data[len(MAGIC) : start] != hashlib.sha256(rest).digest():
        raise Damaged("bad_stream", "these bytes are not a stream that was saved, or not all of it: load them anew")
    stop = LENGTH + int.from_bytes(rest[:LENGTH], "little")
    return json.loads(rest[LENGTH:stop]), rest[stop:]
