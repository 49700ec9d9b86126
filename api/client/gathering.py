"""Calls of many threads or tasks that go together: whoever comes first waits a moment for the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import msgspec

from ...engine.errors import OnearmError, Unavailable

MOST = 1000  # in one call
Items = list[bytes]
Answers = list[msgspec.Raw]


class ThreadBatch:
    """What is gathered at the moment, and what is answered to it."""

    def __init__(self) -> None:
        self.items: Items = []
        self.done = threading.Event()
        self.answers: Answers = []
        self.error: Exception | None = None


class ThreadGatherer:
    """Gathers calls of threads: the first of them sends all."""

    def __init__(self, seconds: float, send: Callable[[Items], Answers]) -> None:
        self._seconds = seconds
        self._send = send
        self._lock = threading.Lock()
        self._batch: ThreadBatch | None = None

    def ask(self, item: bytes) -> msgspec.Raw:
        """Return the answer to one item, once it was sent together with others; raises what sending them raises."""
        with self._lock:
            batch, leads = self._batch, self._batch is None
            if batch is None:
                batch = self._batch = ThreadBatch()
            place = len(batch.items)
            batch.items.append(item)
            if place + 1 == MOST:
                self._batch = None
        if leads:
            try:
                time.sleep(self._seconds)
            finally:  # whoever waits is answered, also where this thread is interrupted
                self._end(batch)
        else:
            batch.done.wait()
        if batch.error is not None:
            raise as_own(batch.error)
        return batch.answers[place]

    def _end(self, batch: ThreadBatch) -> None:
        with self._lock:
            if self._batch is batch:
                self._batch = None
        try:
            batch.answers = self._send(batch.items)
        except Exception as error:
            batch.error = error
        except BaseException:
            batch.error = Unavailable("interrupted", "the calls that went together were interrupted: try again")
            raise
        finally:
            batch.done.set()


class TaskBatch:
    """The same of tasks."""

    def __init__(self) -> None:
        self.items: Items = []
        self.task: asyncio.Task[Answers] | None = None


class TaskGatherer:
    """Gathers calls of tasks: a task of its own sends them, so that each of them may be cancelled."""

    def __init__(self, seconds: float, send: Callable[[Items], Awaitable[Answers]]) -> None:
        self._seconds = seconds
        self._send = send
        self._batch: TaskBatch | None = None

    async def ask(self, item: bytes) -> msgspec.Raw:
        """Return the answer to one item, once it was sent together with others; raises what sending them raises."""
        batch = self._batch
        if batch is None:
            batch = self._batch = TaskBatch()
            batch.task = asyncio.get_running_loop().create_task(self._end(batch))
        place = len(batch.items)
        batch.items.append(item)
        if place + 1 == MOST:
            self._batch = None
        assert batch.task is not None
        try:
            answers = await asyncio.shield(batch.task)
        except OnearmError as error:
            raise as_own(error) from None
        return answers[place]

    async def _end(self, batch: TaskBatch) -> Answers:
        await asyncio.sleep(self._seconds)
        if self._batch is batch:
            self._batch = None
        return await self._send(batch.items)


def as_own(error: Exception) -> Exception:
    """Return an error for one of those who wait for the same: each has a trace of its own."""
    return type(error)(error.code, str(error)) if isinstance(error, OnearmError) else error
