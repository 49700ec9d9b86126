"""The lines of a file that were bad: how many of which kind, and where."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from ..vocabulary import Array

LINES_KEPT = 20  # line numbers kept for each kind of bad line
Place = Literal["line", "event"]


class BadLines:
    """How many lines were bad, by kind, and the numbers of the first, from 1; in Parquet lines are rows.

    Where the lines of an export are taken apart into events, each is named by its seq.
    """

    def __init__(self) -> None:
        self.place: Place = "line"  # what numbers are of that are added from now on
        self.count: Counter[str] = Counter()
        self.lines: dict[str, list[int]] = {}
        self.places: dict[str, Place] = {}  # what the numbers of each kind are of
        self.reasons: dict[str, str] = {}  # of the first line of a kind, where there is more to say than its kind

    @property
    def told(self) -> str:
        """Return how many there are of each kind, in brackets behind a sentence; nothing where there are none."""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.count.most_common())
        return f" (bad lines: {kinds})" if kinds else ""

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON tells them: how many of each kind, which are the first, and why."""
        return {"bad_lines": dict(self.count), "bad_line_numbers": self.lines, "bad_line_reasons": self.reasons}

    def add(self, kind: str, *lines: int) -> None:
        """Count lines of one kind, all that are given."""
        if lines:
            self.count[kind] += len(lines)
            kept = self.lines.setdefault(kind, [])
            self.lines[kind] = sorted([*kept, *lines])[:LINES_KEPT]
            self.places.setdefault(kind, self.place)

    def add_line(self, kind: str, line: int) -> None:
        """Count a line that cannot be decoded, so that nobody knows which events it holds."""
        self.places[kind] = "line"
        self.add(kind, line)

    def drop(self, kind: str, bad: Array, lines: Array, kept: Array) -> None:
        """Count the lines that are `bad` and still `kept`, both bool[n], and take them out of `kept`."""
        if not bad.any():
            return
        self.add(kind, *lines[bad & kept].tolist())
        kept &= ~bad
