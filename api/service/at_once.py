"""Rewards that are learned at once: the first of a decision when it comes, though its window stays open.

What came and was not learned, as a process ended in between, is learned when the window closes. Until then what is
learned at once is withheld from means: decisions without a reward are not among them yet.
"""

from __future__ import annotations

from ...engine.storage.records import Event
from ...engine.storage.windows import LEARNED_AT_ONCE, with_beside
from ...engine.vocabulary import Feedback
from .live import Live
from .records import Record
from .refusals import refolding
from .windows import came, detail_of, is_over, waits


async def learn_at_once(live: Live, record: Record) -> None:
    """Learn the first reward of a decision, where the experiment learns at once, and queue that for the log.

    Nothing is done where none came in time, one was learned, or the decision was not shown. The caller has the turn.
    """
    if (learned := await learned_at_once(live, record)) is not None:
        record.rewarded = live.queue(learned)
        live.keeping.snapshot_if_due()


async def learned_at_once(live: Live, record: Record) -> Event | None:
    """Learn the same; return the event, the next of the log, which the caller queues; None where nothing is done."""
    windows = live.windows
    if windows is None or not windows.window.learns_at_once or not came(record, late=False):
        return None
    record.learning = True  # it must stay in memory meanwhile
    state = live.state
    try:
        await live.reading.unlocked()
        if live.state is not state:  # the log was folded again, and this is not what is on record any more
            raise live.unusable or refolding()
        if record.reward is not None or waits(record) or is_over(record) or record.event.number in live.erasing:
            return None
        live.check_open()
        detail = detail_of(live.problem, record)
        action, feedback = live.kind.action(live, record.event), Feedback(came(record, late=False)[0], detail)
        await live.teach(record.event, action, feedback)
        closing = with_beside(LEARNED_AT_ONCE, detail.tolist())
        record.reward = event = live.entered(record.event, action, feedback, None, live.now(), closing)
        live.tally.correct(event.action, feedback.reward, None)
        return event
    finally:
        record.learning = False
