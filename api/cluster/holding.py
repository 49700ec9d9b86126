"""What one node has: its shards, each since an epoch, for as long as its lease holds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

from sqlalchemy.engine import Connection

from ...engine.storage.shards import lease_lost, locked, shard_of
from ..service.whose import Elsewhere

NAMES_MAX = 100_000  # whose shards are remembered


class Holding:
    """The shards of a node, and the fence of its writer, whose thread asks that; all else is the event loop's.

    A shard that was lost is had again in a later epoch alone, when all that was begun in the one before has failed.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.shards = 0  # how many there are, with those of others
        self.epochs: dict[int, int] = {}  # of the shards that are had, by number
        self.moving: set[int] = set()  # of these: given to others or just taken up, they take nothing new
        self.until = 0.0  # the lease, by the monotonic clock
        self.fenced: Callable[[], None] = lambda: None  # is told, in the writer's thread, that something was lost
        self.looking: Callable[[], Awaitable[None]]  # knows of all experiments after that
        self.of_keys: dict[int, int] = {}  # shards of the experiments that are known here, its own and others'
        self._of_names: dict[str, int] = {}  # shards

    def shard(self, name: str) -> int:
        """Return the number of the shard of an experiment."""
        number = self._of_names.get(name)
        if number is None:
            if len(self._of_names) >= NAMES_MAX:
                self._of_names.clear()
            number = self._of_names[name] = shard_of(name, self.shards)
        return number

    def know(self, key: int, name: str) -> None:
        """Take note of the key of an experiment, its own or another's."""
        self.of_keys[key] = self.shard(name)

    def has_key(self, key: int) -> bool:
        """Tell whether the experiment of a key is known, and its shard is had."""
        return self.of_keys.get(key) in self.epochs

    @property
    def holds(self) -> bool:
        """Whether the lease holds."""
        return time.monotonic() < self.until

    def has(self, name: str) -> bool:
        """Tell whether an experiment is had, and does not leave."""
        number = self.shard(name)
        return number in self.epochs and number not in self.moving and time.monotonic() < self.until

    def check(self, name: str) -> None:
        """Raise `Elsewhere` where an experiment is not had."""
        if not self.has(name):
            raise Elsewhere(name)

    async def look_around(self) -> None:
        """Know of all experiments that there are by now, also of those of other nodes."""
        await self.looking()


class ShardFence:
    """Lets the writer of a node write of the shards that it has in the epoch in which it took them."""

    def __init__(self, holding: Holding, lease: float) -> None:
        self.idle_seconds = lease  # whoever is paused for longer has lost its shards anyway
        self._holding = holding

    def check(self, connection: Connection, experiments: Iterable[int]) -> None:
        """Check experiments by their keys; one that is not known is being imported here, and nobody else knows it."""
        known = self._holding.of_keys
        self._check(connection, {known[key] for key in experiments if key in known})

    def check_new(self, connection: Connection, id: str) -> None:
        """Check that an experiment may be made here."""
        self._check(connection, {self._holding.shard(id)})

    def _check(self, connection: Connection, numbers: set[int]) -> None:
        if not numbers:
            return
        holding = self._holding
        found = locked(connection, sorted(numbers))
        for number in sorted(numbers):
            if found.get(number) != (holding.node, holding.epochs.get(number)):
                holding.fenced()
                raise lease_lost(f"shard {number}, which an experiment is in,")
