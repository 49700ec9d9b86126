"""What arrives where decisions have windows comes on record: rewards, and activations of decisions that were deferred.

Nothing of it is learned here: that is what closing a window does. The caller has the turn, and checked what came.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from ...engine.storage.records import Event, Experiment
from ...engine.storage.windows import beside_in, with_beside
from ...engine.vocabulary import DECIDE, Array, Feedback
from ..experiment.sums import Tally
from ..experiment.windowed import WindowTally
from .entered import Place, Sent, activation_event, early_event, outcome_event, outcome_of_early, replacing_events
from .history import packed_mask
from .records import Record, Records
from .windows import Windows


class Shown(NamedTuple):
    """What was shown in the place of a decision."""

    action: int
    propensity: float | None  # with which it was chosen, None where that is not known


class Live(Protocol):
    """What is asked of an experiment whose decisions have windows."""

    row: Experiment
    seq: int
    number: int
    records: Records
    tally: Tally
    windows: Windows | None
    is_apprentice: bool

    def mask(self, event: Event) -> Array:
        """Return what a decision could choose from, over the arms that there are now."""

    def check_open(self) -> None:
        """Refuse what arrives where the experiment takes nothing."""

    def corrected(self, record: Record, reward: float | None, now: int) -> Event:
        """Return the event of a correction, the next of the log."""

    def queue(self, *events: Event) -> asyncio.Future[None]:
        """Queue events that are written together or not at all."""


def put_on_record(
    live: Live,
    record: Record,
    feedback: Feedback,
    reward_id: str,
    now: int,
    *,
    late: bool,
    instead: float | None = None,
) -> list[Event]:
    """Put a reward on record that is learned when the window of its decision closes, or that came too late.

    Returns the next events of the log, which the caller queues. With `instead` what was learned of the decision is
    corrected to that. Nothing is refused here: what came with it is on record already.
    """
    if late:
        _note(live, "late")
    event = outcome_event(record.event, _next(live, now), feedback, reward_id, late)
    record.add(event)
    return [event] if instead is None else [event, live.corrected(record, instead, now)]


def take_early(live: Live, decision_id: str, reward: float, reward_id: str, now: int) -> asyncio.Future[None]:
    """Put a reward on record whose decision was not made yet, and hold it for that; return its commit."""
    live.check_open()
    assert live.windows is not None
    _note(live, "early")
    event = early_event(decision_id, _next(live, now), reward, reward_id)
    live.windows.early.add(decision_id, event)
    return live.queue(event)


def activate(live: Live, record: Record, now: int) -> None:
    """Put on record that a decision was shown: its window begins now."""
    live.check_open()
    assert live.windows is not None
    event = activation_event(record.event, _next(live, now), "done")
    live.windows.begin(event)
    record.add(event)
    record.rewarded = live.queue(event)


def replace(live: Live, record: Record, shown: Shown, now: int) -> Record:
    """Put on record that another action was shown in the place of a decision's, and return the decision for that.

    It is a decision of somebody else, with a number of its own, whose window begins now; rewards that came are its own.
    """
    live.check_open()
    assert live.windows is not None
    _note(live, "replaced")
    number, places = live.number, (_next(live, now), _next(live, now))
    said, external = replacing_events(record.event, *places, number, shown.action, shown.propensity)
    external = external._replace(available=packed_mask(live.mask(record.event)))  # arms may have joined meanwhile
    live.number += 1
    live.tally.decide(shown.action, shown.propensity)
    live.windows.begin(external)
    instead = Record(external)
    for came in record.outcomes:
        detail = with_beside(None, beside_in(came.detail) or [])
        instead.add(came._replace(seq=_next(live, now).seq, number=number, detail=detail, time=now))
    record.add(said)
    instead.decided = record.rewarded = live.queue(said, external, *instead.outcomes)
    return live.records.remember(instead)


def lapsed(live: Live, record: Record, now: int) -> Event:
    """Return the event that says that a decision was never shown, the next of the log."""
    _note(live, "lapsed")
    event = activation_event(record.event, _next(live, now), "lapsed")
    record.add(event)
    return event


def beside(live: Live, decided: Event, sent: Sent, now: int) -> list[Event]:
    """Return what is written with a decision, the next events of the log: that it waits to be shown, and its rewards.

    These are the ones that came before it.
    """
    assert live.windows is not None
    live.windows.begin(decided)
    found: list[Event] = []
    if sent.deferred:
        found.append(activation_event(decided, _next(live, now), "deferred"))
    if (decided.kind == DECIDE or live.is_apprentice) and decided.decision_id is not None:
        for early in live.windows.early.take(decided.decision_id, now):
            _note(live, "taken")
            found.append(outcome_of_early(decided, _next(live, now), early))
    return found


def _next(live: Live, now: int) -> Place:
    live.seq += 1
    return Place(live.row.key, live.seq, now)


def _note(live: Live, what: str) -> None:
    assert isinstance(live.tally, WindowTally)
    live.tally.note(what)
