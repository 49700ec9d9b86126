"""A stream of events for an open page: that there is news, and never what it is; the page then asks for its parts.

A page of 40 bytes goes where something changed, at most every two seconds, and a comment every fifteen so that proxies
keep the connection. It ends with the service, and where the key of who listens does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from ....engine.errors import OnearmError
from ...service.live import Live
from ...service.service import Service
from ..call import Call
from ..connection import ENDING
from ..endpoint import Answer
from ..experiments import listed
from .rendering import GUARDED

TICK = 0.5  # seconds: how late it notices that the service ends
EVERY = 4  # ticks between two looks
QUIET = 30  # ticks without a word before a comment is sent
KIND = b"text/event-stream"
HEADERS = (*GUARDED, (b"x-accel-buffering", b"no"))  # nginx would keep it back


async def events(service: Service, call: Call) -> Answer:
    """Say whenever there is news of an experiment, or of any that the caller sees."""
    named = call.parameter("experiment")
    name = None if named is None else call.caller.named(named)
    if name is not None:
        service.row(name)  # raises where there is none
    return Answer(200, b"", HEADERS, KIND, _told(service, call, name))


async def _told(service: Service, call: Call, name: str | None) -> AsyncGenerator[bytes]:
    state = call.scope.setdefault("state", {})
    last, quiet, again = _place(service, call, name), 0, False
    service.pace.watch()
    tick = secrets.randbelow(EVERY)  # many begin with a start, and need not look at once
    yield b"retry: 2000\nevent: hello\ndata: 0\n\n"
    while not state.get(ENDING):
        await asyncio.sleep(TICK)
        tick, quiet, word = tick + 1, quiet + 1, b""
        if tick % EVERY == 0:
            if _left(service, call):
                return
            service.pace.watch()
            try:
                place = _place(service, call, name)
            except OnearmError:  # it was deleted
                return
            if place != last or again:  # what is shown then may be some moments old: so say it once more
                again, last, word = place != last, place, b"event: news\ndata: 1\n\n"
        if not word and quiet >= QUIET:
            word = b": still here\n\n"
        quiet = 0 if word else quiet
        yield word


def _place(service: Service, call: Call, name: str | None) -> Any:
    """Return what is another value once there is news."""
    if name is None:
        made: Any = hash(tuple((one, _seq(found)) for one, found in listed(service, call).items()))
        return made
    row = service.row(name)
    return _seq(service.listed(None).get(name, row))


def _seq(one: Any) -> int:
    return one.seq if isinstance(one, Live) and one.unusable is None else -1


def _left(service: Service, call: Call) -> bool:
    """Tell whether whoever listens may not any more."""
    known = service.keyring.caller(call.fields) or service.sessions.caller(call.fields)
    return known is None or known.key != call.caller.key
