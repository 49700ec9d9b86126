"""The files of an SQLite database, as they were when it was opened: they may be deleted or replaced under it.

What is committed then goes to files that nobody finds any more. SQLite does not notice, so this looks.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import InvalidInput, Unavailable

BESIDE = ("-wal", "-shm")  # what SQLite keeps beside the file for as long as it is open: commits are in the first

# A mark in the head of the file, `user_version` of SQLite: while it is in use its newest commits lie in the -wal file.
IN_USE, UNUSED = 0x6F6E6561, 0
MARK = slice(60, 64)


def may_lack_commits(path: Path) -> bool:
    """Tell whether a database was in use and not ended, and has no -wal file, where its newest commits were.

    So it is with a copy without that file, which lacks them. So it is too where after a crash another program than ours
    opened the database, moved them from that file into the database, and took the file away: then nothing is missing.
    The file is not looked into where it is open: to close it takes the locks away that SQLite has in this process.
    """
    try:
        if Path(f"{path}{BESIDE[0]}").exists():
            return False
        with path.open("rb") as file:
            head = file.read(MARK.stop)
    except OSError:
        return False
    return int.from_bytes(head[MARK], "big") == IN_USE


def write_mark(cursor: Any, mark: int) -> None:
    """Write the mark, and move it into the file, through a connection of SQLite that is in no transaction."""
    cursor.execute(f"PRAGMA user_version = {mark}")
    cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
    cursor.close()


class DatabaseFiles:
    """Knows which files lie under the names of a database; any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[int, int]] = {}  # the device and the number of each file
        self._lock = f"{path}.lock"

    def remember(self) -> None:
        """Take note of the files: the database's own once, those beside it after every new connection that writes."""
        path = str(self._path)
        for name in (path, *(path + ending for ending in BESIDE)):
            if (found := _identity(name)) is not None and (name != path or path not in self._known):
                self._known[name] = found

    def remember_lock(self) -> None:
        """Take note of the lock's file, which is held: whoever finds another one under its name takes that."""
        if (found := _identity(self._lock)) is not None:
            self._known[self._lock] = found

    def check(self) -> None:
        """Raise `Unavailable` ("database_lost") where a file is gone or is another one; about 2 us a file."""
        for name, known in self._known.items():
            if (found := _identity(name)) != known:
                raise _unlocked(name) if name == self._lock else _lost(name, found is None)

    def check_own(self) -> None:
        """Check the database's own file alone: those beside it are made anew when all connections were closed."""
        path = str(self._path)
        if path in self._known and (found := _identity(path)) != self._known[path]:
            raise _lost(path, found is None)


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - a Path takes longer than the call
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lost(name: str, gone: bool) -> Unavailable:
    return Unavailable(
        "database_lost",
        f"{name} {'was deleted or moved' if gone else 'was replaced by another file'} while it was in use, so nothing "
        "is acknowledged any more: stop the service, put the database back (with its -wal file, or from a backup), "
        f"and start it again; until it is stopped /proc/{os.getpid()}/fd has the files as they were",
    )


def _unlocked(name: str) -> Unavailable:
    return Unavailable(
        "database_lost",
        f"{name} was deleted, moved or replaced while it was held, so that another process may have the database too, "
        "and nothing is acknowledged any more: stop all that write to it, look at it by onearm verify, and start one "
        "again; leave that file to them",
    )


def sync(path: Path) -> None:
    """Let a file, or the names in a folder, reach the disk; Windows has no such thing for a folder."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(path: Path, name: str) -> ExitStack:
    """Take the lock of a database: it is given up when what is returned is closed, or the process ends.

    Raises `Unavailable` ("database_in_use") where another process has it; `name` is what the database is called then.
    """
    file = Path(f"{path}.lock")
    held = FileLock(file, timeout=0, thread_local=False, fallback_to_soft=False, preserve_lock_file=True)
    try:
        if path.is_dir():
            raise InvalidInput("is_folder", f"{path} is a folder: name a file, such as {path / 'run.db'}")
        held.acquire()
    except Timeout:
        by = holder(file)
        raise in_use(name, "this process itself" if by == str(os.getpid()) else f"process {by}") from None
    except (OSError, NotImplementedError) as error:
        raise InvalidInput(
            "not_writable", f"{file} cannot be written or locked ({error}): use a folder that you may write to"
        ) from error
    with suppress(OSError):  # Windows keeps the file to whoever has locked it
        file.write_text(str(os.getpid()))
    given_up = ExitStack()
    given_up.callback(held.release)
    return given_up


def holder(file: Path) -> str:
    """Return the number of the process that has a lock, as far as that can be read."""
    with suppress(OSError):
        return file.read_text() or "unknown"
    return "unknown"


def in_use(name: str, by: str) -> Unavailable:
    """Return what is raised where a database has another writer."""
    return Unavailable(
        "database_in_use",
        f"{name} is in use by {by}: end the service or program that has it, or name another database",
    )
