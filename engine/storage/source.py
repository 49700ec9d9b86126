"""Where the bytes of a log come from: a file, plain or packed (gzip, Zstandard), or standard input.

Everything is read once, in their order, and a little at a time; what was read of the file is told to `progress`, so
that a packed file has a bar too.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import InvalidInput
from .arrow import format_module
from .formats.packing import ending_of, packing_of

STDIN = Path("-")
BINARY = b"VWFB"  # how the binary logs begin that Vowpal Wabbit's reinforcement learning library writes
BLOCK_BYTES = 1 << 21  # bytes of `blocks`; twice as many do not come back from the allocator: 5 times slower


@dataclass
class Source:
    """A log to be read: `path`, or "-" for standard input."""

    path: Path
    progress: Callable[[int], None] = field(default=lambda count: None, repr=False)  # bytes of the file read since
    broken: str | None = None  # why a packed file ended before its end

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
        counted = _Counted(raw, self.progress)
        try:
            if self.packing == "gzip":
                yield gzip.GzipFile(fileobj=counted, mode="rb")  # type: ignore[misc]
            elif self.packing == "zstd":
                yield format_module("zstd", "a file that Zstandard packed").unpacked(counted)
            else:
                yield io.BufferedReader(counted, BLOCK_BYTES)
        finally:
            if self.path != STDIN:
                raw.close()

    def blocks(self, parts: int = 1) -> Iterator[bytes]:
        """Yield whole lines, about `BLOCK_BYTES` / `parts` bytes of them at a time; the last one may lack its newline.

        A packed file that ends too early gives what it holds; `broken` then says why. Raises `InvalidInput`
        ("binary_log") for a log of Vowpal Wabbit's that is no text.
        """
        begins = True
        rest = b""
        with self.open() as file:
            while block := self._block(file, BLOCK_BYTES // parts):
                if begins and block.startswith(BINARY):
                    raise InvalidInput(
                        "binary_log",
                        f"{self.path} is a binary log of Vowpal Wabbit's reinforcement learning library, which is not "
                        "read here: let that library write it as dsjson first",
                    )
                begins = False
                end = block.rfind(b"\n") + 1
                if end:
                    yield b"".join((rest, memoryview(block)[:end]))  # one copy
                    rest = block[end:]
                else:
                    rest += block
        if rest:
            yield rest

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield every line with its number, from 1."""
        number = 0
        for block in self.blocks():
            for line in io.BytesIO(block):
                number += 1
                yield number, line

    def _block(self, file: Any, size: int) -> bytes:
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
