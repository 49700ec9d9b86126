"""Windows close: what came of a decision by then, or the default, is learned as one event of the log.

They close a few at a time, between what clients ask, of each experiment in turn, and in the order of their due times.
Nothing is kept of open windows for that: those that are due next are read from the log, and their decisions from memory
or from there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from ...engine import loop
from ...engine.actions import pack_detail
from ...engine.errors import OnearmError
from ...engine.replay.folding import NOT_JUDGED
from ...engine.storage.event_columns import learned_columns
from ...engine.storage.records import Event
from ...engine.storage.store import Store
from ...engine.storage.windows import CLOSINGS, Begun, Closed, Valued, why_closed, with_beside
from ...engine.vocabulary import Action, Feedback
from ..experiment.windowed import WindowTally
from ..tasks import ended
from . import arriving
from .live import Live
from .pools import Pool
from .records import Record
from .windows import NEVER, detail_of, is_activated, is_over, waits

EVERY = 0.25  # seconds between two looks at what is due
SECONDS = 0.002  # for which windows close in one piece
READ = 500  # windows that are read together
PIECE_MAX = 500  # decisions of one piece
ERASING = 100_000  # microseconds until a decision that is being erased is looked at again
UNWRITTEN = 100_000  # microseconds until what is not committed yet is looked for again
LATER = 1_000_000  # microseconds until windows that could not be closed are

log = logging.getLogger("onearm")


class Due(NamedTuple):
    """A decision whose window closes, and what is learned of it."""

    record: Record
    action: Action
    feedback: Feedback | None  # None where it was never shown
    why: Closed | None  # None there, too


class Passed(NamedTuple):
    """A window that is gone past: it closes, was closed, or began again when its decision was activated."""

    begun: Begun
    was_activated: bool
    due: Due | None = None
    at_once: Valued | None = None  # what was learned of it while it was open, and counts from now on


class Closing:
    """Closes what is due. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, pool: Pool, lives: Callable[[], Iterable[Live]]) -> None:
        self._store, self._pool, self._lives = store, pool, lives
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after windows."""
        self._task = asyncio.get_running_loop().create_task(self._keep_on())

    async def stop(self) -> None:
        """Leave the rest for the next start."""
        await ended(self._task)

    async def close_due(self) -> None:
        """Close all windows that are due now, a piece of each experiment in turn."""
        while due := [live for live in self._lives() if is_due(live)]:
            for live in due:
                try:
                    await close_some(self._store, self._pool, live)
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


class Erased(NamedTuple):
    """What counts of decisions that are erased."""

    activated: Set[int]  # the numbers of those that were deferred and activated
    at_once: Mapping[int, Valued]  # what was learned of them at once, by number


def _erased(store: Store, experiment: int, numbers: Sequence[int]) -> Erased:
    """Return what counts of decisions of some numbers. For a worker thread."""
    return Erased(store.activated(experiment, numbers), store.values_at_once(experiment, numbers))


async def close_some(store: Store, pool: Pool, live: Live) -> None:
    """Close the next windows that are due: they are read together, and closed in pieces that take a moment each."""
    windows, state = live.windows, live.state
    assert windows is not None
    begun = await pool.run(store.begun, live.row.key, windows.closed, READ)
    async with live.records.held({one.number for one in begun}, live.erasing) as records:
        gone = [one.number for one in begun if one.number not in records]
        erased = await pool.run(_erased, store, live.row.key, gone) if gone else Erased(set(), {})
        left, is_end = begun, len(begun) < READ
        while True:
            piece, left = left[: windows.piece], left[windows.piece :]
            await live.reading.unlocked()
            if live.state is not state:  # the log was folded again, and may not be what was read
                return
            start = time.thread_time()  # how long it waits for other threads says nothing of pieces
            await live.turns.take(_close, live, piece, records, erased, is_end=is_end and not left)
            took = time.thread_time() - start
            windows.piece = max(1, windows.piece // 2) if took > SECONDS else min(PIECE_MAX, windows.piece + 10)
            if not left or windows.closed < piece[-1].seq or windows.next_due > windows.now():
                return
            await asyncio.sleep(0)


async def _close(
    live: Live, begun: Sequence[Begun], records: Mapping[int, Record], erased: Erased, *, is_end: bool
) -> None:
    """Close the first windows, of what has begun in this order, as far as they are due; `is_end` where no other has.

    What is learned of them is written together. The caller has the turn, and holds those that are on `records`; the
    others are `erased`.
    """
    live.check_open()
    windows, state, now = live.windows, live.state, live.now()
    assert windows is not None
    if live.reading.locked:  # since the turn was asked for
        return
    passed: list[Passed] = []
    following, first_open = now, None
    for one in begun:
        if one.seq <= windows.closed:  # another one may have closed some meanwhile
            continue
        if one.number in live.erasing:
            following, first_open = now + ERASING, one
            break
        record = records.get(one.number)
        if record is not None and live.records.known(one.number) is not record:  # it was erased meanwhile
            is_end = False
            break
        was_activated = one.number in erased.activated if record is None else is_activated(record)
        begins = one.is_activation or not was_activated
        if begins and windows.due_of(one) > now:
            following, first_open = windows.due_of(one), one
            break
        if record is None:
            passed.append(Passed(one, was_activated, at_once=erased.at_once.get(one.number) if begins else None))
        elif not begins:
            passed.append(Passed(one, True))
        else:
            passed.append(Passed(one, False, _due(live, record), _at_once(record)))
    made: list[Event] = []
    try:
        await _learn(live, passed, made, now)
        if first_open is not None:
            windows.closed = max(windows.closed, first_open.seq - 1)
        if following == now and is_end:  # the log says of no other
            following = now + UNWRITTEN if windows.is_behind else NEVER
        windows.next_due = following
    finally:
        if made and live.state is state:  # else the log is folded again, without them
            committed = live.queue(*made)
            due = [one.due for one in passed if one.due is not None]
            for closed in due[: len(made)]:
                closed.record.rewarded = committed
            live.keeping.snapshot_if_due()


def _due(live: Live, record: Record) -> Due | None:
    """Return what is to be learned of a decision whose window closes; None where nothing is, nor said."""
    windows = live.windows
    assert windows is not None
    if record.reward is not None or is_over(record):
        return None
    action = live.kind.action(live, record.event)
    if waits(record):
        return Due(record, action, None, None)
    rewards = windows.rewards(record)
    reward = windows.window.together(rewards)
    if reward is None:
        return None
    beside = detail_of(live.problem, record)
    return Due(record, action, Feedback(reward, beside), "reward" if rewards else "default")


def _at_once(record: Record) -> Valued | None:
    """Return what was learned of a decision at once, as it is known now."""
    learned = record.reward
    if learned is None or why_closed(learned) != "at_once":
        return None
    assert learned.action is not None
    return Valued(learned.action, record.value)


async def _learn(live: Live, passed: list[Passed], made: list[Event], now: int) -> None:
    """Go past windows, and learn what came of their decisions, in one step where that is compiled.

    Adds the events to `made`, the next ones of the log.
    """
    windows, policy = live.windows, live.spec.policy
    assert windows is not None
    known = [(one.due, one.due.feedback) for one in passed if one.due is not None and one.due.feedback is not None]
    at_once = False
    if known and (windows.fold is None or windows.fold.compiled):
        sizes = live.roster.sizes if live.roster.joined else None
        decided = [due.record.event for due, _ in known]
        rewards = [(feedback.reward, pack_detail(feedback.detail.tolist())) for _, feedback in known]
        columns = learned_columns(decided, rewards, live.problem, sizes)
        arguments = policy.params, live.state, live.spec.run, columns, *NOT_JUDGED
        windows.fold = loop.fold.entry(*arguments)
        if at_once := windows.fold.compiled:
            await live.step(windows.fold, windows.fold, *arguments)
    for one in passed:
        due = one.due
        if due is not None and due.feedback is not None and not at_once:
            await live.teach(due.record.event, due.action, due.feedback)
        if due is not None:
            made.append(_entered(live, due, now))
        windows.passes(one.begun, one.was_activated)
        if one.at_once is not None:
            live.tally.correct(one.at_once.action, None, one.at_once.reward)


def _entered(live: Live, due: Due, now: int) -> Event:
    """Return the event of a window that closes, the next of the log."""
    assert isinstance(live.tally, WindowTally)
    if due.feedback is None or due.why is None:
        return arriving.lapsed(live, due.record, now)
    closing = with_beside(CLOSINGS[due.why], due.feedback.detail.tolist())
    due.record.reward = event = live.entered(due.record.event, due.action, due.feedback, None, now, closing)
    if due.why == "default":
        live.tally.note("defaults")
    return event
