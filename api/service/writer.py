"""Group commit: one thread writes the events of all experiments, one transaction a batch, answers after it.

Batches form by themselves: while one is being committed the next one gathers, and so it does for a few rounds of the
event loop after that. Whoever was answered asks again in these rounds and is in the next batch, with all others; else
two halves of the clients would take turns, and the two threads would be at work at the same time, each waiting for the
other at Python's lock: a quarter of all CPU time at 64 connections. The event loop owns the queues, one for each
experiment, so events reach the log in the order in which the states learned them. Experiments take turns: one that
sends much has a share of each batch.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

from ...engine import snapshot
from ...engine.errors import OnearmError, Unavailable
from ...engine.storage.records import SUMS, Base, Event, Snapshot, SnapshotPart
from ...engine.storage.store import Store
from ..experiment.sums import packed
from .draws import Draws
from .history import ENDINGS, archived_at
from .measured import EVENTS, SECONDS, Histogram

log = logging.getLogger("onearm")
Owner = TypeVar("Owner")  # of events: the live experiment
Made = TypeVar("Made")
P = ParamSpec("P")

BATCH_MAX = 1000  # entries
SHARE_MAX = 200  # of them of one experiment, where others wait
HUNG_SECONDS = 5.0  # of a commit: what is asked after that is refused, and does not wait for nobody knows how long
WAITING_MAX = 50_000  # entries that wait for a commit to begin; beyond that more are refused
ROUNDS = 4  # of the event loop between two commits: answers leave, what their clients ask next is read and queued
ROUNDS_SECONDS = 0.02  # that these may take; more where others keep the loop busy, and then nobody is waited for
PARTS_MAX = 8  # of a snapshot with one batch: those who wait for the batch wait for them


class Queued(NamedTuple):
    """Events on their way to the log, which are written together or not at all."""

    live: Any
    events: tuple[Event, ...]
    committed: asyncio.Future[None]
    base: Base | None = None  # that comes with them, whose parts are written


class Commit(NamedTuple):
    """A transaction that ended."""

    events: int
    seconds: float
    error: OnearmError | None


class Kept(NamedTuple):
    """The last snapshot of an experiment that was written."""

    seq: int
    at: float  # seconds of the monotonic clock


class PendingSnapshot:
    """A state and its sums on their way to the store, some parts with each batch.

    Neither must change until `stored` is called: it is there, or given up.
    """

    def __init__(
        self,
        experiment: int,
        seq: int,
        decisions: int,
        versions: str,
        state: Any,
        sums: Any,
        stored: Callable[[], None] = lambda: None,
    ) -> None:
        self.experiment = experiment
        self.seq = seq
        self.stored = stored
        self.whole: Snapshot | None = None  # once all parts are taken
        self._decisions, self._versions = decisions, versions
        self._sums = sums
        self._left = enumerate(snapshot.parts(state))
        self._digest = hashlib.sha256()

    def take(self) -> list[SnapshotPart]:
        """Pack the next few parts."""
        parts = [SnapshotPart(self.experiment, self.seq, *part) for part in islice(self._left, PARTS_MAX)]
        for part in parts:
            self._digest.update(part.state)
        if len(parts) < PARTS_MAX:
            digest = self._digest.hexdigest()
            self.whole = Snapshot(self.experiment, self.seq, self._decisions, digest, self._versions)
            parts.append(SnapshotPart(self.experiment, self.seq, SUMS, packed(self._sums)))
        return parts


class Writer(Generic[Owner]):
    """The queues of events and the thread that commits them. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, failed: Callable[[set[Owner], OnearmError], None]) -> None:
        self.seconds = Histogram(SECONDS)  # of a commit
        self.sizes = Histogram(EVENTS)  # events of a commit
        self.failures = 0  # commits that wrote nothing
        self.draws = Draws()
        self.watcher: Callable[[Commit], None] | None = None  # is told of every transaction
        self.kept: dict[int, Kept] = {}  # the last snapshot of an experiment that was written, by its key
        self._store = store
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._queues: dict[Owner, deque[Queued]] = {}  # of each that has events to write; whose turn it is comes first
        self.waiting = 0  # entries whose commit has not begun
        self._pending: list[PendingSnapshot] = []
        self._busy = False
        self._begun = 0.0  # when the commit at work did, by the monotonic clock
        self._forgotten: set[int] = set()  # experiments of which no more snapshots are stored
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="onearm-writer", daemon=True)
        self._thread.start()

    @property
    def running(self) -> float:
        """How long the commit at work has taken until now, in seconds; 0 where there is none."""
        return time.monotonic() - self._begun if self._busy else 0.0

    def check(self) -> None:
        """Refuse what would have to be queued where a commit hangs, or too much waits already: `Unavailable`."""
        if self._busy and (self.running > HUNG_SECONDS or self.waiting >= WAITING_MAX):
            raise Unavailable(
                "commit_slow",
                f"the database has been at one commit for {self.running:.1f} s and {self.waiting} requests wait for "
                "the next one, so nothing new is taken: see what holds it up, and try again",
            )

    def append(self, live: Owner, *events: Event, base: Base | None = None) -> asyncio.Future[None]:
        """Queue events of one transaction; the future is done when they are committed, or raises `Unavailable`."""
        future = self._loop.create_future()
        self._queues.setdefault(live, deque()).append(Queued(live, events, future, base))
        self.waiting += 1
        self._flush_soon()
        return future

    def keep(self, pending: PendingSnapshot) -> None:
        """Queue a snapshot, to be stored with the events before it."""
        self._pending.append(pending)
        self._flush_soon()

    async def run(self, work: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Do something else in the thread that commits, behind what it has begun: all others wait as long."""
        future: asyncio.Future[Made] = self._loop.create_future()
        self._jobs.put(partial(self._do, future, partial(work, *given, **named)))
        return await future

    def forget(self, experiment: int) -> None:
        """Store no more of the snapshots of an experiment."""
        self._forgotten.add(experiment)
        gone = [pending for pending in self._pending if pending.experiment == experiment]
        self._pending = [pending for pending in self._pending if pending.experiment != experiment]
        for pending in gone:
            pending.stored()

    async def drain(self) -> None:
        """Wait until everything queued is committed or has failed."""
        while self._busy or self._queues or self._pending:
            await asyncio.sleep(0.002)

    def close(self) -> None:
        """End the thread after the batch at work."""
        self._jobs.put(None)
        self._thread.join()

    def _flush_soon(self) -> None:
        if not self._busy:
            self._busy = True
            self._begun = time.monotonic()
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        batch = self._next_batch()
        self.waiting -= len(batch)
        self._begun = time.monotonic()
        ready, self._pending = self._ready()
        self._jobs.put(partial(self._commit, batch, ready))

    def _next_batch(self) -> list[Queued]:
        """Take what is written next: of each a share where others wait; who has more comes last from then on."""
        share = BATCH_MAX if len(self._queues) == 1 else SHARE_MAX
        batch: list[Queued] = []
        for live in list(self._queues):
            if len(batch) >= BATCH_MAX:
                break
            waiting = self._queues.pop(live)
            batch += [waiting.popleft() for _ in range(min(share, BATCH_MAX - len(batch), len(waiting)))]
            if waiting:
                self._queues[live] = waiting
        return batch

    def _ready(self) -> tuple[list[PendingSnapshot], list[PendingSnapshot]]:
        """Return the snapshots whose events are on their way, and the others: no snapshot is ahead of the log."""
        if not self._queues or not self._pending:
            return self._pending, []
        first_events = (entries[0].events[0] for entries in self._queues.values())
        waiting = {event.experiment: event.seq for event in first_events}  # the first seq of each that still waits
        ready: list[PendingSnapshot] = []
        early: list[PendingSnapshot] = []
        for pending in self._pending:
            first = waiting.get(pending.experiment)
            (ready if first is None or pending.seq < first else early).append(pending)
        return ready, early

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _commit(self, batch: list[Queued], ready: list[PendingSnapshot]) -> None:
        error: OnearmError | None = None
        begun = time.perf_counter()
        try:
            events = [event for entry in batch for event in entry.events]
            archived = [(event.experiment, archived_at(event)) for event in events if event.detail in ENDINGS]
            parts = [part for pending in ready for part in pending.take()]
            snapshots = [pending.whole for pending in ready if pending.whole]
            bases = [entry.base for entry in batch if entry.base is not None]
            self._store.append(events, archived, parts, snapshots, bases)
        except OnearmError as caught:
            error = caught
        except Exception as caught:  # whatever it is, those who wait must hear of it
            log.exception("the writer failed")
            error = Unavailable("commit_failed", f"nothing was written ({caught}): try again")
        self._loop.call_soon_threadsafe(self._done, batch, ready, error, time.perf_counter() - begun)

    def _do(self, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        made, error = None, None
        try:
            made = work()
        except Exception as caught:  # whatever it is, who waits must hear of it
            error = caught
        self._loop.call_soon_threadsafe(_tell, future, made, error)

    def _done(
        self, batch: list[Queued], ready: list[PendingSnapshot], error: OnearmError | None, seconds: float
    ) -> None:
        self._pending = [one for one in ready + self._pending if one.experiment not in self._forgotten]
        self.seconds.add(seconds)
        events = sum(len(entry.events) for entry in batch)
        self.sizes.add(events)
        if self.watcher is not None:
            self.watcher(Commit(events, seconds, error))
        if error is not None:
            self.failures += 1
            self._give_up(batch, error)
        else:
            for entry in batch:
                if not entry.committed.cancelled():
                    entry.committed.set_result(None)
            if self.draws.watched:
                for entry in batch:
                    self.draws.add(entry.events)
            self._pending = [pending for pending in self._pending if pending.whole is None]
            for pending in ready:
                if pending.whole is not None:
                    self.kept[pending.experiment] = Kept(pending.seq, time.monotonic())
                    pending.stored()
        self._begun = time.monotonic()
        self._loop.call_soon(self._gather, ROUNDS - 1)

    def _gather(self, rounds: int) -> None:
        """Begin the next commit after some rounds of the event loop, where there is anything to write then."""
        if rounds and time.monotonic() - self._begun < ROUNDS_SECONDS:
            self._loop.call_soon(self._gather, rounds - 1)
        elif self._queues or self._pending:
            self._flush()
        else:
            self._busy = False

    def _give_up(self, batch: list[Queued], error: OnearmError) -> None:
        """Fail a batch and all that is queued behind it for its experiments, whose states are ahead of the log."""
        lives = {entry.live for entry in batch}
        behind = [entry for live in lives for entry in self._queues.pop(live, ())]
        self.waiting -= len(behind)
        for pending in self._pending:
            pending.stored()
        self._pending = []
        for entry in batch + behind:
            if not entry.committed.done():
                entry.committed.set_exception(error)
                entry.committed.exception()  # retrieved: a client that left must not leave a warning
        self._failed(lives, error)


def _tell(future: asyncio.Future[Any], made: Any, error: Exception | None) -> None:
    """Tell what came of it, unless nobody waits any more."""
    if future.done():
        return
    if error is None:
        future.set_result(made)
    else:
        future.set_exception(error)
