"""Decisions are erased: their rows say nothing of anybody any more, and the log counts and folds as before.

What is erased is hidden first: a reward or a retry of it is refused for a moment. Then the state as it is becomes the
base of the log, since no fold can go over blank rows again. Then it is on record which decisions are erased; they are
blanked, first in archives and then in the database, and forgotten. A process that ends in between leaves nothing half
done: the next start blanks the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple
from weakref import WeakValueDictionary

from ...engine.errors import InvalidInput, Unavailable
from ...engine.storage.erasures import Counted
from ...engine.storage.records import Base, Event
from ...engine.storage.store import Store
from ...engine.vocabulary import DECISIONS
from ..kinds.kind import Several
from .archives import Archives
from .bases import archived
from .chores import RETRY_SECONDS, Chores
from .compacting import Compactions
from .live import Live
from .pools import Pools
from .writer import Writer

log = logging.getLogger("onearm")

PAGE = 1000  # decisions for a unit that are looked up at once
NOTHING = Counted(0, 0, 0)


class Done(NamedTuple):
    """What an erasure came to."""

    counted: Counted
    left: list[str]  # archives that may still hold what is erased: they could not be read or written


class Erasing:
    """The erasures under way. Its methods belong to the event loop's thread."""

    def __init__(
        self,
        store: Store,
        writer: Writer[Live],
        chores: Chores,
        pools: Pools,
        compactions: Compactions,
        archives: Archives,
        forget: Callable[[int], None],
    ) -> None:
        """`forget` is told the key of an experiment of which somebody was erased: what was made of its log may tell."""
        self._store, self._writer, self._chores = store, writer, chores
        self._pools, self._compactions, self._archives = pools, compactions, archives
        self._forget = forget
        self._tasks: set[asyncio.Task[Done]] = set()
        self._under_way: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # by the key of the experiment

    async def erase_unit(self, live: Live, unit_id: str) -> Done:
        """Erase all decisions for a unit that are on record now; return how many, none where there are none."""
        return await self._whole(live, partial(_of_unit, self._store, live.row.key, unit_id))

    async def erase_decisions(self, live: Live, names: Sequence[int | str]) -> Done:
        """Erase decisions by number or by the client's id; what is not on record counts nothing.

        Raises `InvalidInput` ("not_a_pull") where one is for nobody, and then erases none.
        """
        return await self._whole(live, partial(_named, self._store, live, names))

    def finish(self, is_mine: Callable[[int], bool] = lambda key: True) -> None:
        """Blank what a process before had begun with, of some experiments, by their keys.

        Runs in a worker thread, before anything of them is answered.
        """
        left = list(filter(is_mine, self._store.unblanked()))
        known: list[str] = []
        for experiment in filter(is_mine, self._store.with_erasures()):
            for after, base in archived(self._store.bases(experiment)):
                if (fresh := self._rewritten(after, base, known)) is not None:
                    self._store.put_archive(fresh)
                    self._renamed(fresh, known)
        for experiment in left:
            while self._store.blank(experiment, PAGE):
                pass
        if left:
            self._store.empty_wal()

    async def stop(self) -> None:
        """Leave the rest for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _whole(self, live: Live, named: partial[list[int]]) -> Done:
        """Erase, whether or not somebody waits for it until the end."""
        task = asyncio.get_running_loop().create_task(self._erase(live, named))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _erase(self, live: Live, named: partial[list[int]]) -> Done:
        async with self._under_way.setdefault(live.row.key, asyncio.Lock()):
            live.check_usable()
            await live.committed()
            numbers = await self._related(live, await self._pools.lookups.run(named))
            if not numbers:
                return Done(NOTHING, await self._blank_archives(live.row.key))
            hidden: set[int] = set()
            try:
                while more := numbers - hidden:
                    await live.turns.take(_hide, live, more)
                    hidden |= more
                    await live.committed()  # until it was hidden one may have been shown as another decision
                    numbers |= await self._related(live, more)
                return await self._blanked(live, sorted(numbers))
            finally:
                live.erasing.difference_update(hidden)
                live.records.forget(hidden)

    async def _related(self, live: Live, numbers: Collection[int]) -> set[int]:
        """Return the numbers of decisions with those of what belongs to them, as far as that is committed."""
        return {*numbers, *await self._pools.lookups.run(self._store.related, live.row.key, sorted(numbers))}

    async def _blanked(self, live: Live, numbers: list[int]) -> Done:
        """Blank decisions that are hidden."""
        key = live.row.key
        await self._compactions.move_base(live)  # to a seq behind all that was learned of them
        live.check_usable()
        async with self._pools.compactions.turn():  # or one that reads the log already would keep it in an archive
            counted = await self._pools.lookups.run(self._store.counted, key, numbers)
            await self._name(key, numbers)
            if live.windows is not None:
                live.windows.early.forget({*numbers})
            self._forget(key)
            left = await self._blank_kept(key)
        await self._chores.erase(partial(self._store.blank, key))
        return Done(counted, left)

    async def _blank_archives(self, key: int) -> list[str]:
        """Blank in archives whatever was erased before: one that was elsewhere then may be back."""
        if not await self._pools.lookups.run(self._store.erased, key):
            return []
        async with self._pools.compactions.turn():
            return await self._blank_kept(key)

    async def _blank_kept(self, key: int) -> list[str]:
        """Blank what is erased in all archives, in the turn of compactions; return those where that cannot be done."""
        call = self._pools.compactions.call
        left: list[str] = []
        for after, base in await call(lambda: list(archived(self._store.bases(key)))):
            if (fresh := await call(self._rewritten, after, base, left)) is not None:
                await self._writer.run(self._store.put_archive, fresh)
                await call(self._renamed, fresh, left)
        return left

    def _rewritten(self, after: int, base: Base, left: list[str]) -> Base | None:
        """Write an archive again beside itself, with what is erased blank; return its base with what is true of that.

        None where it says nothing of that, or where it cannot be read or written: then its name joins those `left`.
        """
        assert base.archive is not None
        try:
            numbers = self._store.erased_between(base.experiment, after, base.seq)
            written = self._archives.blank(base.archive, numbers) if numbers else None
        except OSError as error:
            log.error("the archive %s holds what was erased and could not be written again: %s", base.archive, error)
            left.append(base.archive)
            return None
        return written and base._replace(archive_sha256=written.sha256, archive_bytes=written.size)

    def _renamed(self, base: Base, left: list[str]) -> None:
        """Let the archive that was written take the place of the one that there was."""
        assert base.archive is not None
        try:
            self._archives.replace(base.archive)
        except OSError as error:
            log.error("the archive %s holds what was erased, and could not be replaced: %s", base.archive, error)
            left.append(base.archive)

    async def _name(self, key: int, numbers: list[int]) -> None:
        """Put on record what is erased. Where that fails it may be there all the same, so it is not given up."""
        while True:
            try:
                await self._writer.run(self._store.erase, key, numbers)
            except Unavailable as error:
                if self._store.lost is not None:
                    raise
                log.error("an erasure is not on record yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


async def _hide(live: Live, numbers: Collection[int]) -> None:
    """Let nothing be told or learned of decisions from now on."""
    live.check_usable()
    live.erasing.update(numbers)
    live.records.forget(numbers)


def _of_unit(store: Store, key: int, unit_id: str) -> list[int]:
    """Return the numbers of the decisions for a unit, in order. Runs in a worker thread."""
    found: list[int] = []
    while page := store.of_unit(key, unit_id, found[-1] if found else -1, PAGE):
        found += page
    return found


def _named(store: Store, live: Live, names: Sequence[int | str]) -> list[int]:
    """Return the numbers of decisions, and of rewards that came before, in order. Runs in a worker thread.

    Of a list all slots are among them.
    """
    key, several = live.row.key, live.kind.several
    numbers = [name for name in names if isinstance(name, int)]
    events = store.find(key, numbers, [name for name in names if isinstance(name, str)])
    for event in events:
        if (event.decision_id or "").startswith("~"):
            raise InvalidInput("not_a_pull", f"decision {event.number} read an arm, and is for nobody: erase pulls")
    early = store.early_of(key, [name for name in names if isinstance(name, str)])
    decided = [event for event in events if event.kind in DECISIONS and event.number is not None]
    if several is not None:
        decided = [one for event in decided for one in _whole(store, key, several, event)]
    return sorted({*early, *(event.number for event in decided if event.number is not None)})


def _whole(store: Store, key: int, several: Several, event: Event) -> list[Event]:
    """Return all decisions that one is made with. Runs in a worker thread."""
    near = store.find(key, list(several.numbers(event)), [])
    return [one for one in near if one.kind in DECISIONS and several.goes_with(event, one)]
