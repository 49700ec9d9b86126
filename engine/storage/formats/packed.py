"""Files that are packed as they are written, by the ending of their name: .gz (gzip) or .zst (Zstandard)."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast

from ..arrow import format_module
from .packing import packing_of


def open_packed(path: Path) -> IO[bytes]:
    """Open a file for writing; what is written is packed where the name says so, and the same bytes in each run."""
    packing = packing_of(path)
    if packing == "gzip":
        return cast(IO[bytes], _Gzip(path))
    if packing == "zstd":
        return cast(IO[bytes], format_module("zstd", "a file that Zstandard packs").packed(path))
    return path.open("wb")


class _Gzip(gzip.GzipFile):
    """A gzip file that holds neither a name nor a time."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        super().__init__(filename="", mode="wb", fileobj=self._raw, mtime=0)

    def close(self) -> None:
        """Write the end, and close the file as well."""
        super().close()
        self._raw.close()
