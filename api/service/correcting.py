"""States follow what is corrected, and are set back where somebody asks for it.

Of an experiment with corrections that its state does not know, the log is folded again beside the state at work, one
experiment at a time and slowly, so that the others notice nothing. Once that has caught up it takes the turn, folds the
rest, and its state takes the other's place: a change of the log says so. Where a process ends before, nothing has
changed, and the next one begins anew: corrections that a state does not know are found by their index.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any, Literal

from ...engine.errors import InvalidInput, OnearmError
from ...engine.storage.store import Store
from ..tasks import ended
from .floor import check_floor
from .live import Live
from .paths import StateSet
from .pools import Pool, Pools
from .refold import Log, Refold
from .room import Room
from .rungs import Rungs
from .setting import Next, set_state
from .writer import Writer

log = logging.getLogger("onearm")

EVERY = 0.25  # seconds between two looks at what was corrected
SHARE = 0.1  # of a core that a fold takes
NEAR = 1000  # events that are folded while the experiment waits
ROUNDS = 20  # to come that near; then the rest is folded whatever it is
LATER = 5.0  # seconds until a fold that failed is tried again


class Correcting:
    """Folds logs again. Its methods belong to the event loop's thread."""

    def __init__(
        self, store: Store, writer: Writer[Live], pools: Pools, room: Room, lives: Callable[[], Iterable[Live]]
    ) -> None:
        self._store, self._writer, self._pools, self._room, self._lives = store, writer, pools, room, lives
        self._task: asyncio.Task[None] | None = None
        self._rungs = Rungs()
        self._later: dict[Live, float] = {}  # those whose fold failed, and when it is tried again
        self.only_told: set[str] = set()  # experiments whose logs somebody else writes: nothing is set here

    def start(self) -> None:
        """Begin to look after corrections."""
        self._task = asyncio.get_running_loop().create_task(self._keep_on())

    async def stop(self) -> None:
        """Leave the rest for the next start."""
        await ended(self._task)

    async def correct_all(self, share: float = SHARE) -> None:
        """Let the states of all experiments follow what is corrected now, with such a share of a core."""
        while due := [live for live in self._lives() if self._is_due(live)]:
            for live in due:
                try:
                    await self._set(live, "corrected", None, self._pools.refolds, share)
                except Exception as error:  # of the database, or of a policy file; others still follow
                    self._later[live] = time.monotonic() + LATER
                    known = isinstance(error, OnearmError)
                    log.error(
                        "corrections of %r do not reach its state yet: %s", live.row.id, error, exc_info=not known
                    )

    async def roll_back(self, live: Live, to: int) -> int:
        """Set what policies have learned back to what it was after the event of a seq; return the seq of the change.

        With the rewards as they are corrected now. Raises `InvalidInput` ("ahead_of_log") where the log is not as
        long, `Conflict` ("compacted") where it is folded from a later event on.
        """
        live.check_open()
        _check_end(live, to)
        check_floor(live, to)
        return await self._set(live, "rolled_back", to, self._pools.rollbacks, 1.0)

    async def _keep_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.correct_all()

    def _is_due(self, live: Live) -> bool:
        mine = live.is_at_work and live.row.id not in self.only_told
        return mine and bool(live.uncorrected) and self._later.get(live, 0.0) <= time.monotonic()

    async def _set(
        self, live: Live, why: Literal["corrected", "rolled_back"], to: int | None, pool: Pool, share: float
    ) -> int:
        """Fold the log of an experiment again, and set its state to that; return the seq of the change."""
        async with pool.turn():
            beside = f"{live.row.id}\n{why}"  # no id has a line break
            self._room.check(beside, live.state_bytes)
            self._room.take(beside, live.state_bytes)
            try:
                while True:
                    await live.committed()
                    live.check_open()
                    _check_end(live, to)
                    check_floor(live, to)
                    of = Log(self._store, live.row.key, live.created)
                    refold = Refold(of, live.kind, live.floor, to, live.queued, self._rungs.of(live))
                    began = live.set_at, live.floor
                    for _ in range(ROUNDS):
                        last = await live.committed()
                        await self._gone_on(refold.steps(last), pool, share)
                        if live.queued - last <= NEAR:
                            break
                    committed = await live.turns.alone(self._take_over, live, refold, pool, began, why)
                    if committed is not None:
                        seq = live.set_at
                        await committed
                        self._rungs.keep(live, refold.rungs)
                        return seq
            finally:
                self._room.take(beside, 0)

    async def _gone_on(self, steps: Generator[None, None, None], pool: Pool, share: float) -> None:
        """Take steps, with a rest after each."""
        while True:
            begun = time.perf_counter()
            if await pool.call(_is_done, steps):
                return
            await asyncio.sleep((time.perf_counter() - begun) * (1 / share - 1))

    async def _take_over(
        self,
        live: Live,
        refold: Refold,
        pool: Pool,
        began: tuple[int, int],
        why: Literal["corrected", "rolled_back"],
    ) -> asyncio.Future[None] | None:
        """Set the state to what was folded, and that is not committed yet.

        None where it was set meanwhile, or got another base: `began` are the seqs of both as the fold began.
        """
        live.check_open()
        await live.committed()
        if (live.set_at, live.floor) != began:
            return None
        last = live.seq
        await self._gone_on(refold.steps(last), pool, 1.0)
        state: Any = await pool.call(refold.state, last)
        kernels = await self._pools.creations.run(live.kind.kernels, live.spec)
        change = StateSet(live.number, why, refold.settings)
        known = {one.policy: one.corrected_to for one in refold.settings}
        following = Next(live.spec, kernels, live.members, state, known, began[1])
        return await set_state(live, change, following, live.now(), self._store, self._writer, self._pools)


def _check_end(live: Live, to: int | None) -> None:
    """Refuse what would be folded to a seq that is not on its way to the log."""
    if to is not None and to > live.queued:
        raise InvalidInput("ahead_of_log", f"to is {to}, and the log of {live.spec.id!r} ends at seq {live.queued}")


def _is_done(steps: Generator[None, None, None]) -> bool:
    return next(steps, steps) is steps
