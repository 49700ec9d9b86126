"""Snapshots of one experiment's state are kept, and that of an archived one is given up until somebody needs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from ...engine import snapshot
from ...engine.errors import OnearmError
from ...engine.storage.records import Event, Experiment
from ..experiment.spec import Spec
from ..experiment.sums import Tally
from ..kinds.kind import Kind
from .folded import Recovered
from .pools import Pools
from .reading import Reading
from .room import Room
from .turns import Turns
from .writer import PendingSnapshot, Writer

log = logging.getLogger("onearm")
EVENT_BYTES = 200  # what one event costs in the log besides its context, its point and its detail
SNAPSHOT_SECONDS = 10.0  # at the end of the service
TOGETHER_BYTES = 4_000_000  # of states whose snapshots are written together then
SNAPSHOT_BYTES = 4_000_000  # bytes of log after which a snapshot is due, at the least


class Held(Protocol):
    """What is asked of an experiment whose state is kept; `Live` is one."""

    row: Experiment
    spec: Spec
    kind: Kind
    state: Any
    own: Any
    tally: Tally
    seq: int
    number: int
    kept_at: int
    archived: bool
    unusable: OnearmError | None
    reading: Reading
    versions: str

    @property
    def is_large(self) -> bool:
        """Whether the state takes long to copy."""

    @property
    def state_bytes(self) -> int:
        """How much memory the state takes."""

    def recover(self) -> Recovered:
        """Fold the log. Runs in a worker thread."""

    async def committed(self) -> int:
        """Wait until all that is queued now is committed, and return its last seq; raises `Unavailable` on failure."""


class Kept(Held, Protocol):
    """One whose state is kept in this way."""

    keeping: Keeping
    turns: Turns


class Keeping:
    """When the state of one experiment is kept or given up. Its methods belong to the event loop's thread."""

    def __init__(self, live: Held, writer: Writer[Any], pools: Pools, room: Room) -> None:
        self._live = live
        self._writer = writer
        self._pools = pools
        self._room = room
        self._bytes_since = 0  # of log, since the last snapshot
        self._awake = 0  # how many need the state though it is archived
        self._waking = asyncio.Lock()

    def open(self) -> None:
        """Begin with a state that was recovered; that of an archived experiment rests."""
        live = self._live
        self._bytes_since = 0
        if live.archived:
            self._bytes_since = (live.seq - live.kept_at) * EVENT_BYTES
            self.rest()

    def count(self, events: Iterable[Event]) -> None:
        """Count what the log grew by."""
        for event in events:
            size = len(event.context or b"") + len(event.vector or b"") + len(event.detail or "")
            self._bytes_since += EVENT_BYTES + size

    def snapshot(self) -> None:
        """Have the writer pack and store the state: a copy of it, or a large one itself while rewards wait.

        The caller has the turn.
        """
        live = self._live
        if live.state is None or live.unusable is not None or live.reading.locked or not self._bytes_since:
            return
        self._room.take(live.row.id, live.state_bytes)  # it may have grown
        if live.is_large:
            live.reading.begin()
            self._keep(self._kept(), live.reading.end)
        else:
            self._keep(snapshot.copied(self._kept()), lambda: None)

    def snapshot_if_due(self) -> None:
        """Keep a snapshot where the log has become long enough since the last one."""
        if self._bytes_since > SNAPSHOT_BYTES and self._bytes_since > 4 * self._live.state_bytes:
            self.snapshot()

    async def kept(self) -> None:
        """Have the writer pack and store the state, and wait until that is done, or cannot be.

        The caller has the turn.
        """
        live = self._live
        if live.state is None or live.unusable is not None or live.reading.locked or not self._bytes_since:
            return
        done = asyncio.get_running_loop().create_future()
        live.reading.begin()

        def end() -> None:
            live.reading.end()
            if not done.done():  # unless whoever waited was ended
                done.set_result(None)

        self._keep(self._kept(), end)
        await done

    @asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """Have the state in memory meanwhile: that of an archived experiment is read again, and given up at the end."""
        live = self._live
        self._awake += 1
        try:
            async with self._waking:
                if self._rests:
                    await live.committed()  # or it would be read without what was learned last
                if self._rests:
                    self._room.check(live.row.id, live.spec.state_bytes)
                    self._room.take(live.row.id, live.spec.state_bytes)
                    live.state = (await self._pools.creations.run(live.recover)).state
            yield
        finally:
            self._awake -= 1
            self.rest()

    def rest(self) -> None:
        """Give up the state of an archived experiment, once a snapshot holds it where its log is long.

        Until that is stored the state is locked: whoever restores the experiment meanwhile learns when it is.
        """
        live = self._live
        if not live.archived or self._awake or live.unusable is not None:
            return
        if live.state is None or self._bytes_since <= min(live.state_bytes, SNAPSHOT_BYTES):
            self._let_go()  # its log is shorter than a snapshot would be
            return
        live.reading.begin()
        self._keep(self._kept(), self._stored)

    @property
    def _rests(self) -> bool:
        """Whether the state was given up, and can be read again."""
        return self._live.state is None and self._live.unusable is None

    def _kept(self) -> Any:
        """Return what a snapshot holds."""
        own = self._live.kind.own
        return own.join(self._live.state, own.part(self._live.own))

    def _keep(self, kept: Any, stored: Callable[[], None]) -> None:
        """Have the writer store a snapshot of now; `stored` is called once it may change."""
        live = self._live
        self._bytes_since = 0
        about = (live.row.key, live.seq, live.number, live.versions)
        self._writer.keep(PendingSnapshot(*about, kept, live.tally.copied().sums, stored))

    def _stored(self) -> None:
        self._live.reading.end()
        self._let_go()

    def _let_go(self) -> None:
        live = self._live
        if live.archived and not self._awake and live.unusable is None:
            live.state = None
            self._room.take(live.row.id, 0)


async def keep_all_states(lives: Iterable[Kept], writer: Writer[Any]) -> None:
    """Keep snapshots, of the smallest states first; what there is no time for is folded at the next start."""
    some = sorted((live for live in lives if live.unusable is None), key=lambda live: live.state_bytes)
    kept = 0
    try:
        async with asyncio.timeout(SNAPSHOT_SECONDS):
            for group in _together(some):
                await asyncio.gather(*(live.turns.take(_snapshot, live) for live in group))
                await writer.drain()
                kept += len(group)
    except TimeoutError:
        log.warning("%d of %d states are kept; the logs of the others are read at the next start", kept, len(some))


async def _snapshot(live: Kept) -> None:
    """Have the writer store a snapshot, in a turn: whoever had the experiment before may be in the middle of a step."""
    live.keeping.snapshot()


def _together(lives: Iterable[Kept]) -> Iterator[list[Kept]]:
    """Yield lives in groups whose snapshots are written together: one commit for many small ones."""
    some: list[Kept] = []
    size = 0
    for live in lives:
        some.append(live)
        size += live.state_bytes
        if size > TOGETHER_BYTES:
            yield some
            some, size = [], 0
    yield some
