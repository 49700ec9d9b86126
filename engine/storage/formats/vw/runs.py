"""Events of Vowpal Wabbit's text with the slots of their features, many at once by compiled code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ....compiled.binding import Bound
from ....compiled.waiting import WAITING
from ....features import Encoder
from ....featuriser.door import Room, bytes_of, empty_room
from ....featuriser.names import empty_names
from ....featuriser.vw_lines import (
    ACTION,
    BEHIND,
    FIRST,
    LINE,
    N_BYTES,
    N_FEATURES,
    N_LINES,
    N_STARTS,
    SIZE,
    STARTS,
    SURE,
    empty_runs,
    read_runs,
)
from ....vocabulary import Array, Features
from .labels import Text

INTERPRETED_S = 1.0  # of reading in Python, before it is worth to wait for compiled code
EVENTS, FEATURES, ACTIONS = 2_000, 1 << 18, 1 << 12  # that are read at once, at most


class Part(NamedTuple):
    """Events that came one behind the other, as arrays of n."""

    number: Array  # int64[n], of the first line
    action: Array
    propensity: Array
    reward: Array
    size: Array  # int64[n], how many actions there are
    context: Features  # of n rows


class RunReader:
    """Reads pieces of a log that end with an event."""

    def __init__(self, encoder: Encoder, events: int = EVENTS) -> None:
        self._names = empty_names()
        room: Room = empty_room(self._names, FEATURES, ACTIONS)
        self._slots, self._runs = room.slots, empty_runs(min(events, EVENTS))
        self._room, self._bound = Bound(room), Bound(self._runs)
        self._wanted = encoder.slots_wanted
        self._entry = read_runs.entry(self._room, self._wanted, bytes_of(b""), self._bound)
        self._until = time.perf_counter() + INTERPRETED_S

    def is_ready(self) -> bool:
        """Tell whether there is compiled code; wait for it where much was read without."""
        if not self._entry.compiled and time.perf_counter() > self._until:
            WAITING.tell(self._entry.name)
            self._entry.wait()
        return self._entry.compiled

    def read(self, piece: bytes, line: int) -> Iterator[Part | Text]:
        """Yield the events of a piece, which begins behind so many lines: as they are, or their lines where not sure."""
        done = self._runs.done
        done[N_BYTES], done[N_LINES] = 0, line
        data = bytes_of(piece)
        while n := self._entry.call(self._room, self._wanted, data, self._bound):
            event = self._runs.event[:n]
            unsure = np.flatnonzero(event[:, SURE] == 0)
            begin = 0
            for at in [*unsure.tolist(), n]:
                if at > begin:
                    yield self._part(slice(begin, at))
                if at < n:
                    first, behind = event[at, [FIRST, BEHIND]].tolist()
                    lines = [text.rstrip(b"\r") for text in piece[first:behind].removesuffix(b"\n").split(b"\n")]
                    yield Text(int(event[at, LINE]), lines)
                begin = at + 1

    def _part(self, rows: slice) -> Part:
        """Return events that are sure."""
        event, label, flat = self._runs.event[rows].copy(), self._runs.label[rows].copy(), self._runs.start
        size = event[:, SIZE]
        place = event[:, STARTS, np.newaxis] + np.minimum(np.arange(size.max() + 2), size[:, np.newaxis] + 1)
        start = flat[place]
        first, last = start[0, 0], start[-1, -1]
        index, value = self._slots.index[first:last].copy(), self._slots.value[first:last].copy()
        context = Features(start - first, index, value)
        return Part(event[:, LINE], event[:, ACTION], label[:, 1], label[:, 0], size, context)
