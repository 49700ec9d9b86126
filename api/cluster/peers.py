"""Requests to other nodes, over connections that stay open.

It speaks as much of HTTP/1.1 as onearm's own server answers with: a client that knows all of it takes as much CPU time
as the request itself.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import NamedTuple, Protocol, cast
from urllib.parse import urlsplit

from ...engine.errors import OnearmError, Unavailable

IDLE_SECONDS = 5.0  # after which a connection is not used again: the other side closes it after a while
CONNECT_SECONDS = 1.0
KEPT_MAX = 256  # connections to one node that nobody uses
HEAD_MAX = 1 << 18  # bytes
BODILESS = (204, 304)
FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding|connection):[ \t]*([^\r]*?)[ \t]*(?=\r|\Z)")  # lower case


class Reply(NamedTuple):
    """The answer of a node; where it has no length `parts` yields it instead of `body`."""

    status: int
    head: bytes  # its lines as they came, without the end of the last one
    body: bytes
    parts: AsyncGenerator[bytes] | None = None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers, with names in lower case."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    @property
    def kind(self) -> bytes:
        """The media type."""
        return field_of(self.head, b"content-type") or b""


class Waiting(Protocol):
    """Who waits for an answer. One of these is called, once, unless the line is closed before."""

    def told(self, reply: Reply) -> None:
        """Take the answer."""

    def failed(self, error: OnearmError) -> None:
        """Take note of why there is none."""


class Awaited(Waiting):
    """A task that waits for an answer."""

    def __init__(self) -> None:
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def told(self, reply: Reply) -> None:
        """Let the task go on."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def failed(self, error: OnearmError) -> None:
        """Raise the error in the task."""
        if not self.reply.done():
            self.reply.set_exception(error)


class Line(asyncio.Protocol):
    """A connection to a node, which is asked one thing at a time."""

    def __init__(self, address: str, keep: Callable[[Line], None]) -> None:
        self.address = address
        self.since = 0.0  # when it was used last; 0 while it is
        self._keep = keep  # is called when it may be asked again
        self._transport: asyncio.Transport
        self._came = bytearray()  # what nobody took yet
        self._waiting: Waiting | None = None  # until the answer is there
        self._head: bytes | None = None  # of the answer that is coming
        self._more: asyncio.Future[None] | None = None  # what waits for the next bytes of a part

    @property
    def is_over(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def ask(self, head: Iterable[bytes], body: bytes, waiting: Waiting) -> None:
        """Send a request, whose head is the lines of this.

        It fails with `Unavailable` ("node_unreachable") where the connection breaks, or what comes is no answer:
        whether it was done nobody knows then.
        """
        self.since, self._waiting = 0.0, waiting
        self._transport.write(b"\r\n".join((*head, b"content-length: %d" % len(body), b"", body)))

    def fail(self, error: OnearmError) -> None:
        """Close it; whoever waits for an answer is told of the error."""
        waiting = self._waiting
        self.close()
        if waiting is not None:
            waiting.failed(error)

    def close(self) -> None:
        """Close it, and tell nobody."""
        self._waiting = None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102 - asyncio
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:  # noqa: D102 - asyncio
        self._came += data
        waiting = self._waiting
        if waiting is not None:
            try:
                reply = self._read()
            except (ValueError, LookupError) as error:
                self.fail(unreachable(self.address, error))
                return
            if reply is not None:
                self._waiting = None
                waiting.told(reply)
        elif self._more is not None:
            self._wake(self._more)
        elif self._head is None:  # nobody asked
            self.close()
        elif len(self._came) > HEAD_MAX:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - asyncio
        self.fail(unreachable(self.address, exc or EOFError("it closed the connection")))
        if self._more is not None:
            self._wake(self._more)

    def _read(self) -> Reply | None:
        """Take the answer, where it is there."""
        head = self._head
        if head is None:
            end = self._came.find(b"\r\n\r\n")
            if end < 0 and len(self._came) <= HEAD_MAX:
                return None
            head = self._head = bytes(self._taken(end, 4))
        status, framing = int(head.split(b" ", 2)[1]), dict(FRAMING.findall(head.lower()))
        if framing.get(b"transfer-encoding") == b"chunked":
            return Reply(status, head, b"", self._parts(framing))
        length = 0 if status in BODILESS else int(framing.get(b"content-length", b"0"))
        if len(self._came) < length:
            return None
        body = bytes(self._taken(length, 0))
        self._free(framing)
        return Reply(status, head, body)

    def _free(self, framing: dict[bytes, bytes]) -> None:
        """Be there for others, or close, behind the last byte of an answer that was framed like this."""
        self._head = None
        if self._came or framing.get(b"connection") == b"close":
            self.close()
        else:
            self._transport.resume_reading()  # a part may have been paused, and taken since without waiting
            self.since = time.monotonic()
            self._keep(self)

    def _taken(self, size: int, behind: int) -> bytearray:
        """Take so many bytes, and drop those behind them."""
        if size < 0:
            raise ValueError(f"the first {HEAD_MAX:,} bytes have no end of a line or a head")
        taken = self._came[:size]
        del self._came[: size + behind]
        return taken

    async def _parts(self, framing: dict[bytes, bytes]) -> AsyncGenerator[bytes]:
        try:
            while size := int((await self._until(b"\r\n")).partition(b";")[0], 16):
                while len(self._came) < size + 2:
                    await self._next()
                yield bytes(self._taken(size, 2))
            await self._until(b"\r\n")
        except (OSError, EOFError, ValueError):
            self.close()
            raise Unavailable(
                "node_unreachable", f"the node at {self.address} broke off its answer: ask again"
            ) from None
        except BaseException:  # nobody reads on
            self.close()
            raise
        self._free(framing)

    async def _until(self, end: bytes) -> bytearray:
        while (at := self._came.find(end)) < 0 and len(self._came) <= HEAD_MAX:
            await self._next()
        return self._taken(at, len(end))

    async def _next(self) -> None:
        """Wait for further bytes."""
        if self.is_over:
            raise EOFError
        self._transport.resume_reading()
        self._more = asyncio.get_running_loop().create_future()
        try:
            await self._more
        finally:
            self._more = None

    def _wake(self, waiting: asyncio.Future[None]) -> None:
        if not waiting.done():
            waiting.set_result(None)


class Peers:
    """The connections to other nodes, by address. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Line]] = {}

    async def ask(self, address: str, head: Iterable[bytes], body: bytes) -> Reply:
        """Send a request, whose head is the lines of this, and return the answer.

        Raises `Unavailable` ("node_unreachable") where the connection breaks: whether it was done nobody knows then.
        """
        line = self.free(address) or await self._connected(address)
        awaited = Awaited()
        line.ask(head, body, awaited)
        try:
            return await awaited.reply
        finally:
            if awaited.reply.cancelled():
                line.close()

    def free(self, address: str) -> Line | None:
        """Return an open connection that nobody uses, where there is one; it must be asked now, or closed."""
        lines = self._kept.get(address)
        while lines:
            line = lines.pop()
            if time.monotonic() - line.since < IDLE_SECONDS and not line.is_over:
                return line
            line.close()
        return None

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for lines in self._kept.values():
            for line in lines:
                line.close()
        self._kept.clear()

    def _keep(self, line: Line) -> None:
        lines = self._kept.setdefault(line.address, deque())
        lines.append(line)
        if len(lines) > KEPT_MAX:
            lines.popleft().close()

    async def _connected(self, address: str) -> Line:
        url = urlsplit(address)
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, line = await asyncio.get_running_loop().create_connection(
                    lambda: Line(address, self._keep), url.hostname or "", port, ssl=secure or None
                )
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise unreachable(address, error) from None
        return line


def unreachable(address: str, error: Exception) -> Unavailable:
    """Return what is raised where a node does not answer."""
    return Unavailable(
        "node_unreachable",
        f"the node at {address}, which has the experiment, does not answer ({error or type(error).__name__}): "
        "ask again in a second",
    )


def field_of(head: bytes, name: bytes) -> bytes | None:
    """Return what a header says, None where it is not there.

    >>> field_of(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\ndate: now", b"content-length")
    b'2'
    """
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None].strip()


def without(head: bytes, *names: bytes) -> bytes:
    """Return a head without the headers of some names.

    >>> without(b"HTTP/1.1 200 OK\\r\\nX-A: 2\\r\\ndate: now", b"x-a", b"x-b")
    b'HTTP/1.1 200 OK\\r\\ndate: now'
    """
    return _headers(names).sub(b"", head)


@functools.cache
def _headers(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n(?:%b):[^\r]*" % b"|".join(names), re.IGNORECASE)
