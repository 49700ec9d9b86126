"""The joined form of an export: a row for each decision, with what was learned of it.

Such a row holds two events, a decision and the first reward that was learned from it, and the `seq` of both. Its
`reward` is what is known in the end: the sum of all rewards, or what the last correction says; None where nothing was
learned, or it is taken back. All other events have rows of their own, as in the form of events: further rewards of a
decision, its corrections, and what is no decision. Rows are in the order of their own seqs. So who evaluates reads rows
of decisions and nothing else, and who takes the rows apart and sorts them by `seq` has the log, event by event.

>>> decision, reward = Event(0, 1, kind=0, number=0, action=2), Event(0, 2, kind=1, number=0, reward=1.0)
>>> rows = Joining(lambda numbers: [reward]).rows([decision, reward])
>>> [(row.event.seq, row.learned.seq, row.reward) for row in rows]
[(1, 2, 1.0)]
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..vocabulary import CORRECTED, DECISIONS, LEARN, Array, Problem
from .log import JOINED, LINES_KEPT, BadLines, header_of
from .tables import Event

SHOWN = 3  # seqs that a message names


class Extent(NamedTuple):
    """Which events of a log an export in the joined form holds."""

    begins: int = 0  # the seq of the base behind which it begins, 0 without one
    until: int | None = None  # the seq of its last event, None where the header does not say it
    has_gaps: bool = False  # whether events are missing, as decisions were erased


WHOLE = Extent()


class JoinedRow(NamedTuple):
    """An event; of a decision with what was learned of it."""

    event: Event
    learned: Event | None  # the first LEARN event of a decision
    reward: float | None  # of a decision what is known in the end
    is_final: bool  # whether `reward` is what `learned` says: nothing else was learned, or corrected


class Joining:
    """Pages of a log on their way into rows; `learned` returns LEARN and CORRECTED events of decisions, in order."""

    def __init__(self, learned: Callable[[Sequence[int]], Iterable[Event]]) -> None:
        self._learned = learned
        self._taken: set[int] = set()  # the seqs of rewards that stand in rows of decisions, until they went by

    def rows(self, page: Sequence[Event]) -> list[JoinedRow]:
        """Return the rows of a page of events, which lies behind those before."""
        numbers = [event.number for event in page if event.kind in DECISIONS and event.number is not None]
        told: dict[int | None, list[Event]] = {}
        for event in self._learned(numbers) if numbers else ():
            told.setdefault(event.number, []).append(event)
        rows: list[JoinedRow] = []
        for event in page:
            if event.kind in DECISIONS:
                rows.append(self._of_decision(event, told.get(event.number, [])))
            elif event.seq in self._taken:
                self._taken.remove(event.seq)
            else:
                rows.append(JoinedRow(event, None, event.reward, True))
        return rows

    def _of_decision(self, event: Event, told: list[Event]) -> JoinedRow:
        first = next((each for each in told if each.kind == LEARN), None)
        if first is None:
            return JoinedRow(event, None, None, True)
        self._taken.add(first.seq)
        return JoinedRow(event, first, known_reward(told), len(told) == 1)


def known_reward(told: Iterable[Event]) -> float | None:
    """Return what is known of a decision by its LEARN and CORRECTED events, in their order."""
    known: float | None = None
    for event in told:
        is_more = event.kind == LEARN and known is not None and event.reward is not None
        known = known + event.reward if is_more else event.reward  # type: ignore[operator]
    return known


def joined_header(problem: Problem, spec: dict[str, Any], extent: Extent) -> dict[str, Any]:
    """Return the header of an export in the joined form. Its number is one that versions without this form refuse."""
    until = {} if extent.until is None else {"until": extent.until}
    gaps = {"has_gaps": True} if extent.has_gaps else {}
    return header_of(problem, spec, extent.begins) | {"onearm": JOINED, "form": "joined"} | until | gaps


def extent_of(text: bytes) -> Extent | None:
    """Return the extent of an export by its header; None where it is in the form of events."""
    header = json.loads(text)
    if header.get("onearm") != JOINED:
        return None
    return Extent(header.get("begins", 0), header.get("until"), header.get("has_gaps") is True)


class Order:
    """Whether the events of an export are all there, each once; they come sorted, as far as rows are."""

    def __init__(self, extent: Extent, bad_lines: BadLines) -> None:
        self._extent, self._bad_lines = extent, bad_lines
        self._last = 0  # the greatest seq so far

    def good(self, seq: Array) -> Array:
        """Return which of some seqs, int64[n], are greater than all before, bool[n]; count the others, and gaps."""
        greatest = np.maximum.accumulate(np.concatenate([[self._last], seq]))
        kept: Array = seq > greatest[:-1]
        self._bad_lines.add("repeated_seq", *seq[~kept].tolist())
        self._note(int(seq[~kept][0]) if not kept.all() else None)
        if not self._extent.has_gaps:
            before, after = greatest[:-1][kept], seq[kept]
            for place in np.flatnonzero((after > before + 1) & (after > self._extent.begins + 1)):
                self._miss(max(int(before[place]), self._extent.begins), int(after[place]))
        self._last = int(greatest[-1])
        return kept

    def end(self) -> None:
        """Count what is missing behind the last event."""
        until = self._extent.until
        if until is not None and not self._extent.has_gaps:
            self._miss(max(self._last, self._extent.begins), until + 1)

    def _miss(self, before: int, after: int) -> None:
        """Count the seqs between two."""
        missing = range(before + 1, after)
        if missing:
            named = missing[:LINES_KEPT]  # of a damaged seq there may be 2^62
            self._bad_lines.add("missing_event", *named)
            self._bad_lines.count["missing_event"] += len(missing) - len(named)
            few = ", ".join(map(str, missing[:SHOWN])) + (", ..." if len(missing) > SHOWN else "")
            self._bad_lines.reasons.setdefault(
                "missing_event", f"no row holds event {few}: export the log again, with all its rows"
            )

    def _note(self, seq: int | None) -> None:
        if seq is not None:
            self._bad_lines.reasons.setdefault(
                "repeated_seq", f"event {seq} is in the file twice, or behind one that came after it"
            )


class RewardCheck:
    """Whether rows of decisions say the reward that follows from the events: those that were learned from once do."""

    def __init__(self, bad_lines: BadLines) -> None:
        self._bad_lines = bad_lines
        self._said: dict[int, tuple[int, float]] = {}  # by number: the seq of the decision, its reward or NaN
        self._known: dict[int, float] = {}  # by number, what follows from the events so far; NaN: nothing

    def say(self, number: int, seq: int, reward: float, learned: float) -> None:
        """Take what the row of a decision says that was learned from `learned`, and then another reward."""
        self._said[number] = seq, reward
        self._known.setdefault(number, learned)

    def tell(self, number: int, kind: int, reward: float) -> None:
        """Take a further reward of a decision, or a correction; they come in order."""
        known = self._known.get(number, math.nan)
        self._known[number] = reward if kind == CORRECTED or math.isnan(known) else known + reward

    def end(self) -> None:
        """Count the decisions whose reward is another one."""
        for number, known in self._known.items():
            seq, reward = self._said.get(number, (None, math.nan))
            if seq is not None and reward != known and not (math.isnan(reward) and math.isnan(known)):
                self._bad_lines.add("other_reward", seq)
                self._bad_lines.reasons.setdefault(
                    "other_reward",
                    f"the reward of decision {number} is {_told(reward)}, and by its events it is {_told(known)}",
                )


def _told(reward: float) -> str:
    return "unknown" if math.isnan(reward) else repr(reward)
