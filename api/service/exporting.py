"""A log as a stream of bytes: what `onearm export` writes, page by page, for whoever reads it as fast as they can.

A page is read and encoded in a thread when the one before was taken. Between two nothing is held, neither a thread nor
a transaction of the database: who reads slowly, or leaves in the middle, keeps nobody waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...engine.errors import Unavailable
from ..log_files import module_of
from .experiment_log import ExperimentLog
from .pools import EXPORTS_EACH, EXPORTS_MAX, Pool

Write = Callable[[], bool]  # writes a page, and says whether there was one


class Exports:
    """The exports under way. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._open: Counter[str | None] = Counter()  # by the tenant that asked; None is the operator

    @contextmanager
    def place(self, tenant: str | None) -> Iterator[None]:
        """Take a place; raises `Unavailable` ("busy") where all are taken, or those of the tenant."""
        if self._open.total() >= EXPORTS_MAX or self._open[tenant] >= EXPORTS_EACH:
            most = f"{EXPORTS_EACH} exports of one tenant and {EXPORTS_MAX} of all may be read at once"
            raise Unavailable("busy", f"{most}, and so many are: wait until one is done")
        self._open[tenant] += 1
        try:
            yield
        finally:
            self._open[tenant] -= 1


async def exported(pool: Pool, log: ExperimentLog, form: str, after: int | None) -> AsyncGenerator[bytes]:
    """Yield the bytes of an export of the events after a seq, or of all; JSON lines after the first have no header."""
    sink = _Sink()

    def begun() -> Write:
        writer = module_of(form).Writer(sink, log.problem, log.spec, log.begins)
        if after and form == "jsonl":
            sink.take()  # whoever goes on has it
        return _written(writer, writer.write_events, log.pages(after))

    async for part in _streamed(pool, sink, begun):
        yield part


async def exported_joined(pool: Pool, log: ExperimentLog, form: str) -> AsyncGenerator[bytes]:
    """Yield the bytes of an export in the joined form."""
    sink = _Sink()

    def begun() -> Write:
        extent = log.extent
        writer = module_of(form).JoinedWriter(sink, log.problem, log.spec, extent)
        return _written(writer, writer.write_rows, log.joined_pages(extent))

    async for part in _streamed(pool, sink, begun):
        yield part


def _written(writer: Any, write: Callable[[Any], None], pages: Iterator[Any]) -> Write:
    """Return what writes one page after another, and says whether there was one."""

    def written() -> bool:
        page = next(pages, None)
        if page is None:
            writer.__exit__(None, None, None)
            return False
        write(page)
        return True

    return written


async def _streamed(pool: Pool, sink: _Sink, begun: Callable[[], Write]) -> AsyncGenerator[bytes]:
    written = await pool.run(begun)
    while await pool.run(written):
        if part := sink.take():
            yield part
    if part := sink.take():
        yield part


class _Sink:
    """A file that is written to, and whose bytes are taken away."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
