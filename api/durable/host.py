"""The service, in a thread of this process, for experiments that need one: their windows close, their policies watch.

It knows the experiments that it takes in and no others, listens at no port, and asks for no key. What asks it is the
client, so that an experiment is the same wherever its service runs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx

from ...engine.errors import Unavailable
from ...engine.storage.records import Experiment
from ...engine.storage.store import Store
from ..access.caller import ANYONE
from ..client.bodies import refusal
from ..http.app import DecisionApp, app_within
from ..service.clocks import CLOCKS
from ..service.service import Service

ADDRESS = "http://localhost"  # which nothing listens at: the service answers to it
Made = TypeVar("Made")


class Host:
    """A service and its thread."""

    def __init__(self, store: Store) -> None:
        self.names: set[str] = set()  # of the experiments that it works for, or tells of
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="onearm-service", daemon=True)
        self._thread.start()
        try:
            self._service, self._app = self._run(_begun(store))
        except BaseException:
            self._end()
            raise

    @property
    def is_of_this_process(self) -> bool:
        """Whether it runs here, and not in the process that forked this one."""
        return os.getpid() == self._process

    @property
    def is_at_work_here(self) -> bool:
        """Whether this is its own thread, which must not wait for itself."""
        return threading.current_thread() is self._thread

    def take_in(self, row: Experiment) -> None:
        """Work for an experiment; raises what its log cannot be folded for."""
        self._begin(row.id, self._service.take_in(row))

    def look_at(self, row: Experiment) -> None:
        """Tell of an experiment whose log an engine of this process writes: here nothing is added to it."""
        self._begin(row.id, _looked_at(self._service, row))

    def let_go(self, name: str) -> None:
        """Work for an experiment, or tell of it, no more; all that was decided and told is on record."""
        self.names.discard(name)
        self._run(_let_go(self._service, name))

    def stop(self) -> None:
        """End; the database stays open."""
        try:
            self._run(self._service.leave())
        finally:
            self._end()

    def ask(self, scope: dict[str, Any], body: bytes) -> httpx.Response:
        """Return the answer to a request."""
        return self._run(_answer(self._app, scope, body))

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self.names.add(name)  # first: it is not idle any more
        try:
            self._run(work)
        except BaseException:
            self.names.discard(name)
            raise

    def _run(self, work: Coroutine[Any, Any, Made]) -> Made:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Within(httpx.BaseTransport):
    """Hands what a client asks about one experiment to the service in this process, until it is closed."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._name = name
        self.is_closed = False

    def check(self) -> None:
        """Raise `Unavailable` where the engine is closed, or this is another process."""
        if not self._host.is_of_this_process:
            raise Unavailable(
                "other_process",
                f"the engine of {self._name!r} was opened before this process was forked: open it after that",
            )
        if self.is_closed:
            raise Unavailable("closed", f"the engine of {self._name!r} is closed: open it again")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request; raises `Unavailable` where that could not be written, and as `check`."""
        self.check()
        path, _, query = request.url.raw_path.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "path": request.url.path,
            "raw_path": path,
            "root_path": "",
            "scheme": "http",
            "query_string": query,
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "client": None,
            "server": None,
            "state": {},
        }
        answer = self._host.ask(scope, request.read())
        if answer.status_code == 503 and (refused := refusal(503, answer.content)).code == "commit_failed":
            raise refused  # at once: nobody else will see that the disk has room
        return answer


async def _begun(store: Store) -> tuple[Service, DecisionApp]:
    service = Service(store, clocks=CLOCKS)
    await service.attend()
    return service, app_within(service, ANYONE)


async def _looked_at(service: Service, row: Experiment) -> None:
    service.correcting.only_told.add(row.id)
    try:
        await service.take_in(row)
    except BaseException:
        service.correcting.only_told.discard(row.id)
        raise


async def _let_go(service: Service, name: str) -> None:
    try:
        await service.let_go(name)
    finally:
        service.correcting.only_told.discard(name)  # whoever takes it in next may work for it


async def _answer(app: DecisionApp, scope: dict[str, Any], body: bytes) -> httpx.Response:
    asked, parts = [body], []
    start: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        if not asked:
            await asyncio.Event().wait()  # whoever asks stays until it is answered
        return {"type": "http.request", "body": asked.pop(), "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(bytes(message.get("body", b"")))

    await app(scope, receive, send)
    return httpx.Response(start["status"], headers=start["headers"], content=b"".join(parts))
