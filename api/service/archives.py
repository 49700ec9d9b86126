"""Archives: what lies between two bases of a log as a file of Parquet, in a folder beside the database or elsewhere.

A file has all events between the two, and before them the decisions from earlier that were learned there: it folds from
the first base to the second alone. It is written under another name, and there under its own before the base is. Its
name is noted in the database before (`Store.note_archive`), so that nothing is left of a compaction that ended midway.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy.engine import URL

from ...engine.errors import Conflict, Unavailable
from ...engine.storage import database
from ...engine.storage.records import Experiment
from ...engine.storage.store import Store
from ..log_files import module_of
from ..offline.files import lies_elsewhere
from .experiment_log import log_of
from .storages import LocalFolder, RemoteFolder, Storage

NAME_MAX = 100  # characters of an experiment's id in a name
PARTIAL = ".part"  # the end of a name until the file is whole


class Written(NamedTuple):
    """An archive that is there."""

    name: str
    sha256: str  # in hex
    size: int  # bytes


class Archives:
    """The archives of a database. For worker threads."""

    def __init__(self, storage: Storage | None) -> None:
        self._storage = storage  # None: there is none

    @classmethod
    def at(cls, place: str | Path) -> Archives:
        """Return those in a folder, or in a storage by its address (s3://bucket/archives).

        Raises `Unavailable` ("no_storage") where a package for a storage is missing.
        """
        return cls(RemoteFolder(str(place)) if lies_elsewhere(str(place)) else LocalFolder(Path(place), ours=False))

    @classmethod
    def beside(cls, url: URL) -> Archives:
        """Return the folder that a database has without being told: NAME.archives beside a file of SQLite."""
        if url.get_backend_name() != "sqlite" or not url.database:
            return cls(None)
        return cls(LocalFolder(Path(f"{url.database}.archives"), ours=True))

    @property
    def place(self) -> str | None:
        """Where they are, None where they are nowhere."""
        return None if self._storage is None else self._storage.place

    def check(self) -> None:
        """Raise `Conflict` ("no_archives") or `Unavailable` ("archive_failed") where nothing can be written."""
        if self._storage is None:
            raise Conflict(
                "no_archives",
                "there is no folder for archives: start the service with --archives FOLDER, or keep none with "
                '"archive": false (onearm compact --drop)',
            )
        try:
            self._storage.check()
        except OSError as error:
            raise self._failed(error) from error

    def name_of(self, experiment: Experiment, first: int, last: int) -> str:
        """Return a name that no file has, for the events from one seq to another."""
        known = quote(experiment.id, safe="")[:NAME_MAX]
        return f"{known}.{experiment.key}.{first}-{last}.{secrets.token_hex(4)}.parquet"

    def write(self, name: str, store: Store, row: Experiment, after: int, until: int) -> Written:
        """Write the events after one seq up to another; all of it is on the disk when this returns.

        Raises `Unavailable` ("archive_failed") where that cannot be done; then nothing is left of it.
        """
        log = log_of(store, row, until)
        key = row.key
        pages = chain(database.carried_pages(store, key, after, until), database.event_pages(store, key, after, until))

        def fill(out: _Hashed) -> None:
            with module_of("parquet").Writer(out, log.problem, log.spec) as writer:
                for page in pages:
                    writer.write_events(log.history.masked(page))

        try:
            written = self._put(name, fill)
            self.replace(name)
        except OSError as error:
            self.remove([name])
            raise self._failed(error) from error
        return written

    def blank(self, name: str, numbers: Collection[int]) -> Written | None:
        """Write an archive again, beside itself, with decisions of these numbers blank; None where all of them are.

        It takes the place of the other one by `replace`. Raises `OSError`.
        """
        if not self.tells(name, numbers):
            return None
        with self.reading(name) as source:
            return self._put(name, lambda out: module_of("parquet").blanked(source, out, numbers))

    def tells(self, name: str, numbers: Collection[int]) -> bool:
        """Tell whether an archive says something of decisions of these numbers. Raises `OSError`."""
        reading = self.reading(name)
        if not numbers:
            return False
        try:
            with reading as file:
                return bool(module_of("parquet").tells(file, numbers))
        except ValueError as error:  # of Arrow: the file is no whole Parquet
            raise OSError(f"it cannot be read: {error}") from error

    def has(self, name: str) -> bool:
        """Tell whether there is an archive. Raises `Unavailable` ("archive_failed") where that cannot be seen."""
        try:
            return self._storage is not None and self._storage.has(name)
        except OSError as error:
            says = f"{self.place} cannot be read ({error}): see that it is there, and that you may read it"
            raise Unavailable("archive_failed", says) from error

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Have an archive on this machine for as long as the block lasts. Raises `OSError`."""
        if self._storage is None:
            raise FileNotFoundError("there is no folder for archives (--archives)")
        return self._storage.reading(name)

    def replace(self, name: str) -> None:
        """Let what was written beside an archive take its name."""
        assert self._storage is not None
        self._storage.rename(f"{name}{PARTIAL}", name)

    def _put(self, name: str, fill: Callable[[_Hashed], Any]) -> Written:
        """Write a file under the name that it has until it is whole; all of it is on the disk when this returns."""
        assert self._storage is not None
        with self._storage.writing(f"{name}{PARTIAL}") as out:
            hashed = _Hashed(out)
            fill(hashed)
        return Written(name, hashed.digest.hexdigest(), hashed.size)

    def remove(self, names: Iterable[str]) -> list[str]:
        """Take archives away, and what was begun of them; return those that could not be."""
        left = []
        for name in names:
            if self._storage is None:
                left.append(name)
                continue
            for file in (name, f"{name}{PARTIAL}"):
                try:
                    self._storage.remove(file)
                except OSError:
                    left.append(name)
        return left

    def _failed(self, error: OSError) -> Unavailable:
        return Unavailable(
            "archive_failed",
            f"no archive was written, and nothing was compacted, as {self.place} cannot be used ({error}): see that "
            "it is there, has room and may be written to, then try again",
        )


class _Hashed:
    """A file that is written to from its beginning to its end, and hashed meanwhile."""

    closed = False

    def __init__(self, file: Any) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self._file = file

    def write(self, data: Any) -> int:
        """Write all of it."""
        part = bytes(data)
        self.digest.update(part)
        self._file.write(part)
        self.size += len(part)
        return len(part)

    def tell(self) -> int:
        """Return how much was written."""
        return self.size

    def flush(self) -> None:
        """Leave that to whoever opened it."""

    def close(self) -> None:
        """Leave that to whoever opened it."""


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
