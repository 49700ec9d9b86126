"""Turns: while the steps of an experiment's policy take long, one request at a time touches its state.

A compiled step takes microseconds, and the event loop's thread makes it between two requests: nothing is awaited
between looking a decision up and writing it down. As Python some policies take milliseconds, and so do some when they
are compiled, with thousands of actions; that would keep all other experiments waiting. Their steps are made in another
thread, and whatever reads or changes the state of that experiment waits for its turn: the look-up, the step, the
numbers it takes and what it appends to the log are one turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from ...engine.kernel import Entry
from .pools import Pool

SLOW_S = 0.001  # a step as Python that takes longer is not made in the event loop's thread
LONG_S = 0.002  # a compiled one that took longer, and those that come next are not either:
LONG_STEPS = 100  # so many, counted from the last one that did
SUSPECTS = 20  # steps that are looked at closely after one that seems to have taken long
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
        self._long = 0  # compiled steps that are still made in another thread
        self._suspects = 0  # compiled steps that are still looked at closely
        self._at_once = 0  # how many are at work without the lock
        self._nobody = asyncio.Event()  # set when these are done
        self._has_turn = False  # whether one is at work with it

    def take_up(self, *entries: Entry) -> None:
        """Know the entries that steps run. How long one takes is not known before its first step."""
        self._entries = entries
        self._long = 0

    @property
    def slow(self) -> bool:
        """Whether a step may take long."""
        if self._long:
            return True
        if not self._entries:
            return False
        if all(entry.compiled for entry in self._entries):
            self._entries = ()  # for good
        return any(map(self._is_slow, self._entries))

    async def take(self, work: Callable[P, Awaitable[Made]], *given: P.args, **named: P.kwargs) -> Made:
        """Do what reads or changes the state: at once, or when its turn comes. Then it is not broken off half done."""
        if self.slow or self._lock.locked():
            return await self.alone(work, *given, **named)
        self._at_once += 1
        try:
            return await work(*given, **named)
        finally:
            self._at_once -= 1
            if not self._at_once:
                self._nobody.set()

    async def alone(self, work: Callable[P, Awaitable[Made]], *given: P.args, **named: P.kwargs) -> Made:
        """Do what reads or changes the state when its turn comes, while nobody else does."""
        task = asyncio.ensure_future(self._alone(work, *given, **named))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    @property
    def exclusive(self) -> bool:
        """Whether whoever is at work on the state is so alone."""
        return self._has_turn

    @property
    def taken(self) -> bool:
        """Whether somebody is at work on the state alone, or waits for that."""
        return self._lock.locked()

    async def step(self, entry: Entry, run: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Make a step: here, or in another thread where it may take long and its caller has the turn."""
        if entry.compiled:
            if self._long and self._has_turn:
                made, took = await self._steps.run(lambda: _timed(run, *given, **named))
            elif self._suspects:
                self._suspects -= 1
                made, took = _timed(run, *given, **named)
            else:
                started = time.perf_counter()
                made, took = run(*given, **named), 0.0
                if time.perf_counter() - started > LONG_S:  # or it waited: the thread's own clock tells, at a cost
                    self._suspects = SUSPECTS
            if took > LONG_S:
                self._long = LONG_STEPS
            elif self._long:
                self._long -= 1
            return made
        if not self._has_turn or not self._is_slow(entry):
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
            while self._at_once:  # those that began before steps were known to be long, and look something up
                self._nobody.clear()
                await self._nobody.wait()
            self._has_turn = True
            try:
                return await work(*given, **named)
            finally:
                self._has_turn = False

    def _is_slow(self, entry: Entry) -> bool:
        return not entry.compiled and self._took.get(entry, math.inf) > SLOW_S


def _timed(run: Callable[P, Made], *given: P.args, **named: P.kwargs) -> tuple[Made, float]:
    """Return what a step made, and how long this thread was at it, in seconds: waiting for others does not count."""
    begun = time.thread_time()
    made = run(*given, **named)
    return made, time.thread_time() - begun
