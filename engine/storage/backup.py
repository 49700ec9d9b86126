"""A database of SQLite as it is at one moment, copied while it is in use, and put back.

A copy made by `cp` lacks what lies in the -wal file: the newest commits. SQLite's own way of copying has them.

>>> import tempfile
>>> from .store import Store
>>> folder = tempfile.TemporaryDirectory()
>>> url, copy = f"sqlite:///{folder.name}/run.db", Path(folder.name, "copy.db")
>>> store = Store.open(url)
>>> hello = store.add_experiment("hello", "{}", b"", "{}", 0)
>>> back_up(url, copy)
>>> later = store.add_experiment("later", "{}", b"", "{}", 0)
>>> store.close()
>>> kept = restore(copy, url)
>>> [[one.id for one in Store.open(f"sqlite:///{file}", write=False).experiments()] for file in (url[10:], kept)]
[['hello'], ['hello', 'later']]
>>> folder.cleanup()
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ..errors import Conflict, InvalidInput, OnearmError
from .access import RESTORE, Access, deed_by_command
from .connections import parse_url
from .files import BESIDE, UNUSED, lock, may_lack_commits, sync
from .records import Deed
from .store import Store

FINAL = ("keys.revoke", "units.erase", "experiments.delete")  # deeds that a backup from before takes back
PAGE = 1000  # deeds


def back_up(url: str, file: Path) -> None:
    """Write a database to a new file, as it is at one moment; who writes to it is not kept from that.

    The file is whole, or is not there: it is written under another name, and to the disk. Raises `Conflict` where there
    is one already, `InvalidInput` where the database is none of SQLite, or cannot be read.
    """
    source = _sqlite_file(url)
    if not source.is_file():
        raise InvalidInput("no_database", f"there is no file {source}: name a database that exists")
    if file.exists():
        raise Conflict("file_exists", f"{file} exists already: name another file, a backup replaces nothing")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    try:
        _copy(source, part)
        os.link(part, file)  # fails where somebody made it meanwhile
    except FileExistsError:
        raise Conflict("file_exists", f"{file} was made meanwhile: name another file") from None
    finally:
        part.unlink(missing_ok=True)
    sync(file.parent)


def restore(file: Path, url: str) -> Path | None:
    """Put a backup in place of a database, and return the file under which that is kept; None where there was none.

    At any moment there is one of both under the name. What lies beside a database that is gone is kept too: SQLite
    would write it into the other one. Raises `Unavailable` where a process writes to the database.
    """
    target = _sqlite_file(url)
    if not file.is_file():
        raise InvalidInput("no_backup", f"there is no file {file}: name a backup that exists")
    if may_lack_commits(file):
        raise InvalidInput(
            "incomplete_copy",
            f"{file} is of a database in use, without {file}-wal, where its newest commits were: put that beside it, "
            "or name a backup of `onearm backup`; if it is whole, as another program brought both together, let "
            f"`onearm serve --database sqlite:///{file}` open and end it first",
        )
    if file.resolve() == target.resolve():
        raise InvalidInput("same_file", f"{file} is the database itself: name a backup of it")
    kept = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    with lock(target, str(target)):
        part = target.with_name(f"{target.name}.part")
        try:
            _copy(file, part)
            _note(part, file)
            if target.exists():
                _gather(target)
                os.link(target, kept)
            for ending in BESIDE:  # of a database that could not be gathered, or is gone
                with suppress(FileNotFoundError):
                    Path(f"{target}{ending}").rename(f"{kept}{ending}")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        sync(target.parent)
    return kept if kept.exists() else None


def undone(file: Path, url: str) -> dict[str, int]:
    """Return how often what must not be taken back was done to a database since a backup of it, by the deed.

    Keys that were revoked are good again in the backup, and erased decisions and deleted experiments are there. Empty
    where the database cannot be read, or the backup is none of it.
    """
    with suppress(OnearmError):
        new, old = Access.open(f"sqlite:///{file}"), Access.open(url)
        with closing(new), closing(old):
            last = next(iter(new.deeds(1)), None)
            since: list[Deed] = []
            for deed in _newest_first(old):
                if last is not None and deed.seq == last.seq:
                    return Counter(deed.action for deed in since) if deed == last else {}
                if deed.action in FINAL:
                    since.append(deed)
            return Counter(deed.action for deed in since) if last is None else {}
    return {}


def _newest_first(access: Access) -> Iterator[Deed]:
    before: int | None = None
    while page := access.deeds(PAGE, before):
        yield from page
        before = page[-1].seq


def _sqlite_file(url: str) -> Path:
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise InvalidInput(
            "not_sqlite",
            "the database is PostgreSQL's, which has its own tools: pg_dump --format=custom writes a backup while the "
            "service runs, and pg_restore puts it back",
        )
    return Path(parsed.database or "")


def _copy(source: Path, target: Path) -> None:
    """Copy a database in one step: in several, SQLite begins anew whenever something is committed meanwhile."""
    target.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(source.resolve()))}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer)
            writer.execute(f"PRAGMA user_version = {UNUSED}")  # the mark of who writes to the other one
            writer.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.Error as error:
        raise InvalidInput("not_a_database", f"{source} cannot be read, or {target} not written ({error})") from error
    sync(target)


def _note(part: Path, file: Path) -> None:
    """Write into the audit log of a backup that it was put back: whoever reads a log on sees that it is another one."""
    Store.open(f"sqlite:///{part}").close()  # an earlier version had no such log
    access = Access.open(f"sqlite:///{part}", write=True)
    try:
        access.note(deed_by_command(None, RESTORE, str(file.resolve())))
    finally:
        access.close()
    with closing(sqlite3.connect(part)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    Path(f"{part}.lock").unlink(missing_ok=True)
    sync(part)


def _gather(database: Path) -> None:
    """Move what lies in the -wal file into the database, if it can be read."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
