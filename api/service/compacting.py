"""A state of the past becomes the base that a log is folded from, and what lies before it slim.

The state is folded beside the one at work, in a thread, and its parts are written between the commits of others: the
experiment decides and learns meanwhile. The base's row comes last, and makes it true. From then on decisions that were
learned by then are made slim in the background. Of these a retry, a count or a look-up needs their ids, their action
and their reward; what only a fold or an evaluation reads goes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Conflict, InvalidInput
from ...engine.storage.store import Store
from ...engine.storage.tables import SUMS, Base, SnapshotPart
from ..experiment.sums import packed
from .chores import Chores
from .folded import fold_log
from .live import Live
from .pools import Pools
from .room import Room
from .writer import PARTS_MAX, Writer


class _Folded(NamedTuple):
    """A state on its way to become a base."""

    kept: Any  # the policy's state, and what the kind keeps beside it
    sums: bytes
    decisions: int


class Compactions:
    """Makes bases. Its methods belong to the event loop's thread."""

    def __init__(
        self,
        store: Store,
        writer: Writer[Live],
        chores: Chores,
        pools: Pools,
        room: Room,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._writer, self._chores = store, writer, chores
        self._pools, self._room, self._clock = pools, room, clock
        self._under_way: dict[int, asyncio.Lock] = {}  # by the key of the experiment

    async def compact(self, live: Live, seq: int | None = None) -> Base:
        """Make the state of an experiment at a seq, or as it is now, the base of its log; return that.

        The same seq again changes nothing. Raises `Conflict` where the log is folded from a later base already,
        `InvalidInput` where it is not as long, and what the fold and the database raise: then nothing has changed.
        """
        async with self._under_way.setdefault(live.row.key, asyncio.Lock()):
            live.check_usable()
            last = live.seq
            await live.committed()
            live.check_usable()
            seq = last if seq is None else seq
            bases = await self._pools.lookups.run(self._store.bases, live.row.key)
            for base in bases:
                if base.seq == seq:
                    return base
            check_place(live, seq, last, bases)
            return await self._made(live, seq, bases[-1].seq if bases else 0)

    async def _made(self, live: Live, seq: int, former: int) -> Base:
        beside = f"{live.row.id}\n"  # no id has a line break
        size = max(live.state_bytes, live.spec.state_bytes)
        self._room.check(beside, size)
        self._room.take(beside, size)
        try:
            async with self._pools.compactions.turn():
                folded = await self._pools.compactions.call(self._fold, live, seq)
                digest = await self._write(folded, live.row.key, seq)
        finally:
            self._room.take(beside, 0)
        slim = former if live.kind.slims else seq
        versions, now = live.spec.versions_json(), self._clock()
        base = Base(live.row.key, seq, folded.decisions, digest, versions, now, slim)
        live.check_usable()
        if not await self._writer.run(self._store.put_base, base):
            assert live.unusable is not None, "it was deleted meanwhile"
            raise live.unusable
        live.base = seq
        self._chores.add([partial(self._store.slim, live.row.key, seq)])
        return base

    async def _write(self, folded: _Folded, experiment: int, seq: int) -> str:
        """Write the parts of a base; return the digest of its state."""
        digest = hashlib.sha256()
        left = _parts_of(folded, experiment, seq, digest)
        while parts := await self._pools.compactions.call(lambda: list(islice(left, PARTS_MAX))):
            await self._writer.run(self._store.put_base_parts, parts)
        return digest.hexdigest()

    def _fold(self, live: Live, seq: int) -> _Folded:
        """Fold the log up to a seq. Runs in a worker thread."""
        steps = fold_log(live.row, live.spec, live.kind, self._store, live.spec.versions_json(), seq)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                found = done.value
                kept = live.kind.own.join(found.state, live.kind.own.part(found.own))
                return _Folded(kept, packed(found.tally.sums), found.number)


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


def _parts_of(folded: _Folded, experiment: int, seq: int, digest: Any) -> Iterator[SnapshotPart]:
    for number, content in enumerate(snapshot.parts(folded.kept)):
        digest.update(content)
        yield SnapshotPart(experiment, seq, number, content)
    yield SnapshotPart(experiment, seq, SUMS, folded.sums)
