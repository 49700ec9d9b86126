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

from ..errors import InvalidInput, counted
from ..vocabulary import CORRECTED, DECISIONS, LEARN, Array, Problem
from .bad_lines import LINES_KEPT, BadLines
from .log import JOINED, begins_of, header_of
from .records import Event

SHOWN = 3  # seqs that a message names
SEQS = 2**63 - 1  # a seq is below


class Extent(NamedTuple):
    """Which events of a log an export in the joined form holds."""

    begins: int  # the seq of the base behind which it begins, 0 without one
    until: int  # the seq of its last event
    gaps: int = 0  # how many events between these are missing, as decisions were erased


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
    known = math.nan
    for event in told:
        known = known_after(known, event.kind, math.nan if event.reward is None else event.reward)
    return None if math.isnan(known) else known


def known_after(known: float, kind: int, reward: float) -> float:
    """Return what is known of a decision after one more LEARN or CORRECTED event; NaN stands for nothing.

    >>> known_after(math.nan, LEARN, 0.5), known_after(0.5, LEARN, 0.25), known_after(0.75, CORRECTED, math.nan)
    (0.5, 0.75, nan)
    """
    return reward if kind == CORRECTED or math.isnan(known) else known + reward


def joined_header(problem: Problem, spec: dict[str, Any], extent: Extent) -> dict[str, Any]:
    """Return the header of an export in the joined form. Its number is one that versions without this form refuse."""
    gaps = {"gaps": extent.gaps} if extent.gaps else {}
    said = {"onearm": JOINED, "form": "joined", "until": extent.until}
    return header_of(problem, spec, extent.begins) | said | gaps


def extent_of(text: bytes) -> Extent | None:
    """Return the extent of an export by its header; None where it is in the form of events."""
    header = json.loads(text)
    if header.get("onearm") != JOINED:
        return None
    return Extent(begins_of(text), _whole_number(header, "until"), _whole_number({"gaps": 0} | header, "gaps"))


def _whole_number(header: dict[str, Any], name: str) -> int:
    said = header.get(name)
    if isinstance(said, bool) or not isinstance(said, int) or not 0 <= said < SEQS:
        raise InvalidInput(
            "wrong_format",
            f"the header of an export in the joined form has {name} {json.dumps(said)[:40]}, and must have a whole "
            "number from 0 on: export the log again",
        )
    return said


class Order:
    """Whether the events of an export are all there, each once; they come sorted, as far as rows are."""

    def __init__(self, extent: Extent, bad_lines: BadLines) -> None:
        self._extent, self._bad_lines = extent, bad_lines
        self._last = 0  # the greatest seq so far
        self._missing: list[int] = []  # the first seqs that no row had
        self._misses = 0  # how many there are

    def good(self, seq: Array) -> Array:
        """Return which of some seqs, int64[n], can be and are greater than all before, bool[n]; count the others."""
        possible = (seq > 0) & (seq <= self._extent.until)
        greatest = np.maximum.accumulate(np.concatenate([[self._last], np.where(possible, seq, 0)]))
        kept: Array = possible & (seq > greatest[:-1])
        self._count("bad_seq", seq[~possible], f"an event has the seq {{}}, and the last one is {self._extent.until}")
        again = seq[possible & ~kept]
        self._count("repeated_seq", again, "event {} is in the file twice, or behind one that came after it")
        before, after = greatest[:-1][kept], seq[kept]
        for place in np.flatnonzero((after > before + 1) & (after > self._extent.begins + 1)):
            self._miss(int(before[place]), int(after[place]))
        self._last = int(greatest[-1])
        return kept

    def end(self) -> None:
        """Count what is missing, where that is not as many events as were erased."""
        self._miss(self._last, self._extent.until + 1)
        gaps = self._extent.gaps
        if self._misses == gaps:
            return
        few = ", ".join(map(str, self._missing[:SHOWN])) + (", ..." if self._misses > SHOWN else "")
        missing = counted(self._misses, "event is", "events are")
        seen = f"{missing} in no row, and {gaps} were erased" if gaps else f"no row holds event {few}"
        self._bad_lines.add("missing_event", *(self._missing or [self._extent.until]))
        self._bad_lines.count["missing_event"] = max(self._misses, 1)
        self._bad_lines.reasons["missing_event"] = f"{seen}: export the log again, with all its rows"

    def _miss(self, before: int, after: int) -> None:
        """Take note of the seqs between two."""
        missing = range(max(before, self._extent.begins) + 1, after)
        self._missing += missing[: max(LINES_KEPT - len(self._missing), 0)]
        self._misses += len(missing)

    def _count(self, kind: str, seq: Array, reason: str) -> None:
        self._bad_lines.add(kind, *seq.tolist())
        if len(seq):
            self._bad_lines.reasons.setdefault(kind, reason.format(seq[0]))


class RewardCheck:
    """Whether rows of decisions say the reward that follows from the events.

    A row whose reward is what was learned is right as long as nothing else is told of its decision. So no more is kept
    than of decisions whose rows say more, and of those of which more is told.
    """

    def __init__(self, extent: Extent, bad_lines: BadLines) -> None:
        self._extent, self._bad_lines = extent, bad_lines
        self._said: dict[int, tuple[int, float]] = {}  # by number: the seq of the decision, its reward or NaN
        self._known: dict[int, tuple[int, float]] = {}  # by number: the seq of the last event told, what is known by it

    def say(self, number: int, seq: int, reward: float) -> None:
        """Take the reward that the row of a decision says, where that is not what was learned by itself."""
        self._said[number] = seq, reward

    def tell(self, number: int, seq: int, kind: int, reward: float) -> None:
        """Take what was learned of a decision, or a correction; they come in the order of their seqs."""
        _, known = self._known.get(number, (seq, math.nan))
        self._known[number] = seq, known_after(known, kind, reward)

    def end(self) -> None:
        """Count the decisions whose reward is another one."""
        for number, (seq, reward) in self._said.items():
            _, known = self._known.get(number, (seq, math.nan))
            if reward != known and not (math.isnan(reward) and math.isnan(known)):
                self._count(
                    seq, f"the reward of decision {number} is {_told(reward)}, and its events say {_told(known)}"
                )
        if self._extent.begins:
            return  # of decisions from before the base corrections are told, and no row
        for number, (seq, _) in self._known.items():
            if number not in self._said:
                self._count(seq, f"event {seq} is of decision {number}, whose row has its reward without that")

    def _count(self, seq: int, reason: str) -> None:
        self._bad_lines.add("other_reward", seq)
        self._bad_lines.reasons.setdefault("other_reward", reason)


def _told(reward: float) -> str:
    return "unknown" if math.isnan(reward) else repr(reward)
