"""The windows of an experiment's decisions: how far they are closed, when the next one closes, and what was late.

A window begins with its decision, or with the activation of one that was deferred. All are open for the same time, and
an experiment's time never goes back: so they close in the order in which they began, and of those that are open only
the first needs to be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

import numpy as np

from ...engine.kernel import Entry
from ...engine.storage.records import Event
from ...engine.storage.windows import (
    DEFERRED,
    DONE,
    Begun,
    OpenWindows,
    beside_in,
    is_late,
    why_closed,
)
from ...engine.vocabulary import Array, Problem
from ..experiment.window import Window
from ..kinds.kind import NO_DETAIL
from .clocks import Clocks
from .early import Early
from .records import Record

NEVER = 2**62


class Windows:
    """The windows of one experiment. Its methods belong to the event loop's thread."""

    def __init__(self, window: Window, clocks: Clocks, hidden: Set[int]) -> None:
        self.window = window
        self.closed = 0  # the seq up to which all windows that began are closed
        self.next_due = 0  # when the next one closes, or is looked at; NEVER where all are closed
        self.piece = 20  # how many close in one piece: soon as many as take a moment
        self.fold: Entry | None = None  # what learns many at once, once it was asked for
        self.early = Early(window.wait, hidden)
        self._passed = 0  # decisions up to `closed`
        self._activated = 0  # of these so many were activated, and their windows are open
        self._last = 0  # the seq of the last that began since the start
        self._clocks = clocks
        self._from, self._since = 0, 0.0  # a time, and when the monotonic clock said so
        self._held, self._held_until = 0, 0  # windows that began up to a seq do not close before a time
        self._wait = window.wait

    def open(self, left: OpenWindows, passed: int, seq: int, last: int, early: Iterable[Event]) -> None:
        """Take up the windows that are `left` open; `passed` decisions lie before these.

        The log ends at `seq` and the time `last`. The EARLY events are those that may be held then. Time in which
        nothing could be committed does not count: windows that are open now close after the grace.
        """
        self._from, self._since = max(self._clocks.wall(), last), self._clocks.monotonic()
        self.closed, self._passed, self._activated, self._last = left.closed, passed, left.activated, 0
        self.early.open(early)
        self.hold(seq)

    def hold(self, seq: int) -> None:
        """Close no window that began up to a seq until the grace is over, and forget no early reward."""
        self._held, self._held_until = seq, self.now() + round(self._clocks.grace * 1e6)
        self.early.hold(self._held_until)
        self.next_due = self.now() if self.closed < seq else NEVER

    def now(self) -> int:
        """Return the time of the experiment in microseconds: whoever sets the clock meanwhile does not change it."""
        return self._from + int((self._clocks.monotonic() - self._since) * 1e6)

    def due(self, record: Record) -> int:
        """Return when the window of a decision closes: what comes then is late."""
        return self.due_of(begin_of(record))

    def due_of(self, begun: Event | Begun) -> int:
        """Return when the window closes that begins with an event."""
        due = begun.time + self._wait
        return max(due, self._held_until) if begun.seq <= self._held else due

    def is_closed(self, record: Record, now: int) -> bool:
        """Whether a reward or an activation of a decision comes too late, whether or not its window was closed yet."""
        return begin_of(record).seq <= self.closed or now >= self.due(record)

    def begin(self, event: Event) -> None:
        """Take up the window that begins with an event."""
        self._last = event.seq
        if self.next_due == NEVER:
            self.closed, self.next_due = event.seq - 1, event.time + self._wait

    @property
    def is_behind(self) -> bool:
        """Whether windows that began since the start are open."""
        return self.closed < self._last

    def passes(self, begun: Begun, was_activated: bool) -> None:
        """Go on to the next window: this one is closed, or begins with the activation of its decision."""
        self.closed = begun.seq
        if begun.is_activation:
            self._activated -= 1
        else:
            self._passed += 1
            self._activated += was_activated

    def n_open(self, decisions: int) -> int:
        """Return how many windows are open, of so many decisions; of a deferred one too."""
        return decisions - self._passed + self._activated

    def closed_to(self, last: int) -> int:
        """Return up to which seq all windows that began are closed, in a log that ends at `last`."""
        return last if self.next_due == NEVER else self.closed

    def counts_to(self, last: int) -> int | None:
        """Return the same where what was learned of other decisions counts in no mean; None where it does.

        What is learned when windows close does, as they close in this order.
        """
        return self.closed_to(last) if self.window.learns_at_once else None

    def withholds(self, record: Record) -> bool:
        """Whether the reward of a decision counts in no mean yet: it was learned at once, and its window is open."""
        learned = record.reward
        return learned is not None and why_closed(learned) == "at_once" and begin_of(record).seq > self.closed

    def held(self) -> int:
        """Return how many rewards are held now for decisions that were not made yet."""
        self.early.lapse(self.now())
        return self.early.count

    def rewards(self, record: Record) -> list[float]:
        """Return the rewards of a decision that came in its window, in their order.

        Where late ones are learned and none came in time, those that came before it was closed.
        """
        in_time, late = came(record, late=False), came(record, late=True)
        return late if self.window.late == "learn" and not in_time else in_time


def is_activated(record: Record) -> bool:
    """Tell whether a decision was deferred and activated."""
    return record.activation is not None and record.activation.detail == DONE


def waits(record: Record) -> bool:
    """Tell whether a decision is deferred, and neither activated nor closed without that."""
    return record.activation is not None and record.activation.detail == DEFERRED


def is_over(record: Record) -> bool:
    """Tell whether nothing is learned of a decision any more, as it was never shown."""
    return record.activation is not None and not waits(record) and not is_activated(record)


def begin_of(record: Record) -> Event:
    """Return the event with which the window of a decision begins, as far as that is known now."""
    return record.activation if record.activation is not None and is_activated(record) else record.event


def came(record: Record, *, late: bool) -> list[float]:
    """Return the rewards of a decision that came in its window, or too late, in their order."""
    return [one.reward for one in record.outcomes if is_late(one) == late and one.reward is not None]


def detail_of(problem: Problem, record: Record) -> Array:
    """Return what was told beside the first reward of a decision that came in its window, float64[m], or NaN."""
    if not problem.detail_length:
        return NO_DETAIL
    first = next((one for one in record.outcomes if not is_late(one)), None)
    told = None if first is None else beside_in(first.detail)
    return np.full(problem.detail_length, np.nan) if told is None else np.array(told, np.float64)
