"""Requests that meet inside the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from support.served import Served

Ask = Callable[[httpx.AsyncClient], Awaitable[Any]]


def at_once(served: Served, ask: Ask) -> Any:
    """Run a coroutine on the service's own event loop, so that its requests meet inside the service."""

    async def run() -> Any:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await ask(client)

    assert served.client.portal is not None
    return served.client.portal.call(run)
