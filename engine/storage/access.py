"""Who may do what, and who did what, in SQL: the keys, and the audit log.

Their tables are written beside the writer of the log, by any process and without its lock: a key that is revoked on
the command line must not wait until the service ends. SQLite lets one transaction write at a time, and others wait.

>>> import tempfile
>>> from .store import Store
>>> folder = tempfile.TemporaryDirectory()
>>> service = Store.open(f"sqlite:///{folder.name}/run.db")
>>> access = Access.open(f"sqlite:///{folder.name}/run.db")
>>> key = StoredKey("k1", b"digest", "web", "shop", "write", "*", created_at=7)
>>> access.add_key(key, Deed(None, 7, None, "shop", "keys.create", "k1", "command line"))
>>> access.all_keys() == [key]
True
>>> access.close()
>>> service.close()
>>> folder.cleanup()
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..errors import Conflict, NotFound
from . import schema
from .beside import Beside
from .files import UNUSED, lock, write_mark
from .records import Deed, StoredKey
from .tables import API_KEY, AUDIT

ROTATE = "keys.rotate"  # the deed of a key in place of another one; its subject names both, the old one first
BACKUP = "database.backup"  # the deed of a copy that is whole
RESTORE = "database.restore"  # the deed of a backup that took the place of a database; it is in that


def deed_by_command(tenant: str | None, action: str, subject: str) -> Deed:
    """Return what somebody at this machine does now to something of a tenant; None is the operator."""
    return Deed(None, time.time_ns() // 1000, None, tenant, action, subject, "command line")


class Access(Beside):
    """The keys and the audit log of a database that was opened with its writer once; raises `Unavailable` as `Store`.

    Every change of a key is written with what the audit log says of it, in one transaction.
    """

    revision_read = schema.ACCESS

    def all_keys(self) -> list[StoredKey]:
        """Return all keys there ever were, in the order of their creation."""
        rows = self._read_core(sa.select(API_KEY).order_by(API_KEY.c.created_at, API_KEY.c.id))
        return [StoredKey._make(row) for row in rows]

    def add_key(self, key: StoredKey, deed: Deed) -> None:
        """Write a new key."""
        with self._transaction() as connection:
            connection.execute(sa.insert(API_KEY).values(key._asdict()))
            _note(connection, deed)

    def replace_key(self, old: str, until: int, new: StoredKey, deed: Deed) -> None:
        """Write a key in place of another one, which ends at `until` (microseconds), or before where it does so.

        The deed is a `ROTATE`. Raises `Conflict` for a key that was replaced before: its end says no more how long it
        was made for, and of two answers the first may just be lost.
        """
        with self._transaction() as connection:
            known = _found(connection, old)
            ends = until if known.expires_at is None else min(until, known.expires_at)
            connection.execute(sa.update(API_KEY).where(API_KEY.c.id == old).values(expires_at=ends))
            if (successor := _successor(connection, old)) is not None:
                raise Conflict(
                    "key_replaced",
                    f"the key {old!r} was replaced by {successor!r}: rotate that one, or where it ended make a new key",
                )
            connection.execute(sa.insert(API_KEY).values(new._asdict()))
            _note(connection, deed)

    def revoke_key(self, id: str, deed: Deed) -> StoredKey:
        """End a key at once, at the time of the deed, and return it; one that was revoked before stays as it is."""
        with self._transaction() as connection:
            known = _found(connection, id)
            if known.revoked_at is not None:
                return known
            connection.execute(sa.update(API_KEY).where(API_KEY.c.id == id).values(revoked_at=deed.time))
            _note(connection, deed)
        return known._replace(revoked_at=deed.time)

    def note(self, deed: Deed) -> None:
        """Write a deed."""
        with self._transaction() as connection:
            _note(connection, deed)

    def deeds(self, limit: int, before: int | None = None, tenant: str | None = None) -> list[Deed]:
        """Return the newest deeds whose seq is less than `before`, newest first; with a tenant its own alone."""
        query = sa.select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(AUDIT.c.seq < before)
        if tenant is not None:
            query = query.where(AUDIT.c.tenant == tenant)
        return [Deed._make(row) for row in self._read_core(query)]

    def last(self, action: str) -> Deed | None:
        """Return the newest deed of one sort; None where there is none."""
        query = sa.select(AUDIT).where(AUDIT.c.action == action).order_by(AUDIT.c.seq.desc()).limit(1)
        return next((Deed._make(row) for row in self._read_core(query)), None)

    def close(self) -> None:
        """Close all connections; where nobody else writes the database is whole without the file beside it then."""
        if self._sqlite and self._writer is not None:
            path = self._path
            with suppress(Exception), lock(path, self.name):
                write_mark(self._writer.connection.cursor(), UNUSED)
        super().close()


def _found(connection: Connection, id: str) -> StoredKey:
    row = connection.execute(sa.select(API_KEY).where(API_KEY.c.id == id)).one_or_none()
    if row is None:
        raise NotFound("unknown_key", f"there is no key {id!r}")
    return StoredKey._make(row)


def _successor(connection: Connection, id: str) -> str | None:
    """Return the id of the key in place of another one; None where there is none. Reads the audit log, 0.1 us a deed.

    With other processes on PostgreSQL it is asked when the row of the key is locked.
    """
    rotated = sa.select(AUDIT.c.subject).where(AUDIT.c.action == ROTATE)
    found = connection.execute(rotated.where(AUDIT.c.subject.startswith(f"{id} ", autoescape=True))).scalar()
    return None if found is None else str(found).removeprefix(f"{id} ")


def _note(connection: Connection, deed: Deed) -> None:
    said: dict[str, Any] = deed._asdict()
    del said["seq"]  # the database counts
    connection.execute(sa.insert(AUDIT).values(said))
