"""Which process has which experiments, where several serve them from one database.

Each experiment belongs to a shard, by its id, and each shard to one node at a time. A node has a lease, which it renews
in time and which goes by the database's clock; whose lease has ended may lose its shards to others. A shard has an
epoch, one more with each owner. Whoever writes of an experiment looks at the row of its shard in the same transaction,
and locks it (`locked`): who was paused and is an owner no more writes nothing, and no shard changes hands before what
its owner writes is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from ..errors import Unavailable
from . import schema
from .beside import Beside
from .records import Experiment, Node, Shard
from .tables import EXPERIMENT, NODE, SHARD

LEASE_LOST = "lease_lost"  # the code of what a writer is refused with that lost its shard
SHARDS = 16  # of a new database; those that there are stay


class Now(FunctionElement[int]):
    """The time of the database, in microseconds since 1970 UTC; SQLite's is that of its machine, in milliseconds."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(Now, "postgresql")
def _of_postgresql(now: Now, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"


@compiles(Now, "sqlite")
def _of_sqlite(now: Now, compiler: Any, **options: Any) -> str:
    return "(CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000)"


_now = Now()


class Mark(NamedTuple):
    """What changes in the list of experiments."""

    key: int
    id: str
    archived_at: int | None  # microseconds since 1970 UTC
    deleted_at: int | None


class View(NamedTuple):
    """What a node sees: the time of the database, the nodes whose leases hold, and all shards by number."""

    now: int  # microseconds since 1970 UTC
    nodes: dict[str, Node]
    shards: list[Shard]


def shard_of(id: str, shards: int) -> int:
    """Return the number of the shard of an experiment, by its name: the same in every process, for good.

    >>> shard_of("hello", 16), shard_of("~shop~hello", 16)
    (14, 8)
    """
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % shards


def locked(connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[str | None, int]]:
    """Return owner and epoch of shards by number, which change hands no more until the transaction ends.

    Of SQLite one transaction that writes is at work at a time, and this is it.
    """
    alone = connection.dialect.name == "sqlite"
    places = ",".join("?" if alone else f"${place}" for place in range(1, len(numbers) + 1))
    sql = f"SELECT number, owner, epoch FROM shard WHERE number IN ({places}){'' if alone else ' FOR SHARE'}"
    cursor = connection.connection.cursor()  # the driver's own: SQLAlchemy's way costs 20 us a statement
    cursor.execute(sql, tuple(numbers))
    found = {number: (owner, epoch) for number, owner, epoch in cursor.fetchall()}
    cursor.close()
    return found


class Shards(Beside):
    """The nodes and the shards of a database, as one node sees and changes them; raises `Unavailable` as `Store`."""

    revision_read = schema.SHARDS

    def join(self, node: Node, lease: float) -> bool:
        """Become a node whose lease ends after so many seconds, and return whether that is so.

        It is not while another process of this name has a lease. What that one had before is nobody's then.
        """
        until = _now + int(lease * 1e6)
        values: dict[str, Any] = {**node._asdict(), "until": until, "renewed_at": _now}
        with self._transaction() as connection:
            self._make_shards(connection)
            ended = sa.delete(NODE).where(NODE.c.name == node.name, NODE.c.until <= _now)
            connection.execute(ended)
            known = connection.scalar(sa.select(NODE.c.name).where(NODE.c.name == node.name).with_for_update())
            if known is not None:
                return False
            connection.execute(sa.insert(NODE).values(values))
            mine = SHARD.c.owner == node.name
            connection.execute(sa.update(SHARD).where(mine).values(owner=None, epoch=SHARD.c.epoch + 1, since=_now))
        return True

    def renew(self, node: Node, lease: float) -> View | None:
        """Renew a lease, say what the node says of itself, and return what it sees; None where it is no node now.

        It is none where another process has its name.
        """
        mine = (NODE.c.name == node.name) & (NODE.c.life == node.life)
        said = {"until": _now + int(lease * 1e6), "renewed_at": _now}
        with self._transaction() as connection:
            renewed = sa.update(NODE).where(mine).values(recovering=node.recovering, leaves=node.leaves, **said)
            if connection.execute(renewed).rowcount == 0:
                return None
            return _seen(connection)

    def see(self) -> View:
        """Return what there is."""
        with self._transaction() as connection:
            return _seen(connection)

    def take(self, name: str, most: int) -> None:
        """Let a node have shards that are nobody's, or whose owner's lease has ended, so many at most.

        Those in which somebody writes at the moment are left for later.
        """
        alive = sa.exists().where(NODE.c.name == SHARD.c.owner, NODE.c.until > _now)
        free = sa.select(SHARD.c.number).where(sa.or_(SHARD.c.owner.is_(None), ~alive)).order_by(SHARD.c.number)
        with self._transaction() as connection:
            numbers = connection.scalars(free.limit(most).with_for_update(skip_locked=True)).all()
            self._give(connection, numbers, name)

    def hand_over(self, number: int, epoch: int, owner: str, to: str | None) -> bool:
        """Give a shard, which a node has in an epoch, to another one or to nobody; return whether it was still its."""
        mine = (SHARD.c.number == number) & (SHARD.c.epoch == epoch) & (SHARD.c.owner == owner)
        with self._transaction() as connection:
            given = sa.update(SHARD).where(mine).values(owner=to, epoch=SHARD.c.epoch + 1, since=_now)
            return connection.execute(given).rowcount == 1

    def leave(self, node: Node) -> None:
        """Be no node any more."""
        mine = (NODE.c.name == node.name) & (NODE.c.life == node.life)
        with self._transaction() as connection:
            connection.execute(sa.delete(NODE).where(mine))

    def marks(self) -> list[Mark]:
        """Return all experiments there ever were, by key; those that are being imported are none yet."""
        sql = "SELECT key, id, archived_at, deleted_at FROM experiment ORDER BY key"
        return [mark for mark in map(Mark._make, self._read(sql, ())) if not mark.id.startswith("\n")]

    def rows(self, keys: Sequence[int]) -> list[Experiment]:
        """Return experiments by their keys, without deleted ones."""
        there = EXPERIMENT.c.key.in_(keys) & EXPERIMENT.c.deleted_at.is_(None)
        query = sa.select(*EXPERIMENT.c[Experiment._fields]).where(there).order_by(EXPERIMENT.c.key)
        return [Experiment._make(row) for row in self._read_core(query)]

    def _make_shards(self, connection: Connection) -> None:
        if not self._sqlite:
            connection.exec_driver_sql("LOCK TABLE shard IN SHARE ROW EXCLUSIVE MODE")
        if connection.scalar(sa.select(sa.func.count()).select_from(SHARD)) == 0:
            rows = [Shard(number, None, 0, 0)._asdict() for number in range(SHARDS)]
            connection.execute(sa.insert(SHARD).values(rows))

    def _give(self, connection: Connection, numbers: Iterable[int], to: str) -> None:
        given = sa.update(SHARD).where(SHARD.c.number.in_(list(numbers)))
        connection.execute(given.values(owner=to, epoch=SHARD.c.epoch + 1, since=_now))


def _seen(connection: Connection) -> View:
    now = connection.scalar(sa.select(_now))
    assert now is not None
    nodes = [Node._make(row) for row in connection.execute(sa.select(NODE).where(NODE.c.until > _now))]
    shards = [Shard._make(row) for row in connection.execute(sa.select(SHARD).order_by(SHARD.c.number))]
    return View(now, {node.name: node for node in nodes}, shards)


def lease_lost(what: str) -> Unavailable:
    """Return what is raised where a process would write of experiments that another one has by now."""
    return Unavailable(
        LEASE_LOST,
        f"nothing was written, as {what} belongs to another node by now, or to none: ask again, and the node that has "
        "it answers",
    )
