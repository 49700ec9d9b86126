"""A connection of a client: uvicorn's, with limits to what it sends and to how long it takes."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from .deadline import BEGUN
from .endpoint import Answer, encode, problem, respond

LINGER_SECONDS = 1.0  # for which the other side may take an answer that comes before it sent all
LINGER_BYTES = 1_000_000  # that it may still send
CLOSE = (b"connection", b"close")
ENDING = "ending"  # in the state of a request: the service ends, and so must an answer that has no end by itself
SHORT_BYTES = 65_536  # of a body that is waited for before anything is done
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Limits(NamedTuple):
    """What clients may take of the service; each is an option of `onearm serve`."""

    connections: int = 1000
    head_bytes: int = 65_536  # of a request's first line and its headers
    idle_seconds: float = 60.0
    read_seconds: float = 30.0  # from a request's first byte to its last


class Joined:
    """A transport that sends the head of an answer together with what comes next: one call of the kernel and not two.

    For one answer, as uvicorn writes it: at most one `100 Continue`, the head, and the body in any number of parts.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None  # None before it came, empty once it was sent
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send data, or keep it where it is the head."""
        if self._head is None and data != CONTINUE:
            self._head = data
        elif self._head:
            data, self._head = self._head + data, b""
            self._transport.write(data)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send the head of an answer without a body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close behind all that was written."""
        self.flush()
        self._transport.close()


PassOn = Callable[[Scope, bytes, Callable[[bytes, bytes], None]], bool]


class Connection(HttpToolsProtocol):
    """What one client sends and is sent. Its methods belong to the event loop's thread."""

    def __init__(self, *, limits: Limits, refused: Counter[str], pass_on: PassOn | None = None, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._refused = refused  # how many requests were not read to their end, by code
        self._due = math.inf  # when it is closed if nothing happens
        self._chunk = 0  # bytes that came last
        self._pending = 0  # at most so many bytes came of a head or a trailer that is not whole yet
        self._reading = False  # part of a request came, and not all
        self._in_head = False
        self.is_refused = False
        self._unsent = 0  # bytes that the client had not taken when it was last looked at
        self._pass_on = pass_on  # has others answer a request, where it returns True
        self._waits = False  # the request at work, for its body: then it may be passed on
        self._answering: RequestResponseCycle | None = None  # the request at work; further ones may wait behind it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - asyncio
        super().connection_lost(exc)
        if self._answering is not None:  # uvicorn tells the request that came last alone
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        cycle.transport = cast(Any, Joined(self.transport))
        self._waits = self._pass_on is not None and app is self.config.loaded_app and self._is_short(cycle)
        if self._waits:
            cast(Scope, cycle.scope)[BEGUN] = time.perf_counter()
        else:
            super()._start_asgi_task(cycle, app)

    def _is_short(self, cycle: RequestResponseCycle) -> bool:
        """Tell whether a request was just begun, and has a short body that comes by itself."""
        if not self._in_head or not cycle.more_body or not cycle.keep_alive or cycle.waiting_for_100_continue:
            return False
        length = int(dict(self.headers).get(b"content-length", b"-1"))
        return 0 <= length <= SHORT_BYTES and not self.flow.write_paused

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if nobody had asked for it, as HTTP has it: there is nothing to install."""

    def connection_made(self, transport: Any) -> None:  # noqa: D102 - asyncio
        super().connection_made(transport)
        self._wait(self._limits.idle_seconds)
        most = self._limits.connections
        served = cast(set[Connection], self.connections)
        if len(served) > most and sum(not one.is_refused for one in served) > most:
            says = f"{most} connections are open (--max-connections): try again, or use one of yours for many requests"
            self._refuse(problem(503, "too_many_connections", says))

    def data_received(self, data: bytes) -> None:  # noqa: D102 - asyncio
        if self.is_refused:
            self._pending += len(data)
            if self._pending > LINGER_BYTES:
                self.transport.abort()
            return
        self._chunk = len(data)
        self._pending += self._chunk
        super().data_received(data)
        if self._pending > self._limits.head_bytes and self._reading and not self.is_refused:
            self._refuse(self._too_large())

    def on_message_begin(self) -> None:  # noqa: D102 - httptools
        self._pending = self._chunk
        self._reading = self._in_head = True
        self._wait(self._limits.read_seconds)
        super().on_message_begin()

    def on_headers_complete(self) -> None:  # noqa: D102 - httptools
        most = self._limits.head_bytes
        refusal = self._too_large() if self._pending > most and self._head_bytes() > most else None
        if refusal is not None:
            self.app = _always(refusal)
        super().on_headers_complete()  # raises where the target is no address; then no request began
        if refusal is not None:
            self._refused[refusal.content.code] += 1
        self._in_head = False
        self._pending = 0

    def on_body(self, body: bytes) -> None:  # noqa: D102 - httptools
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:  # noqa: D102 - httptools
        self._reading = False
        self._pending = 0
        self._due = math.inf  # now it is the service's turn
        super().on_message_complete()
        if self._waits:
            self._waits = False
            cycle, pass_on = self.cycle, self._pass_on
            assert pass_on is not None
            if not pass_on(cast(Scope, cycle.scope), bytes(cycle.body), partial(self._tell, cycle)):
                super()._start_asgi_task(cycle, self.config.loaded_app)

    def _tell(self, cycle: RequestResponseCycle, head: bytes, body: bytes) -> None:
        """Answer a request for which there is no task."""
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(head + (b"\r\n\r\n" if cycle.keep_alive else b"\r\n%b: %b\r\n\r\n" % CLOSE) + body)
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one: as uvicorn's own, without a timer for each answer."""
        self.server_state.total_requests += 1
        assert self._answering is not None
        cast(Any, self._answering.transport).flush()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                return
        self._wait(self._limits.read_seconds if self._reading else self._limits.idle_seconds)

    def pause_writing(self) -> None:  # noqa: D102 - asyncio
        super().pause_writing()
        self._wait(self._limits.idle_seconds)

    def resume_writing(self) -> None:  # noqa: D102 - asyncio
        super().resume_writing()
        if self._answered():
            self._wait(self._limits.idle_seconds)
        else:  # there is more to come
            self._due = math.inf

    def shutdown(self) -> None:
        """Answer what was asked, and refuse what is still being sent or comes now: the service ends."""
        if self.is_refused:
            return
        self.app = _always(STOPPING)
        if self._answering is not None:
            self._answering.scope["state"][ENDING] = True
        if self._in_head and self._answered():
            self.loop.call_later(LINGER_SECONDS, self._stop_reading)
        else:
            super().shutdown()
            if self._waits:  # no task does, which would be cancelled
                self.loop.call_later(LINGER_SECONDS, self._stop_reading)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP. An address of 64 KiB is none for the parser, and was too large before."""
        if self._in_head and self._head_bytes() > self._limits.head_bytes:
            self._refuse(self._too_large())
        else:
            self._refuse(problem(400, "not_http", f"{msg.rstrip('.')}: send HTTP/1.1"))

    def sweep(self, now: float) -> None:
        """Close the connection where it is due; called about once a second."""
        if now < self._due or (self._in_head and not self._answered()):  # it is the service's turn first
            return
        if self._reading and not self.transport.is_closing():
            seconds = f"{self._limits.read_seconds:g}"
            says = f"the request was not sent whole within {seconds} s (--read-timeout): send it faster"
            self._refuse(problem(408, "request_timeout", says))
        elif (unsent := self.transport.get_write_buffer_size()) not in (0, self._unsent):  # it is slow, and not idle
            self._unsent = unsent
            self._wait(self._limits.idle_seconds)
        elif self.transport.is_closing() or unsent:
            self.transport.abort()
        else:
            self.transport.close()

    def _wait(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds

    def _answered(self) -> bool:
        """Whether all requests before the one that is being read are answered."""
        return self.cycle is None or self.cycle.response_complete

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> Answer:
        most = f"{self._limits.head_bytes:,}"
        says = f"the first line and the headers have more than {most} bytes (--max-header-bytes): send fewer"
        return problem(431, "headers_too_large", says)

    def _stop_reading(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._refuse(STOPPING)

    def _refuse(self, answer: Answer) -> None:
        """Answer a request that was not read to its end, and close. The other side may take the answer first."""
        self.is_refused = True
        self._refused[answer.content.code] += 1
        self._due = math.inf
        in_head = self._in_head or not self._reading
        is_next = self._answered() if in_head else self._answering is self.cycle and not self.cycle.response_started
        if not is_next:  # another answer is on its way
            self.transport.abort()
            return
        if not in_head:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(b"\r\n\r\n".join(on_the_wire(answer, (CLOSE,))))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        else:  # TLS
            self.transport.close()


STOPPING = problem(503, "stopping", "the service is being stopped: ask again, it may be back, or another one answers")


def _always(answer: Answer) -> Any:
    """Return an application that answers every request with this, and asks for no other on the same connection."""
    closing = answer._replace(headers=(*answer.headers, CLOSE))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):  # closing before all was read would cut the answer off
            pass
        if message["type"] == "http.request":
            await respond(closing, send)

    return app


def on_the_wire(answer: Answer, more: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return the head of an answer, with more headers, and its body, as they are sent around an empty line."""
    body = answer.content if isinstance(answer.content, bytes) else encode(answer.content)
    length = (b"content-length", b"%d" % len(body))
    headers = ((b"content-type", answer.kind), length, *answer.headers, *more)
    return b"\r\n".join((STATUS_LINE[answer.status][:-2], *(name + b": " + said for name, said in headers))), body
