"""A state as bytes, and the digest of those bytes.

The bytes are a JSON header (class, then path, dtype and shape of every array) and the arrays, little-endian, in the
order of the fields. No pickle. Fields whose names begin with `scratch_` are working space of a kernel: they are
neither stored nor digested.

An array of more than 1 MiB says "blocks" in the header, and only what is not zero is stored of it: the number of runs
as int64, for each run its first block and its number of blocks as int64, then the bytes of all runs. A block is 4096
bytes of the array, the last one may be shorter. So a table of 2^24 slots of which few are used is a small snapshot.
Of the states of a `Bank` only those that are in use are stored, digested, counted and copied: the others are zeros.
States may be half as large as the memory: nothing but `pack` ever holds all bytes of one.

>>> from onearm.policies import catalog
>>> from onearm.engine.vocabulary import Problem
>>> policy = catalog.make("ucb1")
>>> state = policy.init(policy.params, Problem(n_arms=2))
>>> unpack(parts(state), like=state).mean
array([0., 0.])
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from .changes.bank import Bank
from .errors import Damaged
from .vocabulary import Array

MAGIC = b"onearm state 1\n"
BIG = 1 << 20  # bytes of an array that is stored whole
BLOCK = 4096  # bytes
CHUNK = 1 << 12  # blocks looked at in one go
PART = 1 << 20  # bytes
State = TypeVar("State")


def parts(state: Any) -> Iterator[bytes]:
    """Yield the bytes of a state, a NamedTuple of arrays (or of such NamedTuples), in parts of 1 to 2 MiB.

    The last one may be smaller. The state must not change until all are taken.
    """
    pieces: list[bytes | memoryview] = []
    size = 0
    for piece in _pieces(state):
        pieces.append(piece)
        size += len(piece)
        if size >= PART:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def pack(state: Any) -> bytes:
    """Return all bytes of a state as one."""
    return b"".join(parts(state))


def digest(state: Any) -> str:
    """Return the sha256 of the bytes of a state in hexadecimal."""
    found = hashlib.sha256()
    for piece in _pieces(state):
        found.update(piece)
    return found.hexdigest()


def checked(parts: Iterable[bytes], digest: str) -> Iterator[bytes]:
    """Yield the parts, and raise `Damaged` after the last where the digest of all is another."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
        yield part
    if found.hexdigest() != digest:
        raise Damaged("bad_digest", "its bytes do not have the digest on record")


def unpack(parts: Iterable[bytes], like: State) -> State:
    """Write the bytes of a state into the arrays of `like`, a fresh state of the same problem, and return it.

    Raises `Damaged` where the bytes are cut short or belong to another class or shape; `like` may then be half written.
    """
    source = _Source(parts)
    if source.take(len(MAGIC)) != MAGIC:
        raise Damaged("bad_snapshot", "these bytes are not a snapshot of a state")
    header = _header(like)
    whole = source.take(len(header)) == header
    for _, array, part in _arrays(like):
        whole = whole and _read(source, part, _is_big(array))
    if not whole or source.take(1):
        raise Damaged(
            "bad_snapshot", f"the snapshot is cut short or not of a {type(like).__qualname__} of this problem"
        )
    return like


class _Source:
    """Bytes that come in parts."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = memoryview(b"")

    def take(self, n: int) -> bytes:
        """Return the next n bytes; fewer where there are no more."""
        room = np.zeros(n, np.uint8)
        return room[: self.fill(room)].tobytes()

    def fill(self, room: Array) -> int:
        """Write the next bytes into uint8[n]; return how many, fewer than n where there are no more."""
        done = 0
        while done < len(room) and (self._rest or self._next()):
            piece = self._rest[: len(room) - done]
            room[done : done + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            done += len(piece)
        return done

    def _next(self) -> bool:
        self._rest = memoryview(next(self._parts, b""))
        return len(self._rest) > 0


def copied(state: Any) -> Any:
    """Return a state with arrays of its own."""
    if isinstance(state, Bank):
        return Bank(state.used.copy(), _copied_rows(state.rows, int(state.used[0])))
    return type(state)(*(copied(value) if isinstance(value, tuple) else value.copy() for value in state))


def _copied_rows(states: Any, used: int) -> Any:
    parts = []
    for name, value in zip(states._fields, states, strict=True):
        if isinstance(value, tuple):
            parts.append(copied(value) if name.startswith("scratch_") else _copied_rows(value, used))
        elif name.startswith("scratch_"):
            parts.append(value.copy())
        else:
            parts.append(np.zeros_like(value))
            parts[-1][:used] = value[:used]
    return type(states)(*parts)


def size(state: Any, rows: int | None = None) -> int:
    """Return how many bytes the arrays of a state take in memory, working space included.

    Of stacked states the first `rows` are counted, and the working space of all.
    """
    if isinstance(state, Bank):
        return int(state.used.nbytes + size(state.rows, int(state.used[0])))
    total = 0
    for name, value in zip(state._fields, state, strict=True):
        counted = None if name.startswith("scratch_") else rows
        total += size(value, counted) if isinstance(value, tuple) else value[:counted].nbytes
    return total


def fields_named(name: str, state: Any) -> Iterator[Array]:
    """Yield the arrays of a name, wherever they stand in a state."""
    for field, value in zip(state._fields, state, strict=True):
        if isinstance(value, tuple):
            yield from fields_named(name, value)
        elif field == name:
            yield value


def _pieces(state: Any) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a state in pieces of at most 1 MiB; big arrays are not copied."""
    yield MAGIC + _header(state)
    for _, array, part in _arrays(state):
        stored = part.astype(_little(array), copy=False)
        if not _is_big(array):
            yield stored.tobytes()
            continue
        flat = _bytes_of(np.ascontiguousarray(stored))
        runs = _runs(flat)
        yield np.array([len(runs), *runs.ravel()], "<i8").tobytes()
        for first, count in runs.tolist():
            run = flat[first * BLOCK : (first + count) * BLOCK]
            for start in range(0, len(run), PART):
                yield run[start : start + PART].data


def _read(source: _Source, array: Array, in_blocks: bool) -> bool:
    """Write the next bytes into an array; return whether they make sense."""
    plain = array
    if not array.flags.c_contiguous or array.dtype != _little(array):
        plain = np.zeros(array.shape, _little(array))
    flat = _bytes_of(plain)
    whole = _read_blocks(source, flat) if in_blocks else source.fill(flat) == len(flat)
    if plain is not array:
        array[...] = plain
    return whole


def _read_blocks(source: _Source, flat: Array) -> bool:
    """Write the next runs into the bytes of a big array, 0 where there are none; return whether they make sense."""
    blocks = -(-len(flat) // BLOCK)
    n_runs = int.from_bytes(source.take(8), "little")
    if n_runs > blocks:
        return False
    numbers = np.frombuffer(source.take(16 * n_runs), np.uint8)
    if len(numbers) != 16 * n_runs:
        return False
    runs = numbers.view("<i8").reshape(-1, 2)
    first, count = runs.T
    apart = first[1:] > first[:-1] + count[:-1]
    if n_runs and (first[0] < 0 or not apart.all() or not ((count > 0) & (count <= blocks - first)).all()):
        return False
    for place, n in _runs(flat).tolist():
        flat[place * BLOCK : (place + n) * BLOCK] = 0
    return all(source.fill(run := flat[place * BLOCK : (place + n) * BLOCK]) == len(run) for place, n in runs.tolist())


def _runs(flat: Array) -> Array:
    """Return the first block and the number of blocks of each run of blocks that are not zero, int64[n, 2]."""
    whole = len(flat) // BLOCK
    words = flat[: whole * BLOCK].view(np.uint64).reshape(whole, BLOCK // 8)
    rest = flat[whole * BLOCK :].any()
    used = [words[first : first + CHUNK].any(axis=1) for first in range(0, whole, CHUNK)]
    between = np.concatenate([np.array([False]), *used, np.array([rest, False])])
    edges = np.flatnonzero(np.diff(between.astype(np.int8)))
    first, stop = edges.reshape(-1, 2).T
    return np.stack([first, stop - first], axis=1)


def _bytes_of(array: Array) -> Array:
    """Return the bytes of a contiguous array as a view, uint8[n]."""
    return array.reshape(-1).view(np.uint8)


def _little(array: Array) -> np.dtype[Any]:
    return array.dtype.newbyteorder("<")


def _header(state: Any) -> bytes:
    """Return the length of the header and the header."""
    arrays: list[list[Any]] = []
    for path, array, _ in _arrays(state):
        blocks = ["blocks"] if _is_big(array) else []
        arrays.append([path, _little(array).str, list(array.shape), *blocks])
    text = json.dumps({"class": type(state).__qualname__, "arrays": arrays}).encode()
    return len(text).to_bytes(8, "little") + text


def _is_big(array: Array) -> bool:
    """Tell whether an array is stored as blocks."""
    return array.nbytes > BIG


def _arrays(state: Any, path: str = "", rows: Array | None = None) -> Iterator[tuple[str, Array, Array]]:
    """Yield path, array and the part of it that is stored: of stacked states the first `rows`, int64[1].

    That number is read before them, and so it is that of a snapshot once it comes to them.
    """
    if isinstance(state, Bank):
        yield f"{path}used", state.used, state.used
        path, state, rows = f"{path}rows.", state.rows, state.used
    for name, value in zip(state._fields, state, strict=True):
        if name.startswith("scratch_"):
            continue
        if isinstance(value, tuple):
            yield from _arrays(value, f"{path}{name}.", rows)
        else:
            yield f"{path}{name}", value, value if rows is None else value[: rows[0]]
