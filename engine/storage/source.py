"""Where the bytes of a log come from: a file, plain or packed (gzip, Zstandard), or standard input.

Everything is read once, in their order, and a little at a time; what was read of the file is told to `progress`, so
that a packed file has a bar too.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from .arrow import format_module
from .beginnings import MARK, check_packed, check_text
from .formats.packing import ending_of, packing_of

STDIN = Path("-")
BLOCK_BYTES = 1 << 21  # bytes of `blocks`; twice as many do not come back from the allocator: 5 times slower
PACKED_BYTES = 1 << 16  # bytes of a packed file that are read at once


@dataclass
class Source:
    """A log to be read: `path`, or "-" for standard input."""

    path: Path
    progress: Callable[[int], None] = field(default=lambda count: None, repr=False)  # bytes of the file read since
    broken: str | None = None  # why a packed file ended before its end
    mark: bytes = b""  # the byte order mark before the text, once its first block was read

    @property
    def size(self) -> int | None:
        """Return the bytes of the file as it lies on disk; None where nobody knows."""
        return None if self.path == STDIN or not self.path.is_file() else self.path.stat().st_size

    @property
    def ending(self) -> str:
        """Return the ending of the file's name in lower case, without that of its packing: ".jsonl"."""
        return ending_of(self.path)

    @property
    def packing(self) -> str | None:
        """Return how the file is packed: "gzip", "zstd" or None."""
        return packing_of(self.path)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open it for reading, unpacked."""
        stdin: Any = sys.stdin.buffer
        raw: Any = stdin.raw if self.path == STDIN else self.path.open("rb", buffering=0)
        counted = io.BufferedReader(_Counted(raw, self.progress), BLOCK_BYTES if self.packing is None else PACKED_BYTES)
        try:
            if self.packing is not None:
                check_packed(self.path, self.packing, counted.peek())
            if self.packing == "gzip":
                yield gzip.GzipFile(fileobj=counted, mode="rb")  # type: ignore[misc]
            elif self.packing == "zstd":
                yield format_module("zstd", "a file that Zstandard packed").unpacked(counted)
            else:
                yield counted
        finally:
            if self.path != STDIN:
                raw.close()

    def parts(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield all bytes, so many at a time, of whatever a file is.

        A packed file that ends too early gives what it holds; `broken` then says why.
        """
        with self.open() as file:
            while part := self._part(file, size):
                yield part

    def blocks(self, share: int = 1) -> Generator[bytes, None, None]:
        """Yield whole lines, about `BLOCK_BYTES` / `share` bytes of them at a time; the last one may lack its newline.

        A mark before them goes to `mark`. Raises `InvalidInput` for what begins as no text does.
        """
        rest = b""
        parts = self.parts(BLOCK_BYTES // share)
        for part in chain([self._beginning(next(parts, b""))], parts):
            end = part.rfind(b"\n") + 1
            if end:
                yield b"".join((rest, memoryview(part)[:end]))  # one copy
                rest = part[end:]
            else:
                rest += part
        if rest:
            yield rest

    def first_line(self) -> bytes:
        """Return the first line without its newline, of a file that is read anew for it."""
        with closing(replace(self).blocks(share=32)) as blocks:
            return next(blocks, b"").partition(b"\n")[0]

    def _beginning(self, part: bytes) -> bytes:
        check_text(self.path, part)
        text = part.removeprefix(MARK)
        self.mark = part[: len(part) - len(text)]
        return text

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield every line with its number, from 1."""
        number = 0
        for block in self.blocks():
            for line in io.BytesIO(block):
                number += 1
                yield number, line

    def _part(self, file: Any, size: int) -> bytes:
        """Read so many bytes, less at the end."""
        parts, found = [], 0
        try:
            while found < size and self.broken is None and (part := file.read1(size - found)):
                parts.append(part)
                found += len(part)
        except (EOFError, zlib.error, OSError) as error:
            if self.packing is None:
                raise
            self.broken = " ".join(str(error).split())
        return b"".join(parts)


class _Counted(io.RawIOBase):
    """A raw file that tells how much was read of it."""

    def __init__(self, raw: Any, progress: Callable[[int], None]) -> None:
        self._raw, self._progress = raw, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._raw.readinto(buffer) or 0
        self._progress(count)
        return int(count)


def newlines(block: bytes) -> int:
    """Return how many newlines are in a block, five times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
