"""Connections to a database, SQLite or PostgreSQL: one that writes, under a lock, and many that read."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import Any, Protocol, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ..errors import InvalidInput, OnearmError, Unavailable
from . import schema
from .drivers import BUSY_SECONDS, engine_of
from .files import IN_USE, UNUSED, DatabaseFiles, in_use, lock, may_lack_commits, write_mark
from .tables import METADATA
from .turns import Shared, Turns

ROWS_AT_ONCE = 200  # that are read in about a millisecond; others have their turn then
BREATH_SECONDS = 1e-5  # asleep: the least that gives up Python's lock for long enough that another thread wakes up
LOCK_SECONDS = 1
RETRY_SECONDS = 0.05  # until a lock is tried again that another one has
TABLES_SECONDS = 10  # for which a node waits until another one has made the tables, or does not use them
GIVE_WAY_MS = 300  # for a table in use: a server ends one of two that wait for each other after a second
ADVISORY_LOCK = 0x6F6E6561726D  # "onearm"


class Fence(Protocol):
    """Lets a process among several write of some experiments: raises `Unavailable` where they are another's by now.

    It looks in the transaction that writes, and what it looked at stays as it is until that ends.
    """

    idle_seconds: float  # that a transaction may wait for its process, where others wait for its end

    def check(self, connection: Connection, experiments: Iterable[int]) -> None:
        """Check that experiments, by their keys, are this process's."""

    def check_new(self, connection: Connection, id: str) -> None:
        """Check that an experiment may be made here."""


class Connections:
    """The connections to one database: a writer's, in one process at a time, and readers' in any thread or process.

    On PostgreSQL the writer's connection holds the lock: a writer that lost its connection lost its lock with it,
    and cannot write until it holds both again.
    """

    revision_read = schema.LOG  # of the tables: the oldest with which they are read

    def __init__(self, url: URL, *, write: bool) -> None:
        self.url = url
        self.name = url.render_as_string(hide_password=True)
        self._sqlite = url.get_backend_name() == "sqlite"
        self._write = write
        self.revision = schema.newest()  # of the tables
        self._reader = engine_of(url, write=False)
        self._held = threading.local()  # in a block of `one_connection`, its connection
        self._opener = engine_of(url, write=True, poolclass=NullPool)  # so that closing really ends the session
        self._writer: Connection | None = None
        self._writing = threading.Lock()
        self._lock: ExitStack | None = None  # of SQLite's file, where it is written
        self._shared: Shared | None = None  # the same, where other processes write as well
        self._turns: AbstractContextManager[None] = nullcontext()  # at transactions, where others write a file too
        self._files: DatabaseFiles | None = None  # of SQLite, where it is written
        self._fence: Fence | None = None  # where other processes write as well
        self.incomplete = False  # whether its newest commits are missing: it was copied without the file that held them
        if self._sqlite and write:
            self.incomplete = may_lack_commits(self._path)
        self.lost: Unavailable | None = None  # since its files are not those that were opened: nothing is in order then

    @property
    def _path(self) -> Path:
        """The file of SQLite."""
        return Path(self.url.database or "").resolve()

    @classmethod
    def open(cls, url: str, *, write: bool = True) -> Self:
        """Open a database, `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.

        With `write` the file and the tables are made or migrated as need be, and the database is locked until
        `close` or the end of the process; a second writer is refused with `Unavailable`. Without, nothing is
        changed, and a writer may be at work meanwhile.
        """
        opened = cls(parse_url(url), write=write)
        try:
            if write:
                opened._open_to_write()
            else:
                opened._open_to_read()
        except BaseException:
            opened.close()
            raise
        return opened

    @classmethod
    def open_among(cls, url: str, fence: Fence) -> Self:
        """Open a database to write where other processes do so too, each of experiments of its own.

        Whoever has it for itself is kept out meanwhile. Tables are made or migrated where nobody is at work yet, and
        where something is only added to them. A file of SQLite is for processes of one machine.
        """
        opened = cls(parse_url(url), write=True)
        opened._fence = fence
        try:
            opened._make_tables()
            opened._open_to_write()
        except BaseException:
            opened.close()
            raise
        return opened

    def check_files(self) -> None:
        """Raise `Unavailable` ("database_lost") where the files of SQLite were deleted or replaced, for good."""
        if self.lost is not None:
            raise self.lost
        if self._files is None:
            return
        try:
            self._files.check()
        except Unavailable as error:
            self.lost = error
            raise

    def close(self) -> None:
        """Close all connections and give up the lock."""
        self._reader.dispose()  # first: the last connection of SQLite moves the log into the file, if it may write
        with self._writing, self._turns:
            if self._shared is None or self._shared.is_last():
                self._leave_mark(UNUSED)
            self._drop_writer()
        if self._lock is not None:
            self._lock.close()
            self._lock = self._shared = None

    def _in_dialect(self, sql: str) -> str:
        """Return a statement with its places for values, ?, written as this driver wants them."""
        if self._sqlite:
            return sql
        number = count(1)
        return re.sub(r"\?", lambda place: f"${next(number)}", sql)

    def _read(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Return plain tuples of the driver, by its own cursor: SQLAlchemy's way costs four times as much.

        It counts where thousands of experiments are recovered, or a decision is looked up. SQLite's driver gives up
        Python's lock at each row, for so short a moment that a thread that waits for it is woken in vain: so it gets a
        turn after some rows, or a service would not answer while a log is read.
        """
        with self._read_failed():
            held = getattr(self._held, "connection", None)
            connection = self._reader.raw_connection() if held is None else held
            try:
                cursor = connection.cursor()
                cursor.execute(self._in_dialect(sql), parameters)
                rows = list(cursor.fetchmany(ROWS_AT_ONCE))
                while len(rows) % ROWS_AT_ONCE == 0 and (more := cursor.fetchmany(ROWS_AT_ONCE)):
                    time.sleep(BREATH_SECONDS)
                    rows += more
                cursor.close()
                return rows
            except self._reader.dialect.loaded_dbapi.Error:
                connection.invalidate()  # the server may be gone: the pool would try to roll back there, and log that
                self._held.connection = None
                raise
            finally:
                if held is None:
                    connection.close()

    @contextmanager
    def one_connection(self) -> Iterator[None]:
        """Let this thread read by one connection in the block: to take one from the pool takes as long as a look-up.

        What is committed meanwhile is read as it is elsewhere. A read that fails gives the connection up.
        """
        with self._read_failed():
            connection = self._reader.raw_connection()
        self._held.connection = connection
        try:
            yield
        finally:
            self._held.connection = None
            connection.close()

    def _read_core(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Return the rows of a query that SQLAlchemy writes."""
        with self._read_failed(), self._reader.connect() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _read_failed(self) -> Iterator[None]:
        """Turn the errors of drivers into `Unavailable`."""
        try:
            yield
        except (SQLAlchemyError, self._reader.dialect.loaded_dbapi.Error) as error:
            spoilt = "malformed" in str(error)
            then = (
                "it is damaged: stop the service, and put a backup back by `onearm restore`" if spoilt else "try again"
            )
            raise Unavailable("read_failed", f"{self.name} could not be read ({_reason(error)}): {then}") from error

    @contextmanager
    def _transaction(self, *experiments: int) -> Iterator[Connection]:
        """Give the writer's connection in a transaction: committed at the end, rolled back on any error.

        It writes of these experiments, which the fence looks at, where there is one.
        """
        assert self._write, "this store is open for reading only"
        with self._writing, self._turns:
            if self.lost is not None:
                raise self.lost
            try:
                if self._writer is None:
                    self._writer = self._connect_writer()
                with self._writer.begin():
                    if self._fence is not None:
                        self._fence.check(self._writer, experiments)
                    yield self._writer
                self.check_files()  # or it went to files that nobody finds any more
            except OnearmError:
                raise
            except Exception as error:  # the drivers also raise OverflowError, UnicodeError ...
                if not self._is_sound(error):
                    self._drop_writer()
                then = (
                    "something of it is there already, written by somebody else: see that nothing else writes there, "
                    "then begin again with what is on record"
                    if isinstance(error, (IntegrityError, self._opener.dialect.loaded_dbapi.IntegrityError))
                    else "see that the disk has room and the database answers, then try again"
                )
                raise Unavailable(
                    "commit_failed",
                    f"nothing was written to {self.name}, as the transaction failed ({_reason(error)}): {then}",
                ) from error

    def empty_wal(self) -> bool:
        """Move what the -wal file of SQLite holds into the database, and empty it: it has copies of what was deleted.

        Return whether that is done: not while somebody reads what was there before; nobody is waited for.
        """
        if not self._sqlite:
            return True
        with self._writing, self._turns:
            if self.lost is not None:
                raise self.lost
            if self._writer is None:
                self._writer = self._connect_writer()
            driver: Any = self._writer.connection.driver_connection
            try:
                driver.execute("PRAGMA busy_timeout = 0")
                busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                driver.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS}")
            except self._opener.dialect.loaded_dbapi.Error as error:
                self._drop_writer()
                raise Unavailable("commit_failed", f"{self.name} did not empty its -wal file ({error})") from error
            return not busy

    def _is_sound(self, error: Exception) -> bool:
        """Tell whether the writer's connection can be used after this error."""
        if self._writer is None or self._writer.invalidated or self._writer.in_transaction():
            return False
        return self._sqlite or not isinstance(error, OperationalError)

    def _connect_writer(self) -> Connection:
        """Open the writer's connection; on PostgreSQL take the lock, which lives as long as the session."""
        if self._files is not None:
            self._files.check_own()  # SQLite would make a new one
        connection = self._opener.connect()
        if self._files is not None:
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master")  # opens the files beside it
            connection.rollback()
            self._files.remember()
        if self._sqlite:
            return connection
        shared = "" if self._fence is None else "_shared"
        if self._fence is not None:  # a process that sleeps in a transaction must not keep what the fence looked at
            milliseconds = int(1000 * self._fence.idle_seconds)
            connection.exec_driver_sql(f"SET idle_in_transaction_session_timeout = {milliseconds}")
        patience = time.monotonic() + LOCK_SECONDS  # a server notices a killed client a moment later
        while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock{shared}({ADVISORY_LOCK})").scalar():
            if time.monotonic() > patience:
                connection.close()
                raise in_use(self.name, "another process")
            time.sleep(RETRY_SECONDS)
        connection.commit()
        return connection

    def _drop_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            try:
                writer.close()
            except SQLAlchemyError:
                writer.invalidate()

    def _open_to_write(self) -> None:
        if self._sqlite:
            self._lock_sqlite_file()
        try:
            self._writer = self._connect_writer()
            known = schema.revision(self._writer, self.name)
            tables = set(sa.inspect(self._writer).get_table_names())
            if known is None and (taken := tables & set(METADATA.tables)):
                raise InvalidInput(
                    "foreign_database",
                    f"{self.name} has a table {min(taken)!r} not made by onearm: name another database",
                )
            self._writer.rollback()
            if schema.is_older(known):
                self._migrate(self._writer)
            self._leave_mark(IN_USE)
        except (SQLAlchemyError, self._opener.dialect.loaded_dbapi.Error) as error:
            raise self._cannot_open(error) from error

    def _migrate(self, connection: Connection) -> None:
        """Bring the tables to the newest schema; others at work are held up by that for a moment at most.

        Where tables are in use it gives way, and tries again for a while: it may wait for a transaction of another node
        that itself waits for a table that is had here.
        """
        if self._fence is None or self._sqlite:
            with connection.begin():
                schema.migrate(connection)
            return
        patience = time.monotonic() + TABLES_SECONDS
        while True:
            try:
                with connection.begin():
                    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {GIVE_WAY_MS}")
                    connection.exec_driver_sql(f"LOCK TABLE {schema.VERSION_TABLE} IN EXCLUSIVE MODE")  # one at a time
                    schema.migrate(connection)
                return
            except OperationalError as error:
                if time.monotonic() > patience:
                    raise Unavailable(
                        "schema_locked",
                        f"{self.name} did not get the schema {schema.newest()!r}, and is as it was ({_reason(error)}): "
                        "somebody else reads or changes its tables for long, as pg_dump does; start this again after "
                        "that",
                    ) from error
                time.sleep(GIVE_WAY_MS / 1000)

    def _make_tables(self) -> None:
        """Make or migrate the tables where that needs the database for oneself for a moment."""
        patience = time.monotonic() + TABLES_SECONDS  # another one may be making them
        while schema.is_older(known := self._revision_there()) and not schema.is_added_to(known):
            try:
                type(self).open(self.url.render_as_string(hide_password=False)).close()
            except Unavailable as error:
                if error.code != "database_in_use":
                    raise
                if time.monotonic() < patience:
                    time.sleep(RETRY_SECONDS)
                    continue
                raise Unavailable(
                    "older_schema",
                    f"{self.name} has the schema {known!r}, this version of onearm writes {schema.newest()!r}, and "
                    "others are at work in it: stop them all, then start this one first",
                ) from None

    def _revision_there(self) -> str | None:
        return self._known_revision() if is_there(self.url) else None

    def _known_revision(self) -> str | None:
        try:
            with self._reader.connect() as connection:
                return schema.revision(connection, self.name)
        except (SQLAlchemyError, self._reader.dialect.loaded_dbapi.Error) as error:
            raise self._cannot_open(error) from error

    def _open_to_read(self) -> None:
        if not is_there(self.url):
            raise InvalidInput("no_database", f"there is no file {self.url.database}: name a database that exists")
        known = self._known_revision()
        if known is None or known < self.revision_read:
            seen = "has no tables of onearm" if known is None else f"has the older schema {known!r}"
            raise InvalidInput("older_schema", f"{self.name} {seen}: open it once with `onearm serve`")
        self.revision = known

    def _lock_sqlite_file(self) -> None:
        """Take the lock that the kernel gives back when this process ends, however it ends."""
        path = self._path
        self._files = DatabaseFiles(path)
        if not path.parent.exists():
            raise InvalidInput("no_folder", f"there is no folder {path.parent}: make it, or name another")
        if self._fence is None:
            self._lock = lock(path, self.name)
        else:
            self._lock = ExitStack()
            self._shared = self._lock.enter_context(closing(Shared(path, self.name)))
            self._turns = Turns(path)
        self._files.remember_lock()

    def _leave_mark(self, mark: int) -> None:
        """Mark the file of SQLite itself, and not the -wal file beside it, as in use or not: a copy of it says so."""
        if not self._sqlite or self._lock is None or self.lost is not None:
            return
        with suppress(Exception):  # it is a help to people, and nothing else
            self._writer = self._writer or self._connect_writer()
            write_mark(self._writer.connection.cursor(), mark)

    def _cannot_open(self, error: Exception) -> OnearmError:
        if self._sqlite:
            return InvalidInput(
                "not_a_database",
                f"{self.name} cannot be used ({_reason(error)}): name an SQLite file that you may read "
                "and write, or one that does not exist yet",
            )
        return Unavailable(
            "database_unavailable",
            f"{self.name} does not answer ({_reason(error)}): see that the server runs and lets this user in",
        )


def without_password(url: str) -> str:
    """Return the URL of a database as it may be shown.

    >>> without_password("postgresql://me:secret@host/log"), without_password("sqlite:///run.db")
    ('postgresql://me:***@host/log', 'sqlite:///run.db')
    """
    return make_url(url).render_as_string(hide_password=True)


def is_there(url: str | URL) -> bool:
    """Return whether there is a database: a file of SQLite, while of PostgreSQL it is the server that knows."""
    parsed = parse_url(url) if isinstance(url, str) else url
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def parse_url(text: str) -> URL:
    """Return the URL of a database; raises `InvalidInput` where it is none that is known here."""
    try:
        url = make_url(text)
        backend = url.get_backend_name()
        if backend in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        elif backend != "sqlite":
            raise InvalidInput(
                "unknown_database",
                f"the database is of the kind {backend!r}: it must be sqlite or postgresql",
            )
    except (ArgumentError, IntegrityError, NoSuchModuleError):
        raise InvalidInput(
            "bad_database_url",
            f"{text!r} names no database: write sqlite:///FILE or postgresql://USER@HOST/NAME",
        ) from None
    if backend == "sqlite" and (url.query or (url.database or "").startswith("file:")):
        raise InvalidInput(
            "bad_database_url",
            f"{text!r} names a file by a URI of SQLite, or with options: write sqlite:///FILE, and nothing behind it",
        )
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidInput("no_file", f"{text!r} names no file: a log must outlive its process; write sqlite:///FILE")
    return url


def _reason(error: Exception) -> str:
    """Return the driver's own words, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
