"""What a report says of itself: of which log it is, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """Of which log a report is, and how it was made."""

    log: str  # as people named it
    form: str  # the log's format
    command: str  # the whole command line
    version: str  # of onearm
    made: str  # date and time
    seed: int
