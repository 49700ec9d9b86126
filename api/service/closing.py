"""Windows close: what came of a decision by then, or the default, is learned as one event of the log.

They close a few at a time, between what clients ask, of each experiment in turn, and in the order of their due times.
Open decisions are not kept for that: those that are due next are in memory, or read from the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from ...engine import loop
from ...engine.errors import OnearmError
from ...engine.storage.event_columns import learned_columns
from ...engine.storage.tables import Event
from ...engine.storage.windows import CLOSINGS
from ...engine.vocabulary import Action, Feedback
from ..experiment.windowed import WindowTally
from ..kinds.kind import NO_DETAIL
from .live import Live
from .records import Record
from .windows import NEVER

EVERY = 0.25  # seconds between two looks at what is due
SECONDS = 0.002  # for which windows close in one piece
AT_ONCE_MAX = 500  # decisions of one piece
ERASING = 100_000  # microseconds until a decision that is being erased is looked at again
LATER = 1_000_000  # microseconds until windows that could not be closed are

log = logging.getLogger("onearm")


class Due(NamedTuple):
    """A decision whose window closes, and what is learned of it."""

    record: Record
    action: Action
    reward: float
    why: str  # "reward" or "default"


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
    numbers = range(windows.first, min(windows.first + windows.at_once, live.number))
    async with live.records.held(numbers, live.erasing) as records:
        await live.reading.unlocked()
        begun = time.perf_counter()
        await live.turns.take(_close, live, numbers, records)
        took = time.perf_counter() - begun
    windows.at_once = max(1, windows.at_once // 2) if took > SECONDS else min(AT_ONCE_MAX, windows.at_once + 10)


async def _close(live: Live, numbers: Sequence[int], records: Mapping[int, Record]) -> None:
    """Close the first windows, of decisions of these numbers, as far as they are due.

    What is learned of them is written together. The caller has the turn, and holds those that are on `records`.
    """
    live.check_open()
    windows, state, now = live.windows, live.state, live.now()
    assert windows is not None
    if live.reading.locked:  # since the turn was asked for
        return
    due: list[Due] = []
    until = first = windows.first  # another one may have closed some meanwhile
    following = now
    for number in numbers[first - numbers[0] :] if numbers else ():
        record = records.get(number)
        if number in live.erasing:
            following = now + ERASING
            break
        if record is not None and windows.due(record.event) > now:
            following = windows.due(record.event)
            break
        if record is not None and record.reward is None:
            rewards = windows.rewards(record)
            if (reward := windows.window.together(rewards)) is not None:
                due.append(
                    Due(record, live.kind.action(live, record.event), reward, "reward" if rewards else "default")
                )
        until = number + 1
    made: list[Event] = []
    try:
        await _learn(live, due, made, now)
        windows.first = until
        windows.next_due = following if until < live.number else NEVER
    finally:
        if made and live.state is state:  # else the log is folded again, without them
            committed = live.queue(*made)
            for one in due[: len(made)]:
                one.record.rewarded = committed
            live.keeping.snapshot_if_due()


async def _learn(live: Live, due: list[Due], made: list[Event], now: int) -> None:
    """Learn what came of decisions, in one step where that is compiled; adds what was learned to `made`."""
    windows, policy = live.windows, live.spec.policy
    assert windows is not None
    if due and (windows.fold is None or windows.fold.compiled):
        sizes = live.roster.sizes if live.roster.joined else None
        decided, rewards = [one.record.event for one in due], [one.reward for one in due]
        columns = learned_columns(decided, rewards, live.problem, sizes)
        arguments = policy.params, live.state, live.spec.run, columns
        windows.fold = loop.fold.entry(*arguments)
        if windows.fold.compiled:
            await live.step(windows.fold, windows.fold, *arguments)
            made += [_entered(live, one, now) for one in due]
            return
    for one in due:
        await live.teach(one.record.event, one.action, Feedback(one.reward, NO_DETAIL))
        made.append(_entered(live, one, now))


def _entered(live: Live, one: Due, now: int) -> Event:
    """Return the event of what was learned of a decision, the next of the log."""
    assert live.windows is not None and isinstance(live.tally, WindowTally)
    decided = one.record.event
    assert decided.number is not None
    event = live.entered(decided, one.action, Feedback(one.reward, NO_DETAIL), None, now)
    one.record.reward = event = event._replace(detail=CLOSINGS[one.why])
    if one.why == "default":
        live.tally.note("defaults")
    live.windows.first = decided.number + 1
    return event
