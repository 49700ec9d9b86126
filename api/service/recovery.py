"""Experiments recover one after another as they were created, those that are asked for first.

Archived ones rest: their logs are not read before somebody asks for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import NamedTuple

from ...engine.errors import OnearmError, Unavailable, exhausted
from ...engine.storage.records import Experiment
from ...engine.storage.store import Store
from .folded import Recovered
from .live import Live
from .setting_back import REFOLD_PAUSE

log = logging.getLogger("onearm")


class Queue:
    """Experiments whose logs are still to be folded. Its methods belong to the event loop's thread."""

    def __init__(self, rows: Iterable[Experiment] = ()) -> None:
        self._left: dict[str, Experiment] = {}
        self._resting: dict[str, Experiment] = {}
        self._asked: dict[str, Experiment] = {}  # in the order in which they were asked for
        self._closed = False
        self.next: Experiment | None = None  # whoever folds in another thread looks at it after each page
        self.add(rows)

    def __len__(self) -> int:
        """Return how many wait, without those that rest."""
        return len(self._left)

    def __contains__(self, experiment_id: str) -> bool:
        return experiment_id in self._left or experiment_id in self._resting

    def comes(self, experiment_id: str) -> bool:
        """Tell whether one comes by itself: it does not rest."""
        return experiment_id in self._left

    def holds(self, row: Experiment) -> bool:
        """Tell whether this very row waits, and not another one of its name that came since."""
        return row is self._left.get(row.id, self._resting.get(row.id))

    @property
    def resting(self) -> int:
        """How many are archived, and not read yet."""
        return len(self._resting)

    def add(self, rows: Iterable[Experiment]) -> None:
        """Let experiments come behind those that there are."""
        for row in rows:
            (self._left if row.archived_at is None else self._resting)[row.id] = row
        self._choose()

    def ask(self, experiment_id: str) -> None:
        """Let an experiment come before all that nobody asked for."""
        found = self._left.get(experiment_id) or self._resting[experiment_id]
        self._asked.setdefault(experiment_id, found)
        self._choose()

    def remove(self, experiment_id: str) -> None:
        """Strike out one that is folded, or that cannot be."""
        for some in (self._left, self._resting, self._asked):
            some.pop(experiment_id, None)
        self._choose()

    def postpone(self, experiment_id: str) -> None:
        """Let one that cannot be folded now come after all others; one that rests is to be asked for again."""
        if experiment_id in self._left:
            self._left[experiment_id] = self._left.pop(experiment_id)
        self._asked.pop(experiment_id, None)
        self._choose()

    def close(self) -> None:
        """Let none come next any more: the service ends."""
        self._closed = True
        self._choose()

    def _choose(self) -> None:
        first = next(iter(self._asked.values()), None) or next(iter(self._left.values()), None)
        self.next = None if self._closed else first


class Begun(NamedTuple):
    """A recovery at work."""

    live: Live
    steps: Generator[None, None, Recovered]


class Recovery:
    """Folds the logs of experiments that wait, in worker threads. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, read: Callable[[Experiment], Live], opened: Callable[[Live], None]) -> None:
        self.unusable: dict[str, OnearmError] = {}  # experiments that could not be opened, and why
        self._store, self._read, self._opened = store, read, opened
        self._queue = Queue()
        self._begun: dict[str, Begun] = {}  # of these
        self._skipped: dict[str, list[str]] = {}  # what was said of snapshots that are not good, by experiment
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many wait, without those that rest."""
        return len(self._queue)

    def __contains__(self, name: str) -> bool:
        return name in self._queue

    def comes(self, name: str) -> bool:
        """Tell whether one waits, and does not rest."""
        return self._queue.comes(name)

    @property
    def resting(self) -> int:
        """How many are archived, and not read yet."""
        return self._queue.resting

    def add(self, rows: Iterable[Experiment]) -> None:
        """Let experiments wait until their logs are folded; `begin` begins with it."""
        self._queue.add(rows)

    def ask(self, name: str) -> None:
        """Let one that waits come next."""
        self._queue.ask(name)
        self.begin()

    def check(self, name: str) -> None:
        """Raise `Unavailable` where an experiment could not be opened."""
        if name in self.unusable:
            raise self.unusable[name]

    def remove(self, name: str) -> None:
        """Know of an experiment no more."""
        self._queue.remove(name)
        self.unusable.pop(name, None)

    def close(self) -> None:
        """Begin with none any more: the service ends."""
        self._queue.close()

    async def done(self) -> None:
        """Wait until all that wait are folded, or cannot be."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def begin(self, advanced: Callable[[], None] = lambda: None) -> None:
        """Fold the logs that wait, unless that is being done; `advanced` is told when one more is, or cannot be."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._recover(advanced))

    async def _recover(self, advanced: Callable[[], None]) -> None:
        """Fold the logs that wait, always that which comes next."""
        try:
            await self._recover_all(advanced)
        finally:
            self._tell_skipped()

    async def _recover_all(self, advanced: Callable[[], None]) -> None:
        while (row := self._queue.next) is not None:
            try:
                recovered = await asyncio.to_thread(self._fold, row)
                if self._queue.holds(row):  # else it was deleted meanwhile, or is another's
                    if recovered is None:  # another one comes first
                        continue
                    live = self._begun[row.id].live
                    live.open(recovered)
                    self._opened(live)
            except Exception as error:  # a policy file may raise anything; the other experiments go on
                if isinstance(error, Unavailable) or exhausted(error) is not None:  # later it may be possible
                    log.error("experiment %r cannot be folded yet: %s", row.id, error)
                    self._begun.pop(row.id, None)
                    self._tell_skipped()  # it may be long until none waits
                    if self._queue.holds(row):
                        self._queue.postpone(row.id)
                    await asyncio.sleep(REFOLD_PAUSE)
                    continue
                if self._queue.holds(row):
                    self._give_up(row, error)
            self._begun.pop(row.id, None)
            if self._queue.holds(row):
                self._queue.remove(row.id)
            advanced()

    def _fold(self, row: Experiment) -> Recovered | None:
        """Go on with a recovery until it is done, or another one comes first: then None. Runs in a worker thread."""
        begun = self._begun.get(row.id)
        if begun is None or begun.live.row is not row:
            self._skipped.pop(row.id, None)  # of what it was before it begins anew
            live = self._read(row)
            begun = self._begun[row.id] = Begun(live, live.recovery(partial(self._skip, row.id)))
        with self._store.one_connection():
            while self._queue.next is row:
                try:
                    next(begun.steps)
                except StopIteration as done:
                    recovered: Recovered = done.value
                    return recovered
        return None

    def _skip(self, name: str, said: str) -> None:
        log.debug(said)
        self._skipped.setdefault(name, []).append(said)

    def _tell_skipped(self) -> None:
        """Say that snapshots were skipped: in one line, as an earlier version may have left thousands."""
        skipped, self._skipped = self._skipped, {}
        said = [line for lines in skipped.values() for line in lines]
        if len(said) > 1:
            more = f"{len(said) - 1:,} more lines like this, about {len(skipped):,} experiments"
            log.warning("%s (%s in all, are of the level DEBUG)", said[0], more)
        elif said:
            log.warning(said[0])

    def _give_up(self, row: Experiment, error: Exception) -> None:
        """Refuse from now on what is asked of an experiment that cannot be opened."""
        log.error("experiment %r cannot be opened: %s", row.id, error, exc_info=not isinstance(error, OnearmError))
        self.unusable[row.id] = Unavailable("cannot_open", f"the experiment {row.id!r} cannot be opened: {error}")
