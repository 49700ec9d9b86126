"""Where archives lie: a folder of this machine, or a remote one that fsspec reaches, such as s3://bucket/archives.

A file is written whole under a name, and given another name when all that goes with it is done. What lies elsewhere
is made in a temporary file here and sent in one piece; to be read it is copied here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Protocol

from ...engine.storage.files import sync
from ..offline.files import system_of

TRIED = "onearm-tried"  # the name of a file that is written to a storage, and taken away, to see that it takes files


class Storage(Protocol):
    """Holds files by their names. For worker threads; all of it raises `OSError`."""

    place: str  # as people name it

    def check(self) -> None:
        """Raise where no file can be written."""

    def has(self, name: str) -> bool:
        """Tell whether there is a file."""

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file to write; it is there for good when the block ends."""

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Have a file on this machine for as long as the block lasts."""

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, and take what was there away."""

    def remove(self, name: str) -> None:
        """Take a file away, where it is there."""


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path, *, ours: bool) -> None:
        self.place = str(path)
        self._path, self._ours = path, ours  # whether it is made where it is missing

    def check(self) -> None:
        """Raise where it is not there, and cannot be made."""
        if self._ours:
            self._path.mkdir(exist_ok=True)
        if not self._path.is_dir():
            raise NotADirectoryError(f"{self._path} is no folder that there is")

    def has(self, name: str) -> bool:
        """Tell whether there is a file."""
        return (self._path / name).is_file()

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to write; it has reached the disk when the block ends."""
        with (self._path / name).open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """Have a file: it is here."""
        yield self._path / name

    def rename(self, name: str, to: str) -> None:
        """Give a file another name."""
        (self._path / name).rename(self._path / to)
        with suppress(PermissionError):  # a folder that may be written to and not read
            sync(self._path)

    def remove(self, name: str) -> None:
        """Take a file away, where it is there."""
        (self._path / name).unlink(missing_ok=True)


class RemoteFolder:
    """A folder elsewhere, by its address. Raises `Unavailable` ("no_storage") where a package for it is missing."""

    def __init__(self, address: str) -> None:
        self.place = address.rstrip("/")
        self._system, self._root = system_of(self.place)

    def check(self) -> None:
        """Raise where it takes no file: it does not answer or let us in, or has no such bucket or folder.

        So one is written: a folder of a bucket is there with its first file, and before that cannot be asked for.
        """
        with _told():
            self._system.pipe_file(self._path(TRIED), b"onearm")
        self.remove(TRIED)

    def has(self, name: str) -> bool:
        """Tell whether there is a file."""
        with _told():
            self._system.invalidate_cache()  # another process may have written it
            return bool(self._system.isfile(self._path(name)))

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to write; the storage has it when the block ends."""
        with TemporaryDirectory(prefix="onearm-archive-") as folder:
            file = Path(folder) / "archive"
            with file.open("wb") as out:
                yield out
            with _told():
                self._system.put_file(str(file), self._path(name))

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """Have a copy of a file here."""
        with TemporaryDirectory(prefix="onearm-archive-") as folder:
            file = Path(folder) / name
            with _told():
                self._system.get_file(self._path(name), str(file))
            yield file

    def rename(self, name: str, to: str) -> None:
        """Give a file another name; a storage without one step for that copies it, which takes a moment."""
        with _told():
            self._system.mv(self._path(name), self._path(to))

    def remove(self, name: str) -> None:
        """Take a file away, where it is there."""
        with suppress(FileNotFoundError), _told():
            self._system.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


@contextmanager
def _told() -> Iterator[None]:
    """Tell what a storage raises, each errors of its own, as one of the system."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(" ".join(str(error).split())[:300] or type(error).__name__) from error
