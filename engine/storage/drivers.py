"""How SQLAlchemy speaks to SQLite and to PostgreSQL here."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine

from ..errors import InvalidInput, installing

BUSY_SECONDS = 30  # for which SQLite waits for another writer
READER_CACHE_KB = 256  # pages of the file that a connection keeps; each commit empties it, and 2 MB are read no faster


def engine_of(url: URL, *, write: bool, **options: Any) -> Engine:
    """Return the engine of a database; without `write` none of its connections changes anything."""
    if url.get_backend_name() != "sqlite":
        if not write:  # each statement is a transaction of its own, which nobody has to begin or to end
            options |= {"isolation_level": "AUTOCOMMIT", "pool_pre_ping": True}
        return _postgresql_engine(url, **options)
    return _sqlite_engine(url, write=write, **options)


def _postgresql_engine(url: URL, **options: Any) -> Engine:
    """Return an engine whose statements name their values as the server does, $1.

    The driver rewrites %s, anew for each long statement: 35 us of CPU a row of 15 columns, against 3 us. No column is
    an hstore: to ask for that type is most of what a first connection reads of the server.
    """
    try:
        engine = sa.create_engine(url, paramstyle="numeric_dollar", use_native_hstore=False, **options)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "no_driver", f"PostgreSQL needs the package {error.name}: {installing('postgres')}"
        ) from None

    @event.listens_for(engine, "do_connect")
    def prepare(dialect: Any, record: Any, arguments: Any, named: dict[str, Any]) -> None:
        named["cursor_factory"] = dialect.loaded_dbapi.RawCursor

    return engine


def _sqlite_engine(url: URL, *, write: bool, **options: Any) -> Engine:
    if not write:
        path = Path(url.database or "").resolve()
        url = url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we begin, not the driver, which would leave DDL out of transactions
        if write:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # zeros over what is deleted
        else:
            connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KB}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
