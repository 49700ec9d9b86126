"""The files of a log that lies in several: in a folder, by a pattern, or in a storage that fsspec reaches.

Their order is that of their names. What lies elsewhere is copied here, a file at a time, and read like any other file.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ...engine.errors import InvalidInput, Unavailable, installing
from ...engine.storage.formats.packing import ending_of
from ..log_files import ENDINGS, form_of, source_of

STORAGES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "adl", "hdfs", "webhdfs", "file", "memory")
PATTERN = frozenset("*?[")


def lies_elsewhere(name: str) -> bool:
    """Whether a name is the address of a storage: s3://bucket/log, and no path, nor the URL of a database."""
    return name.partition("://")[0] in STORAGES


class Found(NamedTuple):
    """The files of a log."""

    files: tuple[str, ...]
    form: str  # the format that a person named, or that of their endings
    left_out: tuple[str, ...] = ()  # files beside them whose names have no ending of a log


def files_of(name: str, form: str | None) -> Found:
    """Return the files of a log; with a format that a person named, those too whose names have no ending.

    Those without a row are left out where others have some: files on this machine are looked into. Raises
    `InvalidInput` where there is none, and where they are of several formats.
    """
    found = _elsewhere(name) if lies_elsewhere(name) else _here(name)
    if found == [name]:
        return Found((name,), form_of(Path(name), form))
    shown = [file for file in sorted(found) if not _is_mark(file, name)]
    logs = [file for file in shown if ending_of(Path(file)) in ENDINGS or (form and not ending_of(Path(file)))]
    if not logs:
        raise InvalidInput("no_files", f"{name} holds no file of a log: these end in {', '.join(ENDINGS)}")
    forms = {form_of(Path(file), form): file for file in reversed(logs)}
    if len(forms) > 1:
        others = " and ".join(f"{file} ({one})" for one, file in list(forms.items())[:2])
        raise InvalidInput("mixed_formats", f"{name} holds files of several formats, {others}: keep them apart")
    kind = next(iter(forms))
    with_rows = [file for file in logs if lies_elsewhere(file) or not _is_empty(Path(file), kind)]
    return Found(tuple(with_rows or logs), kind, tuple(file for file in shown if file not in logs))


@contextmanager
def here(name: str) -> Iterator[str]:
    """Have a file on this machine: itself, or a copy of what lies elsewhere, which goes in the end."""
    if not lies_elsewhere(name):
        yield name
        return
    with TemporaryDirectory(prefix="onearm-log-") as folder:
        copy = Path(folder) / name.rpartition("/")[2]
        system, path = system_of(name)
        try:
            system.get_file(path, str(copy))
        except Exception as error:  # each storage has errors of its own
            raise _refusal(name, error) from None
        yield str(copy)


def _here(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        return [str(file) for file in path.rglob("*") if file.is_file()]
    if PATTERN & set(name) and not path.exists():
        return [str(file) for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file()]
    return [name]


def _elsewhere(name: str) -> list[str]:
    system, path = system_of(name)
    try:
        if PATTERN & set(name):
            return [system.unstrip_protocol(file) for file in system.glob(path)]
        if system.isdir(path):
            return [system.unstrip_protocol(file) for file in system.find(path)]
    except Exception as error:  # each storage has errors of its own
        raise _refusal(name, error) from None
    return [name]


def _is_mark(file: str, name: str) -> bool:
    """Whether a program left a file beside a log, as _SUCCESS, or in a folder such as _temporary, below what was named.

    >>> [_is_mark(file, "_a/*") for file in ("_a/1.csv", "_a/_temporary/1.csv", "_a/.1.csv.crc")]
    [False, True, True]
    """
    named = takewhile(lambda part: not PATTERN & set(part), name.rstrip("/").split("/"))
    below = file.split("/")[len(list(named)) :]
    return any(part.startswith((".", "_")) for part in below)


def _is_empty(file: Path, form: str) -> bool:
    """Whether a file of this machine holds no row; one that cannot be read says so to whoever reads it."""
    if form == "parquet":
        parquet = importlib.import_module("pyarrow.parquet")
        with suppress(OSError, ValueError):  # those of Arrow are both
            return bool(parquet.read_metadata(file).num_rows == 0)
        return False
    header = 1 if form in ("csv", "obd") else 0
    with suppress(OSError, EOFError, zlib.error), source_of(file).open() as lines:
        return len(list(islice((line for line in lines if line.strip()), header + 1))) <= header
    return False


def system_of(name: str) -> Any:
    """Return the storage of an address, and the path in it."""
    try:
        return importlib.import_module("fsspec.core").url_to_fs(name)
    except ImportError as error:
        rule = str(error).strip() if (error.name or "fsspec") != "fsspec" else installing("dask")
        raise Unavailable("no_storage", f"{name} lies in a storage for which a package is missing: {rule}") from None


def _refusal(name: str, error: Exception) -> InvalidInput:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return InvalidInput("no_file", f"{name} cannot be read ({said}): look at its name, and at who may read it")
