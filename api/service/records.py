"""The decisions of an experiment, each with its reward: the newest in memory, others read from the log."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from ...engine.storage.store import Store
from ...engine.storage.tables import Event
from ...engine.vocabulary import LEARN
from .pools import Pool

RECORD_BYTES = 600  # what one decision costs in the cache besides its context and its client's JSON
CACHE_BYTES = 64_000_000


class Record:
    """One decision and its reward, with the futures of what is not committed yet."""

    __slots__ = ("decided", "event", "reward", "rewarded")

    def __init__(self, event: Event, decided: asyncio.Future[None] | None = None) -> None:
        self.event = event
        self.decided = decided
        self.reward: Event | None = None
        self.rewarded: asyncio.Future[None] | None = None

    @property
    def in_flight(self) -> bool:
        """Whether something of it is not committed yet."""
        return any(future is not None and not future.done() for future in (self.decided, self.rewarded))

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        event = self.event
        return RECORD_BYTES + sum(
            len(part or "") for part in (event.context, event.sent, event.actions, event.detail, event.vector)
        )


class Records:
    """The records of an experiment's decisions. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, key: int, lookups: Pool, cache_bytes: int) -> None:
        self._store = store
        self._key = key
        self._lookups = lookups
        self._cache_bytes = cache_bytes
        self._records: OrderedDict[int, Record] = OrderedDict()
        self._numbers: dict[str, int] = {}  # client id -> number, of cached records
        self._cached = 0
        self._clearings = 0
        self._wanted: dict[int | str, asyncio.Future[Record | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    def clear(self) -> None:
        """Forget what is in memory: it may not be what the log holds."""
        self._clearings += 1
        self._records.clear()
        self._numbers.clear()
        self._cached = 0

    def known(self, name: int | str) -> Record | None:
        """Return the decision of a number or of a client's id where it is in memory."""
        number = self._numbers.get(name) if isinstance(name, str) else name
        return None if number is None else self._records.get(number)

    async def read(self, name: int | str) -> Record | None:
        """Return a decision from the log, None where there is none: all that are asked for meanwhile in one query."""
        if (wanted := self._wanted.get(name)) is None:
            wanted = self._wanted[name] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.get_running_loop().create_task(self._read())
        return await asyncio.shield(wanted)

    async def _read(self) -> None:
        """Read what is wanted, until nothing is.

        Nothing leaves the cache while a query runs: what is committed meanwhile is not in its answer, so it must be
        found in memory. What left the cache before was committed before, and is in the answer.
        """
        while self._wanted:
            self._evict()
            wanted = dict(self._wanted)
            clearings = self._clearings
            numbers = [name for name in wanted if isinstance(name, int)]
            ids = [name for name in wanted if isinstance(name, str)]
            try:
                records = _records(await self._lookups.run(self._store.find, self._key, numbers, ids))
            except Exception as error:
                for name, future in wanted.items():
                    del self._wanted[name]
                    future.set_exception(error)
                    future.exception()  # retrieved: a client that left must not leave a warning
                continue
            if clearings != self._clearings:  # the cache was emptied meanwhile
                continue
            for name, future in wanted.items():
                del self._wanted[name]
                future.set_result(self.known(name) or records.get(name))
        self._reading = None
        self._evict()

    def remember(self, record: Record) -> Record:
        """Keep a record in the cache; room is made before, so that this one stays at least until the next."""
        if self._reading is None:
            self._evict()
        number = record.event.number
        assert number is not None
        self._records[number] = record
        self._cached += record.size
        if record.event.decision_id is not None:
            self._numbers[record.event.decision_id] = number
        return record

    def _evict(self) -> None:
        """Let the oldest records leave the cache where it is too large, but none that is in flight."""
        while self._cached > self._cache_bytes:
            oldest = next(iter(self._records.values()))
            if oldest.in_flight:
                break
            assert oldest.event.number is not None
            del self._records[oldest.event.number]
            if oldest.event.decision_id is not None:
                del self._numbers[oldest.event.decision_id]
            self._cached -= oldest.size


def _records(events: list[Event]) -> dict[int | str, Record]:
    """Put the events of the log together, by number and by client's id."""
    records: dict[int | str, Record] = {}
    for event in sorted(events, key=lambda event: event.kind == LEARN):
        assert event.number is not None
        if event.kind != LEARN:
            record = records[event.number] = Record(event)
            if event.decision_id is not None:
                records[event.decision_id] = record
        else:
            records[event.number].reward = event
    return records
