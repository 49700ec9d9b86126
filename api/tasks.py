"""Work in the background that goes on until somebody ends it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any


async def ended(task: asyncio.Task[Any] | None) -> None:
    """Break a task off, where there is one, and wait until it has come to its end."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
