"""Decisions that are one for a client: made one after another, and written together or not at all.

A stream moves until it pulls, and the service itself answers what it reads before; a list fills its slots, each
of which has a reward. Of both the last decision is the one that a client finds: it has the client's id and body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ...engine.storage.records import Event
from ...engine.vocabulary import DECIDE, Action, Decision, Feedback
from ..kinds.kind import Encoded, Made, Move, Request
from . import arriving
from .entered import Sent
from .records import Record, Records


class Live(arriving.Live, Protocol):
    """What is asked of an experiment whose decisions are several."""

    state: Any
    records: Records
    decide_waits: bool  # whether deciding changes the state

    def set_back(self) -> None:
        """Give up the state, which is ahead of the log, and have that folded again."""

    async def chosen(self, request: Request) -> tuple[Request, Decision]:
        """Let the policy decide."""

    def made(self, what: int, request: Request, decision: Decision, encoded: Encoded, sent: Sent, now: int) -> Event:
        """Return the event of a decision, the next of the log."""

    def apply(self, decided: Event, action: Action, feedback: Feedback) -> None:
        """Change the state by the feedback on a decision."""

    def entered(self, decided: Event, action: Action, feedback: Feedback, reward_id: str | None, now: int) -> Event:
        """Return the event of a reward, the next of the log."""

    def queue_change(self, *events: Event) -> asyncio.Future[None]:
        """Queue events for which whoever decides waits next."""


def moved(live: Live, moves: Iterator[Move], sent: Sent, now: int) -> Record:
    """Queue moves, and what they brought; return the last one."""
    made: list[Record] = []
    try:
        for move in moves:
            by = sent if move.feedback is None else Sent(move.decision_id, move.sent)
            event = live.made(DECIDE, move.request, move.decision, move.encoded, by, now)
            record = Record(event)
            made.append(record)
            if move.feedback is not None:
                live.apply(event, move.decision.action, move.feedback)
                record.reward = live.entered(event, move.decision.action, move.feedback, "", now)
    finally:  # what was learned has changed the state already: where the last move cannot be made, it is on record
        events = [event for record in made for event in (record.event, record.reward) if event is not None]
        if events:
            committed = live.queue_change(*events)
            for record in made:
                record.decided = committed
                record.rewarded = None if record.reward is None else committed
                live.records.remember(record)
    return made[-1]


async def filled(
    live: Live,
    part: Callable[[Request], Request | None],
    encode: Callable[[Request, Decision], Encoded],
    request: Request,
    sent: Sent,
    now: int,
) -> Record:
    """Queue a decision for each part of a request; return the last one. All of them wait to be shown, or none.

    `part` and `encode` are the kind's. Where the policy fails at one of them there are none.
    """
    chosen = await _chosen(live, part, request._replace(decision_id=sent.decision_id))
    made: list[Record] = []
    each = Sent(unit_id=sent.unit_id, deferred=sent.deferred)
    for asked, decision in chosen:
        by = sent if len(made) == len(chosen) - 1 else each
        event = live.made(DECIDE, asked, decision, encode(asked, decision), by, now)
        made.append(Record(event))
        for one in () if live.windows is None else arriving.beside(live, event, by, now):
            made[-1].add(one)
    committed = live.queue(*(event for record in made for event in _events(record)))
    for record in made:
        record.decided = committed
        live.records.remember(record)
    return made[-1]


async def _chosen(
    live: Live, part: Callable[[Request], Request | None], request: Request
) -> list[tuple[Request, Decision]]:
    """Let the policy decide for all parts, each under the next number, which nobody has yet in the end."""
    state, first = live.state, live.number
    chosen: list[tuple[Request, Decision]] = []
    try:
        while (asked := part(request)) is not None:
            asked, decision = await live.chosen(asked)
            chosen.append((asked, decision))
            live.number += 1
            request = request._replace(made=(*request.made, Made(decision, asked.reasons)))
    except BaseException:
        if live.state is state and live.decide_waits:
            live.set_back()  # it took note of decisions that are not on record
        raise
    finally:
        if live.state is state:
            live.number = first
    return chosen


def _events(record: Record) -> list[Event]:
    """Return a decision and what is written with it."""
    return [record.event] if record.activation is None else [record.event, record.activation]
