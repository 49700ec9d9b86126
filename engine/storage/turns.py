"""Several processes of one machine write one file of SQLite: they share its lock, and take turns at transactions."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from ..errors import InvalidInput
from .files import holder, in_use

with suppress(ImportError):  # Windows has none, and no processes that could share a file: they are forked
    import fcntl

LOCK_SECONDS = 1.0  # for which somebody may just look whether the database is in use
PAUSE_SECONDS = 0.02


class Shared:
    """The lock of a database, which others share, and nobody has alone meanwhile, until it is closed."""

    def __init__(self, path: Path, name: str) -> None:
        """Take it. Raises `Unavailable` ("database_in_use") where a process has it alone, as `files.lock` gives it."""
        file = Path(f"{path}.lock")
        try:
            self._file = file.open("a+")
            patience = time.monotonic() + LOCK_SECONDS
            while not self._taken(fcntl.LOCK_SH):
                if time.monotonic() > patience:
                    self._file.close()
                    raise in_use(name, f"process {holder(file)}")
                time.sleep(PAUSE_SECONDS)
        except OSError as error:
            raise InvalidInput(
                "not_writable", f"{file} cannot be written or locked ({error}): use a folder that you may write to"
            ) from error
        with suppress(OSError):  # a full disk is no matter here
            self._file.truncate(0)
            self._file.write(str(os.getpid()))
            self._file.flush()

    def close(self) -> None:
        """Share it no more."""
        self._file.close()

    def is_last(self) -> bool:
        """Tell whether nobody else shares it; it may be given up by that. Of several who ask at once one is told so."""
        return self._taken(fcntl.LOCK_EX)

    def _taken(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Turns:
    """A block in which no other process of those that take turns at a database is in such a block.

    Who waits gets its turn when the one before ends, within microseconds. SQLite alone lets it try again after pauses
    of up to .1 s, in which the one before may have begun again.
    """

    def __init__(self, path: Path) -> None:
        self._path = _file(path)
        self._path.touch()  # so that others know of it

    def __enter__(self) -> None:
        self._file = self._path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *raised: object) -> None:
        self._file.close()


def turns_where_others_take_some(path: Path) -> AbstractContextManager[None]:
    """Return turns at a database at which processes took some before, and a block of no meaning at others."""
    return Turns(path) if _file(path).exists() else nullcontext()


def _file(path: Path) -> Path:
    return Path(f"{path}.turn")
