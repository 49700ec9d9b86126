"""A server among others of one port: it takes connections one at a time, so that whoever is idle takes some."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from starlette.types import ASGIApp

from .connection import Limits, PassOn
from .server import PLAIN, Network, Server

PAUSE_SECONDS = 1.0  # where this process may have no more open files


class SharingServer(Server):
    """Takes connections of a socket that listens in other processes too.

    Other nodes reach it at one of its own, `private`, without TLS: that is on this machine.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        shared: socket.socket,
        private: socket.socket,
        *,
        network: Network = PLAIN,
        refused: Counter[str] | None = None,
        pass_on: PassOn | None = None,
    ) -> None:
        super().__init__(app, limits, network=network, refused=refused, pass_on=pass_on)
        self._shared, self._private = shared, private

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        await super().startup([])
        loop = asyncio.get_running_loop()
        backlog = self.config.backlog
        self.servers.append(await loop.create_server(self._connection, sock=self._private, backlog=backlog))
        self.servers.append(cast(Any, Turns(self._shared, self._connection, self.config.ssl)))

    def _connection(self) -> asyncio.Protocol:
        made: Callable[..., asyncio.Protocol] = cast(Any, self.config.http_protocol_class)
        return made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class Turns:
    """Takes one connection of a socket in a turn of the event loop, which must run.

    asyncio takes all that wait: one process had all connections then, and the others none.
    """

    def __init__(
        self, listener: socket.socket, connection: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        self._listener, self._connection, self._tls = listener, connection, tls
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[None]] = set()  # connections that are not made yet
        self._paused: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more; the socket goes on in other processes."""
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    async def wait_closed(self) -> None:
        """Wait for what was begun."""
        if self._begun:
            await asyncio.wait(self._begun)

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        try:
            taken, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process took it, or it is gone
        except OSError:
            self._loop.remove_reader(self._listener)
            self._paused = self._loop.call_later(PAUSE_SECONDS, self._listen)
            return
        taken.setblocking(False)
        task = self._loop.create_task(self._connect(taken))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    async def _connect(self, taken: socket.socket) -> None:
        with suppress(OSError):  # who is at the other end went away, or does not speak TLS
            await self._loop.connect_accepted_socket(self._connection, taken, ssl=self._tls)
