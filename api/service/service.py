"""The service: one database, its writer, and the live experiments in it.

It answers as soon as it knows which experiments there are. Their logs are folded meanwhile, in a worker thread, one at
a time: those that are asked for first, and archived ones only then. Until its turn is over an experiment answers 503.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from ...engine.errors import Conflict, OnearmError, Unavailable
from ...engine.storage.access import RESTORE, Access
from ...engine.storage.records import Experiment
from ...engine.storage.store import Store
from ..access.deeds import Deeds
from ..access.keyring import Keyring
from ..access.sessions import Sessions
from ..experiment.sameness import asks_for, differences
from ..experiment.spec import Spec
from ..experiment.stored import StoredSpecs
from ..experiment.tenants import DEFAULT, name_of, parts_of, unknown_experiment
from ..kinds.table import kind_of
from .archives import Archives
from .artefacts import keep_all
from .chores import Chores, Rank
from .clocks import CLOCKS, Clocks
from .closing import Closing
from .compacting import Compactions
from .correcting import Correcting
from .curves import Curves
from .directory import Directory
from .erasing import Erasing
from .evaluating import Evaluations
from .exporting import Exports
from .glances import Glances
from .importing import Imported, write_log
from .keeping import keep_all_states
from .lag import Lag
from .lanes import Lanes
from .live import Live
from .measured import Requests
from .pace import Pace
from .policies import Policies
from .pools import Pools
from .records import CACHE_BYTES, Budget
from .recovery import Recovery
from .refusals import INCOMPLETE, recovering, refolding
from .room import DEFAULT_LIMITS, Room, StateLimits
from .setting_back import SettingBack
from .whose import Elsewhere, Everything, Whose
from .writer import Writer
from .written import row_of

log = logging.getLogger("onearm")

EXPERIMENTS_MAX = 10_000  # of a tenant


class Service:
    """Opens the database, recovers every experiment, and hands out the live ones by id."""

    def __init__(
        self,
        store: Store,
        *,
        clocks: Clocks = CLOCKS,
        cache_bytes: int = CACHE_BYTES,
        state_limits: StateLimits = DEFAULT_LIMITS,
        experiments_max: int = EXPERIMENTS_MAX,
        archives: Archives | None = None,
    ) -> None:
        self.store = store
        self.clock = clocks.wall
        self._setting_back = SettingBack(store, lambda live: self._lives.get(live.row.id) is live)
        self.writer = Writer(store, failed=self._setting_back.set_all_back)
        self.chores = Chores(store, self.writer)
        self.pools = Pools()
        self.curves = Curves(store, self.writer, self.pools)
        self.clocks = clocks._replace(wall=lambda: self.clock())
        self.closing = Closing(store, self.pools.lookups, lambda: self._lives.values())
        self.lanes = Lanes()
        self.exports = Exports()
        self.room = Room(state_limits)
        self.policies = Policies(lambda: self._lives.values(), store, self.writer, self.pools, self.room)
        kept = Archives.beside(store.url) if archives is None else archives
        self.compactions = Compactions(store, self.writer, self.chores, self.pools, self.room, kept, clocks.wall)
        self.correcting = Correcting(store, self.writer, self.pools, self.room, lambda: self._lives.values())
        self.evaluations = Evaluations(store, self.pools.evaluations, self.room)
        needed = store, self.writer, self.chores, self.pools, self.compactions, kept
        self.erasing = Erasing(*needed, self.evaluations.forget)
        self.whose: Whose = Everything()
        self._directory = Directory()
        self._specs = StoredSpecs()
        self._lives: dict[str, Live] = {}
        self._recovery = Recovery(store, self._read, lambda live: self._lives.update({live.row.id: live}))
        self.budget = Budget(cache_bytes)
        self._creating: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # of ids at work
        self._experiments_max = experiments_max
        self._being_written: Counter[str] = Counter()  # new experiments, by tenant
        self.lag, self.requests = Lag(), Requests()
        self.begun = time.monotonic()
        self.epoch = 0  # when the database was restored, in microseconds since 1970 UTC; 0 where it never was
        self.access = Access(store.url, write=True)
        self.deeds = Deeds(self.access)
        self.keyring = Keyring(self.access, clocks.wall)
        self.sessions = Sessions(self.keyring)
        self.pace, self.glances = Pace(), Glances()

    async def start(self, first: dict[str, Any], advanced: Callable[[], None] = lambda: None) -> None:
        """Know all experiments, and begin to recover them; an empty database gets the one whose body is `first`, ready.

        What deleted ones left is taken away meanwhile. `advanced` is called when one more is recovered, or cannot be.
        """
        await self._look_back()
        await asyncio.to_thread(keep_all, self.store)  # what experiments decide with
        known = await asyncio.to_thread(self.store.experiments)
        gone = await asyncio.to_thread(self.store.buried)
        rows = known if known or gone else [await self._write(Imported(Spec.from_json(first)), DEFAULT)]
        self._directory = Directory(rows, gone)
        await asyncio.to_thread(self.erasing.finish)
        self.chores.add(await asyncio.to_thread(lambda: list(self.compactions.left())))
        self._recovery.add(rows)
        await self._begin_work()
        self._recovery.begin(advanced if known else lambda: None)
        if not known:  # there is no log to read, and nobody who waits for it
            await self.recovered()

    async def join(self, whose: Whose) -> None:
        """Begin to work for the experiments that are taken up, of a database that several processes serve."""
        await self._look_back()
        self.whose = whose
        await self._begin_work()

    async def _look_back(self) -> None:
        """Take note of what happened to the database before."""
        if self.store.incomplete:
            log.warning("%s", INCOMPLETE)
        restored = await asyncio.to_thread(self.access.last, RESTORE)
        self.epoch = 0 if restored is None else restored.time

    def know(self, rows: Iterable[Experiment], gone: Iterable[str]) -> None:
        """Know these experiments, all that there are, by the order of their keys, and these that were deleted."""
        self._directory = Directory(rows, gone)

    @property
    def known_rows(self) -> dict[str, Experiment]:
        """Return the rows of all experiments that are known, by name."""
        return dict(self._directory.rows(None))

    async def take_up(self, rows: Iterable[Experiment], is_mine: Callable[[int], bool]) -> None:
        """Fold the logs of experiments that are this process's from now on, and finish what was begun with them.

        `is_mine` tells which keys are theirs, with those of deleted ones.
        """
        await asyncio.to_thread(keep_all, self.store)
        await asyncio.to_thread(self.erasing.finish, is_mine)
        self.chores.add(await asyncio.to_thread(lambda: list(self.compactions.left_of(is_mine))))
        self._recovery.add(rows)
        self._recovery.begin()

    async def give_up(self, names: Iterable[str]) -> None:
        """Work for some experiments no more, as another process will: what is queued is written, snapshots are kept."""
        lives = self._withdrawn(names)
        for live in lives:
            await live.turns.idle()
            with suppress(OnearmError):
                await live.committed()
        await asyncio.gather(*(live.turns.take(live.keeping.kept) for live in lives))
        await self._end_all(lives)

    async def abandon(self, names: Iterable[str]) -> None:
        """Work for some experiments no more, as another process does: what is queued cannot be written."""
        await self._end_all(self._withdrawn(names))

    def _withdrawn(self, names: Iterable[str]) -> list[Live]:
        """Return what is live of some experiments, and know no more of that."""
        some = list(names)
        for name in some:
            self._recovery.remove(name)
        return [live for name in some if (live := self._lives.pop(name, None)) is not None]

    async def _end_all(self, lives: Iterable[Live]) -> None:
        for live in lives:
            await self._end(live, Elsewhere(live.row.id))

    async def committed(self, name: str) -> None:
        """Wait until what an experiment has queued is committed; raises `Unavailable` where it cannot be."""
        if (live := self._lives.get(name)) is not None:
            await live.committed()

    def waits(self, name: str) -> bool:
        """Tell whether the log of an experiment waits here until it is folded."""
        return name in self._recovery

    def folds(self, name: str) -> bool:
        """Tell whether the log of an experiment is being folded, or will be without being asked for."""
        return self._recovery.comes(name)

    async def attend(self) -> None:
        """Begin to work for experiments that are taken in, of a database in which the others are somebody else's."""
        await self._begin_work()

    async def take_in(self, row: Experiment) -> None:
        """Fold the log of an experiment, and work for it."""
        live = await self.pools.creations.run(self._read, row)
        live.open(await self.pools.creations.run(live.recover))
        self._directory.add(row)
        self._lives[row.id] = live

    async def let_go(self, name: str) -> None:
        """Work for an experiment no more: what it has queued is written, and a snapshot kept."""
        if (live := self._lives.pop(name, None)) is None:  # it was deleted
            return
        self._directory.forget(name)
        await live.turns.idle()
        await self.writer.drain()
        await keep_all_states([live], self.writer)
        await self._end(live)

    async def _begin_work(self) -> None:
        self.lag.start()
        await self.keyring.start()
        for work in (self.closing, self.policies, self.correcting):
            work.start()
        self.curves.start(self._curved)
        self.pace.start(self._lives.values)

    def _curved(self) -> Iterator[Live]:
        """Yield what has curves."""
        yield from (live for live in self._lives.values() if live.kind.has_curve and live.unusable is None)

    async def recovered(self) -> None:
        """Wait until all that there were at the start, or were asked for, are recovered, or cannot be."""
        await self._recovery.done()

    async def stop(self) -> None:
        """Commit what is queued, keep snapshots of the states, as many as a while allows, and close the database."""
        await self.leave()
        self.store.close()

    async def leave(self) -> None:
        """Do the same, and leave the database open."""
        self.lag.stop()
        await self.keyring.stop()
        self._recovery.close()
        await self.recovered()  # up to the end of the page at work
        self._setting_back.stop()
        await self.evaluations.stop()
        for work in (self.pace, self.erasing, self.chores, self.curves, self.closing, self.policies, self.correcting):
            await work.stop()
        for live in self._lives.values():
            await live.turns.idle()
        await self.writer.drain()
        if self.store.lost is None:
            await keep_all_states(self._lives.values(), self.writer)
        self.writer.close()
        self.pools.close()
        await self.deeds.stop()
        self.access.close()  # before the store: the last connection of SQLite moves the log into the file

    @property
    def known(self) -> int:
        """How many experiments there are, with those that cannot be opened."""
        return len(self._directory)

    @property
    def failed(self) -> int:
        """How many experiments cannot be opened."""
        return len(self._recovery.unusable)

    @property
    def waiting(self) -> int:
        """How many experiments are not recovered yet since the start, without those that rest."""
        return len(self._recovery)

    @property
    def resting(self) -> int:
        """How many experiments are archived, and were not asked for since the start: their logs are not read."""
        return self._recovery.resting

    def lost(self) -> Unavailable | None:
        """Return what everything is refused with, where the files of the database were deleted or replaced; 6 us."""
        known = self.store.lost
        try:
            self.store.check_files()
        except Unavailable as error:
            if known is None:
                log.critical("%s", error)
            return error
        return None

    @property
    def recovering(self) -> int:
        """How many experiments fold their logs, or wait for it: of the start, or again after a commit that failed."""
        return self.waiting + sum(live.unusable is not None for live in self._lives.values())

    def live(self, name: str) -> Live:
        """Return a live experiment by its name; where its log is not folded yet it comes next, and this raises."""
        if self.store.lost is not None:
            raise self.store.lost
        self.whose.check(name)
        if (live := self._lives.get(name)) is not None:
            return live
        if name in self._recovery:
            self._recovery.ask(name)
            raise recovering()
        self._recovery.check(name)
        raise unknown_experiment(*parts_of(name))

    async def look_around(self) -> None:
        """Know of all experiments that there are by now, where other processes make some too."""
        await self.whose.look_around()

    def listed(self, tenant: str | None) -> dict[str, Live | Experiment]:
        """Return the experiments of a tenant (None: of all) that can be opened, by name, as they were created.

        Where the log waits it is the row alone.
        """
        rows = self._directory.rows(tenant)
        return {name: self._lives.get(name, row) for name, row in rows.items() if name not in self._recovery.unusable}

    async def create(self, body: dict[str, Any], tenant: str) -> tuple[Live, bool]:
        """Create an experiment of a tenant; return it and whether it is new. The same id and body give the same one."""
        named = body.get("experiment_id") is not None
        spec = await self.pools.creations.run(
            Spec.from_json, body if named else {**body, "experiment_id": "unnamed"}, self.room.limits.one
        )
        if not named:
            spec = dataclasses.replace(spec, id=self._free_id(tenant))
        name = name_of(tenant, spec.id)
        self.whose.check(name)
        async with self._creating.setdefault(name, asyncio.Lock()):
            self._recovery.check(name)
            if (known := self._directory.get(name)) is not None:
                asked = body | {"experiment_id": spec.id}
                said, stored = spec.to_json(), json.loads(known.spec)
                if not await self.pools.creations.run(asks_for, asked, said, stored):
                    found = differences(said, stored)
                    told = (f"{one.field} is {one.there} there, sent was {one.sent}" for one in found)
                    raise Conflict(
                        "experiment_exists",
                        f"the experiment {spec.id!r} exists with another spec, which never changes: {'; '.join(told)}. "
                        "Send what is there, or take another id",
                    )
                return self.live(name), False
            made = await self._placed(name, Imported(spec), tenant)
            for warning in spec.warnings:
                log.warning("experiment %r: %s", name, warning)
            return made, True

    async def take_over(self, export: Imported, tenant: str) -> Live:
        """Make an experiment of a tenant from a log that was checked; its id must be free."""
        name = name_of(tenant, export.spec.id)
        self.whose.check(name)
        async with self._creating.setdefault(name, asyncio.Lock()):
            if name in self._recovery.unusable or self._directory.get(name) is not None:
                raise Conflict(
                    "experiment_exists",
                    f"there is an experiment {export.spec.id!r} already: import it as another one, ?experiment_id=...",
                )
            return await self._placed(name, export, tenant)

    async def _placed(self, name: str, new: Imported, tenant: str) -> Live:
        """Make an experiment, if nobody had its id and there is room for its state."""
        if self._directory.is_gone(name):
            raise Conflict(
                "experiment_deleted",
                f"there was an experiment {new.spec.id!r}, which was deleted: an id is never used again; take another",
            )
        self.room.check(name, new.spec.state_bytes)
        self.room.take(name, new.spec.state_bytes)  # before another one does
        try:
            return await self._made(new, tenant)
        except BaseException:
            if name not in self._lives:
                self.room.take(name, 0)
            raise

    async def _made(self, new: Imported, tenant: str) -> Live:
        """Write a new experiment, and open it."""
        kernels = kind_of(new.spec.problem).kernels
        await self.pools.creations.run(kernels, new.spec)  # one that does not compile must not be written
        row = await self._add(new, tenant)
        live = self._lives[row.id] = await self.pools.creations.run(self._read, row)
        try:
            live.open(await self.pools.creations.run(live.recover))
        except OnearmError:  # it is written, and can be read when the database answers again
            self._setting_back.fold_again(live)
            raise
        if not self.whose.has(row.id):  # it was given up meanwhile
            await self.abandon([row.id])
            raise Elsewhere(row.id)
        return live

    def _free_id(self, tenant: str) -> str:
        """Return an id that nobody of a tenant has or gets; one that this process may give, where there are several."""
        number = self._directory.ever(tenant) + 1
        while self._is_taken(name_of(tenant, f"e{number}")):
            number += 1
        return f"e{number}"

    def _is_taken(self, name: str) -> bool:
        known = self._directory
        return not self.whose.has(name) or name in self._creating or known.get(name) is not None or known.is_gone(name)

    def row(self, name: str) -> Experiment:
        """Return the row of an experiment, which may not be recovered yet, or not be usable; raises `NotFound`."""
        if self.store.lost is not None:
            raise self.store.lost
        self.whose.check(name)
        if (row := self._directory.get(name)) is None:
            raise unknown_experiment(*parts_of(name))
        return row

    async def delete(self, name: str) -> int:
        """Delete an experiment for good and return when, in microseconds; its log is taken away in the background.

        What was asked before is answered; whoever asks afterwards hears `NotFound`, and nobody gets the id again.
        Raises `Unavailable` where this cannot be written: then the experiment is there as before.
        """
        self.row(name)
        async with self._creating.setdefault(name, asyncio.Lock()):
            row, now = self.row(name), self.clock()
            live = self._lives.pop(name, None)
            if live is not None:
                await self._end(live)
            try:
                await self.writer.run(self.store.bury, row.key, now)
            except OnearmError:
                if live is not None:
                    live.stop(refolding())
                    self._lives[name] = live
                    self._setting_back.fold_again(live)
                raise
            self._directory.remove(name)
            self._recovery.remove(name)
            if (opened := self._lives.pop(name, None)) is not None:  # its log was folded meanwhile
                await self._end(opened)
            self.writer.forget(row.key)
            self.evaluations.forget(row.key)
            self.chores.add(self.compactions.deletion(row.key))
            return now

    async def _end(self, live: Live, why: OnearmError | None = None) -> None:
        """Let an experiment refuse everything, and wait until what it has queued is written, or cannot be."""
        live.stop(why or unknown_experiment(*parts_of(live.row.id)))
        with suppress(OnearmError):
            await live.committed()
        live.records.clear()

    async def _add(self, new: Imported, tenant: str) -> Experiment:
        """Write a new experiment, if its tenant may have one more, and take note of it."""
        most = self._experiments_max
        if len(self._directory.rows(tenant)) + self._being_written[tenant] >= most:
            raise Conflict(
                "too_many_experiments",
                f"there are {most} experiments already, with the archived ones (--max-experiments): use one of them",
            )
        self._being_written[tenant] += 1
        try:
            row = await self._write(new, tenant)
            self._directory.add(row)
        finally:
            self._being_written[tenant] -= 1
        return row

    async def _write(self, new: Imported, tenant: str) -> Experiment:
        """Write an experiment; its log, where it has one, is in no list before."""
        spec, key = new.spec, None
        try:
            if new.events:
                key = await self.writer.run(self.store.reserve, self.clock())
                await write_log(self.store, self.writer, key, new)
            about = row_of(spec, self.clock(), new.archived_at)
            return await self.writer.run(self.store.add_experiment, name_of(tenant, spec.id), *about, key)
        except BaseException as error:
            if key is not None:
                self.chores.add([(Rank.DELETION, partial(self.store.purge, key))])
            if isinstance(error, Unavailable):
                log.error("the experiment %r could not be written: %s", name_of(tenant, spec.id), error)
            raise

    def _read(self, row: Experiment) -> Live:
        """Return an experiment whose log is not folded yet. Runs in a worker thread."""
        self.whose.know(row.key, row.id)
        spec = self._specs.read(row.spec)
        shared = self.store, self.writer, self.pools, self.budget, self.room, self.clocks, self._setting_back.set_back
        return Live(row, spec, kind_of(spec.problem), *shared)
