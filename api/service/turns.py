"""Turns: while an experiment's kernels run as Python and take long, one request at a time touches its state.

Compiled, a step takes microseconds, and the event loop's thread makes it between two requests: nothing is awaited
between looking a decision up and writing it down. As Python some policies take milliseconds, which would keep all other
experiments waiting. Their steps are made in another thread, and whatever reads or changes the state of that experiment
waits for its turn: the look-up, the step, the numbers it takes and what it appends to the log are one turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from ...engine.kernel import Entry
from .pools import Pool

SLOW_S = 0.001  # a step that takes longer is not made in the event loop's thread
Made = TypeVar("Made")
P = ParamSpec("P")


class Turns:
    """The turns of one experiment. Its methods belong to the event loop's thread."""

    def __init__(self, steps: Pool) -> None:
        self._steps = steps
        self._lock = asyncio.Lock()
        self._entries: tuple[Entry, ...] = ()
        self._took: dict[Entry, float] = {}  # seconds, the longest step of each entry as Python
        self._tasks: set[asyncio.Task[Any]] = set()

    def take_up(self, *entries: Entry) -> None:
        """Know the entries that steps run. How long one takes is not known before its first step."""
        self._entries = entries

    @property
    def slow(self) -> bool:
        """Whether a step may take long."""
        if not self._entries:
            return False
        if all(entry.compiled for entry in self._entries):
            self._entries = ()  # for good
        return any(map(self._is_slow, self._entries))

    def take(self, work: Callable[P, Awaitable[Made]], *given: P.args, **named: P.kwargs) -> Awaitable[Made]:
        """Do what reads or changes the state: at once, or when its turn comes. Then it is not broken off half done.

        To be awaited where it is called. At once means without a task or a coroutine of its own.
        """
        if not self.slow and not self._lock.locked():
            return work(*given, **named)
        task = asyncio.ensure_future(self._alone(work, *given, **named))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return asyncio.shield(task)

    async def step(self, entry: Entry, run: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Make a step: here, or in another thread where it may take long."""
        if not self._is_slow(entry):
            return run(*given, **named)
        started = time.perf_counter()
        made = await self._steps.run(run, *given, **named)
        self._took[entry] = max(self._took.get(entry, 0.0), time.perf_counter() - started)
        return made

    async def idle(self) -> None:
        """Wait until nobody has a turn, or waits for one."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _alone(self, work: Callable[P, Awaitable[Made]], *given: P.args, **named: P.kwargs) -> Made:
        async with self._lock:
            return await work(*given, **named)

    def _is_slow(self, entry: Entry) -> bool:
        return not entry.compiled and self._took.get(entry, math.inf) > SLOW_S
