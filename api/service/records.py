"""The decisions of an experiment, each with its reward: the newest in memory, others read from the log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence, Set
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from ...engine.storage.records import Event
from ...engine.vocabulary import ACTIVATION, CORRECTED, DECISIONS, LEARN
from .pools import Pool

if TYPE_CHECKING:
    from ...engine.storage.store import Store

RECORD_BYTES = 600  # what one decision costs in the cache besides its context and its client's JSON
CACHE_BYTES = 256_000_000  # of all experiments
KEPT_MAX = 16  # records that must stay, passed over in one go
LEFT_MAX = 1000  # records that are counted no more, before the row is made anew without them


class Record:
    """One decision and its reward, with the futures of what is not committed yet."""

    __slots__ = (
        "activation",
        "corrections",
        "counted",
        "decided",
        "event",
        "held",
        "learning",
        "outcomes",
        "reward",
        "rewarded",
    )

    def __init__(self, event: Event, decided: asyncio.Future[None] | None = None) -> None:
        self.event = event
        self.decided = decided
        self.counted = 0  # bytes that it takes of the budget
        self.held = False  # whoever closes windows is at work on it
        self.learning = False  # its reward, which may take a while
        self.reward: Event | None = None  # as it was learned
        self.activation: Event | None = None  # the last that became of one that waits to be shown
        self.outcomes: tuple[Event, ...] = ()  # rewards that came and are not learned by themselves, in their order
        self.corrections: tuple[Event, ...] = ()  # of what was learned, in their order
        self.rewarded: asyncio.Future[None] | None = None

    def add(self, event: Event) -> None:
        """Enter what became of it, as the log has it."""
        if event.kind == LEARN:
            self.reward = event
        elif event.kind == ACTIVATION:
            self.activation = event
        elif event.kind == CORRECTED:
            self.corrections += (event,)
        else:
            self.outcomes += (event,)

    @property
    def value(self) -> float | None:
        """The reward as it is known now; None where nothing was learned, or that is retracted."""
        last = self.corrections[-1] if self.corrections else self.reward
        return None if last is None else last.reward

    @property
    def in_flight(self) -> bool:
        """Whether something of it is not committed yet, or about to be."""
        decided, rewarded = self.decided, self.rewarded
        return (
            self.learning
            or self.held
            or (decided is not None and not decided.done())
            or (rewarded is not None and not rewarded.done())
        )

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        event = self.event  # added one by one: a sum over them takes three times as long
        sent = len(event.sent or "") + len(event.actions or "") + len(event.detail or "") + len(event.unit_id or "")
        return (
            RECORD_BYTES * (1 + len(self.outcomes) + len(self.corrections))
            + len(event.context or b"")
            + len(event.vector or b"")
            + sent
        )


class Budget:
    """The bytes that all decisions in memory may take, of all experiments: the oldest leave first.

    They stand in a row, and no dict: its table of a megabyte would be made anew every thirty thousand decisions, each
    time elsewhere in memory. Its methods belong to the event loop's thread.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        self._row: deque[tuple[Records, Record]] = deque()  # the oldest first; some are counted no more
        self._left = 0  # how many of these there are

    def make_room(self) -> None:
        """Let the oldest leave while there are too many; those that must stay are asked again later."""
        kept = 0
        while self.taken > self._most and kept < min(KEPT_MAX, len(self._row)):
            records, record = self._row.popleft()
            if not record.counted:
                self._left -= 1
            elif records.let_go(record):
                self._count(record, 0)
            else:
                self._row.append((records, record))
                kept += 1

    def add(self, records: Records, record: Record) -> None:
        """Count a decision that came into memory."""
        self._count(record, record.size)
        self._row.append((records, record))

    def remove(self, records: Iterable[Record]) -> None:
        """Count decisions no more."""
        for record in records:
            self._left += record.counted > 0
            self._count(record, 0)
        if self._left > LEFT_MAX and 2 * self._left > len(self._row):
            self._row = deque(one for one in self._row if one[1].counted)
            self._left = 0

    def _count(self, record: Record, size: int) -> None:
        self.taken += size - record.counted
        record.counted = size


class Records:
    """The records of an experiment's decisions. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, key: int, lookups: Pool, budget: Budget) -> None:
        self._store = store
        self._key = key
        self._lookups = lookups
        self._budget = budget
        self._records: dict[int, Record] = {}
        self._numbers: dict[str, int] = {}  # client id -> number, of cached records
        self._clearings = 0
        self._querying = False
        self._leaving: set[int] = set()  # records that leave memory as soon as they may
        self._wanted: set[int | str] = set()  # what the next query is for
        self._answer: asyncio.Future[dict[int | str, Record | None]] | None = None  # of that query, for all who wait
        self._reading: asyncio.Task[None] | None = None

    def clear(self) -> None:
        """Forget what is in memory: it may not be what the log holds."""
        self._clearings += 1
        self._budget.remove(self._records.values())
        self._records.clear()
        self._numbers.clear()

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget decisions that are not any more what memory and queries under way say."""
        self._clearings += 1
        for number in self._records.keys() & set(numbers):
            self._budget.remove([self._drop(number)])

    def known(self, name: int | str) -> Record | None:
        """Return the decision of a number or of a client's id where it is in memory."""
        number = self._numbers.get(name) if isinstance(name, str) else name
        return None if number is None else self._records.get(number)

    async def read(self, name: int | str) -> Record | None:
        """Return a decision from the log, None where there is none: all that are asked for meanwhile in one query."""
        return (await self._read_all([name]))[0]

    async def _read_all(self, names: Sequence[int | str]) -> list[Record | None]:
        """Return decisions from the log, as `read`; without a future for each: closers would make thousands."""
        while True:
            clearings = self._clearings
            found = await asyncio.shield(self._want(names))
            if clearings == self._clearings:  # else they may be of before
                return [found[name] for name in names]

    def _want(self, names: Iterable[int | str]) -> asyncio.Future[dict[int | str, Record | None]]:
        """Have the next query look for decisions; return what will hold them."""
        self._wanted.update(names)
        loop = asyncio.get_running_loop()
        if self._answer is None:
            self._answer = loop.create_future()
        if self._reading is None:
            self._reading = loop.create_task(self._read())
        return self._answer

    @asynccontextmanager
    async def held(self, numbers: Iterable[int], hidden: Set[int]) -> AsyncIterator[dict[int, Record]]:
        """Have decisions in memory meanwhile, by their numbers, without those that are not on record.

        Those that are `hidden` may be among them, but nobody else finds them. Those that were not in memory before
        leave it once what became of them is committed: nobody asked for them.
        """
        found: dict[int, Record] = {}
        sought: list[int] = []
        try:
            for number in numbers:
                if (record := self._records.get(number)) is not None:
                    record.held, found[number] = True, record
                else:
                    sought.append(number)
            for read in await self._read_all(sought) if sought else ():
                if read is not None and read.event.number is not None:
                    number = read.event.number
                    record = self._records.get(number) or (read if number in hidden else self.remember(read))
                    record.held, found[number] = True, record
            yield found
        finally:
            for record in found.values():
                record.held = False
            self._leave_when_committed(found[number] for number in sought if number in found)

    def _leave_when_committed(self, records: Iterable[Record]) -> None:
        """Let records leave memory once nothing of them waits for a commit."""
        numbers: dict[asyncio.Future[None] | None, list[int]] = {}  # of what is written together
        for record in records:
            assert record.event.number is not None
            numbers.setdefault(record.rewarded, []).append(record.event.number)
        for committed, some in numbers.items():
            if committed is None:
                self._leave(some)
            else:
                committed.add_done_callback(partial(self._leave_committed, some))

    def _leave_committed(self, numbers: Iterable[int], _: asyncio.Future[None]) -> None:
        self._leave(numbers)

    def _leave(self, numbers: Iterable[int] = ()) -> None:
        """Let records leave memory, these and those that could not before: nothing does while a query runs."""
        self._leaving.update(numbers)
        if not self._querying:
            there = [self._records[number] for number in self._leaving & self._records.keys()]
            self._budget.remove([record for record in there if self.let_go(record)])
            self._leaving.clear()

    async def _read(self) -> None:
        """Read what is wanted, until nothing is.

        Nothing leaves the cache while a query runs: what is committed meanwhile is not in its answer, so it must be
        found in memory. What left the cache before was committed before, and is in the answer.
        """
        while (answer := self._answer) is not None:
            self._querying = False
            self._leave()
            self._budget.make_room()
            self._querying = True
            wanted, self._wanted, self._answer = self._wanted, set(), None
            numbers = [name for name in wanted if isinstance(name, int)]
            ids = [name for name in wanted if isinstance(name, str)]
            try:
                records = records_of(await self._lookups.run(self._store.find, self._key, numbers, ids))
            except Exception as error:
                answer.set_exception(error)
                answer.exception()  # retrieved: a client that left must not leave a warning
            else:
                answer.set_result({name: self.known(name) or records.get(name) for name in wanted})
        self._reading = None
        self._querying = False
        self._leave()
        self._budget.make_room()

    def remember(self, record: Record) -> Record:
        """Keep a record in the cache; room is made before, so that this one stays at least until the next."""
        self._budget.make_room()
        number = record.event.number
        assert number is not None
        if (other := self._records.get(number)) is not None:
            self._budget.remove([other])
        self._records[number] = record
        self._budget.add(self, record)
        if record.event.decision_id is not None:
            self._numbers[record.event.decision_id] = number
        return record

    def let_go(self, record: Record) -> bool:
        """Forget a record where it may leave: it is not in flight, and no query runs that could be older than it."""
        number = record.event.number
        assert number is not None
        if self._querying or record.in_flight:
            return False
        self._drop(number)
        return True

    def _drop(self, number: int) -> Record:
        record = self._records.pop(number)
        if record.event.decision_id is not None:
            del self._numbers[record.event.decision_id]
        return record


def records_of(events: list[Event]) -> dict[int | str, Record]:
    """Put the events of the log together, by number and by client's id."""
    records: dict[int | str, Record] = {}
    for event in sorted(events, key=lambda event: event.kind not in DECISIONS):
        assert event.number is not None
        if event.kind in DECISIONS:
            record = records[event.number] = Record(event)
            if event.decision_id is not None:
                records[event.decision_id] = record
        else:
            records[event.number].add(event)
    return records
