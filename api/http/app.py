"""The FastAPI application: the routes of the table, errors as problem+json, the service for as long as it runs."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from onearm.api.http.endpoint import encode, http_problem
from onearm.api.http.pages import STATIC
from onearm.api.http.routes import openapi, routes
from onearm.api.service import Service
from onearm.engine.storage.sql import Store

HELLO = {
    "experiment_id": "hello",
    "arms": [{"id": "red"}, {"id": "blue"}],
    "policy": {"name": "thompson_beta", "params": {}},
    "seed": 1,
}
CACHED_BYTES = 64_000_000


def create_app(
    store: Store, *, cache_bytes: int = CACHED_BYTES, started: Callable[[Service], None] = lambda service: None
) -> FastAPI:
    """Return the application over an open database; `started` is called when it can answer."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(store, cache_bytes=cache_bytes)
        try:
            await service.start()
            if not service.lives():
                await service.create(HELLO)
            _quiet_garbage_collector()
            started(service)
            yield
        finally:
            await service.stop()

    app = FastAPI(title="onearm", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.openapi = openapi  # type: ignore[method-assign]
    app.router.routes.extend(routes())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _router_error)
    return app


async def _router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = http_problem(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
    return Response(encode(answer.content), answer.status, error.headers, answer.kind.decode())


def _quiet_garbage_collector() -> None:
    """Keep the collector from walking numba's and FastAPI's heap: it cost half the throughput and most of the p99."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
