"""A state as bytes, and the digest of those bytes.

The bytes are a JSON header (class, then path, dtype and shape of every array) and the arrays, little-endian, in the
order of the fields. No pickle. Fields whose names begin with `scratch_` are working space of a kernel: they are
neither stored nor digested.

>>> from onearm.policies import catalog
>>> from onearm.engine.vocabulary import Problem
>>> policy = catalog.make("ucb1")
>>> state = policy.init(policy.params, Problem(n_arms=2))
>>> unpack(pack(state), like=state).mean
array([0., 0.])
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from onearm.engine.errors import Damaged
from onearm.engine.vocabulary import Array

MAGIC = b"onearm state 1\n"
State = TypeVar("State")


def pack(state: Any) -> bytes:
    """Return the bytes of a state, a NamedTuple of arrays (or of such NamedTuples)."""
    fields = list(_arrays(state))
    text = _header(state)
    parts = [MAGIC, len(text).to_bytes(8, "little"), text]
    parts += [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for _, array in fields]
    return b"".join(parts)


def unpack(data: bytes, like: State) -> State:
    """Write the bytes of a state into the arrays of `like`, a fresh state of the same problem, and return it.

    Raises `Damaged` where the bytes are cut short or belong to another class or shape; `like` may then be half written.
    """
    start = len(MAGIC) + 8
    if not data.startswith(MAGIC) or len(data) < start:
        raise Damaged("bad_snapshot", "these bytes are not a snapshot of a state")
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    fields = list(_arrays(like))
    if len(data) != end + sum(array.nbytes for _, array in fields) or data[start:end] != _header(like):
        raise Damaged(
            "bad_snapshot", f"the snapshot is cut short or not of a {type(like).__qualname__} of this problem"
        )
    for _, array in fields:
        stored = np.frombuffer(data, array.dtype.newbyteorder("<"), array.size, end)
        array[...] = stored.reshape(array.shape)
        end += array.nbytes
    return like


def digest(state: Any) -> str:
    """Return the sha256 of `pack(state)` in hexadecimal."""
    return digest_of(pack(state))


def digest_of(data: bytes) -> str:
    """Return the sha256 of a packed state in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _header(state: Any) -> bytes:
    arrays = [[path, array.dtype.newbyteorder("<").str, list(array.shape)] for path, array in _arrays(state)]
    return json.dumps({"class": type(state).__qualname__, "arrays": arrays}).encode()


def _arrays(state: Any, path: str = "") -> Iterator[tuple[str, Array]]:
    for name, value in zip(state._fields, state, strict=True):
        if name.startswith("scratch_"):
            continue
        if isinstance(value, tuple):
            yield from _arrays(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
