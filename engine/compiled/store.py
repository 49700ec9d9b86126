"""The folder of compiled code: one file for each entry, named by what it is made of, written whole or not at all.

A file says whose it is and the digest of the rest, so one that is damaged, cut short or another one's is told, and
taken for absent. Two processes that write the same leave the file of the later one. What was not read for long leaves,
and so does what was not read the longest where the folder is too large.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"onearm compiled 1"
SUFFIX = ".compiled"
PART = ".onearm-part-"  # how the name of a file begins that is not yet whole
SIZE_MAX = 1 << 30  # bytes of the folder
AGE_MAX_S = 60 * 86_400  # since a file was last read
TOUCHED_S = 3600  # a file is marked as read at most so often


class CacheWarning(UserWarning):
    """Compiled code cannot be kept on disk, or what is kept is not what was written. It is compiled anew."""


@functools.cache
def cache_folder() -> Path:
    """Return the folder of compiled code: ONEARM_CACHE_DIR, or `onearm` in the user's cache."""
    if given := os.environ.get("ONEARM_CACHE_DIR"):
        return Path(given)
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given, "onearm")
    try:
        return Path.home() / ".cache" / "onearm"
    except RuntimeError:  # the user has no home: nothing can be kept where this leads, and that is told
        return Path(os.devnull, "onearm")


def file_of(name: str, key: str) -> Path:
    """Return the file of what is called `name`, made of what `key` is the digest of."""
    return cache_folder() / f"{name}-{key}{SUFFIX}"


def read(name: str, key: str) -> bytes | None:
    """Return what was kept under a key; None where nothing is, or nothing that can be relied on (with a warning)."""
    file = file_of(name, key)
    try:
        content = file.read_bytes()
        if time.time() - file.stat().st_mtime > TOUCHED_S:
            os.utime(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        warn_of_folder(f"{error.strerror}")
        return None
    head, _, body = content.partition(b"\n")
    if head != _head(key, body):
        warn_of_file(name, key, "it is not what was written under that name")
        return None
    return body


def write(name: str, key: str, body: bytes) -> None:
    """Keep something under a key. Where that cannot be done, it is said once, and nothing is kept."""
    file = file_of(name, key)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_whole(file, _head(key, body) + b"\n" + body)
        _tidy(file.parent)
    except OSError as error:
        warn_of_folder(f"{error.strerror}")


def can_be_written() -> bool:
    """Tell whether files can be kept; where they cannot, whoever compiles says why."""
    folder = cache_folder()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def warn_of_file(name: str, key: str, why: str) -> None:
    """Say that a kept file is of no use, and what happens now."""
    message = f"{file_of(name, key)} is of no use ({why}): {name} is compiled and written anew"
    warnings.warn(message, CacheWarning, stacklevel=2)


@functools.cache
def warn_of_folder(why: str) -> None:
    """Say, once for each reason, that the folder of compiled code cannot be used."""
    message = (
        f"compiled code cannot be kept in {cache_folder()} ({why}): every process compiles anew; "
        "make room there, or name another folder in ONEARM_CACHE_DIR"
    )
    warnings.warn(message, CacheWarning, stacklevel=2)


def _head(key: str, body: bytes) -> bytes:
    return b" ".join((MAGIC, key.encode(), hashlib.sha256(body).hexdigest().encode()))


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file under another name, and give it its own when all is there."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=PART)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _tidy(folder: Path) -> None:
    """Remove what was not read for long, then the oldest until the folder is small enough."""
    kept = 0
    with contextlib.suppress(FileNotFoundError):  # another process tidies too
        for modified, size, file in sorted(map(_age_and_size, _ours(folder)), reverse=True):
            kept += size
            if kept > SIZE_MAX or time.time() - modified > AGE_MAX_S:
                shutil.rmtree(file) if file.is_dir() else file.unlink()


def _ours(folder: Path) -> Iterator[Path]:
    """Yield what is ours to remove: the folder may be one that others use too."""
    yield from folder.glob(f"*{SUFFIX}")
    yield from folder.glob(f"{PART}*")
    yield from {index.parent for index in folder.glob("*/*.nbi")}  # numba's, of 0.1: one folder for each version


def _age_and_size(file: Path) -> tuple[float, int, Path]:
    found = file.stat()
    return found.st_mtime, found.st_size, file
