"""Experiments whose steps are made in turns, as while their kernels run as Python and take long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from support.served import Served

from onearm.api.service import turns
from onearm.api.service.turns import Turns
from onearm.engine.kernel import Entry

Made = TypeVar("Made")


def slow(served: Served, monkeypatch: pytest.MonkeyPatch, experiment_id: str = "e") -> tuple[Entry, Entry]:
    """Let each step of an experiment be one that takes long; return what it decides and learns with."""
    monkeypatch.setattr(turns, "SLOW_S", 0.0)
    live = served.service.live(experiment_id)
    entries = live._select, live._update
    for entry in entries:
        entry.compiled = False  # as Python they give the same bits
    live.turns.take_up(*entries)
    assert live.turns.slow
    return entries


class Held:
    """What a step runs, held up until it is let go; the first `free` steps are not."""

    def __init__(self, call: Callable[..., Any], free: int = 0) -> None:
        self._call, self._free = call, free
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **named: Any) -> Any:
        self._free -= 1
        if self._free < 0:
            self.begun.set()
            assert self.let_go.wait(60.0)
        return self._call(*args, **named)


async def begun_in(
    turns: Turns, work: Coroutine[Any, Any, Made], monkeypatch: pytest.MonkeyPatch
) -> asyncio.Task[Made]:
    """Begin work; return once that is done, or waits for its turn."""
    waits, alone = asyncio.Event(), turns.alone

    async def told(*given: Any, **named: Any) -> Any:
        waits.set()
        return await alone(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(turns, "alone", told)
        begun, waiting = asyncio.create_task(work), asyncio.create_task(waits.wait())
        async with asyncio.timeout(60):
            await asyncio.wait([begun, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    return begun
