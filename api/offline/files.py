"""The files of a log that lies in several: in a folder, by a pattern, or in a storage that fsspec reaches.

Their order is that of their names. What lies elsewhere is copied here, a file at a time, and read like any other file.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...engine.errors import InvalidInput, Unavailable
from ...engine.storage.formats.packing import ending_of
from ..log_files import ENDINGS, form_of

STORAGES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "adl", "hdfs", "webhdfs", "file", "memory")
PATTERN = frozenset("*?[")


def lies_elsewhere(name: str) -> bool:
    """Whether a name is the address of a storage: s3://bucket/log, and no path, nor the URL of a database."""
    return name.partition("://")[0] in STORAGES


def files_of(name: str, form: str | None) -> tuple[tuple[str, ...], str]:
    """Return the files of a log, and their format: the one that a person named, or that of their endings.

    Raises `InvalidInput` where there is none, and where they are of several formats.
    """
    found = _elsewhere(name) if lies_elsewhere(name) else _here(name)
    if found == [name]:
        return (name,), form_of(Path(name), form)
    logs = [file for file in sorted(found) if _is_log(file)]
    if not logs:
        raise InvalidInput("no_files", f"{name} holds no file of a log: these end in {', '.join(ENDINGS)}")
    forms = {form_of(Path(file), form): file for file in reversed(logs)}
    if len(forms) > 1:
        others = " and ".join(f"{file} ({one})" for one, file in list(forms.items())[:2])
        raise InvalidInput("mixed_formats", f"{name} holds files of several formats, {others}: keep them apart")
    return tuple(logs), next(iter(forms))


@contextmanager
def here(name: str) -> Iterator[str]:
    """Have a file on this machine: itself, or a copy of what lies elsewhere, which goes in the end."""
    if not lies_elsewhere(name):
        yield name
        return
    with TemporaryDirectory(prefix="onearm-log-") as folder:
        copy = Path(folder) / name.rpartition("/")[2]
        system, path = _system(name)
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
    system, path = _system(name)
    try:
        if PATTERN & set(name):
            return [system.unstrip_protocol(file) for file in system.glob(path)]
        if system.isdir(path):
            return [system.unstrip_protocol(file) for file in system.find(path)]
    except Exception as error:  # each storage has errors of its own
        raise _refusal(name, error) from None
    return [name]


def _is_log(file: str) -> bool:
    """Whether a file may be part of a log, and is no mark that somebody's program left, as _SUCCESS or .crc."""
    path = Path(file)
    return not path.name.startswith((".", "_")) and ending_of(path) in ENDINGS


def _system(name: str) -> Any:
    """Return the storage of an address, and the path in it."""
    try:
        return importlib.import_module("fsspec.core").url_to_fs(name)
    except ImportError as error:
        rule = str(error).strip() if (error.name or "fsspec") != "fsspec" else "pip install 'onearm[dask]'"
        raise Unavailable("no_storage", f"{name} lies in a storage for which a package is missing: {rule}") from None


def _refusal(name: str, error: Exception) -> InvalidInput:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return InvalidInput("no_file", f"{name} cannot be read ({said}): look at its name, and at who may read it")
