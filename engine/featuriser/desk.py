"""From Python to compiled features and back. What is not sure, or not compiled yet, is None: see `features.py`."""

from __future__ import annotations

import marshal
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..compiled.binding import Bound, opened
from ..compiled.entries import without_jit
from ..kernel import Entry, kernel, loop, routine
from ..vocabulary import Array, Features
from .cells import Slots, Wanted, empty_slots
from .json_text import read_json
from .names import Names, empty_names, make_room
from .slots import fill, fill_dense
from .tape import LIST, NO_ROOM, NOTHING, UNSURE, Tape, empty_tape, read_marshalled
from .walk import FoundFeatures, behind, no_features_found, walk

VERSION = 4  # of marshal's format, which every Python writes that we run on
FEATURES, ACTIONS = 1 << 12, 64  # that there is room for in the beginning
SIZE_MAX = 1 << 20  # features; where there are more, nobody waits for the Python that reads them


class Room(NamedTuple):
    """What compiled code works in."""

    names: Names
    tape: Tape
    entries: FoundFeatures
    slots: Slots


@loop
def encode_marshalled(room: Bound[Room], wanted: Bound[Wanted], data: Array) -> int:
    """Write the features of a context and its actions into `room`; return how many there are, UNSURE, or NO_ROOM."""
    names, tape, entries, slots = opened(room)
    asked = opened(wanted)
    k = _read(names, tape, entries, asked, data)
    return _filled(names, entries, asked, slots, k)


@loop
def encode_sent(room: Bound[Room], wanted: Bound[Wanted], data: Array, split: int) -> int:
    """Write features as `encode_marshalled` does: of a marshalled context, and of actions in JSON behind `split`."""
    names, tape, entries, slots = opened(room)
    actions = read_marshalled(data, split, tape)
    if actions < 0:
        return actions
    n = read_json(data, split, len(data), tape, actions)
    if n < 0:
        return n
    make_room(names)
    entries.filled[0] = 0
    asked = opened(wanted)
    k = walk_all(tape, data, names, entries, asked, 0, actions)
    return _filled(names, entries, asked, slots, k)


@loop
def dense_marshalled(room: Bound[Room], wanted: Bound[Wanted], data: Array, rows: Array) -> int:
    """Write the rows of a context's actions, as `fill_dense` does."""
    names, tape, entries, slots = opened(room)
    asked = opened(wanted)
    k = _read(names, tape, entries, asked, data)
    if k != len(rows) - 1:
        return min(k, UNSURE)
    return fill_dense(entries, names, asked, slots, rows)


@kernel
def _filled(names: Names, entries: FoundFeatures, wanted: Wanted, slots: Slots, k: int) -> int:
    """Make slots of the entries of `k` actions; return how many there are, or what `k` says that was not read."""
    if k < 0:
        return k
    if k + 2 > len(slots.start):
        return NO_ROOM
    return fill(entries, names, wanted, slots, k, 0)


@kernel
def _read(names: Names, tape: Tape, entries: FoundFeatures, wanted: Wanted, data: Array) -> int:
    """Find the entries of a pair of a context and a list of actions; return how many actions there are, or UNSURE."""
    n = read_marshalled(data, len(data), tape)
    if n < 0:
        return n
    make_room(names)
    entries.filled[0] = 0
    return walk_all(tape, data, names, entries, wanted, 1, behind(tape, 1))


@routine
def walk_all(
    tape: Tape, data: Array, names: Names, entries: FoundFeatures, wanted: Wanted, context: int, actions: int
) -> int:
    """Find the features of the rows `context` and `actions` of a tape, an object or null and a list of objects.

    Returns how many actions there are, UNSURE, or NO_ROOM.
    """
    if tape.row[context, 0] != NOTHING or not tape.row[context, 1]:
        status = walk(tape, data, names, entries, wanted, context, 0)
        if status < 0:
            return status
    at = actions
    if tape.row[at, 0] != LIST:
        return UNSURE
    end = tape.row[at, 1]
    at += 1
    k = 0
    while at < end:
        status = walk(tape, data, names, entries, wanted, at, k + 1)
        if status < 0:
            return status
        at = behind(tape, at)
        k += 1
    entries.filled[1] = k
    return k if k > 0 else UNSURE


def empty_room(names: Names, n: int, k: int) -> Room:
    """Return room for n features of k actions."""
    return Room(names, empty_tape(n), no_features_found(n), empty_slots(k, n))


class Desk:
    """The room of one thread, and the compiled code for it."""

    def __init__(self) -> None:
        self.plain: dict[tuple[str, str], int] = {}  # the memo of the plain path: numbers by namespace and name
        self._names = empty_names()
        self._grow(FEATURES, ACTIONS)

    def _grow(self, n: int, k: int) -> None:
        """Have room for n features of k actions."""
        self._n, self._k = n, k
        room = empty_room(self._names, n, k)
        self._room, self._slots, self._count = Bound(room), room.slots, room.entries.filled

    @cached_property
    def _encode(self) -> Entry:
        return encode_marshalled.entry(self._room, Bound(EXAMPLE), bytes_of(b""))

    @cached_property
    def _sent(self) -> Entry:
        return encode_sent.entry(self._room, Bound(EXAMPLE), bytes_of(b""), 0)

    @cached_property
    def _dense(self) -> Entry:
        return dense_marshalled.entry(self._room, Bound(EXAMPLE), bytes_of(b""), np.zeros((2, 1)))

    def entries(self) -> tuple[Entry, Entry, Entry]:
        """Return what is called for slots of objects, of actions in JSON, and for rows."""
        return self._encode, self._sent, self._dense

    def encode(self, wanted: Bound[Wanted], shared: Any, actions: Sequence[Any]) -> Features | None:
        """Return the features of one context; None where that is not sure, or nothing is compiled yet."""
        data = _marshalled(self._encode, shared, actions)
        if data is None:
            return None
        return self._features(self._encode, wanted, data)

    def encode_sent(self, wanted: Bound[Wanted], shared: Any, actions: bytes) -> Features | None:
        """Return the features of one context whose actions are JSON; None where `encode` returns that."""
        if without_jit() or not self._sent.compiled:
            return None
        try:
            context = marshal.dumps(shared, VERSION)
        except ValueError:
            return None
        return self._features(self._sent, wanted, bytes_of(context + actions), len(context))

    def _features(self, entry: Entry, wanted: Bound[Wanted], *arguments: Any) -> Features | None:
        """Call an entry that writes slots, with the room that it needs."""
        while (n := entry.call(self._room, wanted, *arguments)) == NO_ROOM:
            if not self._has_more(wanted.value.nonzeros):
                return None
        if n < 0:
            return None
        slots, k = self._slots, int(self._count[1])
        return Features(slots.start[: k + 2].copy(), slots.slot[:n].copy(), slots.value[:n].copy())

    def dense(self, wanted: Bound[Wanted], shared: Any, actions: Sequence[Any]) -> Array | None:
        """Return float64[k, columns], or None."""
        data = _marshalled(self._dense, shared, actions)
        if data is None:
            return None
        while True:
            rows = np.zeros((len(actions) + 1, wanted.value.columns))
            status = self._dense.call(self._room, wanted, data, rows)
            if status != NO_ROOM:
                return None if status < 0 else rows[:-1]
            if not self._has_more(wanted.value.nonzeros):
                return None

    def _has_more(self, nonzeros: int) -> bool:
        """Have four times the room, where that may be of use."""
        if self._n > 4 * nonzeros or self._n > SIZE_MAX:
            return False
        self._grow(4 * self._n, 4 * self._k)
        return True


_THREADS = threading.local()


def desk() -> Desk:
    """Return the desk of this thread."""
    try:
        found: Desk = _THREADS.desk
    except AttributeError:
        found = _THREADS.desk = Desk()
    return found


def wanted(
    bits: int,
    columns: int,
    nonzeros: int,
    interactions: Sequence[tuple[str, ...]] | None,
    lower: bool = False,
    ngrams: int = 1,
) -> Bound[Wanted]:
    """Return what an encoder is to make, for compiled code."""
    parts = [space.encode("utf-8", "surrogatepass") for spaces in interactions or () for space in spaces]
    bounds, counts = (
        np.cumsum([0, *map(len, parts)]),
        np.array([len(spaces) for spaces in interactions or ()], np.int64),
    )
    spaces = np.frombuffer(bytearray(b"".join(parts)), np.uint8)
    return Bound(Wanted(bits, columns, nonzeros, interactions is None, spaces, bounds, counts, lower, ngrams))


def _marshalled(entry: Entry, shared: Any, actions: Any) -> Array | None:
    if without_jit() or not entry.compiled:
        return None
    try:
        return bytes_of(marshal.dumps((shared, actions), VERSION))
    except ValueError:  # a class that it does not know
        return None


def bytes_of(data: bytes) -> Array:
    """Return bytes as compiled code reads them, uint8[n]."""
    return np.frombuffer(data, np.uint8)


EXAMPLE = Wanted(1, 0, 1, True, np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.int64), False, 1)
