"""The windows of an experiment's decisions: which is the first that is open, when it closes, and what was late.

All windows are open for the same time, and an experiment's time never goes back: so they close in the order of the
decisions, and of those that are open only the first needs to be known.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.kernel import Entry
from ...engine.storage.tables import Event
from ...engine.storage.windows import LATE
from ..experiment.window import Window
from .clocks import Clocks
from .early import Early
from .records import Record

NEVER = 2**62


class Windows:
    """The windows of one experiment. Its methods belong to the event loop's thread."""

    def __init__(self, window: Window, clocks: Clocks) -> None:
        self.window = window
        self.first = 0  # the number of the first decision whose window is open
        self.next_due = 0  # when that one closes, or is looked at; NEVER where all are closed
        self.at_once = 20  # how many close in one piece: soon as many as take a moment
        self.fold: Entry | None = None  # what learns many at once, once it was asked for
        self._clocks = clocks
        self._from, self._since = 0, 0.0  # a time, and when the monotonic clock said so
        self._held, self._held_until = 0, 0  # windows of decisions before a number do not close before a time
        self._wait = window.wait
        self.early = Early(window.wait)

    def open(self, first: int, number: int, last: int, early: Iterable[Event] = ()) -> None:
        """Take up the windows from the decision `first` on; `number` is the next one, `last` the time of the log.

        The EARLY events are those that may be held then.

        Time in which nothing could be committed does not count: those that are open now close after the grace.
        """
        self._from, self._since = max(self._clocks.wall(), last), self._clocks.monotonic()
        self.first = first
        self.early.open(early)
        self.hold(number)

    def hold(self, number: int) -> None:
        """Close no window of decisions before this number until the grace is over, and forget no early reward."""
        self._held, self._held_until = number, self.now() + round(self._clocks.grace * 1e6)
        self.early.hold(self._held_until)
        self.next_due = self.now() if self.first < number else NEVER

    def now(self) -> int:
        """Return the time of the experiment in microseconds: whoever sets the clock meanwhile does not change it."""
        return self._from + int((self._clocks.monotonic() - self._since) * 1e6)

    def due(self, decided: Event) -> int:
        """Return when the window of a decision closes: what comes then is late."""
        assert decided.number is not None
        due = decided.time + self._wait
        return max(due, self._held_until) if decided.number < self._held else due

    def is_closed(self, decided: Event, now: int) -> bool:
        """Whether a reward of a decision comes too late, whether or not its window was closed already."""
        assert decided.number is not None
        return decided.number < self.first or now >= self.due(decided)

    def decide(self, decided: Event) -> None:
        """Take up the window of a new decision."""
        if self.next_due == NEVER:
            self.next_due = self.due(decided)

    def held(self) -> int:
        """Return how many rewards are held now for decisions that were not made yet."""
        self.early.lapse(self.now())
        return self.early.count

    def rewards(self, record: Record) -> list[float]:
        """Return the rewards of a decision that came in its window, in their order."""
        return [event.reward for event in record.outcomes if event.detail != LATE and event.reward is not None]
