"""Many events of a log at once, from bytes to features by compiled code; what is not sure is for Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..compiled.binding import Bound
from ..compiled.entries import without_jit
from ..compiled.waiting import WAITING
from ..kernel import Loop
from ..vocabulary import Array, Features
from .cells import Wanted
from .desk import Room, bytes_of, empty_room
from .names import empty_names
from .vw_lines import BEHIND, FIRST, LINE, N_BYTES, N_LINES, SIZE, STARTS, SURE

PLAIN_MAX = 1 << 20  # bytes that are read in Python, which takes a second, before it is worth to wait for compiled code
EVENTS, FEATURES, ACTIONS = 2_000, 1 << 18, 1 << 12  # that are read at once, at most


class Stretch(NamedTuple):
    """Events that came one behind the other."""

    event: Array  # int64[n, 7], as in `vw_lines.Runs`
    label: Array  # float64[n, m]
    context: Features  # of n rows


class Unsure(NamedTuple):
    """The lines of an event that is to be read in Python."""

    text: bytes
    line: int  # the number of the first one, from 1


class Pages:
    """Reads blocks of a log that hold whole events, by a loop such as `read_runs` and its room."""

    def __init__(self, read: Loop, events: Any, wanted: Bound[Wanted]) -> None:
        room: Room = empty_room(empty_names(), FEATURES, ACTIONS)
        self._slots, self._events = room.slots, events
        self._arguments = Bound(room), wanted
        self._bound = Bound(events)
        self._entry = read.entry(*self._arguments, bytes_of(b""), self._bound)
        self._plain = 0  # bytes that were not read by compiled code

    def can_read(self, block: bytes) -> bool:
        """Tell whether there is compiled code for a block; wait for it where much is read without."""
        if without_jit():
            return False
        self._plain += len(block)
        if not self._entry.compiled and self._plain > PLAIN_MAX:
            WAITING.tell(self._entry.name)
            self._entry.wait()
        return self._entry.compiled

    @property
    def lines(self) -> int:
        """How many lines of the log were read."""
        return int(self._events.done[N_LINES])

    def read(self, block: bytes, line: int) -> Iterator[Stretch | Unsure]:
        """Yield the events of a block, before which so many lines lie, in their order."""
        done = self._events.done
        done[N_BYTES], done[N_LINES] = 0, line
        data = bytes_of(block)
        while n := self._entry.call(*self._arguments, data, self._bound):
            event = self._events.event
            begin = 0
            for at in [*np.flatnonzero(event[:n, SURE] == 0).tolist(), n]:
                if at > begin:
                    yield self._stretch(slice(begin, at))
                if at < n:
                    first, behind, number = event[at, [FIRST, BEHIND, LINE]].tolist()
                    yield Unsure(block[first:behind], number)
                begin = at + 1

    def _stretch(self, rows: slice) -> Stretch:
        event, label = self._events.event[rows].copy(), self._events.label[rows].copy()
        size, starts = event[:, SIZE, np.newaxis], event[:, STARTS, np.newaxis]
        start = self._events.start[starts + np.minimum(np.arange(size.max() + 2), size + 1)]
        first, last = start[0, 0], start[-1, -1]
        index, value = self._slots.slot[first:last].copy(), self._slots.value[first:last].copy()
        return Stretch(event, label, Features(start - first, index, value))
