"""A log that has to be there as a whole before its first row is written: its events in a temporary file.

What was learned of a decision may stand anywhere behind it, and is looked up by the number of the decision. So memory
holds some MB, however long the log is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from ..errors import InvalidInput
from ..vocabulary import CORRECTED, LEARN
from .joined_form import Extent
from .records import Event

PAGE = 5000  # events
ASKED = 500  # numbers of decisions that one statement names


class WholeLog:
    """Events in the order of their seqs, on disk as long as anybody may ask for them."""

    def __init__(self, begins: int) -> None:
        self._file = sqlite3.connect("")  # a temporary file, of which nothing is left
        self._file.execute("PRAGMA journal_mode = OFF")  # nobody rolls it back
        self._file.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, learned_of INTEGER, said BLOB)")
        self._encoder, self._decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Event)
        self._begins, self._last, self._own = begins, 0, 0

    def extend(self, events: Iterator[Event]) -> None:
        """Take all events. Raises `InvalidInput` ("bad_seq") where one stands behind a greater seq, or the same."""
        self._file.executemany("INSERT INTO event VALUES (?, ?, ?)", map(self._row, events))
        self._file.execute("CREATE INDEX by_decision ON event (learned_of, seq) WHERE learned_of IS NOT NULL")

    @property
    def extent(self) -> Extent:
        """Which events these are, and how many between them are missing."""
        until = max(self._last, self._begins)
        return Extent(self._begins, until, until - self._begins - self._own)

    def pages(self) -> Iterator[list[Event]]:
        """Yield the events in pages."""
        said = self._file.execute("SELECT said FROM event ORDER BY seq")
        while page := [self._decoder.decode(one) for (one,) in islice(said, PAGE)]:
            yield page

    def learned(self, numbers: Sequence[int]) -> list[Event]:
        """Return what was learned of decisions, and corrections of it, of each in their order."""
        found: list[Event] = []
        for first in range(0, len(numbers), ASKED):
            some = numbers[first : first + ASKED]
            among = ", ".join("?" * len(some))
            said = f"SELECT said FROM event WHERE learned_of IN ({among}) ORDER BY learned_of, seq"
            found += [self._decoder.decode(one) for (one,) in self._file.execute(said, some)]
        return found

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _row(self, event: Event) -> tuple[int, int | None, bytes]:
        if event.seq <= self._last:
            raise InvalidInput(
                "bad_seq",
                f"event {event.seq} stands behind event {self._last}: a row for each decision is made of events in the "
                "order of their seqs; leave out --rows",
            )
        self._last = event.seq
        self._own += event.seq > self._begins
        return event.seq, event.number if event.kind in (LEARN, CORRECTED) else None, self._encoder.encode(event)
