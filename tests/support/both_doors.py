"""What opens the same problem in this process and at a service, so that one suite runs on both, and for tasks."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from support.served import Served

import onearm
from onearm.api.arms_once import Stream
from onearm.client import AsyncClient, Client

Opener = Callable[..., Any]


class InProcess(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Hands requests to a service in this process."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        headers = {name: request.headers[name] for name in ("authorization",) if name in request.headers}
        answer = self.served.client.request(request.method, path, content=request.read(), headers=headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await asyncio.to_thread(self.handle_request, request)


class AsThread:
    """An object whose methods are tasks, for a test that has none: each is run to its end."""

    def __init__(self, inner: Any, run: Callable[[Any], Any]) -> None:
        self._inner = inner
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.iscoroutine(found):
            return self._run(found)
        if not callable(found):
            return found
        return lambda *given, **more: self._ended(found(*given, **more))

    def _ended(self, found: Any) -> Any:
        return self._run(found) if inspect.iscoroutine(found) else found


class Doors:
    """Opens engines here, with a log or without, experiments of a client for threads, or of one for tasks."""

    def __init__(self, door: str, served: Served, folder: Path) -> None:
        self.door = door
        self._folder = folder
        self._logged = ExitStack()  # engines that hold files
        self._numbers = count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        how: Any = {"batch_ms": 1.0} if door.endswith("batches") else {}
        self.client = Client("http://service/", transport=InProcess(served), **how)
        self.tasks = self._run(self._of_tasks(served, how))

    async def _of_tasks(self, served: Served, how: Any) -> AsyncClient:
        return AsyncClient("http://service/", transport=InProcess(served), **how)

    def open(self, **problem: Any) -> Any:
        """Open it by the arguments of onearm.open."""
        name = f"e{next(self._numbers)}"
        if self.door == "python":
            return onearm.open(**problem)
        if self.door == "log":
            file = f"sqlite:///{self._folder}/{name}.db"
            return self._logged.enter_context(onearm.open(**problem, database=file, experiment=name))
        if self.door.startswith("threads"):
            return self.client.open(name, **problem)
        return AsThread(self._run(self.tasks.open(name, **problem)), self._run)

    def stream(self, trials: int, arms: int) -> Any:
        """Open a stream of arms of this many trials."""
        if self.door == "python":
            return Stream(trials=trials, arms=arms, rule="early_drop")
        return self.open(policy="early_drop", stream=arms, horizon=trials)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def close(self) -> None:
        self._logged.close()
        self.client.close()
        self._run(self.tasks.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


DOORS = ("python", "log", "threads", "threads in batches", "tasks", "tasks in batches")


@contextmanager
def opened(door: str, folder: Path) -> Iterator[Doors]:
    """Yield a door to a service in a folder, or to this process."""
    with Served(folder) as served:
        doors = Doors(door, served, folder)
        try:
            yield doors
        finally:
            doors.close()
