"""Windows close: what came of a decision by then, or the default, is learned as one event of the log.

They close a few at a time, between what clients ask, of each experiment in turn, and in the order of their due times.
Open decisions are not kept for that: those that are due next are in memory, or read from the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from ...engine.errors import OnearmError
from ...engine.storage.tables import Event
from ...engine.storage.windows import CLOSINGS
from ...engine.vocabulary import Feedback
from ..experiment.windowed import WindowTally
from ..kinds.kind import NO_DETAIL
from .live import Live
from .records import Record
from .windows import NEVER

EVERY = 0.1  # seconds between two looks at what is due
PAGE = 200  # decisions that are looked up at once
SECONDS = 0.001  # for which they close in one piece
ERASING = 100_000  # microseconds until a decision that is being erased is looked at again
LATER = 1_000_000  # microseconds until windows that could not be closed are

log = logging.getLogger("onearm")


class Closing:
    """Closes what is due. Its methods belong to the event loop's thread."""

    def __init__(self, lives: Callable[[], Iterable[Live]]) -> None:
        self._lives = lives
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after windows."""
        self._task = asyncio.get_running_loop().create_task(self._keep_on())

    async def stop(self) -> None:
        """Leave the rest for the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def close_due(self) -> None:
        """Close all windows that are due now, a piece of each experiment in turn."""
        while due := [live for live in self._lives() if is_due(live)]:
            for live in due:
                try:
                    await close_some(live)
                except Exception as error:  # of the database, or of a policy file; windows of others still close
                    later(live, error)
                await asyncio.sleep(0)

    async def _keep_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.close_due()


def is_due(live: Live) -> bool:
    """Tell whether a window of an experiment is to be closed now."""
    windows = live.windows
    return windows is not None and live.is_at_work and windows.next_due <= windows.now()


def later(live: Live, error: Exception) -> None:
    """Look at the windows of an experiment again in a while."""
    assert live.windows is not None
    live.windows.next_due = live.windows.now() + LATER
    known = isinstance(error, OnearmError)
    log.error("windows of experiment %r do not close yet: %s", live.row.id, error, exc_info=not known)


async def close_some(live: Live) -> None:
    """Close the next windows that are due, as many as take a moment."""
    windows = live.windows
    assert windows is not None
    numbers = range(windows.first, min(windows.first + PAGE, live.number))
    async with live.records.held(numbers, live.erasing) as records:
        await live.reading.unlocked()
        await live.turns.take(_close, live, numbers, records)


async def _close(live: Live, numbers: Iterable[int], records: Mapping[int, Record]) -> None:
    """Close the first windows, of decisions of these numbers, as far as they are due, for a moment at most.

    What is learned of them is written together. The caller has the turn, and holds those that are on `records`.
    """
    live.check_open()
    windows, state, until = live.windows, live.state, time.perf_counter() + SECONDS
    assert windows is not None
    closed: list[Event] = []
    try:
        for number in numbers:
            if number < windows.first:  # another one closed it meanwhile
                continue
            record, now = records.get(number), windows.now()
            if number in live.erasing:
                windows.next_due = now + ERASING
                return
            if record is not None and windows.due(record.event) > now:
                windows.next_due = windows.due(record.event)
                return
            if time.perf_counter() > until:
                windows.next_due = now
                return
            if record is not None and record.reward is None:
                closed += await _learned(live, record, now)
            windows.first = number + 1
        windows.next_due = windows.now() if windows.first < live.number else NEVER
    finally:
        if closed and live.state is state:  # else the log is folded again, without them
            committed = live.queue(*closed)
            for event in closed:
                assert event.number is not None
                records[event.number].rewarded = committed
            live.snapshot_if_due()


async def _learned(live: Live, record: Record, now: int) -> list[Event]:
    """Learn what came of a decision in its window, or the default; return the event, none where there is neither."""
    assert live.windows is not None and isinstance(live.tally, WindowTally)
    rewards = live.windows.rewards(record)
    reward = live.windows.window.together(rewards)
    if reward is None:
        return []
    decided, action = record.event, live.kind.action(live, record.event)
    why = "reward" if rewards else "default"
    event = await live.learned(decided, action, Feedback(reward, NO_DETAIL), None, now)
    record.reward = event._replace(detail=CLOSINGS[why])
    live.tally.close(why)
    return [record.reward]
