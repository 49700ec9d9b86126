"""Rewards that came before their decisions: on record as EARLY events, and held until the decisions are made.

They are held as long as a window is open, from the first one of a decision on, and so many in all. What is held is
what the log says: after a start it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

from ...engine.errors import Unavailable
from ...engine.storage.records import Event
from ...engine.storage.windows import decision_of

HELD_MAX = 10_000  # rewards of an experiment: about 10 MB with the longest ids


class Held(NamedTuple):
    """The rewards of a decision that is yet to be made."""

    until: int  # microseconds since 1970 UTC
    events: tuple[Event, ...]  # in their order


class Early:
    """The early rewards of one experiment. Its methods belong to the event loop's thread."""

    def __init__(self, wait: int, hidden: Set[int]) -> None:
        self._wait = wait  # microseconds
        self._hidden = hidden  # the numbers of those that are nobody's reward for now
        self._held: dict[str, Held] = {}  # by the client's id of the decision, in the order in which they lapse
        self.count = 0  # rewards that are held

    def open(self, events: Iterable[Event]) -> None:
        """Take up what the log holds: its EARLY events whose decisions were not made."""
        self._held.clear()
        self.count = 0
        for event in events:
            self.add(decision_of(event), event)

    def hold(self, until: int) -> None:
        """Let nothing lapse before a time."""
        for name, held in self._held.items():
            self._held[name] = held._replace(until=max(held.until, until))

    def of(self, decision_id: str, now: int) -> tuple[Event, ...]:
        """Return the rewards that are held for a decision now."""
        self.lapse(now)
        held = self._held.get(decision_id)
        return () if held is None else tuple(event for event in held.events if event.number not in self._hidden)

    def is_hidden(self, decision_id: str) -> bool:
        """Tell whether rewards that are held for a decision are nobody's for now."""
        held = self._held.get(decision_id)
        return held is not None and any(event.number in self._hidden for event in held.events)

    def check_room(self) -> None:
        """Refuse another reward where too many are held: decisions come meanwhile, or their time is over."""
        if self.count >= HELD_MAX:
            raise Unavailable(
                "too_many_early",
                f"{self.count} rewards wait for decisions that were not made yet, and no more may: make the decisions, "
                "and send this reward again then",
            )

    def add(self, decision_id: str, event: Event) -> None:
        """Hold a reward."""
        until, before = self._held.get(decision_id, Held(event.time + self._wait, ()))
        self._held[decision_id] = Held(until, (*before, event))
        self.count += 1

    def forget(self, numbers: Set[int]) -> None:
        """Hold no event of these numbers any more."""
        for name, held in list(self._held.items()):
            if kept := tuple(event for event in held.events if event.number not in numbers):
                self._held[name] = held._replace(events=kept)
            else:
                del self._held[name]
            self.count -= len(held.events) - len(kept)

    def take(self, decision_id: str, now: int) -> tuple[Event, ...]:
        """Return the rewards of a decision that is made now, and hold them no more."""
        events = self.of(decision_id, now)
        if (held := self._held.pop(decision_id, None)) is not None:
            self.count -= len(held.events)
        return events

    def lapse(self, now: int) -> None:
        """Forget those whose time is over: they stay on record, and are nothing's reward."""
        while self._held and (first := next(iter(self._held.items())))[1].until <= now:
            name, held = first
            del self._held[name]
            self.count -= len(held.events)
