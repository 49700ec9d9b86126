"""How often an engine with a log commits: each call, so many events, or after a while.

>>> commits_of("each"), commits_of(100), commits_of("0.5s")
(Commits(events=1, seconds=None), Commits(events=100, seconds=None), Commits(events=10000, seconds=0.5))
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ...engine.errors import InvalidInput, as_seen

EACH = "each"
EVENTS_MAX = 10_000  # that wait for a commit at most
SECONDS_MAX = 3600.0
_TIME = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)s")


class Commits(NamedTuple):
    """When events are committed that wait."""

    events: int  # once there are so many
    seconds: float | None  # after so long at most; None: when the next one comes


def commits_of(commit: Any) -> Commits:
    """Return what `commit=` says; raises `InvalidInput` ("bad_commit")."""
    if isinstance(commit, str) and commit == EACH:
        return Commits(1, None)
    if type(commit) is int and 1 <= commit <= EVENTS_MAX:
        return Commits(commit, None)
    found = _TIME.fullmatch(commit) if isinstance(commit, str) else None
    if found is not None and 0.0 < (seconds := float(found[1])) <= SECONDS_MAX:
        return Commits(EVENTS_MAX, seconds)
    raise InvalidInput(
        "bad_commit",
        f'commit is {as_seen(commit)}: it must be "each", how many decisions and rewards are committed together (1 to '
        f'{EVENTS_MAX}), or for how long they may wait, as "0.5s"',
    )
