"""uvicorn's server with connections that have limits, and with an end that leaves nobody without an answer."""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
import ssl
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn, cast

import uvicorn
from starlette.types import ASGIApp

from ...engine.compiled.process import open_files
from ...engine.errors import InvalidInput
from .connection import Connection, Limits, PassOn

GRACE_SECONDS = 10  # for what is in flight when the service is stopped
SWEEP_TICKS = 10  # of 0.1 s
FILES = 200  # descriptors for what is no connection: the database, files that are served or loaded


class Network(NamedTuple):
    """How the service stands in its network."""

    certificate: Path | None = None  # PEM: with it, it speaks TLS
    key: Path | None = None  # PEM; None where it is in the file of the certificate
    proxies: str = "127.0.0.1"  # addresses, with commas between, whose X-Forwarded-For and -Proto are believed

    def checked(self) -> Network:
        """Return it; raises `InvalidInput` where the certificate or the key cannot be used."""
        if self.certificate is None:
            if self.key is not None:
                raise InvalidInput("no_certificate", "--tls-key is of no use alone: give its --tls-cert too")
            return self
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:  # SSLError is an OSError
            key = self.key or self.certificate
            raise InvalidInput(
                "bad_certificate",
                f"--tls-cert {self.certificate} with the key of {key} cannot be used ({error}): both must be PEM files "
                "that belong together, and the key without a password",
            ) from None
        return self


PLAIN = Network()


class Server(uvicorn.Server):
    """Serves an application until SIGINT or SIGTERM.

    `refused` counts connections that were refused before a request was whole, by code. `pass_on` may have others answer
    a request.

    Then it listens no more, answers what is in flight, and refuses with 503 what still comes on open connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        *,
        network: Network = PLAIN,
        refused: Counter[str] | None = None,
        pass_on: PassOn | None = None,
    ) -> None:
        refused = Counter() if refused is None else refused
        http: Any = functools.partial(Connection, limits=limits, refused=refused, pass_on=pass_on)
        super().__init__(
            uvicorn.Config(
                app,
                http=http,
                ws="none",
                lifespan="on",
                server_header=False,  # whoever asks need not know, and it costs as much as a check of what they ask
                log_config=None,  # service_log.py has its own
                log_level="warning",
                access_log=False,
                ssl_certfile=network.certificate,
                ssl_keyfile=network.key,
                ssl_keyfile_password="",  # an encrypted key is refused, and nobody asked at a terminal
                forwarded_allow_ips=network.proxies,
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
    if (most := open_files(needed)) is not None:
        raise InvalidInput(
            "too_few_files",
            f"{limits.connections} connections need {needed} open files, and this process may have {most}: give fewer "
            f"by --max-connections {max(1, most - FILES)}, or raise the limit (ulimit -n)",
        )


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
