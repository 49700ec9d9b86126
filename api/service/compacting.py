"""A state of the past becomes the base that a log is folded from, and what lies before it slim.

The state is folded beside the one at work, in a thread, and its parts are written between the commits of others: the
experiment decides and learns meanwhile. The base's row comes last, and makes it true. From then on decisions that were
learned by then are made slim in the background. Of these a retry, a count or a look-up needs their ids, their action
and their reward; what only a fold or an evaluation reads goes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ...engine.errors import Conflict, InvalidInput, OnearmError
from ...engine.storage.records import Base
from ...engine.storage.store import Store
from ..experiment.sums import packed
from .archives import Archives
from .bases import floor_of, parts_of
from .chores import Chores, Rank, Ranked
from .floor import check_corrected, floor_raised
from .folded import finished, fold_log
from .history import History
from .live import Live
from .pools import Pools
from .refold import not_from
from .room import Room
from .writer import PARTS_MAX, Writer

log = logging.getLogger("onearm")
Made = TypeVar("Made")
P = ParamSpec("P")


class Compacted(NamedTuple):
    """A base, and how many events it stands for beside those of the base before."""

    base: Base
    events: int


class _Folded(NamedTuple):
    """A state on its way to become a base."""

    kept: Any  # the policy's state, and what the kind keeps beside it
    sums: bytes
    decisions: int
    versions: str


class Compactions:
    """Makes bases. Its methods belong to the event loop's thread."""

    def __init__(
        self,
        store: Store,
        writer: Writer[Live],
        chores: Chores,
        pools: Pools,
        room: Room,
        archives: Archives,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._writer, self._chores = store, writer, chores
        self._pools, self._room, self._archives, self._clock = pools, room, archives, clock

    def left(self) -> Iterator[Ranked]:
        """Clear away what attempts before the start left, and yield what is not done yet. Runs in a worker thread."""
        self._remove(self._store.noted_archives())
        self._store.sweep_bases()
        yield from self.left_of(lambda key: True)

    def left_of(self, is_mine: Callable[[int], bool]) -> Iterator[Ranked]:
        """Yield what is not done yet of some experiments, by their keys. Runs in a worker thread."""
        for key in filter(is_mine, self._store.unpurged()):
            yield from self.deletion(key)
        for base in self._store.unslimmed():
            if is_mine(base.experiment):
                yield Rank.SLIMMING, partial(self._store.slim, base.experiment, base.seq)
        for key in filter(is_mine, self._store.changed()):
            yield Rank.SLIMMING, partial(self._store.prune, key)

    def deletion(self, key: int) -> list[Ranked]:
        """Return what takes away all that is left of a deleted experiment: its archives first, while it has names."""
        return [(Rank.DELETION, partial(self._remove_archives, key)), (Rank.DELETION, partial(self._store.purge, key))]

    async def compact(self, live: Live, before: int | datetime | None = None, *, archive: bool = False) -> Compacted:
        """Make the state of an experiment at a seq, before a time, or as it is now, the base of its log; return that.

        With `archive` what lies between the base before and this one is kept as a file. The same seq again changes
        nothing. Raises `Conflict` where the log is folded from a later base already, or there is no folder for
        archives, `InvalidInput` where the log is not as long, `Unavailable` where the disk or the database fails, or
        too many compactions wait: then nothing has changed.
        """
        async with self._pools.compactions.turn():
            live.check_usable()
            last = await live.committed()
            live.check_usable()
            bases, seq = await self._call(self._place, live, before, last)
            plain = [base for base in bases if not base.of_change]
            for former, base in zip([None, *plain], plain, strict=False):
                if base.seq == seq and not base.of_change:
                    return Compacted(base, seq - (former.seq if former else 0))
            check_place(live, seq, last, plain)
            check_corrected(live)
            async with floor_raised(live, seq, self._store, self._writer):
                if at := await self._set_later(live, seq):
                    raise Conflict(
                        "set_later",
                        f"what {live.spec.id!r} has learned by seq {seq} was corrected or set back later, and what it "
                        f"knows from seq {at} on is folded from before: name seq {at} or later",
                    )
                former_seq = max((base.seq for base in bases if not base.whole), default=0)
                name = await self._begin(live, seq, former_seq) if archive else None
                base = await self._made(live, seq, former_seq if live.kind.slims else seq, former_seq, name)
            live.base = seq
            key = live.row.key
            slim, prune = partial(self._store.slim, key, seq), partial(self._store.prune, key)
            self._chores.add([(Rank.SLIMMING, slim), (Rank.SLIMMING, prune)])
            return Compacted(base, seq - former_seq)

    async def move_base(self, live: Live) -> None:
        """Make the state as it is now the base of the log; what lies before is not folded any more, and stays.

        Raises as `compact`.
        """
        async with self._pools.compactions.turn():
            live.check_usable()
            last = await live.committed()
            live.check_usable()
            bases = await self._call(self._store.bases, live.row.key)
            if floor_of(bases) >= last:
                return
            check_corrected(live)
            async with floor_raised(live, last, self._store, self._writer):
                while await self._set_later(live, last):  # what it knows was just set: the base moves behind that
                    last = await live.committed()
                    live.check_usable()
                    check_corrected(live)
                    live.floor = max(live.floor, last)
                await self._made(live, last, last, last, None, whole=True)

    async def _made(
        self, live: Live, seq: int, slim: int, former: int, name: str | None, *, whole: bool = False
    ) -> Base:
        """Make a base, if there is room for its state beside the one at work; leave nothing of one that fails."""
        beside = f"{live.row.id}\n"  # no id has a line break
        size = max(live.state_bytes, live.spec.state_bytes)
        self._room.check(beside, size)
        self._room.take(beside, size)
        try:
            return await self._written(live, seq, slim, former, name, whole)
        except BaseException:
            with suppress(OnearmError):  # where the disk and the database do not allow that, the next start does it
                await asyncio.shield(self._clean(live.row.key, seq, name))
            raise
        finally:
            self._room.take(beside, 0)

    def _place(self, live: Live, before: int | datetime | None, last: int) -> tuple[list[Base], int]:
        """Return the bases that there are, and the seq of the one that is asked for. Runs in a worker thread."""
        key = live.row.key
        bases = self._store.bases(key)
        if isinstance(before, datetime):
            return bases, self._store.seq_before(key, round(before.timestamp() * 1e6), last)
        return bases, last if before is None else before

    async def _set_later(self, live: Live, seq: int) -> int:
        """Return the seq of the last change whose states cannot be folded from a seq on, else 0.

        The floor must be raised: what is set later heeds it; what was set before is waited for, to be in the log.
        """
        await live.committed()
        live.check_usable()
        return await self._call(self._not_from, live, seq)

    def _not_from(self, live: Live, seq: int) -> int:
        """Return the seq of the last change whose states cannot be folded from a seq on, else 0. In a worker thread."""
        key = live.row.key
        history = History(live.created, self._store.changes(key), live.kind.change_types)
        return not_from(history, self._store.corrections(key), seq)

    async def _begin(self, live: Live, seq: int, former: int) -> str:
        """Note the name of the archive that will be written; return it."""
        await self._call(self._archives.check)
        name = self._archives.name_of(live.row, former + 1, seq)
        await self._writer.run(self._store.note_archive, live.row.key, seq, name)
        return name

    async def _written(self, live: Live, seq: int, slim: int, former: int, name: str | None, whole: bool) -> Base:
        """Write an archive, the parts of a base, and then its row."""
        row = live.row
        kept: tuple[str, str, int] | tuple[()] = ()
        if name is not None:
            kept = await self._call(self._archives.write, name, self._store, row, former, seq)
        there = [base for base in await self._call(self._store.bases, row.key) if base.seq == seq]
        if there:  # a change of policies made it: it stays, and is one of its own now
            decisions, digest, versions = there[0].decisions, there[0].digest, there[0].versions
        else:
            folded = await self._call(self._fold, live, seq)
            digest = await self._write(folded, row.key, seq)
            decisions, versions = folded.decisions, folded.versions
        base = Base(row.key, seq, decisions, digest, versions, self._clock(), slim, *kept)._replace(whole=whole)
        live.check_usable()
        if not await self._writer.run(self._store.put_base, base):
            assert live.unusable is not None, "it was deleted meanwhile"
            raise live.unusable
        return base

    async def _clean(self, key: int, seq: int, name: str | None) -> None:
        """Leave nothing of an attempt that failed; one whose commit succeeded unheard is whole, and stays."""
        bases = await self._writer.run(self._store.bases, key)  # behind a commit that nobody waits for any more
        if name is not None and all(base.archive != name for base in bases):
            await self._call(self._archives.remove, [name])
        await self._writer.run(self._store.sweep_base, key, seq)

    def _remove_archives(self, key: int, events: int) -> bool:
        """Take away the archives of a deleted experiment. Runs in the writer's thread."""
        self._remove([base.archive for base in self._store.bases(key) if base.archive is not None])
        return False

    def _remove(self, names: list[str]) -> None:
        """Take archives away; where that cannot be done, say which are left."""
        if left := self._archives.remove(names):
            log.error("archives that nobody needs could not be taken away, delete them: %s", ", ".join(left))

    async def _call(self, work: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Do work in the thread that compactions have, which is taken."""
        return await self._pools.compactions.call(work, *given, **named)

    async def _write(self, folded: _Folded, experiment: int, seq: int) -> str:
        """Write the parts of a base; return the digest of its state."""
        digest = hashlib.sha256()
        left = parts_of(folded.kept, folded.sums, experiment, seq, digest)
        while parts := await self._call(lambda: list(islice(left, PARTS_MAX))):
            await self._writer.run(self._store.put_base_parts, parts)
        return digest.hexdigest()

    def _fold(self, live: Live, seq: int) -> _Folded:
        """Fold the log up to a seq. Runs in a worker thread."""
        found = finished(fold_log(live.row, live.created, live.kind, self._store, seq))
        kept = live.kind.own.join(found.state, live.kind.own.part(found.own))
        return _Folded(kept, packed(found.tally.sums), found.number, found.spec.versions_json())


def check_place(live: Live, seq: int, last: int, bases: list[Base]) -> None:
    """Refuse a seq that no base can be made of."""
    if seq > last:
        raise InvalidInput("ahead_of_log", f"before is {seq}, and the log of {live.spec.id!r} ends at seq {last}")
    if seq < 1:
        raise Conflict("nothing_before", f"no event of {live.spec.id!r} lies before that: there is nothing to compact")
    if bases and seq < bases[-1].seq:
        raise Conflict(
            "before_base",
            f"the log of {live.spec.id!r} is folded from seq {bases[-1].seq} on, and cannot be from seq {seq} on: "
            "what lies before is slim, or in archives; name a later seq",
        )
