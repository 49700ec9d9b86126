"""States that are ahead of their logs, as after a commit that failed, are thrown away and folded again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ...engine.errors import OnearmError
from ...engine.storage.store import Store
from .live import Live
from .refusals import refolding

log = logging.getLogger("onearm")

REFOLD_PAUSE = 0.5  # seconds before a fold that failed is tried again


class SettingBack:
    """Sets experiments back and folds them again; `is_at_work` says whether one is still there when that is done."""

    def __init__(self, store: Store, is_at_work: Callable[[Live], bool]) -> None:
        self._store, self._is_at_work = store, is_at_work
        self._tasks: dict[Live, asyncio.Task[None]] = {}

    def set_all_back(self, lives: set[Live], error: OnearmError) -> None:
        """Set back whatever had decided or learned what a commit that failed was to write."""
        log.log(logging.ERROR if self._store.lost is None else logging.CRITICAL, "a commit failed: %s", error)
        list(map(self.set_back, lives))

    def set_back(self, live: Live) -> None:
        """Throw away a state that is ahead of the log, and fold it again; not where that is lost."""
        live.stop(self._store.lost or refolding())
        if self._store.lost is None:
            self.fold_again(live)

    def fold_again(self, live: Live) -> None:
        """Fold it again, unless it is at that."""
        known = self._tasks.get(live)
        if known is None or known.done():
            task = self._tasks[live] = asyncio.get_running_loop().create_task(self._fold(live))
            task.add_done_callback(lambda done: self._tasks.get(live) is done and self._tasks.pop(live))

    async def done(self, live: Live) -> None:
        """Wait until an experiment is folded again, if it is at that."""
        if (task := self._tasks.get(live)) is not None:
            await task

    def stop(self) -> None:
        """Fold no more: what is at work is given up."""
        for task in self._tasks.values():
            task.cancel()

    async def _fold(self, live: Live) -> None:
        with suppress(OnearmError):
            await live.committed()  # what is queued belongs to the log
        while True:
            try:
                recovered = await asyncio.to_thread(live.recover)
            except Exception as error:  # whatever it is, the next try may succeed
                log.error("experiment %r cannot be folded yet: %s", live.row.id, error)
                await asyncio.sleep(REFOLD_PAUSE)
            else:
                if self._is_at_work(live):  # else it was deleted meanwhile
                    live.open(recovered)
                return
