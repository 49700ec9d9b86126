"""Events that wait in a temporary file: until their problem is known, or until their rewards came.

Some formats say only at their end how many actions there are; others have one line for a decision and its reward, which
may come long after it.
"""

from __future__ import annotations

import math
import tempfile
from array import array
from collections.abc import Iterator

import msgspec

from ..vocabulary import BESIDE, LEARN
from .records import Event

_LENGTH = 8  # bytes before each event


class Spool:
    """Events in their order, on disk as long as anybody may ask for them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the events
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Event)

    def append(self, event: Event) -> None:
        """Add an event behind those that are there."""
        packed = self._encoder.encode(event)
        self._file.write(len(packed).to_bytes(_LENGTH, "little"))
        self._file.write(packed)

    def __iter__(self) -> Iterator[Event]:
        """Yield the events, once all of them are there."""
        self._file.seek(0)
        while length := self._file.read(_LENGTH):
            yield self._decoder.decode(self._file.read(int.from_bytes(length, "little")))

    def __del__(self) -> None:
        self._file.close()


class Joined:
    """Decisions, each with the sum of its rewards, however late these come; one float of each is kept in memory."""

    def __init__(self) -> None:
        self._decisions = Spool()
        self._reward = array("d")  # by the number of the decision, NaN before the first reward

    def append(self, event: Event) -> None:
        """Take a decision or a reward; what is neither tells nothing here."""
        if event.kind in BESIDE:
            return
        assert event.number is not None
        while len(self._reward) <= event.number:
            self._reward.append(math.nan)
        if event.kind == LEARN:
            assert event.reward is not None
            before = self._reward[event.number]
            self._reward[event.number] = event.reward + (0.0 if math.isnan(before) else before)
        else:
            self._decisions.append(event)

    def __iter__(self) -> Iterator[tuple[Event, float | None]]:
        """Yield each decision and its reward, None where there was none, in the order of the decisions."""
        for event in self._decisions:
            reward = self._reward[event.number or 0]
            yield event, None if math.isnan(reward) else reward
