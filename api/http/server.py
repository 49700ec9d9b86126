"""uvicorn's server with connections that have limits, and with an end that leaves nobody without an answer."""

from __future__ import annotations

import asyncio
import functools
import resource
import signal
import socket
import sys
from types import FrameType
from typing import Any, NoReturn, cast

import uvicorn
from starlette.types import ASGIApp

from ...engine.errors import InvalidInput
from .connection import Connection, Limits

GRACE_SECONDS = 10  # for what is in flight when the service is stopped
SWEEP_TICKS = 10  # of 0.1 s
FILES = 200  # descriptors for what is no connection: the database, files that are served or loaded


class Server(uvicorn.Server):
    """Serves an application until SIGINT or SIGTERM.

    Then it listens no more, answers what is in flight, and refuses with 503 what still comes on open connections.
    """

    def __init__(self, app: ASGIApp, limits: Limits, *, verbose: bool = False) -> None:
        http: Any = functools.partial(Connection, limits=limits)
        super().__init__(
            uvicorn.Config(
                app,
                http=http,
                ws="none",
                lifespan="on",
                server_header=False,  # whoever asks need not know, and it costs as much as a check of what they ask
                log_level="info" if verbose else "warning",
                access_log=verbose,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the process is told to end; after SIGTERM it leaves with 0."""
        signal.signal(signal.SIGTERM, _leave)  # uvicorn raises the signal again when all is done
        super().run(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Close the connections that are due."""
        if counter % SWEEP_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in cast(list[Connection], list(self.server_state.connections)):
                connection.sweep(now)
        return await super().on_tick(counter)


def make_room(limits: Limits) -> None:
    """Let the process open as many files as it may have connections; raises `InvalidInput` where it must not."""
    needed = limits.connections + FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise InvalidInput(
            "too_few_files",
            f"{limits.connections} connections need {needed} open files, and this process may have {hard}: give fewer "
            f"by --max-connections {max(1, hard - FILES)}, or raise the limit (ulimit -n)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
