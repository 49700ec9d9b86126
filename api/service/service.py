"""The service: one database, its writer, and the live experiments in it."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from ...engine.errors import Conflict, NotFound, OnearmError, Unavailable
from ...engine.storage.store import Store
from ...engine.storage.tables import Experiment
from ..experiment.spec import Spec
from ..kinds.table import kind_of
from .artefacts import keep_all, stored
from .live import Live
from .records import CACHE_BYTES
from .writer import Writer

log = logging.getLogger("onearm")

REFOLD_PAUSE = 0.5  # seconds before a refold that failed is tried again


def microseconds() -> int:
    """Return the clock: microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Service:
    """Opens the database, recovers every experiment, and hands out the live ones by id."""

    def __init__(
        self, store: Store, *, clock: Callable[[], int] = microseconds, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.store = store
        self.clock = clock
        self.writer = Writer(store, failed=self._refold_all)
        self._lives: dict[str, Live] = {}
        self._unusable: dict[str, OnearmError] = {}  # experiments that could not be opened, and why
        self._cache_bytes = cache_bytes
        self._creating: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Recover every experiment of the database, one after another, and first of all what they decide with."""
        await asyncio.to_thread(keep_all, self.store)
        for row in await asyncio.to_thread(self.store.experiments):
            try:
                await self._add(row)
            except Exception as error:  # a policy file may raise anything; the other experiments go on
                unexpected = not isinstance(error, OnearmError)
                log.error("experiment %r cannot be opened: %s", row.id, error, exc_info=unexpected)
                self._lives.pop(row.id, None)
                self._unusable[row.id] = Unavailable(
                    "cannot_open", f"the experiment {row.id!r} cannot be opened: {error}"
                )

    async def stop(self) -> None:
        """Commit what is queued, keep a snapshot of every state, and close the database."""
        for task in self._tasks:
            task.cancel()
        await self.writer.drain()
        for live in self._lives.values():
            live.snapshot()
        await self.writer.drain()
        self.writer.close()
        self.store.close()

    @property
    def empty(self) -> bool:
        """Whether the database has no experiment, not even one that cannot be opened."""
        return not self._lives and not self._unusable

    @property
    def ready(self) -> bool:
        """Whether every experiment can answer."""
        return all(live.unusable is None for live in self._lives.values())

    def live(self, experiment_id: str) -> Live:
        """Return a live experiment by its id."""
        if (live := self._lives.get(experiment_id)) is not None:
            return live
        if experiment_id in self._unusable:
            raise self._unusable[experiment_id]
        raise NotFound(
            "unknown_experiment",
            f"there is no experiment {experiment_id!r}: create it with POST /v1/experiments",
        )

    def lives(self) -> list[Live]:
        """Return all, in the order of their creation."""
        return list(self._lives.values())

    async def create(self, body: dict[str, Any]) -> tuple[Live, bool]:
        """Create an experiment; return it and whether it is new. The same id and body again give the same one."""
        named = body.get("experiment_id") is not None
        spec = await asyncio.to_thread(Spec.from_json, body if named else {**body, "experiment_id": "unnamed"})
        if not named:
            spec = dataclasses.replace(spec, id=self._free_id())
        body_hash = hashlib.sha256(json.dumps(spec.to_json(), sort_keys=True).encode()).digest()
        async with self._creating.setdefault(spec.id, asyncio.Lock()):
            if spec.id in self._unusable:
                raise self._unusable[spec.id]
            if (known := self._lives.get(spec.id)) is not None:
                if known.row.body_hash != body_hash:
                    raise Conflict(
                        "experiment_exists",
                        f"the experiment {spec.id!r} exists with another spec: a spec never changes; take another id",
                    )
                return known, False
            await asyncio.to_thread(
                kind_of(spec.problem).kernels, spec
            )  # one that does not compile must not be written
            row = await asyncio.to_thread(
                self.store.add_experiment,
                spec.id,
                json.dumps(spec.to_json()),
                body_hash,
                json.dumps(spec.versions(), sort_keys=True),
                self.clock(),
                stored(spec.policy),
            )
            try:
                return await self._add(row), True
            except OnearmError:  # it is written, and can be read when the database answers again
                self._refold_soon(self._lives[spec.id])
                raise

    def _free_id(self) -> str:
        """Return an id that nobody has or gets."""
        number = len(self._lives) + len(self._unusable) + 1
        while (free := f"e{number}") in self._lives or free in self._unusable or free in self._creating:
            number += 1
        return free

    async def _add(self, row: Experiment) -> Live:
        spec = await asyncio.to_thread(Spec.from_json, json.loads(row.spec))
        live = Live(row, spec, kind_of(spec.problem), self.store, self.writer, self._cache_bytes)
        self._lives[spec.id] = live
        live.open(await asyncio.to_thread(live.recover))
        return live

    def _refold_all(self, lives: set[Live], error: OnearmError) -> None:
        """Throw away the states that are ahead of the log, and fold it again."""
        log.error("a commit failed: %s", error)
        for live in lives:
            live.stop(Unavailable("refolding", "the experiment folds its log again: try again in a second"))
            self._refold_soon(live)

    def _refold_soon(self, live: Live) -> None:
        task = asyncio.get_running_loop().create_task(self._refold(live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refold(self, live: Live) -> None:
        while True:
            try:
                recovered = await asyncio.to_thread(live.recover)
            except Exception as error:  # whatever it is, the next try may succeed
                log.error("experiment %r cannot be folded yet: %s", live.spec.id, error)
                await asyncio.sleep(REFOLD_PAUSE)
            else:
                live.open(recovered)
                return
