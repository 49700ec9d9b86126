"""A state as bytes, and the digest of those bytes.

The bytes are a JSON header (class, then path, dtype and shape of every array) and the arrays, little-endian, in the
order of the fields. No pickle. Fields whose names begin with `scratch_` are working space of a kernel: they are
neither stored nor digested.

An array of more than 1 MiB says "blocks" in the header, and only what is not zero is stored of it: the number of runs
as int64, for each run its first block and its number of blocks as int64, then the bytes of all runs. A block is 4096
bytes of the array, the last one may be shorter. So a table of 2^24 slots of which few are used is a small snapshot,
and a digest reads it without a copy.

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
BIG = 1 << 20  # bytes of an array that is stored whole
BLOCK = 4096  # bytes
CHUNK = 1 << 12  # blocks looked at in one go
State = TypeVar("State")


def pack(state: Any) -> bytes:
    """Return the bytes of a state, a NamedTuple of arrays (or of such NamedTuples)."""
    return b"".join(_parts(state))


def unpack(data: bytes, like: State) -> State:
    """Write the bytes of a state into the arrays of `like`, a fresh state of the same problem, and return it.

    Raises `Damaged` where the bytes are cut short or belong to another class or shape; `like` may then be half written.
    """
    start = len(MAGIC) + 8
    if not data.startswith(MAGIC) or len(data) < start:
        raise Damaged("bad_snapshot", "these bytes are not a snapshot of a state")
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    whole = data[start:end] == _header(like)
    for _, array in _arrays(like):
        if whole and array.nbytes > BIG:
            end = _read_blocks(data, end, array)
            whole = end > 0
        elif whole and end + array.nbytes <= len(data):
            array[...] = np.frombuffer(data, _little(array), array.size, end).reshape(array.shape)
            end += array.nbytes
        else:
            whole = False
    if not whole or end != len(data):
        raise Damaged(
            "bad_snapshot", f"the snapshot is cut short or not of a {type(like).__qualname__} of this problem"
        )
    return like


def digest(state: Any) -> str:
    """Return the sha256 of `pack(state)` in hexadecimal."""
    found = hashlib.sha256()
    for part in _parts(state):
        found.update(part)
    return found.hexdigest()


def digest_of(data: bytes) -> str:
    """Return the sha256 of a packed state in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _parts(state: Any) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a state piece by piece; big arrays are not copied."""
    text = _header(state)
    yield MAGIC + len(text).to_bytes(8, "little") + text
    for _, array in _arrays(state):
        stored = array.astype(_little(array), copy=False)
        if array.nbytes <= BIG:
            yield stored.tobytes()
            continue
        flat = _bytes_of(np.ascontiguousarray(stored))
        runs = _runs(flat)
        yield np.array([len(runs), *runs.ravel()], "<i8").tobytes()
        for first, count in runs.tolist():
            yield flat[first * BLOCK : (first + count) * BLOCK].data


def _read_blocks(data: bytes, start: int, array: Array) -> int:
    """Write the runs at `start` of `data` into a big array; return where they end, 0 where they make no sense."""
    n_runs = int.from_bytes(data[start : start + 8], "little")
    blocks = -(-array.nbytes // BLOCK)
    end = start + 8 + 16 * n_runs
    if n_runs > blocks or end > len(data):
        return 0
    runs = np.frombuffer(data, "<i8", 2 * n_runs, start + 8).reshape(-1, 2)
    first, count = runs.T
    apart = first[1:] > first[:-1] + count[:-1]
    if n_runs and (first[0] < 0 or not apart.all() or not ((count > 0) & (count <= blocks - first)).all()):
        return 0
    plain = (
        array if array.flags.c_contiguous and array.dtype == _little(array) else np.zeros(array.shape, _little(array))
    )
    flat = _bytes_of(plain)
    for place, n in _runs(flat).tolist():
        flat[place * BLOCK : (place + n) * BLOCK] = 0
    for place, n in runs.tolist():
        part = flat[place * BLOCK : (place + n) * BLOCK]
        if end + len(part) > len(data):
            return 0
        part[:] = np.frombuffer(data, np.uint8, len(part), end)
        end += len(part)
    if plain is not array:
        array[...] = plain
    return end


def _runs(flat: Array) -> Array:
    """Return the first block and the number of blocks of each run of blocks that are not zero, int64[n, 2]."""
    whole = len(flat) // BLOCK
    words = flat[: whole * BLOCK].view(np.uint64).reshape(whole, BLOCK // 8)
    rest = flat[whole * BLOCK :].any()
    used = [words[first : first + CHUNK].any(axis=1) for first in range(0, whole, CHUNK)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], *used, [rest, False]]).astype(np.int8)))
    first, stop = edges.reshape(-1, 2).T
    return np.stack([first, stop - first], axis=1)


def _bytes_of(array: Array) -> Array:
    """Return the bytes of a contiguous array as a view, uint8[n]."""
    return array.reshape(-1).view(np.uint8)


def _little(array: Array) -> np.dtype[Any]:
    return array.dtype.newbyteorder("<")


def _header(state: Any) -> bytes:
    arrays: list[list[Any]] = []
    for path, array in _arrays(state):
        blocks = ["blocks"] if array.nbytes > BIG else []
        arrays.append([path, _little(array).str, list(array.shape), *blocks])
    return json.dumps({"class": type(state).__qualname__, "arrays": arrays}).encode()


def _arrays(state: Any, path: str = "") -> Iterator[tuple[str, Array]]:
    for name, value in zip(state._fields, state, strict=True):
        if name.startswith("scratch_"):
            continue
        if isinstance(value, tuple):
            yield from _arrays(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
