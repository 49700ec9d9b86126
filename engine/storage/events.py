"""The events of a log, one after another, with all that the log says of them: what `onearm convert` carries over.

A format that can be converted from is a module of this folder with `read_events(source) -> Events`, one that can be
converted to has a class `Writer` with `write_events`. What only the format itself has a place for is carried along in
`Event.sent`, JSON text {"from": FORMAT, "line": the line as it stood there}: so a way back loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..vocabulary import Problem
from .bad_lines import BadLines
from .records import Event


@dataclass
class Events:
    """A log that is being read: `rows` are its events in their order, decisions of others being EXTERNAL."""

    problem: Problem
    rows: Iterator[Event]
    spec: dict[str, Any] = field(default_factory=dict)  # of the experiment; {"from": FORMAT} for one of others
    bad_lines: BadLines = field(default_factory=BadLines)  # complete when `rows` came to an end
    begins: int = 0  # the seq of the base behind which they begin, 0 without one
    example: dict[str, Any] | None = None  # a row of a table as a client writes it, where contexts are named features
