"""Which request it is: what a client or a proxy calls it, or we do. Answers repeat it, and lines of the log say it."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ...engine.errors import NotFound
from ..access.caller import Caller
from ..experiment.ids import of_part
from ..service.measured import NO_ROUTE, Route

REQUEST_ID = b"x-request-id"
PARENT = b"traceparent"  # of W3C's Trace Context
SANE = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")  # what is repeated: neither a header nor a log is broken by it
SPAN = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_random = random.Random()  # a number that goes up would tell how much others ask


Trace = tuple[tuple[bytes, bytes], ...]  # headers of the answer: the id, and the span of who asks, if it was sent
UNTRACED: Trace = ()  # of what was refused before it was read


def trace_of(fields: Mapping[bytes, bytes]) -> Trace:
    """Return what a request goes by; a name that is none, and a span that is none, are as if they were not sent. .5 us.

    >>> trace_of({b"x-request-id": b"a-1", b"traceparent": b"00-nonsense"})
    ((b'x-request-id', b'a-1'),)
    """
    name, span = fields.get(REQUEST_ID), fields.get(PARENT)
    if name is None or not SANE.fullmatch(name):
        name = b"%016x" % _random.getrandbits(64)
    if span is None or not SPAN.fullmatch(span):
        return ((REQUEST_ID, name),)
    return (REQUEST_ID, name), (PARENT, span)


def name_of(scope: Mapping[str, Any]) -> str:
    """Return what a request goes by."""
    name: bytes = scope["trace"][0][1]
    return name.decode()


def told_of(route: Route, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the log says of a request: its id, its route, the experiment, the key's id; never a context."""
    caller: Caller | None = scope.get("caller")
    said: dict[str, Any] = {"request_id": name_of(scope)}
    if route is not NO_ROUTE:
        said |= {"method": route.method, "route": route.path}
    part = scope.get("path_params", {}).get("experiment_id")
    if part is not None and caller is not None:
        with suppress(NotFound):  # nothing is told of what there cannot be
            said["experiment"] = caller.named(of_part(part) if "%" in scope["path"] else part)
    if caller is not None and caller.key is not None:
        said["key"] = caller.key
    return said


asked: ContextVar[tuple[Route, Mapping[str, Any]] | None] = ContextVar("asked", default=None)  # what is at work
