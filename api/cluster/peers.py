"""Requests to other nodes, over connections that stay open.

It speaks as much of HTTP/1.1 as onearm's own server answers with: a client that knows all of it takes as much CPU time
as the request itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from ...engine.errors import Unavailable

IDLE_SECONDS = 5.0  # after which a connection is not used again: the other side closes it after a while
CONNECT_SECONDS = 1.0
KEPT_MAX = 256  # connections to one node that nobody uses
HEAD_MAX = 1 << 18  # bytes
BODILESS = (204, 304)


class Reply(NamedTuple):
    """The answer of a node; where it has no length `parts` yields it instead of `body`."""

    status: int
    headers: list[tuple[bytes, bytes]]  # names in lower case
    body: bytes
    parts: AsyncGenerator[bytes] | None = None

    @property
    def kind(self) -> bytes:
        """The media type."""
        return dict(self.headers).get(b"content-type", b"")


class Line:
    """A connection to a node."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.since = 0.0  # when it was used last


class Peers:
    """The connections to other nodes, by address. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Line]] = {}

    async def ask(self, address: str, head: Iterable[bytes], body: bytes) -> Reply:
        """Send a request, whose head is the lines of this, and return the answer.

        Raises `Unavailable` ("node_unreachable") where the connection breaks: whether it was done nobody knows then.
        """
        line = None
        try:
            line = self._free(address) or await _connected(address)
            line.writer.write(b"\r\n".join((*head, b"content-length: %d" % len(body), b"", body)))
            return await self._answer(address, line)
        except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
            raise Unavailable(
                "node_unreachable",
                f"the node at {address}, which has the experiment, does not answer ({error or type(error).__name__}): "
                "ask again in a second",
            ) from None
        finally:
            if line is not None and line.since == 0.0:
                line.writer.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for lines in self._kept.values():
            for line in lines:
                line.writer.close()
        self._kept.clear()

    def _free(self, address: str) -> Line | None:
        lines = self._kept.get(address)
        while lines:
            line = lines.pop()
            if time.monotonic() - line.since < IDLE_SECONDS and not line.reader.at_eof():
                line.since = 0.0
                return line
            line.writer.close()
        return None

    def _keep(self, address: str, line: Line) -> None:
        lines = self._kept.setdefault(address, deque())
        line.since = time.monotonic()
        lines.append(line)
        if len(lines) > KEPT_MAX:
            lines.popleft().writer.close()

    async def _answer(self, address: str, line: Line) -> Reply:
        first, *lines = (await line.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        status = int(first.split(b" ", 2)[1])
        pairs = (text.partition(b":") for text in lines)
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        fields = dict(headers)
        if fields.get(b"transfer-encoding") == b"chunked":
            line.since = time.monotonic()  # it is the generator's from now on
            return Reply(status, headers, b"", self._parts(address, line))
        length = 0 if status in BODILESS else int(fields.get(b"content-length", b"0"))
        body = await line.reader.readexactly(length) if length else b""
        if fields.get(b"connection") != b"close":
            self._keep(address, line)
        return Reply(status, headers, body)

    async def _parts(self, address: str, line: Line) -> AsyncGenerator[bytes]:
        whole = False
        try:
            while size := int((await line.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                yield (await line.reader.readexactly(size + 2))[:-2]
            await line.reader.readuntil(b"\r\n")
            whole = True
        except (OSError, EOFError, ValueError):
            raise Unavailable("node_unreachable", f"the node at {address} broke off its answer: ask again") from None
        finally:
            if whole:
                self._keep(address, line)
            else:
                line.writer.close()


async def _connected(address: str) -> Line:
    url = urlsplit(address)
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    async with asyncio.timeout(CONNECT_SECONDS):
        return Line(*await asyncio.open_connection(url.hostname, port, ssl=secure or None, limit=HEAD_MAX))
