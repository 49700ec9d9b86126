"""The FastAPI application: the routes of the table, errors as problem+json, the service for as long as it runs."""

from __future__ import annotations

import gc
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from ...engine.storage.store import Store
from ..access.caller import NOBODY, WRITE, Caller
from ..experiment.ids import parted
from ..kinds.arms.problem import DEFAULT_POLICY
from ..service.records import CACHE_BYTES
from ..service.service import Service
from .decisions import decide, reward
from .endpoint import Endpoint, encode, http_problem, respond
from .gate import is_open, key_needed
from .guard import Guard
from .pages import STATIC
from .routes import openapi, routes

HELLO = {
    "experiment_id": "hello",
    "arms": [{"id": "red"}, {"id": "blue"}],
    "policy": DEFAULT_POLICY,
    "seed": 1,
}
HOT = re.compile("/v1/experiments/(?P<experiment_id>[^/]+)/decisions(?:/(?P<decision_id>[^/]+)/reward)?")
decide_endpoint = Endpoint(decide, WRITE)
reward_endpoint = Endpoint(reward, WRITE)


class DecisionApp(FastAPI):
    """FastAPI behind a guard, with a short way to the hot routes past its middleware: a fifth of a request's CPU.

    Routes are found by the path as it was sent, part by part, so that ids may have slashes, as %2F.

    The same endpoints stand in the table of routes, so what the documentation says is what is served.
    """

    guard = Guard()
    caller: Callable[[Iterable[tuple[bytes, bytes]]], Caller | None]  # of the headers, as a keyring finds them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if (refused := self.guard.refusal(scope)) is not None:
            await respond(refused, send)
            return
        if b"%" in scope["raw_path"]:
            scope = {**scope, "path": parted(scope["raw_path"])}
        if (caller := self.caller(scope["headers"])) is None:
            if not is_open(scope["path"]):
                await respond(key_needed(scope), send)
                return
            caller = NOBODY
        scope["caller"] = caller
        if scope["method"] == "POST" and (found := HOT.fullmatch(scope["path"])):
            scope["app"] = self
            scope["path_params"] = found.groupdict("")
            endpoint = decide_endpoint if found["decision_id"] is None else reward_endpoint
            await endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    store: Store,
    *,
    guard: Guard = DecisionApp.guard,
    cache_bytes: int = CACHE_BYTES,
    started: Callable[[Service], None] = lambda service: None,
    advanced: Callable[[Service], None] = lambda service: None,
) -> FastAPI:
    """Return the application over an open database; `guard` refuses what no client would send.

    `started` is called when it answers, `advanced` whenever one more experiment is recovered, or cannot be.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(store, cache_bytes=cache_bytes)
        assert isinstance(app, DecisionApp)
        app.caller = service.keyring.caller

        def told() -> None:
            if not service.waiting:
                _quiet_garbage_collector()
            advanced(service)

        try:
            _quiet_garbage_collector()
            await service.start(HELLO, told)
            started(service)
            yield
        finally:
            await service.stop()

    app = DecisionApp(title="onearm", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.guard = guard
    app.router.redirect_slashes = False  # it would send clients to whatever Host says
    app.openapi = openapi  # type: ignore[method-assign]
    app.router.routes.extend(routes())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _router_error)
    return app


async def _router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    says = error.detail
    if error.status_code == 404:
        says = "there is no such path; /docs lists all"
    elif error.status_code == 405:
        says = f"this path takes {(error.headers or {}).get('Allow', 'other methods')}; /docs lists all"
    answer = http_problem(error.status_code, f"{request.method} {request.url.path}: {says}")
    return Response(encode(answer.content), answer.status, error.headers, answer.kind.decode())


def _quiet_garbage_collector() -> None:
    """Keep the collector from walking numba's and FastAPI's heap: it cost half the throughput and most of the p99."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
