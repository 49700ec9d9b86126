"""Files that are packed by Zstandard, by Arrow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

PART = 1 << 16  # bytes that are unpacked at once


def unpacked(file: Any) -> io.BufferedReader:
    """Return the bytes of a packed file that is open for reading."""
    return io.BufferedReader(_Unpacked(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")))


def packed(path: Path) -> IO[bytes]:
    """Open a file for writing; what is written is packed."""
    stream: Any = pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd")
    return cast(IO[bytes], stream)


class _Unpacked(io.RawIOBase):
    """A stream of Arrow as a raw file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(min(len(buffer), PART))  # the part in which a stream is cut is lost
        buffer[: len(block)] = block
        return len(block)
